// The words of dnsconfig.js: the types and modifiers of records.
//
// `kit` is what helpers.js shares.
(function (global, kit) {
  var fail = kit.fail;
  var describe = kit.describe;
  var isString = kit.isString;
  var isNumber = kit.isNumber;
  var isObject = kit.isObject;
  var num2dot = kit.num2dot;
  var alias = kit.alias;
  var position = kit.position;

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
        record.meta[key] = key === 'transform' && Array.isArray(value) ? kit.format_tt(value) : value;
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
    } else if (!/\.in-addr\.arpa$/.test(record.name)) {
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
      record.target = 'NXDOMAIN';
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
    CF_SINGLE_REDIRECT: rawType('CLOUDFLAREAPI_SINGLE_REDIRECT', [name, ['code', 'address'], text('when'), text('then')],
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
      var centimetres = Math.max(0, Math.round(metres * 100));
      var exponent = 0;
      while (centimetres >= 10 && exponent < 9) {
        centimetres = Math.floor(centimetres / 10);
        exponent++;
      }
      return Math.min(centimetres, 9) * 16 + exponent;
    }
    record.name = values[0];
    record.target = '';
    record.locversion = 0;
    record.loclatitude = angle(values[1], values[2], values[3], values[4], ['N', 'S']);
    record.loclongitude = angle(values[5], values[6], values[7], values[8], ['E', 'W']);
    record.localtitude = Math.min(Math.max(Math.round(values[9] * 100) + 10000000, 0), 4294967295);
    record.locsize = size(values[10]);
    record.lochorizpre = size(values[11]);
    record.locvertpre = size(values[12]);
  }

  // ---- modifiers of a record ------------------------------------------------------------------

  function TTL(value) {
    var ttl = kit.seconds(value);
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

  function define(words) {
    for (var word in words) global[word] = words[word];
  }

  define(plain);
  define(types);
  define({
    TTL: TTL,
    CAA_CRITICAL: CAA_CRITICAL,
    ENSURE_ABSENT_REC: ENSURE_ABSENT_REC,
    DISABLE_REPEATED_DOMAIN_CHECK: constant('skip_fqdn_check', 'true'),
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
  });
})
