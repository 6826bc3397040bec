// The words of dnsconfig.js: the top level and the modifiers of domains.
//
// Evaluated once, sloppy, before the user's scripts; records.js and builders.js follow. `native`
// (require, glob, reverse, ...) comes from engine.rs. Everything that users may call is a property
// of the global object, as in DNSControl, its undocumented words included; the rest is local.
(function (global, native) {
  var timers = [];

  // Domains by their names, a final `!` left out.
  var byName;

  function define(words) {
    for (var word in words) global[word] = words[word];
  }

  function isString(x) { return typeof x === 'string'; }
  function isNumber(x) { return typeof x === 'number'; }
  function isObject(x) { return typeof x === 'object' && x !== null; }

  function fail(message) { throw new Error(message); }

  // Refuses a call that has another number of arguments.
  function exactly(word, count, values) {
    if (values.length !== count) {
      fail(word + ' takes exactly ' + (count === 1 ? 'one argument' : count + ' arguments') + ', not ' + values.length);
    }
  }

  function describe(x) {
    if (x === null || x === undefined) return String(x);
    return (isObject(x) ? 'an ' : 'a ') + typeof x;
  }

  // Where the user's scripts stand. To find the line of a place in a long script takes long, so that
  // the engine tells whether anybody wants to know.
  function position() { return native.positions ? native.position(new Error().stack) : undefined; }

  function list(values, start) { return Array.prototype.slice.call(values, start); }

  // ---- top level ------------------------------------------------------------------------------

  function initialize() {
    global.conf = { registrars: [], dns_providers: [], domains: [], domain_names: [] };
    global.defaultArgs = [];
    byName = Object.create(null);
  }

  function oldNewRegistrar(name, type, meta) {
    return declare('NewRegistrar', global.conf.registrars, name, type, meta);
  }

  function oldNewDnsProvider(name, type, meta) {
    if (isObject(meta) && 'ip_conversions' in meta) meta.ip_conversions = format_tt(meta.ip_conversions);
    return declare('NewDnsProvider', global.conf.dns_providers, name, type, meta);
  }

  function declare(word, declared, name, type, meta) {
    if (!isString(name)) fail(word + ': the name must be a string');
    if (!isString(type)) fail(word + ': the type must be a string');
    declared.push({ name: name, type: type, meta: meta });
    return name;
  }

  // The type may be left out, and known to creds.json only.
  function withType(declaration) {
    return function (name, type, meta) {
      if (arguments.length < 2) return declaration(name, '-');
      if (arguments.length === 2 && isObject(type)) return declaration(name, '-', type);
      return declaration(name, type, meta);
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

  // The name without an empty tag, and whether it had one: `example.com!` is `example.com`.
  function withoutEmptyTag(name) {
    var empty = name.charAt(name.length - 1) === '!';
    return [empty ? name.slice(0, -1) : name, empty];
  }

  function uniqueName(name) { return withoutEmptyTag(name)[0]; }

  function D(name, registrar) {
    if (!isString(name)) fail('D: the domain must be a string');
    var unique = uniqueName(name);
    if (byName[unique]) fail('`' + unique + '` is declared more than once');
    var domain = newDomain(name, registrar);
    domain.filepos = position();
    for (var i = 0; i < global.defaultArgs.length; i++) apply(global.defaultArgs[i], domain);
    for (var j = 2; j < arguments.length; j++) apply(arguments[j], domain);
    byName[unique] = domain;
    global.conf.domains.push(domain);
    global.conf.domain_names.push(unique);
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

  // The declared domain with the longest name of those that `name` is in.
  function enclosing(name) {
    var rest = uniqueName(name);
    for (;;) {
      if (byName[rest]) return byName[rest];
      var dot = rest.indexOf('.');
      if (dot < 0) return null;
      rest = rest.slice(dot + 1);
    }
  }

  function D_EXTEND(name) {
    if (!isString(name)) fail('D_EXTEND: the domain must be a string');
    var domain = enclosing(name);
    if (!domain) fail('D_EXTEND: `' + name + '` is in no domain that was declared before');
    var below = uniqueName(name);
    // A classless reverse zone: what comes before its first dot is a range, not a label.
    if (below.indexOf('/') >= 0) below = below.slice(below.indexOf('.') + 1);
    domain.subdomain = below.slice(0, Math.max(0, below.length - uniqueName(domain.name).length - 1));
    for (var i = 1; i < arguments.length; i++) apply(arguments[i], domain);
  }

  function DEFAULTS() { global.defaultArgs = list(arguments); }

  function INCLUDE(name) {
    var other = isString(name) ? enclosing(name) : null;
    if (!other) fail('INCLUDE: `' + name + '` was not declared before');
    return function (domain) {
      for (var i = 0; i < other.records.length; i++) domain.records.push(other.records[i]);
    };
  }

  function DOMAIN_ELSEWHERE(name, registrar, hosts) {
    D(name, registrar, NO_PURGE);
    for (var i = 0; i < hosts.length; i++) D_EXTEND(name, NAMESERVER(hosts[i]));
  }

  function DOMAIN_ELSEWHERE_AUTO(name, registrar) {
    D(name, registrar, NO_PURGE);
    for (var i = 2; i < arguments.length; i++) D_EXTEND(name, DnsProvider(arguments[i]));
  }

  function require(path) {
    exactly('require', 1, arguments);
    if (!isString(path)) fail('require: the path must be a string');
    return native.require(path);
  }

  function glob(folder, recursive, suffix) {
    if (arguments.length < 1 || arguments.length > 3) {
      fail('glob takes a folder, whether to look below it, and what file names end with, not ' + arguments.length + ' arguments');
    }
    if (!isString(folder) || folder === '') fail('glob: the folder must be a string that is not empty');
    function given(x) { return x !== undefined && x !== null; }
    if (given(recursive) && typeof recursive !== 'boolean') fail('glob: the second argument must be true or false');
    if (given(suffix) && !isString(suffix)) fail('glob: the third argument must be a string');
    var extension = given(suffix) ? suffix : '.js';
    if (extension !== '*' && extension.charAt(0) !== '.') extension = '.' + extension;
    return native.glob(folder, given(recursive) ? recursive : true, extension);
  }

  function require_glob(folder, recursive) {
    var files = arguments.length < 2 ? glob(folder) : glob(folder, recursive, 'js');
    for (var i = 0; i < files.length; i++) global.require(files[i]);
    return files;
  }

  function IP(text) {
    var numbers = String(text).split('.').map(Number);
    var good = numbers.length === 4 && numbers.every(function (n) { return n >= 0 && n < 256 && n % 1 === 0; });
    if (!good) fail('IP: `' + text + '` is not an IPv4 address');
    return ((numbers[0] * 256 + numbers[1]) * 256 + numbers[2]) * 256 + numbers[3];
  }

  function num2dot(number) {
    if (number === undefined) return '';
    if (isString(number)) return number;
    return Math.floor(number / 16777216) % 256 + '.' + Math.floor(number / 65536) % 256 + '.' +
      Math.floor(number / 256) % 256 + '.' + Math.floor(number) % 256;
  }

  function REV(network) {
    exactly('REV', 1, arguments);
    return native.reverse(String(network));
  }

  function REVCOMPAT(mode) {
    exactly('REVCOMPAT', 1, arguments);
    native.reverseMode(String(mode));
  }

  function HASH(algorithm, text) {
    exactly('HASH', 2, arguments);
    return native.hash(String(algorithm), String(text));
  }

  function PANIC(message) {
    exactly('PANIC', 1, arguments);
    fail(message instanceof Error ? message.message : String(message));
  }

  function CLI_DEFAULTS(values) {
    for (var name in values) if (global[name] === undefined) global[name] = values[name];
  }

  // Rows of address ranges as text: `low ~ high ~ new base ~ new addresses ; ...`.
  function format_tt(table) {
    function side(value) {
      return (Array.isArray(value) ? value : [value || undefined]).map(num2dot).join(',');
    }
    return table.map(function (row) {
      return [num2dot(row.low), num2dot(row.high), side(row.newBase), side(row.newIP)].join(' ~ ');
    }).join(' ; ');
  }

  function AUTODNSSEC() {
    native.log('warn', 'AUTODNSSEC does nothing any more: use AUTODNSSEC_ON or AUTODNSSEC_OFF');
  }

  // ---- the network ----------------------------------------------------------------------------

  // A small `fetch`, there only where the network is allowed.
  function fetch(url, options) {
    options = options || {};
    return new Promise(function (resolve) {
      var headers = [];
      for (var name in options.headers || {}) headers.push([name, String(options.headers[name])]);
      resolve(response(native.fetch(
        String(url), String(options.method || 'GET').toUpperCase(), headers,
        options.body === undefined || options.body === null ? '' : String(options.body))));
    });
  }

  function response(answer) {
    var headers = {};
    answer.headers.forEach(function (header) {
      var name = header[0].toLowerCase();
      headers[name] = name in headers ? headers[name] + ', ' + header[1] : header[1];
    });
    return {
      url: answer.url,
      status: answer.status,
      statusText: answer.statusText,
      ok: answer.status >= 200 && answer.status < 300,
      headers: {
        get: function (name) { return this.has(name) ? headers[name.toLowerCase()] : null; },
        has: function (name) { return Object.prototype.hasOwnProperty.call(headers, name.toLowerCase()); },
        forEach: function (each) { for (var name in headers) each(headers[name], name); },
      },
      text: function () { return Promise.resolve(answer.body); },
      json: function () { return new Promise(function (resolve) { resolve(JSON.parse(answer.body)); }); },
    };
  }

  function FETCH() {
    if (!global.fetch) fail('FETCH is not allowed: a configuration cannot use the network unless `--allow-fetch` is given');
    return global.fetch.apply(null, arguments).catch(PANIC);
  }

  // ---- modifiers of a domain ------------------------------------------------------------------

  function DnsProvider(name, count) {
    if (count === undefined) count = -1;
    if (!isString(name)) fail('DnsProvider: the name must be a string');
    if (!isNumber(count)) fail('DnsProvider: the number of name servers must be a number');
    return function (domain) { domain.dnsProviders[name] = count; };
  }

  function stringToDuration(text) {
    var units = { '': 1, s: 1, m: 60, h: 3600, d: 86400, w: 604800, n: 2592000, y: 31536000 };
    var match = /^(\d+)([smhdwny]?)$/.exec(text);
    if (!match) fail('`' + text + '` is not a duration: a number of seconds, or a number and one of s m h d w n y');
    return Number(match[1]) * units[match[2]];
  }

  function seconds(value) {
    var ttl = isString(value) ? stringToDuration(value) : value;
    if (!isNumber(ttl) || ttl % 1 !== 0 || ttl < 0 || ttl > 4294967295) {
      fail('`' + value + '` is not a time to live: whole seconds from 0 to 4294967295, or a text such as 1h');
    }
    return ttl;
  }

  function DefaultTTL(value) {
    var ttl = seconds(value);
    return function (domain) { domain.defaultTTL = ttl; };
  }

  function NAMESERVER(host) {
    exactly('NAMESERVER', 1, arguments);
    if (!isString(host)) fail('NAMESERVER: the host must be a string');
    return function (domain) { domain.nameservers.push({ name: host }); };
  }

  function NAMESERVER_TTL(value) { return { ns_ttl: String(seconds(value)) }; }

  function NO_PURGE(domain) { domain.KeepUnknown = true; }
  function PURGE(domain) { domain.KeepUnknown = false; }

  function IGNORE(label, types, target) {
    function pattern(value) {
      if (value === undefined) return '*';
      if (value === null) return '';
      if (!isString(value)) fail('IGNORE: each pattern must be a string');
      return value;
    }
    var patterns = {
      label_pattern: pattern(label),
      rType_pattern: pattern(types),
      target_pattern: pattern(target),
    };
    return function (domain) { domain.unmanaged.push(patterns); };
  }

  function IGNORE_EXTERNAL_DNS(prefix) {
    return function (domain) {
      domain.ignore_external_dns = true;
      if (prefix) domain.external_dns_prefix = prefix;
    };
  }

  // Of a domain, or of an alias record.
  function R53_ZONE(id) {
    return function (subject) {
      if (isDomain(subject)) subject.meta.zone_id = id;
      else alias(subject).zone_id = id;
    };
  }

  function isDomain(x) { return Array.isArray(x.nameservers) && Array.isArray(x.records) && isString(x.name); }

  function alias(record) {
    return isObject(record.r53_alias) ? record.r53_alias : (record.r53_alias = {});
  }

  function GIDINET_PREMIUM_NS() {
    return [1, 2, 3, 4, 5].map(function (n) { return NAMESERVER('dns' + n + '.gidinet.com.'); });
  }

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

  // Enough frames to see where the main script stands.
  Error.stackTraceLimit = 100;
  initialize();
  if (native.fetch) global.fetch = fetch;
  define({
    initialize: initialize,
    NewRegistrar: withType(oldNewRegistrar),
    oldNewRegistrar: oldNewRegistrar,
    NewDnsProvider: withType(oldNewDnsProvider),
    oldNewDnsProvider: oldNewDnsProvider,
    newDomain: newDomain,
    processDargs: apply,
    D: D,
    D_EXTEND: D_EXTEND,
    DEFAULTS: DEFAULTS,
    INCLUDE: INCLUDE,
    DOMAIN_ELSEWHERE: DOMAIN_ELSEWHERE,
    DOMAIN_ELSEWHERE_AUTO: DOMAIN_ELSEWHERE_AUTO,
    getConfiguredDomains: function () { return global.conf.domain_names; },
    _isDomain: isDomain,
    _removeEmptyTag: withoutEmptyTag,
    _getDomainObject: function (name) {
      var domain = enclosing(name);
      return domain && { id: global.conf.domains.indexOf(domain), obj: domain };
    },
    require: require,
    require_glob: require_glob,
    glob: glob,
    IP: IP,
    num2dot: num2dot,
    format_tt: format_tt,
    REV: REV,
    REVCOMPAT: REVCOMPAT,
    HASH: HASH,
    PANIC: PANIC,
    FETCH: FETCH,
    CLI_DEFAULTS: CLI_DEFAULTS,
    END: {},
    AUTOSPLIT: {},
    DKIM: function (value) { return value; },
    AUTODNSSEC: AUTODNSSEC,
    DnsProvider: DnsProvider,
    stringToDuration: stringToDuration,
    DefaultTTL: DefaultTTL,
    NAMESERVER: NAMESERVER,
    NAMESERVER_TTL: NAMESERVER_TTL,
    NO_PURGE: NO_PURGE,
    PURGE: PURGE,
    IGNORE: IGNORE,
    IGNORE_NAME: function (label, types) { return IGNORE(label, types); },
    IGNORE_TARGET: function (target, types) { return IGNORE('*', types, target); },
    DISABLE_IGNORE_SAFETY_CHECK: function (domain) { domain.unmanaged_disable_safety_check = true; },
    IGNORE_EXTERNAL_DNS: IGNORE_EXTERNAL_DNS,
    AUTODNSSEC_ON: function (domain) { domain.auto_dnssec = 'on'; },
    AUTODNSSEC_OFF: function (domain) { domain.auto_dnssec = 'off'; },
    R53_ZONE: R53_ZONE,
    GIDINET_PREMIUM_NS: GIDINET_PREMIUM_NS,
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
    // What is declared: first all but the domains, then some domains at a time, so that they can be worked
    // on while the next are printed.
    result: function (take) {
      take({ registrars: global.conf.registrars, dns_providers: global.conf.dns_providers });
      var domains = list(global.conf.domains, 0);
      for (var i = 0; i < domains.length; i += 50) take(domains.slice(i, i + 50));
    },
    // For records.js and builders.js.
    fail: fail,
    describe: describe,
    list: list,
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
