// The words of dnsconfig.js: the types and modifiers of records.
//
// `kit` is what helpers.js shares.
(function (global, kit) {
  var fail = kit.fail;
  var describe = kit.describe;
  var list = kit.list;
  var isString = kit.isString;
  var isNumber = kit.isNumber;
  var isObject = kit.isObject;
  var num2dot = kit.num2dot;
  var alias = kit.alias;
  var position = kit.position;

  // ---- kinds of arguments: each knows how to call itself ----------------------------------------

  function kind(name, check) {
    check.kind = name;
    return check;
  }

  function oneOf(words) {
    return kind('one of ' + words.join(', '), function (x) { return words.indexOf(x) >= 0; });
  }

  var text = kind('a string', function (x) { return isString(x); });
  var number = kind('a number', function (x) { return isNumber(x); });
  var address = kind('a string or a number', function (x) { return isString(x) || isNumber(x); });
  var texts = kind('a string or a list', function (x) { return isString(x) || Array.isArray(x); });
  var azureType = oneOf(['A', 'AAAA', 'CNAME']);
  var route53Type = oneOf(['A', 'AAAA', 'CNAME', 'CAA', 'MX', 'TXT', 'PTR', 'SPF', 'SRV', 'NAPTR']);
  var withoutComma = kind('a string without commas', function (x) { return isString(x) && x.indexOf(',') < 0; });

  function checkArguments(type, args, values) {
    if (values.length < args.length) {
      var names = args.map(function (arg) { return arg[0]; }).join(', ');
      fail(type + ' record requires ' + args.length + ' arguments (' + names + '). Only ' + values.length + ' were supplied');
    }
    for (var i = 0; i < args.length; i++) {
      var check = args[i][1];
      if (check && !check(values[i])) {
        var shown = isString(values[i]) ? '`' + values[i] + '`' : describe(values[i]);
        fail(type + ' record: the argument `' + args[i][0] + '` ' +
          (check.kind ? 'must be ' + check.kind + ', not ' + shown : 'fails its check'));
      }
    }
  }

  // ---- records ----------------------------------------------------------------------------------

  var nameAndTarget = [['name', text], ['target', address]];

  function setNameAndTarget(record, args) {
    record.name = args.name;
    record.target = isNumber(args.target) ? num2dot(args.target) : args.target;
  }

  function applyModifiers(record, modifiers) {
    for (var i = 0; i < modifiers.length; i++) {
      var modifier = modifiers[i];
      if (typeof modifier === 'function') {
        modifier(record);
      } else if (isObject(modifier)) {
        if (Array.isArray(modifier.transform)) modifier.transform = kit.format_tt(modifier.transform);
        for (var key in modifier) record.meta[key] = modifier[key];
      } else {
        fail(record.type + ' record: an extra argument is ' + describe(modifier) + ', not a modifier or an object');
      }
    }
  }

  // Makes the word for one record type. `options` may have `args`, a list of [name, check];
  // `transform(record, args, modifiers)`, which fills the record when its modifiers have been
  // applied; and `applyModifier(record, modifiers)`.
  function recordBuilder(type, options) {
    options = options || {};
    var args = options.args || nameAndTarget;
    var transform = options.transform || setNameAndTarget;
    var applyModifier = options.applyModifier || applyModifiers;
    return function () {
      checkArguments(type, args, arguments);
      var values = {};
      for (var i = 0; i < args.length; i++) values[args[i][0]] = arguments[i];
      var modifiers = list(arguments, args.length);
      var filepos = position();
      return function (domain) {
        var record = { type: type, meta: {}, ttl: domain.defaultTTL, filepos: filepos };
        applyModifier(record, modifiers);
        transform(record, values, modifiers);
        if (domain.subdomain && !staysPut[type]) moveBelow(domain, record);
        (record.ensure_absent ? domain.recordsabsent : domain.records).push(record);
        return record;
      };
    };
  }

  // Types whose names are none, or are patterns.
  var staysPut = {
    CF_SINGLE_REDIRECT: true,
    CF_WORKER_ROUTE: true,
    ADGUARDHOME_A_PASSTHROUGH: true,
    ADGUARDHOME_AAAA_PASSTHROUGH: true,
    MIKROTIK_FWD: true,
    MIKROTIK_NXDOMAIN: true,
    MIKROTIK_FORWARDER: true,
  };

  function endsWith(text, suffix) { return text.slice(-suffix.length) === suffix; }

  // Moves the name of a record into the sub-domain of D_EXTEND.
  function moveBelow(domain, record) {
    var below = domain.subdomain;
    record.subdomain = below;
    if (record.name === '@') {
      record.name = below;
    } else if (/^\d+\.\d+\.\d+\.\d+$/.test(record.name)) {
      return;
    } else if (endsWith(domain.name, '.ip6.arpa')) {
      record.name = below;
      // Only the first record of each D_EXTEND, as DNSControl has it.
      domain.subdomain = undefined;
    } else if (endsWith(record.name, '.in-addr.arpa')) {
      if (endsWith(record.name, below)) record.name = record.name.slice(0, -below.length - 1);
    } else {
      record.name += '.' + below;
    }
  }

  // A record that DNSControl keeps apart, because its type reads the arguments itself: functions
  // are modifiers, objects are meta, the rest are arguments, in any order.
  function rawrecordBuilder(type) {
    return function () {
      var values = list(arguments);
      var filepos = position();
      return function (domain) {
        var record = { type: type, filepos: filepos, ttl: domain.defaultTTL };
        var args = [];
        var metas = [];
        values.forEach(function (value) {
          if (typeof value === 'function') value(record);
          else (isObject(value) ? metas : args).push(value);
        });
        record.args = args;
        record.metas = metas;
        domain.rawrecords.push(record);
        return record;
      };
    };
  }

  function addRecord(domain, type, name, target, modifiers) {
    var record = {
      type: type,
      name: name,
      target: isNumber(target) ? num2dot(target) : target,
      ttl: domain.defaultTTL,
      priority: 0,
      meta: {},
    };
    applyModifiers(record, modifiers || []);
    domain.records.push(record);
    return record;
  }

  // A type whose arguments are stored under other names: [argument, check, field].
  function fielded(type, fields) {
    return recordBuilder(type, {
      args: fields,
      transform: function (record, args) {
        for (var i = 0; i < fields.length; i++) record[fields[i][2] || fields[i][0]] = args[fields[i][0]];
      },
    });
  }

  var name = ['name', text];
  var target = ['target', text];

  var plain = {};
  [
    'A', 'AAAA', 'ADGUARDHOME_AAAA_PASSTHROUGH', 'ADGUARDHOME_A_PASSTHROUGH', 'AKAMAICDN', 'ALIAS', 'BUNNY_DNS_RDR',
    'CLOUDNS_WR', 'CNAME', 'DHCID', 'DNAME', 'FRAME', 'MIKROTIK_FORWARDER', 'MIKROTIK_FWD', 'NS', 'OPENPGPKEY',
    'PORKBUN_URLFWD', 'PTR', 'URL', 'URL301',
  ].forEach(function (type) { plain[type] = recordBuilder(type); });

  function service(type) {
    return fielded(type, [name, ['priority', number, 'svcpriority'], target, ['params', text, 'svcparams']]);
  }

  // A type whose target is a text or a list of them. They are joined.
  function joining(type, args, fill) {
    return recordBuilder(type, {
      args: args,
      transform: function (record, args) {
        record.name = args.name;
        if (fill) fill(record, args);
        record.target = isString(args.target) ? args.target : args.target.join('');
      },
    });
  }

  function importing(args) {
    return recordBuilder('IMPORT_TRANSFORM', {
      args: args,
      transform: function (record, args) {
        record.name = '@';
        record.target = args.domain;
        record.meta.transform_table = kit.format_tt(args.translation_table);
        record.ttl = args.ttl;
        if ('suffixstrip' in args) record.meta.transform_suffixstrip = args.suffixstrip;
      },
    });
  }
  var imports = [['translation_table', kind('a list', Array.isArray)], ['domain', text], ['ttl', number]];

  var types = {
    MX: fielded('MX', [name, ['priority', number, 'mxpreference'], target]),
    SRV: fielded('SRV', [name, ['priority', number, 'srvpriority'], ['weight', number, 'srvweight'],
      ['port', number, 'srvport'], target]),
    TXT: joining('TXT', [name, ['target', texts]]),
    LUA: joining('LUA', [name, ['rtype', text], ['target', texts]], function (record, args) {
      record.luartype = args.rtype.toUpperCase();
    }),
    CAA: fielded('CAA', [name, ['tag', text, 'caatag'], ['value', text, 'target']]),
    TLSA: fielded('TLSA', [name, ['usage', number, 'tlsausage'], ['selector', number, 'tlsaselector'],
      ['matchingtype', number, 'tlsamatchingtype'], target]),
    SMIMEA: recordBuilder('SMIMEA', {
      args: [name, ['usage', number], ['selector', number], ['matchingtype', number], target],
      transform: function (record, args) {
        record.name = args.name + '._smimecert';
        record.smimeausage = args.usage;
        record.smimeaselector = args.selector;
        record.smimeamatchingtype = args.matchingtype;
        record.target = args.target;
      },
    }),
    SSHFP: fielded('SSHFP', [name, ['algorithm', number, 'sshfpalgorithm'], ['fingerprint', number, 'sshfpfingerprint'],
      ['value', text, 'target']]),
    NAPTR: fielded('NAPTR', [name, ['order', number, 'naptrorder'], ['preference', number, 'naptrpreference'],
      ['flags', text, 'naptrflags'], ['service', text, 'naptrservice'], ['regexp', text, 'naptrregexp'], target]),
    SOA: fielded('SOA', [name, target, ['mbox', text, 'soambox'], ['refresh', number, 'soarefresh'],
      ['retry', number, 'soaretry'], ['expire', number, 'soaexpire'], ['minttl', number, 'soaminttl']]),
    DNSKEY: fielded('DNSKEY', [name, ['flags', number, 'dnskeyflags'], ['protocol', number, 'dnskeyprotocol'],
      ['algorithm', number, 'dnskeyalgorithm'], ['publickey', text, 'dnskeypublickey']]),
    HTTPS: service('HTTPS'),
    SVCB: service('SVCB'),
    AKAMAITLC: fielded('AKAMAITLC', [name, ['answer_type', oneOf(['DUAL', 'A', 'AAAA'])], target]),
    AZURE_ALIAS: recordBuilder('AZURE_ALIAS', {
      args: [name, ['type', azureType], target],
      transform: function (record, args) {
        record.name = args.name;
        record.target = args.target;
        if (!isObject(record.azure_alias)) record.azure_alias = {};
        record.azure_alias.type = args.type;
      },
    }),
    R53_ALIAS: recordBuilder('R53_ALIAS', {
      args: [name, ['type', route53Type], target],
      transform: function (record, args) {
        record.name = args.name;
        record.target = args.target;
        alias(record).type = args.type;
        if (!isString(alias(record).evaluate_target_health)) alias(record).evaluate_target_health = 'false';
      },
    }),
    MIKROTIK_NXDOMAIN: recordBuilder('MIKROTIK_NXDOMAIN', {
      args: [name],
      transform: function (record, args) {
        record.name = args.name;
        record.target = 'NXDOMAIN';
      },
    }),
    BUNNY_DNS_PZ: recordBuilder('BUNNY_DNS_PZ', {
      args: [name, ['pullZoneId']],
      transform: function (record, args) {
        record.name = args.name;
        record.target = String(args.pullZoneId);
      },
    }),
    CF_WORKER_ROUTE: recordBuilder('CF_WORKER_ROUTE', {
      args: [['pattern', withoutComma], ['script', withoutComma]],
      transform: function (record, args) {
        record.name = '@';
        record.target = args.pattern + ',' + args.script;
      },
    }),
    LOC: recordBuilder('LOC', {
      args: [name, ['d1', number], ['m1', number], ['s1', number], ['ns', text], ['d2', number], ['m2', number],
        ['s2', number], ['ew', text], ['alt', number], ['siz', number], ['hp', number], ['vp', number]],
      transform: function (record, args) {
        validateIntegers(args);
        locStringBuilder(record, args);
        locDMSBuilder(record, args);
      },
    }),
    IMPORT_TRANSFORM: importing(imports),
    IMPORT_TRANSFORM_STRIP: importing(imports.concat([['suffixstrip', text]])),
    DS: rawrecordBuilder('DS'),
    RP: rawrecordBuilder('RP'),
    CF_REDIRECT: rawrecordBuilder('CF_REDIRECT'),
    CF_TEMP_REDIRECT: rawrecordBuilder('CF_TEMP_REDIRECT'),
    CF_SINGLE_REDIRECT: rawrecordBuilder('CLOUDFLAREAPI_SINGLE_REDIRECT'),
  };

  // ---- LOC ----------------------------------------------------------------------------------------

  function validateIntegers(args) {
    [['d1', 'degrees N/S'], ['m1', 'minutes N/S'], ['d2', 'degrees E/W'], ['m2', 'minutes E/W']].forEach(function (part) {
      if (args[part[0]] % 1 !== 0) {
        fail('LOC record `' + args.name + '`: the ' + part[1] + ' must be a whole number, not ' + args[part[0]]);
      }
    });
  }

  function hemisphere(letter, first, second) {
    var upper = letter.toUpperCase();
    if (upper !== first && upper !== second) fail('LOC record: `' + letter + '` is neither ' + first + ' nor ' + second);
    return upper;
  }

  function clamp(value, low, high) { return Math.min(Math.max(value, low), high); }

  // The record as people write it.
  function locStringBuilder(record, args) {
    record.name = args.name;
    var sizes = [args.siz, args.hp, args.vp].map(function (metres) { return clamp(metres, 0, 90000000) + 'm'; });
    record.target = [
      args.d1, args.m1, args.s1, hemisphere(args.ns, 'N', 'S'),
      args.d2, args.m2, args.s2, hemisphere(args.ew, 'E', 'W'),
      clamp(args.alt, -100000, 42849672.95) + 'm',
    ].concat(sizes).join(' ');
    return record;
  }

  // The numbers of the wire format (RFC 1876 section 2).
  function locDMSBuilder(record, args) {
    function angle(degrees, minutes, seconds, positive) {
      var thousandths = Math.round(degrees * 3600000 + minutes * 60000 + seconds * 1000);
      return 2147483648 + (positive ? thousandths : -thousandths);
    }
    record.loclatitude = angle(args.d1, args.m1, args.s1, hemisphere(args.ns, 'N', 'S') === 'N');
    record.loclongitude = angle(args.d2, args.m2, args.s2, hemisphere(args.ew, 'E', 'W') === 'E');
    record.localtitude = clamp(Math.trunc((args.alt + 100000) * 100), 0, 4294967295);
    record.locsize = getENotationInt(args.siz);
    record.lochorizpre = getENotationInt(args.hp);
    record.locvertpre = getENotationInt(args.vp);
  }

  // Centimetres as a digit and a power of ten, in half a byte each.
  function getENotationInt(metres) {
    var centimetres = metres * 100;
    var exponent = 0;
    while (centimetres >= 10) {
      centimetres /= 10;
      exponent++;
    }
    return clamp(Math.floor(centimetres), 0, 9) * 16 + Math.min(exponent, 9);
  }

  // ---- modifiers of a record ------------------------------------------------------------------

  function TTL(value) {
    var ttl = kit.seconds(value);
    return function (record) { record.ttl = ttl; };
  }

  function makeCAAFlag(bits) {
    return function (record) { record.caaflag |= bits; };
  }

  function R53_WEIGHT(weight, id) {
    if (!isNumber(weight) || weight < 0 || weight > 255) fail('R53_WEIGHT: the weight must be a number from 0 to 255');
    if (!isString(id) || id === '') fail('R53_WEIGHT: the set identifier must be a string that is not empty');
    return meta({ r53_weight: String(weight), r53_set_identifier: id });
  }

  function R53_HEALTH_CHECK_ID(id) {
    if (!isString(id) || id === '') fail('R53_HEALTH_CHECK_ID: the identifier must be a string that is not empty');
    return meta({ r53_health_check_id: id });
  }

  function meta(values) {
    return function (record) {
      if (!isObject(record.meta)) record.meta = {};
      for (var key in values) record.meta[key] = values[key];
    };
  }

  function constant(key, value) {
    var meta = {};
    meta[key] = value;
    return meta;
  }

  function define(words) {
    for (var word in words) global[word] = words[word];
  }

  define(plain);
  define(types);
  define({
    recordBuilder: recordBuilder,
    rawrecordBuilder: rawrecordBuilder,
    addRecord: addRecord,
    getModifiers: function (values, start) { return list(values, start); },
    isStringOrArray: texts,
    validateAzureAliasType: azureType,
    validateR53AliasType: route53Type,
    _validateCloudflareRedirect: withoutComma,
    validateIntegers: validateIntegers,
    locStringBuilder: locStringBuilder,
    locDMSBuilder: locDMSBuilder,
    getENotationInt: getENotationInt,
    makeCAAFlag: makeCAAFlag,
    TTL: TTL,
    CAA_CRITICAL: makeCAAFlag(128),
    ENSURE_ABSENT_REC: function () { return function (record) { record.ensure_absent = true; }; },
    DISABLE_REPEATED_DOMAIN_CHECK: constant('skip_fqdn_check', 'true'),
    R53_EVALUATE_TARGET_HEALTH: function (enabled) {
      return function (record) { alias(record).evaluate_target_health = String(enabled); };
    },
    R53_WEIGHT: R53_WEIGHT,
    R53_HEALTH_CHECK_ID: R53_HEALTH_CHECK_ID,
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
    CF_TAGS: function () { return { cloudflare_tags: list(arguments).join(',') }; },
    HEDNS_DYNAMIC_ON: constant('hedns_dynamic', 'on'),
    HEDNS_DYNAMIC_OFF: constant('hedns_dynamic', 'off'),
    HEDNS_DDNS_KEY: function (key) { return { hedns_dynamic: 'on', hedns_ddns_key: key }; },
  });
})
