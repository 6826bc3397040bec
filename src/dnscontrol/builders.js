// The words of dnsconfig.js that make several records, or long ones, from named parameters.
//
// Written with the words that users have. `kit` is what helpers.js shares.
(function (global, kit) {
  var TXT = global.TXT;
  var CAA = global.CAA;
  var LOC = global.LOC;
  var MX = global.MX;
  var CNAME = global.CNAME;
  var SRV = global.SRV;
  var TTL = global.TTL;
  var CAA_CRITICAL = global.CAA_CRITICAL;
  var fail = kit.fail;
  var isString = kit.isString;
  var isObject = kit.isObject;

  // The modifiers that every builder takes.
  function modifiers(value) { return value.ttl ? TTL(value.ttl) : {}; }

  function below(prefix, label) { return !label || label === '@' ? prefix : prefix + '.' + label; }

  function isEmpty(x) {
    if (x === undefined || x === null) return true;
    return isString(x) || Array.isArray(x) ? x.length === 0 : Object.keys(x).length === 0;
  }

  // ---- mail ---------------------------------------------------------------------------------------

  function SPF_BUILDER(value) {
    if (!value.parts || value.parts.length < 2) fail('SPF_BUILDER requires at least 2 elements in `parts`');
    var text = value.parts.join(' ');
    var meta = {};
    var records = [];
    if (value.flatten && value.flatten.length > 0) {
      meta.flatten = value.flatten.join(',');
      // The text before flattening is kept in a record of its own.
      var raw = value.raw || (value.raw === '' ? '' : '_rawspf');
      if (raw) records.push(TXT(raw, text, modifiers(value)));
    }
    if (value.overflow) meta.split = value.overflow;
    if (value.overhead1) meta.overhead1 = value.overhead1;
    if (value.txtMaxSize) meta.txtMaxSize = value.txtMaxSize;
    records.push(TXT(value.label || '@', text, meta, modifiers(value)));
    return records;
  }

  function DMARC_BUILDER(value) {
    value = value || {};
    var parts = ['v=' + (value.version || 'DMARC1'), 'p=' + (value.policy || 'none')];
    function add(tag, content) { parts.push(tag + '=' + content); }
    function alignment(key) {
      var short = { relaxed: 'r', r: 'r', strict: 's', s: 's' }[value[key]];
      if (!short) fail('DMARC_BUILDER: `' + key + '` must be one of relaxed, strict, r, s, not `' + value[key] + '`');
      return short;
    }
    if (value.subdomainPolicy) add('sp', value.subdomainPolicy);
    if (value.alignmentDKIM) add('adkim', alignment('alignmentDKIM'));
    if (value.alignmentSPF) add('aspf', alignment('alignmentSPF'));
    // 0 is left out, as DNSControl does.
    if (value.percent) add('pct', value.percent);
    if (value.rua && value.rua.length > 0) add('rua', value.rua.join(','));
    if (value.ruf && value.ruf.length > 0) add('ruf', value.ruf.join(','));
    // How to report failures has a meaning only if somebody gets the reports.
    if (value.ruf && value.failureOptions) {
      var options = failureOptions(value.failureOptions);
      if (options !== '0') add('fo', options);
    }
    if (value.ruf && value.failureFormat) add('rf', value.failureFormat);
    if (value.reportInterval) add('ri', isString(value.reportInterval) ? kit.seconds(value.reportInterval) : value.reportInterval);
    return TXT(below('_dmarc', value.label), parts.join('; '), modifiers(value));
  }

  function failureOptions(value) {
    if (!isObject(value)) return value;
    if (value.SPF && value.DKIM) return '1';
    if (value.SPF) return 's';
    return value.DKIM ? 'd' : '0';
  }

  function DKIM_BUILDER(value) {
    value = value || {};
    function setting(key, otherwise) { return value[key] === undefined ? otherwise : value[key]; }
    function items(key) { return isString(value[key]) && value[key] ? [value[key]] : value[key]; }
    function check(key, allowed) {
      if (isEmpty(value[key])) return;
      items(key).forEach(function (item) {
        if (allowed.indexOf(item) < 0) fail('DKIM_BUILDER: `' + key + '` must be one of ' + allowed.join(', ') + ', not `' + item + '`');
      });
    }
    function add(tag, key) {
      if (value[key]) parts.push(tag + '=' + items(key).join(':'));
    }

    if (isEmpty(value.selector)) fail('DKIM_BUILDER requires `selector`');
    var version = setting('version', 'DKIM1');
    if (version !== 'DKIM1') fail('DKIM_BUILDER: `version` must be DKIM1, not `' + version + '`');
    check('keytype', ['rsa', 'ed25519']);
    check('hashtypes', value.keytype === 'ed25519' ? ['sha256'] : ['sha1', 'sha256']);
    check('servicetypes', ['*', 'email']);
    check('flags', ['y', 's']);

    var parts = ['v=' + version];
    add('h', 'hashtypes');
    add('k', 'keytype');
    if (!isEmpty(value.note)) parts.push('n=' + quotedPrintable(value.note));
    parts.push('p=' + setting('pubkey', ''));
    add('s', 'servicetypes');
    add('t', 'flags');
    return TXT(below(value.selector + '._domainkey', value.label), parts.join('; '), modifiers(value));
  }

  // DKIM's quoted-printable (RFC 6376 section 2.11): no space, no semicolon, no equals sign.
  function quotedPrintable(text) {
    return String(text).replace(/[^!-:<>-~]/g, function (character) {
      // The low byte, as DNSControl has it.
      return '=' + ('0' + (character.charCodeAt(0) & 255).toString(16)).slice(-2).toUpperCase();
    });
  }

  function M365_BUILDER(name, value) {
    value = value || {};
    var wanted = function (key) { return value[key] !== false; };
    if (!value.domainGUID) {
      if (name.indexOf('-') >= 0) fail('M365_BUILDER requires `domainGUID` for `' + name + '`, which has a dash');
      value.domainGUID = name.replace(/\./g, '-');
    }
    if (wanted('dkim') && !value.initialDomain) {
      fail('M365_BUILDER requires `initialDomain` for the DKIM records of `' + name + '`; `dkim: false` leaves them out');
    }
    var records = [];
    if (wanted('mx')) records.push(MX(value.label || '@', 0, value.domainGUID + '.mail.protection.outlook.com.'));
    // At the top of the domain, whatever the label is: so it is in DNSControl.
    if (wanted('autodiscover')) records.push(CNAME('autodiscover', 'autodiscover.outlook.com.'));
    if (wanted('dkim')) {
      ['selector1', 'selector2'].forEach(function (selector) {
        var target = selector + '-' + value.domainGUID + '._domainkey.' + value.initialDomain + '.';
        records.push(CNAME(selector + '._domainkey', target));
      });
    }
    if (value.skypeForBusiness) {
      records.push(
        CNAME('lyncdiscover', 'webdir.online.lync.com.'),
        CNAME('sip', 'sipdir.online.lync.com.'),
        SRV('_sip._tls', 100, 1, 443, 'sipdir.online.lync.com.'),
        SRV('_sipfederationtls._tcp', 100, 1, 5061, 'sipfed.online.lync.com.')
      );
    }
    if (value.mdm) {
      records.push(
        CNAME('enterpriseregistration', 'enterpriseregistration.windows.net.'),
        CNAME('enterpriseenrollment', 'enterpriseenrollment.manage.microsoft.com.')
      );
    }
    return records;
  }

  // ---- certificates -------------------------------------------------------------------------------

  function CAA_BUILDER(value) {
    var tags = ['issue', 'issuewild', 'issuevmc', 'issuemail'];
    var lists = tags.map(function (tag) { return value[tag] === 'none' ? [';'] : value[tag]; });
    function absent(list) { return !list; }
    function empty(list) { return list && list.length === 0; }
    if (lists.every(absent) || lists.every(empty)) fail('CAA_BUILDER requires at least one of ' + tags.join(', '));
    var records = [];
    function add(tag, content) {
      var critical = value[tag + '_critical'] ? CAA_CRITICAL : {};
      records.push(CAA(value.label || '@', tag, content, critical, modifiers(value)));
    }
    if (value.iodef) add('iodef', value.iodef);
    tags.forEach(function (tag, index) {
      var names = lists[index] || [];
      for (var i = 0; i < names.length; i++) add(tag, names[i]);
    });
    return records;
  }

  // ---- places -------------------------------------------------------------------------------------

  // Degrees, minutes, seconds and hemisphere under DNSControl's names.
  function coordinate(degrees, minutes, seconds, hemisphere) {
    return { dg: degrees, mn: minutes, sc: seconds, hemi: hemisphere };
  }

  function ConvertDDToDMS(degrees, isLongitude) {
    var letters = isLongitude ? 'WE' : 'SN';
    var size = Math.abs(degrees);
    // A billionth more, so that a whole minute is not one less and 59.999 seconds.
    var shifted = size + 1e-9;
    return coordinate(
      Math.floor(size),
      Math.floor((shifted % 1) * 60),
      Math.floor(((shifted * 60) % 1) * 60000) / 1000,
      letters.charAt(degrees < 0 ? 0 : 1)
    );
  }

  // 41°24'12.2"N 2°10'26.5"E
  function parseDMSCoordinatesString(text) {
    function read(letters) {
      var match = new RegExp('(-?\\d+).(\\d+).([\\d.]+).? ?([' + letters + '])').exec(text);
      return match && coordinate(parseInt(match[1], 10), parseInt(match[2], 10), parseFloat(match[3]), match[4]);
    }
    return both(read('NS'), read('EW'));
  }

  // 25.24°S 153.15°E
  function parseDMMCoordinatesString(text) {
    function read(letters) {
      var match = new RegExp('(-?\\d+(?:\\.\\d+)?)°?\\s*([' + letters + '])', 'i').exec(text);
      if (!match) return null;
      var degrees = Math.floor(match[1]);
      var minutes = Math.floor((match[1] - degrees) * 60);
      // Whole seconds only, as DNSControl has it.
      return coordinate(degrees, minutes, Math.round(((match[1] - degrees) * 60 - minutes) * 60), match[2]);
    }
    return both(read('NS'), read('EW'));
  }

  function both(latitude, longitude) {
    return latitude && longitude ? { lati: latitude, long: longitude } : null;
  }

  function LOC_builder_push(value, place) {
    var lati = place.lati;
    var long = place.long;
    return [LOC(value.label || '@', lati.dg, lati.mn, lati.sc, lati.hemi, long.dg, long.mn, long.sc, long.hemi,
      value.alt || 0, 0, 0, 0, modifiers(value))];
  }

  function LOC_BUILDER_DD(value) {
    if (!value.x && !value.y) fail('LOC_BUILDER_DD requires `x` and `y`');
    return LOC_builder_push(value, { lati: ConvertDDToDMS(value.x, false), long: ConvertDDToDMS(value.y, true) });
  }

  // The builder of the first of `readers` that can read the text.
  function fromText(builder, readers, example) {
    return function (value) {
      if (!value.str) fail(builder + ' requires `str`, a text such as ' + example);
      var place = readers.reduce(function (found, read) { return found || read(value.str); }, null);
      if (!place) fail(builder + ': `' + value.str + '` is no coordinate such as ' + example);
      return LOC_builder_push(value, place);
    };
  }

  var words = {
    SPF_BUILDER: SPF_BUILDER,
    DMARC_BUILDER: DMARC_BUILDER,
    DKIM_BUILDER: DKIM_BUILDER,
    _encodeDKIMQuotedPrintable: quotedPrintable,
    M365_BUILDER: M365_BUILDER,
    CAA_BUILDER: CAA_BUILDER,
    ConvertDDToDMS: ConvertDDToDMS,
    parseDMSCoordinatesString: parseDMSCoordinatesString,
    parseDMMCoordinatesString: parseDMMCoordinatesString,
    LOC_builder_push: LOC_builder_push,
    LOC_BUILDER_DD: LOC_BUILDER_DD,
    LOC_BUILDER_DMS_STR: fromText('LOC_BUILDER_DMS_STR', [parseDMSCoordinatesString], '33°51′31″S 151°12′51″E'),
    LOC_BUILDER_DMM_STR: fromText('LOC_BUILDER_DMM_STR', [parseDMMCoordinatesString], '25.24°S 153.15°E'),
    LOC_BUILDER_STR: fromText('LOC_BUILDER_STR', [parseDMMCoordinatesString, parseDMSCoordinatesString],
      '25.24°S 153.15°E or 33°51′31″S 151°12′51″E'),
  };
  for (var word in words) global[word] = words[word];
})
