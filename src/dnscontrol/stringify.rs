//! `JSON.stringify` for lists and plain objects, several times as fast as the engine's.
//!
//! The engine makes a list of its keys and a quoted copy of each for every object, which takes two fifths
//! of the time of a large configuration. Whatever is not plain is left to it.

use std::collections::HashMap;

use rquickjs::{Array, Atom, Ctx, Error, Exception, Object, Value};

/// Depth below which the engine takes over: it knows how deep its stack is, and finds circles.
const DEEPEST: usize = 32;

/// Length of a list above which the engine takes over: it may be empty but for its length.
const LONGEST: usize = 1 << 20;

/// `value` as JSON, of at most about `largest` bytes. Functions and what else has no JSON become `null`.
///
/// Differs from `JSON.stringify` in one thing: a `toJSON` that looks at its argument, the key, finds none.
pub(super) fn stringify(value: &Value<'_>, largest: usize) -> rquickjs::Result<String> {
    let ctx = value.ctx().clone();
    let printer = Printer {
        text: String::new(),
        largest,
        object: Object::new(ctx.clone())?.get_prototype(),
        list: Array::new(ctx.clone())?.as_object().get_prototype(),
        to_json: Atom::from_str(ctx.clone(), "toJSON")?,
        keys: HashMap::new(),
        ctx,
    };
    printer.print(value)
}

struct Printer<'js> {
    ctx: Ctx<'js>,
    text: String,
    /// Bytes.
    largest: usize,
    /// The prototype of plain objects.
    object: Option<Object<'js>>,
    /// The prototype of lists.
    list: Option<Object<'js>>,
    to_json: Atom<'js>,
    /// Keys that have been seen, quoted, with their colons.
    keys: HashMap<Atom<'js>, String>,
}

impl<'js> Printer<'js> {
    fn print(mut self, value: &Value<'js>) -> rquickjs::Result<String> {
        self.element(value, 0)?;
        Ok(self.text)
    }

    /// An element of a list: what has no JSON is `null`.
    fn element(&mut self, value: &Value<'js>, depth: usize) -> rquickjs::Result<()> {
        if !self.value(value, depth)? {
            self.text.push_str("null");
        }
        Ok(())
    }

    /// Whether `value` has any JSON.
    fn value(&mut self, value: &Value<'js>, depth: usize) -> rquickjs::Result<bool> {
        if self.text.len() > self.largest {
            return Err(Exception::throw_internal(&self.ctx, "out of memory"));
        }
        if value.is_undefined() {
            return Ok(false);
        }
        if let Some(text) = value.as_string()
            // Half a surrogate pair is no Unicode.
            && let Ok(text) = text.to_string()
        {
            quote(&text, &mut self.text)?;
        } else if let Some(number) = value.as_int() {
            self.text.push_str(&number.to_string());
        } else if let Some(list) = value.as_array()
            && depth < DEEPEST
            && list.len() <= LONGEST
            && self.is_plain(list.as_object(), self.list.as_ref())?
        {
            self.list(list, depth)?;
        } else if let Some(object) = value.as_object()
            && depth < DEEPEST
            && self.is_plain(object, self.object.as_ref())?
        {
            self.object(object, depth)?;
        } else {
            let Some(text) = self.ctx.json_stringify(value.clone())? else {
                return Ok(false);
            };
            self.text.push_str(&text.to_string()?);
        }
        Ok(true)
    }

    fn is_plain(
        &self,
        object: &Object<'js>,
        prototype: Option<&Object<'js>>,
    ) -> rquickjs::Result<bool> {
        Ok(object.get_prototype().as_ref() == prototype
            && !object.contains_key(self.to_json.clone())?)
    }

    fn list(&mut self, list: &Array<'js>, depth: usize) -> rquickjs::Result<()> {
        self.text.push('[');
        for (index, value) in list.iter::<Value<'js>>().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.element(&value?, depth + 1)?;
        }
        self.text.push(']');
        Ok(())
    }

    fn object(&mut self, object: &Object<'js>, depth: usize) -> rquickjs::Result<()> {
        self.text.push('{');
        let mut separator = "";
        for property in object.props::<Atom<'js>, Value<'js>>() {
            let (key, value) = property?;
            let before = self.text.len();
            self.text.push_str(separator);
            self.key(key)?;
            if self.value(&value, depth + 1)? {
                separator = ",";
            } else {
                self.text.truncate(before);
            }
        }
        self.text.push('}');
        Ok(())
    }

    fn key(&mut self, key: Atom<'js>) -> rquickjs::Result<()> {
        if let Some(quoted) = self.keys.get(&key) {
            self.text.push_str(quoted);
            return Ok(());
        }
        let mut quoted = String::new();
        quote(&key.to_js_string()?.to_string()?, &mut quoted)?;
        quoted.push(':');
        self.text.push_str(&quoted);
        self.keys.insert(key, quoted);
        Ok(())
    }
}

