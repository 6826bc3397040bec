NewRegistrar('none');
var TABLE = [
  { low: '192.0.2.0', high: IP('192.0.2.99'), newBase: '198.51.100.0' },
  { low: '192.0.2.100', high: '192.0.2.199', newIP: ['203.0.113.1', '203.0.113.2'] },
  { low: '192.0.2.200', high: '192.0.2.210', newBase: ['10.0.0.0', '10.1.0.0'] },
];
D('transformed.example', 'none',
  A('moved', '192.0.2.5', { transform: TABLE }),
  A('replaced', '192.0.2.105', { transform: TABLE }, TTL(60)),
  A('both', '192.0.2.201', { transform: TABLE }),
  A('untouched', '198.51.100.9', { transform: TABLE }),
  A('plain', '192.0.2.5'));
D('source.example', 'none',
  A('@', '192.0.2.1'),
  A('a', '192.0.2.2'), A('a', '192.0.2.3'),
  A('b', '192.0.2.150'),
  A('skipped', '192.0.2.4', { import_transform_skip: 'true' }),
  CNAME('c', 'a'), CNAME('d', 'www.example.net.'),
  TXT('t', 'not imported'));
D('internal', 'none', IMPORT_TRANSFORM(TABLE, 'source.example', 60), A('own', '10.0.0.1'));
D('example.corp', 'none', IMPORT_TRANSFORM_STRIP(TABLE, 'source.example', 99, 'example'));
