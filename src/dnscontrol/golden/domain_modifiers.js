NewRegistrar('none');
NewDnsProvider('dns', 'BIND');
D('names.example', 'none', NAMESERVER('ns1.example.net.'), NAMESERVER('ns2'), NAMESERVER('@'), NAMESERVER_TTL('2d'));
D('numbers.example', 'none', NAMESERVER_TTL(60), DefaultTTL(120), A('a', '192.0.2.1'), DefaultTTL('2w'), A('b', '192.0.2.1'));
D('gidinet.example', 'none', GIDINET_PREMIUM_NS());
D('kept.example', 'none', NO_PURGE);
D('purged.example', 'none', NO_PURGE, PURGE);
D('ignored.example', 'none', IGNORE('a', 'A,TXT', 't'), IGNORE('b'), IGNORE('', 'A'), IGNORE('n', null, 't'), IGNORE_NAME('c'), IGNORE_NAME('d', 'CNAME'),
  IGNORE_TARGET('e'), IGNORE_TARGET('f', 'MX'), DISABLE_IGNORE_SAFETY_CHECK);
D('external.example', 'none', IGNORE_EXTERNAL_DNS());
D('prefixed.example', 'none', IGNORE_EXTERNAL_DNS('p-'));
D('uncalled.example', 'none', IGNORE_EXTERNAL_DNS);
D('signed.example', 'none', AUTODNSSEC_ON);
D('unsigned.example', 'none', AUTODNSSEC_OFF);
D('warned.example', 'none', AUTODNSSEC);
D('zone.example', 'none', R53_ZONE('Z123'));
D('proxied.example', 'none', CF_PROXY_DEFAULT_ON, CF_UNIVERSALSSL_ON, CF_MANAGE_COMMENTS, CF_MANAGE_TAGS);
D('direct.example', 'none', CF_PROXY_DEFAULT_OFF, CF_UNIVERSALSSL_OFF, { own: 'meta' });