fn quote(text: &str, into: &mut String) -> rquickjs::Result<()> {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        into.push('"');
        into.push_str(text);
        into.push('"');
    } else {
        into.push_str(&serde_json::to_string(text).map_err(|_| Error::Unknown)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rquickjs::{CatchResultExt as _, Context, Runtime};

    use super::*;

    /// What `work` makes of an expression's value.
    fn evaluated(
        expression: &str,
        work: impl for<'js> FnOnce(&Value<'js>) -> rquickjs::Result<String>,
    ) -> Result<String, String> {
        let runtime = Runtime::new().unwrap();
        let context = Context::full(&runtime).unwrap();
        context.with(|ctx| {
            let value: Value<'_> = ctx.eval(expression).catch(&ctx).unwrap();
            work(&value).catch(&ctx).map_err(|error| error.to_string())
        })
    }

    fn by_the_engine(value: &Value<'_>) -> rquickjs::Result<String> {
        let text = value.ctx().json_stringify(value.clone())?;
        text.map_or_else(|| Ok("null".to_owned()), |text| text.to_string())
    }

    #[test]
    fn the_engine_agrees() {
        for expression in [
            "({})",
            "[]",
            "({a: 1, b: 'x', c: true, d: null, e: undefined, f: function () {}, g: Symbol('g')})",
            "[1, undefined, function () {}, Symbol('a'), null]",
            "[, 1, ,]",
            "[0, -0, -1, 1.5, 1e21, 1e-7, NaN, Infinity, 4294967295, 9007199254740993]",
            r#"['"', '\\', '\n', '\u0000', '\u007f', 'é', '\u2028', '😀', 'plain']"#,
            r"['\ud800', {a: '\udc00x'}]",
            "({2: 'b', 1: 'a', x: {y: {z: []}}, '': 0, 'a b': 1, 'ä\"': 2})",
            "var s = ''; for (var i = 0; i < 3000; i++) s += i; [s]",
            "[new Date(0), new String('s'), new Number(5), new Boolean(true), /x/, new Error('e')]",
            "[new Map([[1, 2]]), new Set([1]), new Uint8Array(2), Object.create({inherited: 1}), Object.create(null)]",
            "({a: {toJSON: function () { return 'own'; }}, b: [1]})",
            "var a = [1]; a.toJSON = function () { return 'list'; }; [a]",
            "Object.prototype.toJSON = function () { return 'all'; }; [{}, []]",
            "({toJSON: function () {}})",
            "function Point() { this.x = 1; } [new Point()]",
            "Object.defineProperty({a: 1}, 'hidden', {value: 2})",
            "({get a() { return 1; }})",
            "({get a() { throw new Error('thrown'); }})",
            "new Proxy({a: 1}, {ownKeys: function () { return ['a']; }})",
            "var o = {}; o.o = o; o",
            "var a = []; a.push({a: a}); a",
            "[10n]",
            "var a = 1; for (var i = 0; i < 100; i++) a = i % 2 ? [a] : {a: a}; a",
            "Object = null; Array.prototype.join = null; [{a: 1}]",
        ] {
            assert_eq!(
                evaluated(expression, |value| stringify(value, 1 << 20)),
                evaluated(expression, by_the_engine),
                "{expression}"
            );
        }
    }

    #[test]
    fn much_of_little_has_a_limit() {
        for expression in [
            "var a = 'x'; for (var i = 0; i < 30; i++) a = [a, a]; a",
            "var a = {}; a.length = 1; for (var i = 0; i < 30; i++) a = {a: a, b: a}; a",
        ] {
            let ours = evaluated(expression, |value| stringify(value, 1 << 20));
            assert!(ours.unwrap_err().contains("out of memory"), "{expression}");
        }
    }
}
