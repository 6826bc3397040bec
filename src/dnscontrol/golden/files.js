NewRegistrar('none');
var answer = require('./parts/base.js');
var data = require('./parts/data.json');
var relaxed = require('parts/relaxed.json5');
var loaded = require_glob('./parts/deep/');
require_glob('./parts/deep', false);
var all = [glob('./parts'), glob('./parts', false, 'json'), glob('parts/deep/', true, '*')];
D('files.example', REGISTRAR, TXT('data', data.text + relaxed.list.join('') + answer + leaked), TXT('globs', JSON.stringify(all)),
  TXT('loaded', loaded.join() + count));
