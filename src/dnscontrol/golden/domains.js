NewRegistrar('none');
NewDnsProvider('dns', 'BIND');
DEFAULTS(DefaultTTL('1h'), { given_to_all: 'yes' });
D('example.com', 'none', DnsProvider('dns'), A('@', '192.0.2.1'));
DEFAULTS();
D_EXTEND('example.com', A('www', '192.0.2.2'), [[A('deep', '192.0.2.3')], { listed: 'yes' }]);
D_EXTEND('sub.example.com',
  A('@', '192.0.2.4'),
  A('www', '192.0.2.5'),
  CNAME('alias', 'www'),
  CNAME('apex', '@'),
  MX('@', 10, 'mail'),
  NS('zone', 'ns'),
  SRV('_x._tcp', 1, 2, 3, 'srv'),
  ALIAS('ali', 'www'),
  TXT('192.0.2.99', 'stays'),
  CF_WORKER_ROUTE('example.com/*', 'stays'),
  DS('raw', 1, 13, 2, 'AB'));
D('example.net!inside', 'none', A('w', '10.0.0.1'));
D('example.net!outside', 'none', A('w', '192.0.2.1'), INCLUDE('example.net!inside'), A('v', '192.0.2.9'));
D_EXTEND('example.net!outside', A('u', '192.0.2.8'));
D_EXTEND('sub.example.net!inside', A('@', '10.0.0.2'));
D('empty-tag.example!', 'none', A('a', '192.0.2.1'));
D_EXTEND('empty-tag.example', A('b', '192.0.2.2'));
D_EXTEND('sub.empty-tag.example!', A('c', '192.0.2.3'));
D('other.example', 'none', INCLUDE('empty-tag.example!'), TXT('@', getConfiguredDomains().join(' ')));
DOMAIN_ELSEWHERE('elsewhere.example', 'none', ['ns1.example.net.', 'ns2']);
DOMAIN_ELSEWHERE_AUTO('auto.example', 'none', 'dns');
D('BÜCHER.example', 'none', A('Ä', '192.0.2.1'), RP('ö', 'm', 't.example.net.'));
_getDomainObject('x.other.example').obj.meta.seen = String(_getDomainObject('x.other.example').id);
processDargs({ processed: 'yes' }, _getDomainObject('other.example').obj);
_getDomainObject('other.example').obj.meta.words = [_isDomain(newDomain('n', 'r')), _removeEmptyTag('x!').join(), defaultArgs.length].join(' ');
