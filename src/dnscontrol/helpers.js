// The words of dnsconfig.js: the top level and the modifiers of domains.
//
// Evaluated once, sloppy, before the user's scripts; records.js and builders.js follow. `native`
// (require, glob, reverse, hash, log) comes from engine.rs. Everything that users may call is a
// property of the global object, as in DNSControl; the rest is local.
(function (global, native) {
  var conf = { registrars: [], dns_providers: [], domains: [], domain_names: [] };
  var defaults = [];
  var timers = [];

  function define(words) {
    for (var word in words) global[word] = words[word];
  }

  function isString(x) { return typeof x === 'string'; }
  function isNumber(x) { return typeof x === 'number'; }
  function isObject(x) { return typeof x === 'object' && x !== null; }

  function fail(message) { throw new Error(message); }

  function later(word) {
    return function () { fail(word + ' is not supported yet'); };
  }

  // ---- top level ------------------------------------------------------------------------------

  function declare(list, word) {
    return function (name, type, meta) {
      if (!isString(name)) fail(word + ': the name must be a string');
      if (isObject(type)) {
        meta = type;
        type = '-';
      }
      if (meta && meta.ip_conversions) meta.ip_conversions = format_tt(meta.ip_conversions);
      list.push({ name: name, type: type === undefined ? '-' : type, meta: meta });
      return name;
    };
  }

  function newDomain(name, registrar) {
    return {
      name: name,
      subdomain: '',
      registrar: registrar,
      meta: {},
      records: [],
      rawrecords: [],
      recordsabsent: [],
      dnsProviders: {},
      defaultTTL: 0,
      nameservers: [],
      ignored_names: [],
      ignored_targets: [],
      unmanaged: [],
    };
  }

  // `example.com!` is `example.com`.
  function uniqueName(name) {
    return name.charAt(name.length - 1) === '!' ? name.slice(0, -1) : name;
  }

  function domainIndex(name) {
    return Object.prototype.hasOwnProperty.call(byName, name) ? byName[name] : undefined;
  }
  var byName = {};

  function D(name, registrar) {
    if (!isString(name)) fail('D: the domain must be a string');
    name = uniqueName(name);
    if (domainIndex(name) !== undefined) fail('`' + name + '` is declared more than once');
    var domain = newDomain(name, registrar);
    domain.filepos = position();
    for (var i = 0; i < defaults.length; i++) apply(defaults[i], domain);
    for (var j = 2; j < arguments.length; j++) apply(arguments[j], domain);
    byName[name] = conf.domains.length;
    conf.domains.push(domain);
    conf.domain_names.push(name);
  }

  function apply(modifier, domain) {
    if (typeof modifier === 'function') {
      modifier(domain);
    } else if (Array.isArray(modifier)) {
      for (var i = 0; i < modifier.length; i++) apply(modifier[i], domain);
    } else if (isObject(modifier)) {
      for (var key in modifier) domain.meta[key] = modifier[key];
    } else {
      fail('`' + domain.name + '` has a modifier that is ' + describe(modifier) +
        ', not a record, a modifier, a list or an object');
    }
  }

  function describe(x) {
    if (x === null || x === undefined) return String(x);
    return (isObject(x) ? 'an ' : 'a ') + typeof x;
  }

  // The declared domain that has the longest name of those that `name` is in.
  function enclosing(name) {
    var found;
    for (var i = 0; i < conf.domains.length; i++) {
      var domain = conf.domains[i];
      var inside = name === domain.name || name.slice(-domain.name.length - 1) === '.' + domain.name;
      if (inside && (!found || domain.name.length > found.name.length)) found = domain;
    }
    return found;
  }

  function D_EXTEND(name) {
    name = uniqueName(name);
    var domain = enclosing(name);
    if (!domain) fail('D_EXTEND: `' + name + '` is in no domain that was declared before');
    var outer = domain.subdomain;
    domain.subdomain = name.slice(0, -domain.name.length - 1);
    // A classless reverse zone: what comes before its first dot is a range, not a label.
    if (name.indexOf('/') >= 0) domain.subdomain = domain.subdomain.split('.').slice(1).join('.');
    for (var i = 1; i < arguments.length; i++) apply(arguments[i], domain);
    domain.subdomain = outer;
  }

  function DEFAULTS() { defaults = Array.prototype.slice.call(arguments); }

  function INCLUDE(name) {
    var other = conf.domains[domainIndex(uniqueName(name))];
    if (!other) fail('INCLUDE: `' + name + '` was not declared before');
    return function (domain) {
      for (var i = 0; i < other.records.length; i++) domain.records.push(other.records[i]);
    };
  }

  function DOMAIN_ELSEWHERE(name, registrar, hosts) {
    D(name, registrar, NO_PURGE, hosts.map(function (host) { return NAMESERVER(host); }));
  }

  function DOMAIN_ELSEWHERE_AUTO(name, registrar) {
    var providers = Array.prototype.slice.call(arguments, 2);
    D(name, registrar, NO_PURGE, providers.map(function (provider) { return DnsProvider(provider); }));
  }

  function require_glob(folder, recursive) {
    if (!isString(folder)) fail('require_glob: the folder must be a string');
    var files = glob(folder, recursive, 'js');
    for (var i = 0; i < files.length; i++) global.require(files[i]);
    return files.length;
  }

  function glob(folder, recursive, suffix) {
    if (!isString(folder)) fail('glob: the folder must be a string');
    return native.glob(folder, recursive === undefined || !!recursive,
      isString(suffix) ? suffix : '.js');
  }

  function IP(text) {
    var numbers = String(text).split('.').map(Number);
    var good = numbers.length === 4 && numbers.every(function (n) { return n >= 0 && n < 256 && n % 1 === 0; });
    if (!good) fail('IP: `' + text + '` is not an IPv4 address');
    return ((numbers[0] * 256 + numbers[1]) * 256 + numbers[2]) * 256 + numbers[3];
  }

  function num2dot(number) {
    if (isString(number)) return number;
    return [number / 16777216, number / 65536, number / 256, number]
      .map(function (part) { return Math.floor(part) % 256; })
      .join('.');
  }

  function CLI_DEFAULTS(values) {
    for (var name in values) if (global[name] === undefined) global[name] = values[name];
  }

  function format_tt(table) {
    function side(value) {
      return (Array.isArray(value) ? value : value === undefined ? [] : [value]).map(num2dot).join(',');
    }
    return table.map(function (row) {
      return [num2dot(row.low), num2dot(row.high), side(row.newBase), side(row.newIP)].join(' ~ ');
    }).join(' ; ');
  }

  function AUTODNSSEC() {
    native.log('warn', 'AUTODNSSEC is gone: use AUTODNSSEC_ON or AUTODNSSEC_OFF');
  }

  // ---- modifiers of a domain ------------------------------------------------------------------

  function DnsProvider(name, count) {
    if (count === undefined) count = -1;
    if (!isString(name)) fail('DnsProvider: the name must be a string');
    if (!isNumber(count)) fail('DnsProvider: the number of name servers must be a number');
    return function (domain) { domain.dnsProviders[name] = count; };
  }

  function seconds(value) {
    if (isNumber(value)) return value;
    var units = { '': 1, s: 1, m: 60, h: 3600, d: 86400, w: 604800, n: 2592000, y: 31536000 };
    var match = /^(\d+)([smhdwny]?)$/.exec(value);
    if (!match) fail('`' + value + '` is not a TTL: a number of seconds, or a number and one of s m h d w n y');
    return Number(match[1]) * units[match[2]];
  }

  function DefaultTTL(value) {
    var ttl = seconds(value);
    return function (domain) { domain.defaultTTL = ttl; };
  }

  function NAMESERVER(host) {
    if (!isString(host)) fail('NAMESERVER: the host must be a string');
    return function (domain) { domain.nameservers.push({ name: host }); };
  }

  function NAMESERVER_TTL(value) {
    var ttl = seconds(value);
    return { ns_ttl: ttl.toString() };
  }

  function NO_PURGE(domain) { domain.keepunknown = true; }
  function PURGE(domain) { domain.keepunknown = false; }

  function IGNORE(label, types, target) {
    var pattern = {
      label_pattern: label === undefined ? '*' : label,
      rType_pattern: types === undefined ? '*' : types,
      target_pattern: target === undefined ? '*' : target,
    };
    for (var key in pattern) if (!isString(pattern[key])) fail('IGNORE: each pattern must be a string');
    return function (domain) { domain.unmanaged.push(pattern); };
  }

  function IGNORE_NAME(label, types) { return IGNORE(label, types); }
  function IGNORE_TARGET(target, types) { return IGNORE('*', types, target); }
  function DISABLE_IGNORE_SAFETY_CHECK(domain) { domain.unmanaged_disable_safety_check = true; }

  function IGNORE_EXTERNAL_DNS(prefix) {
    // Written with or without a call.
    if (isObject(prefix)) {
      prefix.ignore_external_dns = true;
      return;
    }
    return function (domain) {
      domain.ignore_external_dns = true;
      if (prefix) domain.external_dns_prefix = prefix;
    };
  }

  function AUTODNSSEC_ON(domain) { domain.auto_dnssec = 'on'; }
  function AUTODNSSEC_OFF(domain) { domain.auto_dnssec = 'off'; }

  function R53_ZONE(id) {
    return function (subject) {
      if (subject.dnsProviders) subject.meta.zone_id = id;
      else alias(subject).zone_id = id;
    };
  }

  function alias(record) {
    return record.r53_alias || (record.r53_alias = {});
  }

  // ---- what records.js needs --------------------------------------------------------------------

  // Where the user's script stands: `file:line:column`.
  function position() {
    var frames = new Error().stack.split('\n');
    for (var i = 0; i < frames.length; i++) {
      var open = frames[i].lastIndexOf('(');
      var frame = open < 0 ? frames[i].replace(/^\s*at /, '') : frames[i].slice(open + 1, -1);
      if (frame && frame !== 'native' && frame.charAt(0) !== '<') return frame;
    }
    return '';
  }

  // ---- what is not there yet ------------------------------------------------------------------

  var missing = {};
  [
    'M365_BUILDER', 'IMPORT_TRANSFORM', 'IMPORT_TRANSFORM_STRIP', 'GIDINET_PREMIUM_NS', 'REVCOMPAT', 'recordBuilder',
  ].forEach(function (word) { missing[word] = later(word); });

  // ---- timers: run after the script, in the order of their times, without waiting ---------------

  function addTimer(callback, delay, period) {
    timers.push({ id: ++lastTimer, at: clock + (Number(delay) || 0), period: period, callback: callback });
    return lastTimer;
  }
  var lastTimer = 0;
  var clock = 0;

  function removeTimer(id) {
    timers = timers.filter(function (timer) { return timer.id !== id; });
  }

  function runTimer() {
    if (!timers.length) return false;
    var next = timers.reduce(function (a, b) { return b.at < a.at ? b : a; });
    removeTimer(next.id);
    clock = next.at;
    if (next.period !== undefined) {
      timers.push({ id: next.id, at: clock + Math.max(next.period, 1), period: next.period, callback: next.callback });
    }
    next.callback();
    return true;
  }

  // ---- the global object ----------------------------------------------------------------------

  define(missing);
  define({
    conf: conf,
    NewRegistrar: declare(conf.registrars, 'NewRegistrar'),
    NewDnsProvider: declare(conf.dns_providers, 'NewDnsProvider'),
    D: D,
    D_EXTEND: D_EXTEND,
    DEFAULTS: DEFAULTS,
    INCLUDE: INCLUDE,
    DOMAIN_ELSEWHERE: DOMAIN_ELSEWHERE,
    DOMAIN_ELSEWHERE_AUTO: DOMAIN_ELSEWHERE_AUTO,
    getConfiguredDomains: function () { return conf.domain_names; },
    require: native.require,
    require_glob: require_glob,
    glob: glob,
    IP: IP,
    num2dot: num2dot,
    format_tt: format_tt,
    REV: native.reverse,
    HASH: native.hash,
    PANIC: fail,
    FETCH: function () { fail('FETCH is not allowed: a configuration cannot use the network'); },
    CLI_DEFAULTS: CLI_DEFAULTS,
    END: {},
    AUTOSPLIT: {},
    DKIM: function (value) { return value; },
    AUTODNSSEC: AUTODNSSEC,
    DnsProvider: DnsProvider,
    DefaultTTL: DefaultTTL,
    NAMESERVER: NAMESERVER,
    NAMESERVER_TTL: NAMESERVER_TTL,
    NO_PURGE: NO_PURGE,
    PURGE: PURGE,
    IGNORE: IGNORE,
    IGNORE_NAME: IGNORE_NAME,
    IGNORE_TARGET: IGNORE_TARGET,
    DISABLE_IGNORE_SAFETY_CHECK: DISABLE_IGNORE_SAFETY_CHECK,
    IGNORE_EXTERNAL_DNS: IGNORE_EXTERNAL_DNS,
    AUTODNSSEC_ON: AUTODNSSEC_ON,
    AUTODNSSEC_OFF: AUTODNSSEC_OFF,
    R53_ZONE: R53_ZONE,
    console: {
      log: native.log.bind(null, 'info'),
      info: native.log.bind(null, 'info'),
      debug: native.log.bind(null, 'debug'),
      warn: native.log.bind(null, 'warn'),
      error: native.log.bind(null, 'error'),
    },
    setTimeout: function (callback, delay) { return addTimer(callback, delay); },
    setInterval: function (callback, delay) { return addTimer(callback, delay, Number(delay) || 0); },
    setImmediate: function (callback) { return addTimer(callback, 0); },
    clearTimeout: removeTimer,
    clearInterval: removeTimer,
    clearImmediate: removeTimer,
  });

  return {
    runTimer: runTimer,
    result: function () { return JSON.stringify(conf); },
    // For records.js.
    fail: fail,
    describe: describe,
    isString: isString,
    isNumber: isNumber,
    isObject: isObject,
    num2dot: num2dot,
    format_tt: format_tt,
    seconds: seconds,
    alias: alias,
    position: position,
  };
})
