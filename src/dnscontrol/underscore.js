// The part of underscore's `_` that configurations use.
(function (global) {
  var own = Object.prototype.hasOwnProperty;

  function entries(list) {
    if (list === null || list === undefined) return [];
    if (typeof list === 'string') list = list.split('');
    var indexed = typeof list !== 'function' && typeof list.length === 'number';
    var keys = indexed ? Array.from({ length: list.length }, function (_, i) { return i; }) : Object.keys(list);
    return keys.map(function (key) { return [list[key], key]; });
  }

  // A function, the name of a property, properties to match, or nothing.
  function iteratee(how) {
    if (how === null || how === undefined) return _.identity;
    if (typeof how === 'function') return how;
    if (typeof how === 'object') return _.matcher(how);
    return function (item) { return item === null || item === undefined ? undefined : item[how]; };
  }

  function merge(keep) {
    return function (to) {
      for (var i = 1; i < arguments.length; i++) {
        for (var key in arguments[i]) if (!keep || to[key] === undefined) to[key] = arguments[i][key];
      }
      return to;
    };
  }

  function grouped(put) {
    return function (list, how) {
      var by = iteratee(how);
      var groups = {};
      _.each(list, function (item, key) { put(groups, by(item, key), item); });
      return groups;
    };
  }

  function extreme(better) {
    return function (list, how) {
      var by = iteratee(how);
      var worst = better(1, 0) ? -Infinity : Infinity;
      return _.reduce(list, function (best, item) { return best === worst || better(by(item), by(best)) ? item : best; }, worst);
    };
  }

  var _ = {
    identity: function (x) { return x; },
    constant: function (x) { return function () { return x; }; },
    noop: function () {},
    each: function (list, f, self) {
      entries(list).forEach(function (entry) { f.call(self, entry[0], entry[1], list); });
      return list;
    },
    map: function (list, f, self) {
      f = iteratee(f);
      return entries(list).map(function (entry) { return f.call(self, entry[0], entry[1], list); });
    },
    reduce: function (list, f, start) {
      var values = entries(list);
      var i = 0;
      if (arguments.length < 3) start = values.length ? values[i++][0] : undefined;
      for (; i < values.length; i++) start = f(start, values[i][0], values[i][1], list);
      return start;
    },
    filter: function (list, f) {
      f = iteratee(f);
      return entries(list).filter(function (entry) { return f(entry[0], entry[1], list); }).map(function (entry) { return entry[0]; });
    },
    reject: function (list, f) {
      f = iteratee(f);
      return _.filter(list, function (item, key) { return !f(item, key, list); });
    },
    find: function (list, f) { return _.filter(list, f)[0]; },
    where: function (list, properties) { return _.filter(list, properties); },
    findWhere: function (list, properties) { return _.find(list, properties); },
    every: function (list, f) { return _.reject(list, f).length === 0; },
    some: function (list, f) { return _.filter(list, f).length > 0; },
    contains: function (list, item) { return _.values(list).indexOf(item) >= 0; },
    indexOf: function (list, item) { return list.indexOf(item); },
    pluck: function (list, key) { return _.map(list, key); },
    sortBy: function (list, how) {
      var by = iteratee(how);
      return _.values(list).sort(function (a, b) {
        var x = by(a);
        var y = by(b);
        return x < y ? -1 : x > y ? 1 : 0;
      });
    },
    groupBy: grouped(function (groups, key, item) { (own.call(groups, key) ? groups[key] : (groups[key] = [])).push(item); }),
    indexBy: grouped(function (groups, key, item) { groups[key] = item; }),
    countBy: grouped(function (groups, key) { groups[key] = (groups[key] || 0) + 1; }),
    max: extreme(function (a, b) { return a > b; }),
    min: extreme(function (a, b) { return a < b; }),
    size: function (list) { return entries(list).length; },
    toArray: function (list) { return _.values(list); },
    first: function (list, n) { return n === undefined ? list[0] : list.slice(0, n); },
    last: function (list, n) { return n === undefined ? list[list.length - 1] : list.slice(-n); },
    initial: function (list) { return list.slice(0, -1); },
    rest: function (list, n) { return list.slice(n === undefined ? 1 : n); },
    compact: function (list) { return _.filter(list); },
    flatten: function (list, shallow) { return list.flat(shallow ? 1 : Infinity); },
    without: function (list) { return _.difference(list, Array.prototype.slice.call(arguments, 1)); },
    uniq: function (list) { return list.filter(function (item, i) { return list.indexOf(item) === i; }); },
    union: function () { return _.uniq(_.flatten(Array.prototype.slice.call(arguments), true)); },
    intersection: function (a, b) { return _.uniq(a).filter(function (item) { return _.contains(b, item); }); },
    difference: function (a, b) { return a.filter(function (item) { return !_.contains(b, item); }); },
    zip: function () {
      var lists = Array.prototype.slice.call(arguments);
      return _.range(Math.max.apply(null, lists.map(_.size))).map(function (i) { return _.pluck(lists, i); });
    },
    object: function (keys, values) {
      return _.reduce(keys, function (to, key, i) {
        if (values) to[key] = values[i];
        else to[key[0]] = key[1];
        return to;
      }, {});
    },
    range: function (start, stop, step) {
      if (stop === undefined) {
        stop = start;
        start = 0;
      }
      step = step || (stop < start ? -1 : 1);
      var numbers = [];
      for (var n = start; step > 0 ? n < stop : n > stop; n += step) numbers.push(n);
      return numbers;
    },
    times: function (n, f) { return _.range(n).map(function (i) { return f(i); }); },
    keys: function (object) { return Object.keys(object); },
    values: function (list) { return _.map(list, _.identity); },
    pairs: function (object) { return Object.keys(object).map(function (key) { return [key, object[key]]; }); },
    invert: function (object) { return _.object(_.values(object), _.keys(object)); },
    mapObject: function (object, f) {
      return _.object(_.keys(object), _.map(object, f));
    },
    extend: merge(false),
    defaults: merge(true),
    clone: function (x) { return Array.isArray(x) ? x.slice() : typeof x === 'object' && x ? _.extend({}, x) : x; },
    pick: function (object) {
      var keys = _.flatten(Array.prototype.slice.call(arguments, 1));
      return _.object(_.pairs(object).filter(function (pair) { return _.contains(keys, pair[0]); }));
    },
    omit: function (object) {
      var keys = _.flatten(Array.prototype.slice.call(arguments, 1));
      return _.object(_.pairs(object).filter(function (pair) { return !_.contains(keys, pair[0]); }));
    },
    has: function (object, key) { return object !== null && object !== undefined && own.call(object, key); },
    matcher: function (properties) {
      return function (item) {
        return Object.keys(properties).every(function (key) { return item && item[key] === properties[key]; });
      };
    },
    isArray: Array.isArray,
    isString: function (x) { return typeof x === 'string' || x instanceof String; },
    isNumber: function (x) { return typeof x === 'number' || x instanceof Number; },
    isBoolean: function (x) { return typeof x === 'boolean'; },
    isFunction: function (x) { return typeof x === 'function'; },
    isObject: function (x) { return typeof x === 'function' || (typeof x === 'object' && x !== null); },
    isUndefined: function (x) { return x === undefined; },
    isNull: function (x) { return x === null; },
    isRegExp: function (x) { return x instanceof RegExp; },
    isEmpty: function (x) { return entries(x).length === 0; },
  };

  var also = {
    forEach: 'each', collect: 'map', foldl: 'reduce', inject: 'reduce', select: 'filter', detect: 'find', all: 'every',
    any: 'some', include: 'contains', includes: 'contains', head: 'first', take: 'first', tail: 'rest', drop: 'rest',
    unique: 'uniq', assign: 'extend', matches: 'matcher',
  };
  Object.keys(also).forEach(function (word) { _[word] = _[also[word]]; });
  global._ = _;
})
