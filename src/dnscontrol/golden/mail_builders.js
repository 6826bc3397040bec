NewRegistrar('none');
D('spf.example', 'none',
  SPF_BUILDER({ parts: ['v=spf1', 'ip4:192.0.2.1', '-all'] }),
  SPF_BUILDER({ label: 'named', ttl: '1h', parts: ['v=spf1', '-all'], overflow: '_spf%d', overhead1: '10', txtMaxSize: '200' }),
  SPF_BUILDER({ label: 'flat', parts: ['v=spf1', 'include:one.example', 'include:two.example', '~all'], flatten: ['one.example'] }),
  SPF_BUILDER({ label: 'all', raw: 'unaltered', ttl: 60, parts: ['v=spf1', 'include:one.example', 'mx', '~all'], flatten: ['*'] }),
  SPF_BUILDER({ label: 'noraw', raw: '', parts: ['v=spf1', 'include:two.example', '?all'], flatten: ['two.example', 'x'] }),
  SPF_BUILDER({ label: 'split', txtMaxSize: '60', overhead1: '10', overflow: '_s%d',
    parts: ['v=spf1', 'ip4:192.0.2.1', 'ip4:192.0.2.2', 'ip4:192.0.2.3', 'ip4:192.0.2.4', 'ip4:192.0.2.5', '-all'] }));
D('dmarc.example', 'none',
  DMARC_BUILDER(),
  DMARC_BUILDER({ label: 'full', version: 'DMARC1', policy: 'reject', subdomainPolicy: 'quarantine', alignmentSPF: 'relaxed', alignmentDKIM: 'strict',
    percent: 50, rua: ['mailto:a@example.com', 'https://example.com'], ruf: ['mailto:b@example.com'], failureOptions: { SPF: true, DKIM: true },
    failureFormat: 'afrf', reportInterval: '1d', ttl: '2h' }),
  DMARC_BUILDER({ label: 'short', policy: 'none', alignmentSPF: 's', alignmentDKIM: 'r', percent: 0, ruf: ['mailto:b@example.com'], failureOptions: { SPF: true }, reportInterval: 60 }),
  DMARC_BUILDER({ label: 'dkim', ruf: ['mailto:b@example.com'], failureOptions: { DKIM: true } }),
  DMARC_BUILDER({ label: 'neither', ruf: ['mailto:b@example.com'], failureOptions: {} }),
  DMARC_BUILDER({ label: 'text', ruf: ['mailto:b@example.com'], failureOptions: 'd:s' }),
  DMARC_BUILDER({ label: 'unreported', failureOptions: '1', failureFormat: 'afrf' }));
D('dkim.example', 'none',
  DKIM_BUILDER({ selector: 's1' }),
  DKIM_BUILDER({ selector: 's2', label: 'sub', version: 'DKIM1', pubkey: 'MIG', keytype: 'ed25519', hashtypes: 'sha256', servicetypes: ['*', 'email'],
    flags: ['y', 's'], note: 'a note; =', ttl: 60 }),
  DKIM_BUILDER({ selector: 's3', pubkey: 'MIG', keytype: 'rsa', hashtypes: ['sha1', 'sha256'], servicetypes: 'email', flags: 'y' }));
D('m365.example', 'none', M365_BUILDER('m365.example', { initialDomain: 'm365.onmicrosoft.com' }));
D('m365-full.example', 'none',
  M365_BUILDER('m365-full.example', { label: 'sub', domainGUID: 'guid', initialDomain: 'i.onmicrosoft.com', skypeForBusiness: true, mdm: true }));
D('m365none.example', 'none', M365_BUILDER('m365none.example', { mx: false, autodiscover: false, dkim: false }));
