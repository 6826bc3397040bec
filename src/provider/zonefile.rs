//! Zone files (RFC 1035 section 5): read them, and change single TXT values in their text.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::rdata::{canonical, quote};
use crate::model::zone::Record;
use crate::provider::port::TXT_TTL;

/// The records of a zone file.
pub(super) fn records(text: &str, zone: &DnsName) -> Result<Vec<Record>> {
    let entries = parse(text, zone)?;
    Ok(entries.into_iter().map(|entry| entry.record).collect())
}

/// The text with values added and removed; none where it says so already.
///
/// Removed lines go with their comments; everything else keeps its place and form. New lines come
/// last. The SOA serial goes up; `today` is `YYYYMMDD`.
pub(super) fn edit(
    text: &str,
    zone: &DnsName,
    batch: &TxtBatch,
    today: u32,
) -> Result<Option<String>> {
    let entries = parse(text, zone)?;
    let at = |txt: &Txt| {
        let (name, value) = (txt.name.clone(), txt.value.clone());
        move |entry: &&Entry| {
            entry.record.rtype == "TXT" && entry.record.name == name && entry.record.data == value
        }
    };
    let is_removed = |entry: &Entry| batch.remove.iter().any(|txt| at(txt)(&entry));
    let added: BTreeSet<&Txt> = batch
        .add
        .iter()
        .filter(|txt| !batch.remove.contains(txt) && !entries.iter().any(|entry| at(txt)(&entry)))
        .collect();
    if added.is_empty() && !entries.iter().any(is_removed) {
        return Ok(None);
    }
    let new_line = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut edited = cut(text, &entries, is_removed, today)?;
    if !edited.is_empty() && !edited.ends_with('\n') {
        edited.push_str(new_line);
    }
    for txt in added {
        let set: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.record.name == txt.name)
            .collect();
        if set.iter().any(|entry| entry.record.rtype == "CNAME") {
            return Err(with_hint(
                anyhow!("`{}` is a CNAME, so it cannot have a TXT record", txt.name),
                "remove the CNAME, or point it to a zone that `dnsconfig.js` has",
            ));
        }
        let ttl = set
            .iter()
            .find(|entry| entry.record.rtype == "TXT")
            .map_or(TXT_TTL, |entry| entry.record.ttl);
        let (owner, value) = (txt.name.fqdn(), quote(&txt.value));
        let _ = write!(edited, "{owner} {ttl} IN TXT {value}{new_line}");
    }
    Ok(Some(edited))
}

/// The text without some entries, with the next serial.
fn cut(
    text: &str,
    entries: &[Entry],
    is_removed: impl Fn(&Entry) -> bool,
    today: u32,
) -> Result<String> {
    let mut changes: Vec<(Range<usize>, String)> = Vec::new();
    let mut stated = None;
    let mut has_soa = false;
    for entry in entries {
        if is_removed(entry) {
            changes.push((entry.lines.clone(), String::new()));
            continue;
        }
        // An entry that took its owner from a line that is gone gets one of its own.
        if entry.inherits_owner && stated != Some(&entry.record.name) {
            let start = entry.lines.start;
            changes.push((start..start, entry.record.name.fqdn()));
        }
        stated = Some(&entry.record.name);
        if let Some(serial) = &entry.serial {
            let old: u32 = text
                .get(serial.clone())
                .and_then(|digits| digits.parse().ok())
                .context("the serial of the SOA record is no number")?;
            changes.push((serial.clone(), next_serial(old, today).to_string()));
            has_soa = true;
        }
    }
    ensure!(has_soa, "the zone file has no SOA record");
    let mut edited = String::with_capacity(text.len());
    let mut position = 0;
    for (range, replacement) in changes {
        edited.push_str(text.get(position..range.start).unwrap_or_default());
        edited.push_str(&replacement);
        position = range.end;
    }
    edited.push_str(text.get(position..).unwrap_or_default());
    Ok(edited)
}

/// The day's first number where the serial is a date (`YYYYMMDDNN`), else one more; never 0.
fn next_serial(old: u32, today: u32) -> u32 {
    let day = old / 100;
    let is_date = (1970..2100).contains(&(day / 10_000))
        && (1..=12).contains(&(day / 100 % 100))
        && (1..=31).contains(&(day % 100));
    let next = old.checked_add(1).unwrap_or(1);
    if is_date {
        next.max(today.saturating_mul(100))
    } else {
        next
    }
}

/// A record and where it is in the text.
struct Entry {
    record: Record,
    /// From the beginning of its first line to the end of its last, the line end included.
    lines: Range<usize>,
    /// The line begins with a blank: the owner is the one before.
    inherits_owner: bool,
    /// Where the serial of an SOA record is.
    serial: Option<Range<usize>>,
}

