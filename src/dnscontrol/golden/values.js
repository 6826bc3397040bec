NewRegistrar('none');
CLI_DEFAULTS({ given: 'not this', absent: 'default' });
console.log('to the log', 1, {}); console.info(''); console.warn('w'); console.error('e'); console.debug('d');
if (given === 'never') PANIC('not reached');
if (given === 'never') FETCH('https://example.com');
var late = [];
setTimeout(function () { late.push('timeout'); }, 20);
var interval = setInterval(function () { late.push('interval'); clearInterval(interval); }, 10);
clearTimeout(setTimeout(function () { late.push('never'); }, 1));
clearImmediate(setImmediate(function () { late.push('never'); }));
setImmediate(function () { late.push('immediate'); });
Promise.resolve('promise').then(function (word) { late.push(word); });
setTimeout(function () { D_EXTEND('values.example', TXT('late', late.join(' '))); }, 30);
_.each(['x', 'y'], function (name, index) { this[name] = index; });
D('values.example', 'none',
  TXT('cli', given + ' ' + absent),
  TXT('hash', [HASH('SHA1', 'a'), HASH('sha1', 'a'), HASH('SHA256', 'a').length, HASH('sha512', 'a').length].join(' ')),
  TXT('ip', String(IP('192.0.2.1'))));
