NewRegistrar('none');
D('caa.example', 'none',
  CAA_BUILDER({ issue: ['one.example', 'two.example'] }),
  CAA_BUILDER({ label: 'full', iodef: 'mailto:a@example.com', iodef_critical: true, issue: 'none', issue_critical: true, issuewild: ['w.example'],
    issuewild_critical: true, issuevmc: ['v.example'], issuevmc_critical: true, issuemail: ['m.example'], issuemail_critical: true, ttl: '1h' }),
  CAA_BUILDER({ label: 'none', iodef: 'mailto:a@example.com', issue: 'none', issuewild: 'none', issuevmc: 'none', issuemail: 'none' }));
D('loc.example', 'none',
  LOC('@', 52, 22, 23.5, 'n', 4, 53, 32, 'E', -2.25, 1, 10000, 10),
  LOC('clamped', 0, 0, 0, 'S', 0, 0, 0, 'w', -200000, -1, 98765432, 0.05),
  LOC('high', 89, 59, 59.999, 'S', 179, 59, 59.999, 'W', 42849672.96, 90000000, 0, 0),
  LOC_BUILDER_DD({ x: -33.5, y: 0.25 }),
  LOC_BUILDER_DD({ label: 'dd', x: 51.50084, y: -0.12463, alt: 6, ttl: '5m' }),
  LOC_BUILDER_DMS_STR({ label: 'dms', str: '33°51′31.5″S 151°12′51″E', alt: 4 }),
  LOC_BUILDER_DMS_STR({ label: 'letters', str: '33d51m31s N, 151d12m51s W' }),
  LOC_BUILDER_DMM_STR({ label: 'dmm', str: '25.24°S 153.15°E', ttl: 60 }),
  LOC_BUILDER_STR({ label: 'either', str: '42 N 147.5 w' }),
  LOC_BUILDER_STR({ label: 'or', str: '53°20′40″N 6°17′20″W' }),
  function (domain) {
    domain.meta.parts = JSON.stringify([ConvertDDToDMS(-1.5, true), parseDMSCoordinatesString('1d2m3sN 4d5m6sE'), parseDMMCoordinatesString('1.5N 2E'),
      parseDMMCoordinatesString('x'), getENotationInt(30)]);
    LOC_builder_push({ label: 'pushed' }, parseDMMCoordinatesString('1.5N 2E'))[0](domain);
    var args = { name: 'n', d1: 1, m1: 2, s1: 3, ns: 'N', d2: 4, m2: 5, s2: 6, ew: 'W', alt: 7, siz: 1, hp: 1, vp: 1 };
    validateIntegers(args);
    var record = {};
    locStringBuilder(record, args);
    locDMSBuilder(record, args);
    domain.meta.record = JSON.stringify(record);
  });
