NewRegistrar('none');
DEFAULTS({ before: 'yes' });
D('first.example', 'none');
var before = conf.domains.length;
initialize();
NewRegistrar('none');
D('second.example', 'none', TXT('@', 'only this is left of ' + (before + 1)));
