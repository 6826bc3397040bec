NewRegistrar('none');
function address(label) {
  var modifiers = Array.prototype.slice.call(arguments, 1);
  return A.apply(null, [label, '192.0.2.1'].concat(modifiers));
}
D('example.com', 'none',
  address('seconds', TTL(1)), address('s', TTL('2s')), address('m', TTL('2m')), address('h', TTL('2h')), address('d', TTL('2d')),
  address('w', TTL('2w')), address('n', TTL('2n')), address('y', TTL('2y')), address('digits', TTL('77')),
  address('zero', TTL(0)),
  address('meta', { a: 'b' }, { c: 'd', a: 'e' }),
  // A list is an object of numbers: functions in it are lost, as in DNSControl.
  address('list', [TTL(60)]),
  address('on', CF_PROXY_ON), address('off', CF_PROXY_OFF), address('full', CF_PROXY_FULL),
  address('flat', CF_CNAME_FLATTEN_ON), address('unflat', CF_CNAME_FLATTEN_OFF),
  address('comment', CF_COMMENT('a comment'), CF_TAGS('a:1', 'b')),
  address('dynamic', HEDNS_DYNAMIC_ON), address('static', HEDNS_DYNAMIC_OFF), address('key', HEDNS_DDNS_KEY('k')),
  address('weighted', R53_WEIGHT(10, 'one'), R53_HEALTH_CHECK_ID('h')),
  A('weighted', '192.0.2.2', R53_WEIGHT(20, 'two')),
  address('absent', ENSURE_ABSENT_REC(), TTL(5)),
  CNAME('ABSENT', 'other', ENSURE_ABSENT_REC()),
  CNAME('proxied', 'other', CF_PROXY_ON), address('proxied'));
