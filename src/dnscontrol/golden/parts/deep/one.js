var count = (this.count || 0) + 1;
D('d' + count + '.example', 'none', A('@', '192.0.2.' + count));
