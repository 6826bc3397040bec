// The words of dnsconfig.js.
//
// Evaluated once, sloppy, before the user's scripts. `native` (require, glob, hash, log, now) comes
// from engine.rs and is gone when this file ends. Everything that users may call is a property of
// the global object, as in DNSControl; the rest is local.
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
    if (domainIndex(name) !== undefined) fail(name + ' is declared more than once');
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
    return x === null || x === undefined ? String(x) : typeof x;
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

  function GIDINET_PREMIUM_NS() {
    return later('GIDINET_PREMIUM_NS')();
  }

  // ---- records --------------------------------------------------------------------------------

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

  var checks = {
    string: isString,
    number: isNumber,
    address: function (x) { return isString(x) || isNumber(x); },
    texts: function (x) { return isString(x) || (Array.isArray(x) && x.every(isString)); },
    bool: function (x) { return typeof x === 'boolean'; },
  };

  function checkArguments(type, fields, values) {
    if (values.length < fields.length) {
      var names = fields.map(function (field) { return field[0]; }).join(', ');
      fail(type + ' record requires ' + fields.length + ' arguments (' + names + '). Only ' +
        values.length + ' were supplied');
    }
    for (var i = 0; i < fields.length; i++) {
      if (!checks[fields[i][1]](values[i])) {
        var kind = { address: 'string or number', texts: 'string or list of strings' }[fields[i][1]];
        fail(type + ' record: the argument `' + fields[i][0] + '` must be a ' + (kind || fields[i][1]) +
          ', not ' + describe(values[i]));
      }
    }
  }

  // Makes the word for one record type. `fields` are [name, kind] in the order of the arguments;
  // each is stored under its name unless `fill(record, arguments)` does the work.
  function recordType(type, fields, fill) {
    return function () {
      checkArguments(type, fields, arguments);
      var values = arguments;
      var filepos = position();
      return function (domain) {
        var record = { type: type, meta: {}, ttl: domain.defaultTTL, filepos: filepos };
        if (fill) {
          fill(record, values);
        } else {
          for (var i = 0; i < fields.length; i++) record[fields[i][0]] = values[i];
        }
        for (var j = fields.length; j < values.length; j++) modify(record, values[j]);
        placeRecord(domain, record);
      };
    };
  }

  function modify(record, modifier) {
    if (typeof modifier === 'function') {
      modifier(record);
    } else if (Array.isArray(modifier)) {
      for (var i = 0; i < modifier.length; i++) modify(record, modifier[i]);
    } else if (isObject(modifier)) {
      for (var key in modifier) {
        var value = modifier[key];
        record.meta[key] = key === 'transform' && Array.isArray(value) ? format_tt(value) : value;
      }
    } else {
      fail(record.type + ' record `' + record.name + '` has an extra argument that is ' +
        describe(modifier) + ', not a modifier or an object');
    }
  }

  function placeRecord(domain, record) {
    if (domain.subdomain && !/^(CF_WORKER_ROUTE|ADGUARDHOME_|MIKROTIK_)/.test(record.type)) {
      moveBelow(domain, record);
    }
    if (record.ensure_absent) {
      delete record.ensure_absent;
      domain.recordsabsent.push(record);
    } else {
      domain.records.push(record);
    }
  }

  // Moves the name of a record into the sub-domain of D_EXTEND.
  function moveBelow(domain, record) {
    var below = domain.subdomain;
    if (/^\d+\.\d+\.\d+\.\d+$/.test(record.name)) return;
    if (/\.ip6\.arpa$/.test(domain.name)) {
      record.name = below;
      return;
    }
    record.subdomain = below;
    if (record.name === '@') {
      record.name = below;
    } else if (/\.in-addr\.arpa$/.test(record.name)) {
      record.name = record.name.slice(0, -('.' + below + '.' + domain.name).length);
    } else {
      record.name += '.' + below;
    }
  }

  // DNSControl keeps these apart: their arguments are read by the type itself.
  function rawType(type, fields, word) {
    return function () {
      checkArguments(word || type, fields, arguments);
      var values = Array.prototype.slice.call(arguments);
      var filepos = position();
      return function (domain) {
        var record = { type: type, args: values.slice(0, fields.length), metas: [], ttl: domain.defaultTTL, filepos: filepos };
        if (domain.subdomain) record.subdomain = domain.subdomain;
        values.slice(fields.length).forEach(function (modifier) {
          if (typeof modifier === 'function') modifier(record);
          else if (isObject(modifier)) record.metas.push(modifier);
          else fail(type + ' record: an extra argument is ' + describe(modifier) + ', not a modifier or an object');
        });
        domain.rawrecords.push(record);
      };
    };
  }

  var name = ['name', 'string'];
  var target = ['target', 'string'];
  function text(field) { return [field, 'string']; }
  function number(field) { return [field, 'number']; }

  function addressType(type) {
    return recordType(type, [name, ['target', 'address']], function (record, values) {
      record.name = values[0];
      record.target = num2dot(values[1]);
    });
  }

  var plain = {};
  [
    'AAAA', 'AKAMAICDN', 'ALIAS', 'BUNNY_DNS_RDR', 'CLOUDNS_WR', 'CNAME', 'DHCID', 'DNAME', 'FRAME',
    'MIKROTIK_FORWARDER', 'MIKROTIK_FWD', 'NS', 'OPENPGPKEY', 'PORKBUN_URLFWD', 'PTR', 'URL', 'URL301',
    'ADGUARDHOME_A_PASSTHROUGH', 'ADGUARDHOME_AAAA_PASSTHROUGH',
  ].forEach(function (type) { plain[type] = recordType(type, [name, target]); });

  var tlsa = [name, number('tlsausage'), number('tlsaselector'), number('tlsamatchingtype'), target];
  var service = [name, number('svcpriority'), target, text('svcparams')];

  var types = {
    A: addressType('A'),
    MX: recordType('MX', [name, number('mxpreference'), target]),
    SRV: recordType('SRV', [name, number('srvpriority'), number('srvweight'), number('srvport'), target]),
    TXT: recordType('TXT', [name, ['target', 'texts']], function (record, values) {
      record.name = values[0];
      record.target = isString(values[1]) ? values[1] : values[1].join('');
    }),
    CAA: recordType('CAA', [name, text('caatag'), target], function (record, values) {
      record.name = values[0];
      record.caatag = values[1];
      record.target = values[2];
      record.caaflag = 0;
    }),
    TLSA: recordType('TLSA', tlsa),
    SMIMEA: recordType('SMIMEA', [name, number('smimeausage'), number('smimeaselector'), number('smimeamatchingtype'), target],
      function (record, values) {
        record.name = values[0] + '._smimecert';
        record.smimeausage = values[1];
        record.smimeaselector = values[2];
        record.smimeamatchingtype = values[3];
        record.target = values[4];
      }),
    SSHFP: recordType('SSHFP', [name, number('sshfpalgorithm'), number('sshfpfingerprint'), target]),
    NAPTR: recordType('NAPTR', [name, number('naptrorder'), number('naptrpreference'), text('naptrflags'),
      text('naptrservice'), text('naptrregexp'), target]),
    SOA: recordType('SOA', [name, target, text('soambox'), number('soarefresh'), number('soaretry'),
      number('soaexpire'), number('soaminttl')]),
    DNSKEY: recordType('DNSKEY', [name, number('dnskeyflags'), number('dnskeyprotocol'), number('dnskeyalgorithm'),
      text('dnskeypublickey')]),
    HTTPS: recordType('HTTPS', service),
    SVCB: recordType('SVCB', service),
    LUA: recordType('LUA', [name, text('luartype'), ['target', 'texts']], function (record, values) {
      record.name = values[0];
      record.luartype = values[1];
      record.target = isString(values[2]) ? values[2] : values[2].join('');
    }),
    AZURE_ALIAS: recordType('AZURE_ALIAS', [name, text('type'), target], function (record, values) {
      record.name = values[0];
      record.azure_alias = { type: values[1] };
      record.target = values[2];
    }),
    R53_ALIAS: recordType('R53_ALIAS', [name, text('type'), target], function (record, values) {
      record.name = values[0];
      alias(record).type = values[1];
      record.target = values[2];
    }),
    AKAMAITLC: recordType('AKAMAITLC', [name, text('answer_type'), target]),
    MIKROTIK_NXDOMAIN: recordType('MIKROTIK_NXDOMAIN', [name], function (record, values) {
      record.name = values[0];
      record.target = '.';
    }),
    BUNNY_DNS_PZ: recordType('BUNNY_DNS_PZ', [name, ['target', 'address']], function (record, values) {
      record.name = values[0];
      record.target = String(values[1]);
    }),
    CF_WORKER_ROUTE: recordType('CF_WORKER_ROUTE', [text('pattern'), text('script')], function (record, values) {
      if ((values[0] + values[1]).indexOf(',') >= 0) fail('CF_WORKER_ROUTE: the pattern and the script must not contain commas');
      record.name = '@';
      record.target = values[0] + ',' + values[1];
    }),
    LOC: recordType('LOC', [name, number('d1'), number('m1'), number('s1'), text('ns'), number('d2'), number('m2'),
      number('s2'), text('ew'), number('alt'), number('siz'), number('hp'), number('vp')], fillLocation),
    DS: rawType('DS', [name, number('keytag'), number('algorithm'), number('digesttype'), text('digest')]),
    RP: rawType('RP', [name, text('mbox'), text('txt')]),
    CF_REDIRECT: rawType('CF_REDIRECT', [text('source'), text('destination')]),
    CF_TEMP_REDIRECT: rawType('CF_TEMP_REDIRECT', [text('source'), text('destination')]),
    CF_SINGLE_REDIRECT: rawType('CLOUDFLAREAPI_SINGLE_REDIRECT', [name, number('code'), text('when'), text('then')],
      'CF_SINGLE_REDIRECT'),
  };

  // The numbers of the wire format (RFC 1876 section 2).
  function fillLocation(record, values) {
    function angle(degrees, minutes, seconds, hemisphere, letters) {
      var thousandths = Math.round((degrees * 3600 + minutes * 60 + seconds) * 1000);
      var letter = hemisphere.toUpperCase();
      if (letters.indexOf(letter) < 0) fail('LOC record: `' + hemisphere + '` is neither ' + letters[0] + ' nor ' + letters[1]);
      return 2147483648 + (letter === letters[0] ? thousandths : -thousandths);
    }
    // Centimetres as a digit and a power of ten.
    function size(metres) {
      var centimetres = Math.round(metres * 100);
      var exponent = 0;
      while (centimetres >= 10) {
        centimetres = Math.floor(centimetres / 10);
        exponent++;
      }
      return centimetres * 16 + exponent;
    }
    record.name = values[0];
    record.target = '';
    record.locversion = 0;
    record.loclatitude = angle(values[1], values[2], values[3], values[4], ['N', 'S']);
    record.loclongitude = angle(values[5], values[6], values[7], values[8], ['E', 'W']);
    record.localtitude = Math.round(values[9] * 100) + 10000000;
    record.locsize = size(values[10]);
    record.lochorizpre = size(values[11]);
    record.locvertpre = size(values[12]);
  }

  // ---- modifiers of a record ------------------------------------------------------------------

  function TTL(value) {
    var ttl = seconds(value);
    return function (record) { record.ttl = ttl; };
  }

  function CAA_CRITICAL(record) { record.caaflag |= 128; }
  function ENSURE_ABSENT_REC() { return function (record) { record.ensure_absent = true; }; }

  function R53_EVALUATE_TARGET_HEALTH(enabled) {
    return function (record) { alias(record).evaluate_target_health = String(enabled); };
  }

  function constant(key, value) {
    var meta = {};
    meta[key] = value;
    return meta;
  }

  // ---- what is not there yet ------------------------------------------------------------------

  var missing = {};
  [
    'SPF_BUILDER', 'DMARC_BUILDER', 'DKIM_BUILDER', 'CAA_BUILDER', 'M365_BUILDER', 'LOC_BUILDER_DD',
    'LOC_BUILDER_DMM_STR', 'LOC_BUILDER_DMS_STR', 'LOC_BUILDER_STR', 'IMPORT_TRANSFORM', 'IMPORT_TRANSFORM_STRIP',
    'REV', 'REVCOMPAT', 'recordBuilder',
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

  define(plain);
  define(types);
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
    GIDINET_PREMIUM_NS: GIDINET_PREMIUM_NS,
    TTL: TTL,
    CAA_CRITICAL: CAA_CRITICAL,
    ENSURE_ABSENT_REC: ENSURE_ABSENT_REC,
    DISABLE_REPEATED_DOMAIN_CHECK: constant('skip_fqdn_check', 'true'),
    R53_ZONE: R53_ZONE,
    R53_EVALUATE_TARGET_HEALTH: R53_EVALUATE_TARGET_HEALTH,
    R53_WEIGHT: function (weight, id) { return { r53_weight: String(weight), r53_set_identifier: id }; },
    R53_HEALTH_CHECK_ID: function (id) { return { r53_health_check_id: id }; },
    CF_PROXY_ON: constant('cloudflare_proxy', 'on'),
    CF_PROXY_OFF: constant('cloudflare_proxy', 'off'),
    CF_PROXY_FULL: constant('cloudflare_proxy', 'full'),
    CF_PROXY_DEFAULT_ON: constant('cloudflare_proxy_default', 'on'),
    CF_PROXY_DEFAULT_OFF: constant('cloudflare_proxy_default', 'off'),
    CF_UNIVERSALSSL_ON: constant('cloudflare_universalssl', 'on'),
    CF_UNIVERSALSSL_OFF: constant('cloudflare_universalssl', 'off'),
    CF_CNAME_FLATTEN_ON: constant('cloudflare_cname_flatten', 'on'),
    CF_CNAME_FLATTEN_OFF: constant('cloudflare_cname_flatten', 'off'),
    CF_MANAGE_COMMENTS: constant('cloudflare_manage_comments', 'true'),
    CF_MANAGE_TAGS: constant('cloudflare_manage_tags', 'true'),
    CF_COMMENT: function (comment) { return { cloudflare_comment: comment }; },
    CF_TAGS: function () { return { cloudflare_tags: Array.prototype.slice.call(arguments).join(',') }; },
    HEDNS_DYNAMIC_ON: constant('hedns_dynamic', 'on'),
    HEDNS_DYNAMIC_OFF: constant('hedns_dynamic', 'off'),
    HEDNS_DDNS_KEY: function (key) { return { hedns_ddns_key: key }; },
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

  return { runTimer: runTimer, result: function () { return JSON.stringify(conf); } };
})
