NewRegistrar('none');
// What helpers of a configuration are made of.
var PLAIN = recordBuilder('TXT');
var CUSTOM = recordBuilder('MX', {
  args: [['where', isStringOrArray], ['rank', function (x) { return x > 0; }]],
  transform: function (record, args, modifiers) {
    record.name = args.where;
    record.mxpreference = args.rank;
    record.target = 'mail' + modifiers.length;
  },
  applyModifier: function (record, modifiers) { record.meta.applied = String(modifiers.length); },
});
var RAW = rawrecordBuilder('DS');
D('example.com', 'none',
  PLAIN('text', 'verbatim', TTL(60)),
  PLAIN('number', 3221225985),
  CUSTOM('mx', 5, 'anything', 1),
  RAW('ds', 1, { a: true }, 2, 3, 'ff'),
  function (domain) { addRecord(domain, 'A', 'added', 3221225985, [TTL(9), { m: 'n' }]); },
  function (domain) { domain.meta.modifiers = getModifiers(['a', 'b', 'c'], 1).join(); },
  function (domain) {
    domain.meta.checks = [validateAzureAliasType('A'), validateAzureAliasType('MX'), validateR53AliasType('SPF'), validateR53AliasType('NS'),
      _validateCloudflareRedirect('a'), _validateCloudflareRedirect('a,b'), stringToDuration('2h'), num2dot(3221225985), num2dot('x'), num2dot()].join();
    domain.meta.table = format_tt([{ low: 1, high: '0.0.0.9', newIP: [2, '0.0.0.3'] }, { low: 1, high: 2, newBase: 3 }]);
    domain.meta.quoted = _encodeDKIMQuotedPrintable('a b;=ü~');
  });