fn parse(text: &str, zone: &DnsName) -> Result<Vec<Entry>> {
    let mut state = State {
        text,
        origin: zone.clone(),
        owner: None,
        default_ttl: None,
        last_ttl: None,
    };
    let mut entries = Vec::new();
    let mut position = 0;
    while position < text.len() {
        let number = || {
            text.get(..position)
                .unwrap_or_default()
                .matches('\n')
                .count()
                + 1
        };
        let line = Line::read(text, position).with_context(|| format!("line {}", number()))?;
        let entry = state
            .line(&line)
            .with_context(|| format!("line {}", number()))?;
        entries.extend(entry);
        position = line.range.end;
    }
    Ok(entries)
}

/// What earlier lines say of later ones.
struct State<'a> {
    text: &'a str,
    origin: DnsName,
    owner: Option<DnsName>,
    /// Of `$TTL`.
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl State<'_> {
    fn line(&mut self, line: &Line) -> Result<Option<Entry>> {
        let words: Vec<&str> = line
            .tokens
            .iter()
            .map(|token| self.text.get(token.clone()).unwrap_or_default())
            .collect();
        let Some(first) = words.first() else {
            return Ok(None);
        };
        if first.starts_with('$') && !line.begins_blank {
            self.directive(&words)?;
            return Ok(None);
        }
        self.entry(line, &words).map(Some)
    }

    fn directive(&mut self, words: &[&str]) -> Result<()> {
        match words {
            [word, name] if word.eq_ignore_ascii_case("$ORIGIN") => {
                self.origin = self.name(name)?;
            }
            [word, ttl] if word.eq_ignore_ascii_case("$TTL") => {
                self.default_ttl = Some(seconds(ttl).with_context(|| format!("bad TTL `{ttl}`"))?);
            }
            [word, ..] => {
                return Err(with_hint(
                    anyhow!("`{word}` is not supported in zone files"),
                    "write the records out",
                ));
            }
            [] => {}
        }
        Ok(())
    }

    fn entry(&mut self, line: &Line, words: &[&str]) -> Result<Entry> {
        let mut index = 0;
        if !line.begins_blank {
            let owner = words.first().copied().unwrap_or_default();
            self.owner = Some(self.name(owner)?);
            index = 1;
        }
        let name = self.owner.clone().context("a record without a name")?;
        let mut ttl = None;
        let rtype = loop {
            let word = *words.get(index).context("a record without a type")?;
            index += 1;
            if let Some(value) = seconds(word) {
                ttl = Some(value);
                continue;
            }
            match word.to_ascii_uppercase().as_str() {
                "IN" => {}
                "CH" | "CS" | "HS" => bail!("class `{word}` is not supported"),
                other => break other.to_owned(),
            }
        };
        let rdata = words.get(index..).unwrap_or_default();
        ensure!(!rdata.is_empty(), "a record without data");
        let minimum = rdata.last().and_then(|word| seconds(word));
        let ttl = ttl
            .or(self.default_ttl)
            .or(self.last_ttl)
            .or_else(|| minimum.filter(|_| rtype == "SOA"))
            .context("a record without a TTL, and there is no `$TTL`")?;
        self.last_ttl = Some(ttl);
        let serial = line.tokens.get(index + 2).cloned();
        Ok(Entry {
            record: Record::new(
                name,
                &rtype,
                ttl,
                canonical(&rtype, &rdata.join(" "), &self.origin),
            ),
            lines: line.range.clone(),
            inherits_owner: line.begins_blank,
            serial: serial.filter(|_| rtype == "SOA"),
        })
    }

    fn name(&self, text: &str) -> Result<DnsName> {
        let name = if text == "@" {
            Ok(self.origin.clone())
        } else if text.ends_with('.') || self.origin.as_str().is_empty() {
            text.parse()
        } else {
            DnsName::within(text, &self.origin)
        };
        Ok(name?)
    }
}

