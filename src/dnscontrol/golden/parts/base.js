var REGISTRAR = 'none';
leaked = require('../parts/deep/one.js');
