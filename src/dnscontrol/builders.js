// The words of dnsconfig.js that make several records, or long ones, from named parameters.
//
// Written with the words that users have.
(function (global) {
  var TXT = global.TXT;
  var CAA = global.CAA;
  var TTL = global.TTL;
  var CAA_CRITICAL = global.CAA_CRITICAL;

  function need(builder, value, keys) {
    keys.forEach(function (key) {
      if (value[key] === undefined) throw new Error(builder + ' requires `' + key + '`');
    });
  }

  function oneOf(builder, key, value, allowed) {
    if (allowed.indexOf(value) < 0) {
      throw new Error(builder + ': `' + key + '` must be one of ' + allowed.join(', ') + ', not `' + value + '`');
    }
    return value;
  }

  function list(value) { return Array.isArray(value) ? value : [value]; }

  // The modifiers that every builder takes.
  function modifiers(value) { return value.ttl ? TTL(value.ttl) : {}; }

  function below(prefix, label) { return label === undefined || label === '@' ? prefix : prefix + '.' + label; }

  function CAA_BUILDER(value) {
    var tags = ['issue', 'issuewild', 'issuevmc', 'issuemail'];
    if (!tags.some(function (tag) { return value[tag] && value[tag].length; })) {
      throw new Error('CAA_BUILDER requires at least one of ' + tags.join(', '));
    }
    var label = value.label || '@';
    var records = [];
    function add(tag, content) {
      var critical = value[tag + '_critical'] ? CAA_CRITICAL : {};
      records.push(CAA(label, tag, content, critical, modifiers(value)));
    }
    if (value.iodef) add('iodef', value.iodef);
    tags.forEach(function (tag) {
      var names = value[tag] === 'none' ? [';'] : list(value[tag] || []);
      names.forEach(function (name) { add(tag, name); });
    });
    return records;
  }

  function SPF_BUILDER(value) {
    if (!value.parts || value.parts.length < 2) throw new Error('SPF_BUILDER requires at least 2 elements in `parts`');
    var text = value.parts.join(' ');
    var meta = {};
    var records = [];
    if (value.overflow) meta.split = value.overflow;
    if (value.overhead1) meta.overhead1 = String(value.overhead1);
    if (value.txtMaxSize) meta.txtMaxSize = String(value.txtMaxSize);
    if (value.flatten && value.flatten.length) {
      meta.flatten = value.flatten.join(',');
      var raw = value.raw === undefined ? '_rawspf' : value.raw;
      if (raw) records.push(TXT(raw, text, modifiers(value)));
    }
    records.push(TXT(value.label || '@', text, meta, modifiers(value)));
    return records;
  }

  function DMARC_BUILDER(value) {
    need('DMARC_BUILDER', value, ['policy']);
    var policies = ['none', 'quarantine', 'reject'];
    var parts = [
      'v=' + (value.version || 'DMARC1'),
      'p=' + oneOf('DMARC_BUILDER', 'policy', value.policy, policies),
    ];
    function add(tag, content) { parts.push(tag + '=' + content); }
    function alignment(key) {
      return oneOf('DMARC_BUILDER', key, value[key], ['relaxed', 'strict', 'r', 's']).charAt(0);
    }
    if (value.subdomainPolicy) add('sp', oneOf('DMARC_BUILDER', 'subdomainPolicy', value.subdomainPolicy, policies));
    if (value.alignmentDKIM) add('adkim', alignment('alignmentDKIM'));
    if (value.alignmentSPF) add('aspf', alignment('alignmentSPF'));
    // 0 is left out, as DNSControl does.
    if (value.percent) add('pct', value.percent);
    if (value.rua && value.rua.length) add('rua', list(value.rua).join(','));
    if (value.ruf && value.ruf.length) add('ruf', list(value.ruf).join(','));
    if (value.failureOptions) add('fo', failureOptions(value.failureOptions));
    if (value.failureFormat) add('rf', value.failureFormat);
    if (value.reportInterval) add('ri', interval(value.reportInterval));
    return TXT(below('_dmarc', value.label), parts.join('; '), modifiers(value));
  }

  function failureOptions(value) {
    if (typeof value === 'string') return value;
    return [value.SPF ? 's' : '', value.DKIM ? 'd' : ''].filter(String).join(':') || '0';
  }

  function interval(value) {
    var record = {};
    TTL(value)(record);
    return record.ttl;
  }

  function DKIM_BUILDER(value) {
    need('DKIM_BUILDER', value, ['selector']);
    var parts = ['v=' + oneOf('DKIM_BUILDER', 'version', value.version || 'DKIM1', ['DKIM1'])];
    function add(tag, key, allowed) {
      if (value[key] === undefined) return;
      var items = list(value[key]);
      items.forEach(function (item) { oneOf('DKIM_BUILDER', key, item, allowed); });
      parts.push(tag + '=' + items.join(':'));
    }
    add('h', 'hashtypes', ['sha1', 'sha256']);
    add('k', 'keytype', ['rsa', 'ed25519']);
    if (value.note) parts.push('n=' + quotedPrintable(value.note));
    parts.push('p=' + (value.pubkey || ''));
    add('s', 'servicetypes', ['*', 'email']);
    add('t', 'flags', ['y', 's']);
    return TXT(below(value.selector + '._domainkey', value.label), parts.join('; '), modifiers(value));
  }

  // DKIM's quoted-printable (RFC 6376 section 2.11): no space, no semicolon, no equals sign.
  function quotedPrintable(text) {
    return unescape(encodeURIComponent(text)).replace(/[^!-:<>-~]/g, function (byte) {
      return '=' + ('0' + byte.charCodeAt(0).toString(16)).slice(-2).toUpperCase();
    });
  }

  // A coordinate in seconds of arc as degrees, minutes and seconds, and its hemisphere.
  function angle(seconds, hemisphere) {
    return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds - Math.floor(seconds / 60) * 60, hemisphere];
  }

  function location(value, latitude, longitude) {
    var words = [value.label || '@'].concat(latitude, longitude, [value.alt || 0, 0, 0, 0, modifiers(value)]);
    return global.LOC.apply(null, words);
  }

  function LOC_BUILDER_DD(value) {
    need('LOC_BUILDER_DD', value, ['x', 'y']);
    function thousandths(degrees) { return Math.floor(Math.abs(degrees) * 3600000) / 1000; }
    return location(
      value,
      angle(thousandths(value.x), value.x < 0 ? 'S' : 'N'),
      angle(thousandths(value.y), value.y < 0 ? 'W' : 'E')
    );
  }

  var DMS = /^\s*(\d+)[°d]\s*(\d+)[′'m]\s*(\d+(?:\.\d+)?)[″"s]\s*([NS])[,\s]*(\d+)[°d]\s*(\d+)[′'m]\s*(\d+(?:\.\d+)?)[″"s]\s*([EW])\s*$/i;
  var DMM = /^\s*(\d+(?:\.\d+)?)\s*°?\s*([NS])[,\s]*(\d+(?:\.\d+)?)\s*°?\s*([EW])\s*$/i;

  function fromDms(value, match) {
    return location(
      value,
      [Number(match[1]), Number(match[2]), Number(match[3]), match[4]],
      [Number(match[5]), Number(match[6]), Number(match[7]), match[8]]
    );
  }

  function fromDmm(value, match) {
    // Whole seconds only, as DNSControl has it.
    return location(
      value,
      angle(Math.round(match[1] * 3600), match[2]),
      angle(Math.round(match[3] * 3600), match[4])
    );
  }

  // The builder of the first of `forms` that the text has.
  function fromText(builder, forms) {
    return function (value) {
      need(builder, value, ['str']);
      for (var i = 0; i < forms.length; i++) {
        var match = forms[i][0].exec(value.str);
        if (match) return forms[i][1](value, match);
      }
      throw new Error(builder + ': `' + value.str + '` is no coordinate');
    };
  }

  global.LOC_BUILDER_DD = LOC_BUILDER_DD;
  global.LOC_BUILDER_DMS_STR = fromText('LOC_BUILDER_DMS_STR', [[DMS, fromDms]]);
  global.LOC_BUILDER_DMM_STR = fromText('LOC_BUILDER_DMM_STR', [[DMM, fromDmm]]);
  global.LOC_BUILDER_STR = fromText('LOC_BUILDER_STR', [[DMS, fromDms], [DMM, fromDmm]]);
  global.CAA_BUILDER = CAA_BUILDER;
  global.SPF_BUILDER = SPF_BUILDER;
  global.DMARC_BUILDER = DMARC_BUILDER;
  global.DKIM_BUILDER = DKIM_BUILDER;
})