/// BIND's TTLs: seconds, or numbers with units (`1h30m`).
fn seconds(text: &str) -> Option<u32> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let mut total = 0_u32;
    let mut number = None;
    for character in text.chars() {
        if let Some(digit) = character.to_digit(10) {
            let before: u32 = number.unwrap_or(0);
            number = Some(before.checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match character.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    total.checked_add(number.unwrap_or(0))
}

/// A line, or several that parentheses join.
struct Line {
    range: Range<usize>,
    begins_blank: bool,
    /// Words and quoted strings, with their quotes; comments and parentheses left out.
    tokens: Vec<Range<usize>>,
}

impl Line {
    fn read(text: &str, start: usize) -> Result<Self> {
        let bytes = text.as_bytes();
        let mut line = Self {
            range: start..bytes.len(),
            begins_blank: matches!(bytes.get(start), Some(b' ' | b'\t')),
            tokens: Vec::new(),
        };
        let mut depth = 0_usize;
        let mut position = start;
        while let Some(&byte) = bytes.get(position) {
            match byte {
                b'\n' if depth == 0 => {
                    line.range.end = position + 1;
                    break;
                }
                b';' => position = end_of_comment(bytes, position),
                b'(' => {
                    depth += 1;
                    position += 1;
                }
                b')' => {
                    depth = depth.checked_sub(1).context("`)` without `(`")?;
                    position += 1;
                }
                _ if byte.is_ascii_whitespace() => position += 1,
                _ => {
                    let end = end_of_token(bytes, position)?;
                    line.tokens.push(position..end);
                    position = end;
                }
            }
        }
        ensure!(depth == 0, "`(` without `)`");
        Ok(line)
    }
}

fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let length = rest.iter().position(|byte| *byte == b'\n');
    length.map_or(bytes.len(), |length| start + length)
}

/// A quoted string ends with its quote, a word before white space and special characters.
fn end_of_token(bytes: &[u8], start: usize) -> Result<usize> {
    let is_string = bytes.get(start) == Some(&b'"');
    let mut quoted = false;
    let mut position = start;
    while let Some(&byte) = bytes.get(position) {
        match byte {
            b'\\' => position += 1,
            b'\n' if quoted => break,
            b'"' if is_string && quoted => return Ok(position + 1),
            b'"' => quoted = !quoted,
            b'(' | b')' | b';' if !quoted => break,
            _ if byte.is_ascii_whitespace() && !quoted => break,
            _ => {}
        }
        position += 1;
    }
    ensure!(!quoted, "a quoted string does not end");
    Ok(position.min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    const TODAY: u32 = 20_261_123;

    const FILE: &str = r#"; managed by hand
$TTL 1h
@   IN SOA ns1 hostmaster (
        2026112201 ; serial
        1h 15m 1w
        60 )       ; negative
        NS    ns1
        NS    ns2.example.net.
ns1     300 IN A 192.0.2.1
        IN 5m AAAA 2001:db8:0::1
@       TXT   "v=spf1 -all" ; keep; this
_acme-challenge TXT "one"
                TXT "two"   ; second

$ORIGIN sub.example.com.
www     CNAME @
*       MX 10 mail
_443._tcp TXT ( "a;b"
      "c" )
alias   HTTPS 1 . alpn="h2,h3"
"#;

    fn zone() -> DnsName {
        "example.com".parse().unwrap()
    }

    fn txt(name: &str, value: &str) -> Txt {
        Txt {
            name: name.parse().unwrap(),
            value: value.to_owned(),
        }
    }

    fn edited(text: &str, batch: &TxtBatch) -> String {
        edit(text, &zone(), batch, TODAY).unwrap().unwrap()
    }

    fn problem(text: &str) -> (String, Vec<String>) {
        let explained = explain(&records(text, &zone()).unwrap_err());
        let lines = [vec![explained.what], explained.causes].concat();
        (lines.join(": "), explained.hints)
    }

    #[test]
    fn records_are_canonical() {
        let shown: Vec<String> = records(FILE, &zone())
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "SOA example.com ns1.example.com. hostmaster.example.com. 2026112201 3600 900 604800 60 ttl=3600",
                "NS example.com ns1.example.com. ttl=3600",
                "NS example.com ns2.example.net. ttl=3600",
                "A ns1.example.com 192.0.2.1 ttl=300",
                "AAAA ns1.example.com 2001:db8::1 ttl=300",
                "TXT example.com \"v=spf1 -all\" ttl=3600",
                "TXT _acme-challenge.example.com \"one\" ttl=3600",
                "TXT _acme-challenge.example.com \"two\" ttl=3600",
                "CNAME www.sub.example.com sub.example.com. ttl=3600",
                "MX *.sub.example.com 10 mail.sub.example.com. ttl=3600",
                "TXT _443._tcp.sub.example.com \"a;bc\" ttl=3600",
                "HTTPS alias.sub.example.com 1 . alpn=\"h2,h3\" ttl=3600",
            ]
        );
    }

    #[test]
    fn an_edit_touches_nothing_else() {
        let batch = TxtBatch {
            add: vec![
                txt("_acme-challenge.example.com", "three"),
                txt("_acme-challenge.www.example.com", "four"),
                txt("_acme-challenge.example.com", "two"),
            ],
            remove: vec![
                txt("_acme-challenge.example.com", "one"),
                txt("_acme-challenge.example.com", "absent"),
                txt("_443._tcp.sub.example.com", "a;bc"),
            ],
        };
        let expected = FILE
            .replace("2026112201", "2026112300")
            .replace("_acme-challenge TXT \"one\"\n", "")
            .replace(
                "                TXT \"two\"",
                "_acme-challenge.example.com.                TXT \"two\"",
            )
            .replace("_443._tcp TXT ( \"a;b\"\n      \"c\" )\n", "")
            + "_acme-challenge.example.com. 3600 IN TXT \"three\"\n\
               _acme-challenge.www.example.com. 60 IN TXT \"four\"\n";
        assert_eq!(edited(FILE, &batch), expected);
    }

    #[test]
    fn adding_and_removing_leave_the_text_but_for_the_serial() {
        let values = vec![txt("a.example.com", "x"), txt("a.example.com", "y")];
        let with = edited(FILE, &TxtBatch::adding(values.clone()));
        let without = edited(&with, &TxtBatch::removing(values));
        assert_eq!(without, FILE.replace("2026112201", "2026112301"));
    }

    #[test]
    fn what_is_so_already_stays() {
        let batch = TxtBatch {
            add: vec![
                txt("_acme-challenge.example.com", "one"),
                txt("b.example.com", "x"),
            ],
            remove: vec![txt("b.example.com", "x")],
        };
        assert_eq!(edit(FILE, &zone(), &batch, TODAY).unwrap(), None);
    }

    #[test]
    fn line_ends_are_the_files_own() {
        let file = "@ 60 SOA a b 7 1 1 1 1\r\n@ NS a";
        assert_eq!(
            edited(file, &TxtBatch::adding(vec![txt("a.example.com", "x")])),
            "@ 60 SOA a b 8 1 1 1 1\r\n@ NS a\r\na.example.com. 60 IN TXT \"x\"\r\n"
        );
    }

    #[test]
    fn an_addition_at_a_cname_is_refused() {
        let batch = TxtBatch::adding(vec![txt("www.sub.example.com", "x")]);
        let explained = explain(&edit(FILE, &zone(), &batch, TODAY).unwrap_err());
        assert_eq!(
            explained.what,
            "`www.sub.example.com` is a CNAME, so it cannot have a TXT record"
        );
        assert_eq!(
            explained.hints,
            ["remove the CNAME, or point it to a zone that `dnsconfig.js` has"]
        );
    }

    #[test]
    fn serials_go_up() {
        for (old, new) in [
            (1, 2),
            (2_026_112_207, 2_026_112_300),
            (2_026_112_300, 2_026_112_301),
            (2_026_112_399, 2_026_112_400),
            (2_099_010_100, 2_099_010_101),
            (1_763_900_000, 1_763_900_001),
            (u32::MAX, 1),
        ] {
            assert_eq!(next_serial(old, TODAY), new, "{old}");
        }
    }

    #[test]
    fn what_is_no_zone_file() {
        for (text, what, hints) in [
            (
                "@ 60 A 192.0.2.1\n$INCLUDE other.zone\n",
                "line 2: `$INCLUDE` is not supported in zone files",
                &["write the records out"][..],
            ),
            (
                "\n\n 60 A 192.0.2.1\n",
                "line 3: a record without a name",
                &[],
            ),
            (
                "@ A 192.0.2.1\n",
                "line 1: a record without a TTL, and there is no `$TTL`",
                &[],
            ),
            ("@ 60 IN\n", "line 1: a record without a type", &[]),
            ("@ 60 TXT\n", "line 1: a record without data", &[]),
            (
                "@ 60 CH TXT x\n",
                "line 1: class `CH` is not supported",
                &[],
            ),
            (
                "@ 60 TXT \"x\n",
                "line 1: a quoted string does not end",
                &[],
            ),
            ("@ 60 TXT ( x\n", "line 1: `(` without `)`", &[]),
            ("@ 60 TXT x )\n", "line 1: `)` without `(`", &[]),
            ("$TTL soon\n", "line 1: bad TTL `soon`", &[]),
            (
                "a..b 60 TXT x\n",
                "line 1: `a..b.example.com` has a label that is empty or longer than 63 characters",
                &[],
            ),
        ] {
            let hints: Vec<String> = hints.iter().map(|hint| (*hint).to_owned()).collect();
            assert_eq!(problem(text), (what.to_owned(), hints));
        }
    }

    #[test]
    fn a_file_without_soa_is_not_changed() {
        let batch = TxtBatch::adding(vec![txt("a.example.com", "x")]);
        assert_eq!(
            edit("@ 60 NS a\n", &zone(), &batch, TODAY)
                .unwrap_err()
                .to_string(),
            "the zone file has no SOA record"
        );
    }
}
