//! Records whose arguments DNSControl keeps in a list become records with named fields: DS, RP and
//! Cloudflare's redirects.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value, json};

use crate::dnscontrol::ir::{RawRecord, Record};
use crate::dnscontrol::normalize::ZoneName;
use crate::dnscontrol::redirect;
use crate::model::hint::Hint;

/// TTL of Cloudflare's redirects: they have none, and 1 is its word for that.
const REDIRECT_TTL: u32 = 1;

/// Status codes of a redirect.
const REDIRECT_CODES: [u16; 5] = [301, 302, 303, 307, 308];

/// The record that `raw` declares in `zone`.
pub(super) fn record(raw: &RawRecord, zone: &ZoneName) -> Result<Record> {
    let mut record = Record {
        rtype: raw.rtype.clone(),
        ttl: raw.ttl,
        meta: meta(&raw.metas)?,
        filepos: raw.filepos.clone(),
        ..Record::default()
    };
    let args = &raw.args;
    match raw.rtype.as_str() {
        "DS" => {
            set_name(&mut record, text_at(args, 0)?, zone)?;
            ds(&mut record, args, zone)?;
        }
        "RP" => {
            set_name(&mut record, text_at(args, 0)?, zone)?;
            rp(&mut record, args, zone)?;
        }
        "CF_REDIRECT" => page_rule(&mut record, args, 301)?,
        "CF_TEMP_REDIRECT" => page_rule(&mut record, args, 302)?,
        "CLOUDFLAREAPI_SINGLE_REDIRECT" => {
            count(args, &["name", "code", "when", "then"])?;
            let code = number_at(args, 1, "code", u64::from(u16::MAX))?;
            single_redirect(
                &mut record,
                &text_at(args, 0)?,
                u16::try_from(code)?,
                &text_at(args, 2)?,
                &text_at(args, 3)?,
            )?;
        }
        other => bail!("`{other}` is no record type"),
    }
    Ok(record)
}

/// All meta objects in one; what is no text becomes one.
fn meta(metas: &[Map<String, Value>]) -> Result<Map<String, Value>> {
    let mut all = Map::new();
    for (key, value) in metas.iter().flatten() {
        let text = Value::String(shown(value));
        ensure!(
            all.get(key) != Some(&text),
            "the meta `{key}` is given twice, as {text}"
        );
        all.insert(key.clone(), text);
    }
    Ok(all)
}

fn set_name(record: &mut Record, declared: String, zone: &ZoneName) -> Result<()> {
    let ascii = to_ascii(&declared);
    let name = zone
        .label_of(&ascii)
        .with_context(|| format!("the name ends with a dot and is not in `{}`", zone.name))?;
    let repeats = name != "@" && (name == zone.name || name.ends_with(&zone.below));
    if repeats && record.meta("skip_fqdn_check") != Some("true") {
        return Err(anyhow!("the name repeats the domain")).hint(
            || "write only what comes before the domain, or add `DISABLE_REPEATED_DOMAIN_CHECK`",
        );
    }
    let written = if declared.ends_with('.') {
        name.clone()
    } else {
        declared
    };
    set_names(record, name, written);
    Ok(())
}

fn set_names(record: &mut Record, name: String, written: String) {
    let unicode = idna::domain_to_unicode(&name).0;
    record.fields.insert("name_raw".to_owned(), written.into());
    record
        .fields
        .insert("name_unicode".to_owned(), unicode.into());
    record.name = name;
}

fn to_ascii(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_lowercase())
}

fn ds(record: &mut Record, args: &[Value], zone: &ZoneName) -> Result<()> {
    count(
        args,
        &["name", "keytag", "algorithm", "digesttype", "digest"],
    )?;
    let keytag = number_at(args, 1, "keytag", u64::from(u16::MAX))?;
    let algorithm = number_at(args, 2, "algorithm", u64::from(u8::MAX))?;
    let digest_type = number_at(args, 3, "digesttype", u64::from(u8::MAX))?;
    let digest = text_at(args, 4)?;
    let fields = json!({
        "Hdr": header(record, zone, 43),
        "KeyTag": keytag,
        "Algorithm": algorithm,
        "DigestType": digest_type,
        "Digest": digest,
    });
    let text = format!(
        "{keytag} {algorithm} {digest_type} {}",
        digest.to_uppercase()
    );
    for (key, value) in [
        ("dskeytag", json!(keytag)),
        ("dsalgorithm", json!(algorithm)),
        ("dsdigesttype", json!(digest_type)),
        ("dsdigest", json!(digest)),
    ] {
        record.fields.insert(key.to_owned(), value);
    }
    set_rdata(record, fields, text);
    Ok(())
}

fn rp(record: &mut Record, args: &[Value], zone: &ZoneName) -> Result<()> {
    count(args, &["name", "mbox", "txt"])?;
    let mailbox = zone.qualified(&text_at(args, 1)?);
    let text = zone.qualified(&text_at(args, 2)?);
    let rdata = format!("{mailbox} {text}");
    let fields = json!({"Hdr": header(record, zone, 17), "Mbox": mailbox, "Txt": text});
    set_rdata(record, fields, rdata);
    Ok(())
}

/// The header that DNSControl's DNS library prints with the RDATA.
fn header(record: &Record, zone: &ZoneName, number: u16) -> Value {
    let owner = if record.name == "@" {
        zone.fqdn.clone()
    } else {
        format!("{}.{}", record.name, zone.fqdn)
    };
    let ttl = if record.ttl == 0 {
        crate::dnscontrol::normalize::DEFAULT_TTL
    } else {
        record.ttl
    };
    json!({"Name": owner, "Rrtype": number, "Class": 1, "Ttl": ttl, "Rdlength": 0})
}

/// A redirect in the words of Cloudflare's page rules, which are gone: it becomes a single redirect.
fn page_rule(record: &mut Record, args: &[Value], code: u16) -> Result<()> {
    count(args, &["source", "destination"])?;
    let (source, destination) = (text_at(args, 0)?, text_at(args, 1)?);
    let rule = redirect::rule(&source, &destination)?;
    let name = format!("{code:03},{source},{destination}");
    single_redirect(record, &name, code, &rule.when, &rule.then)
}

fn single_redirect(
    record: &mut Record,
    name: &str,
    code: u16,
    when: &str,
    then: &str,
) -> Result<()> {
    ensure!(
        REDIRECT_CODES.contains(&code),
        "the code {code} is none of 301, 302, 303, 307 and 308"
    );
    let shown = format!("name=({name}) code=({code:03}) when=({when}) then=({then})");
    let fields = json!({
        "code": code,
        "sr_name": name,
        "sr_when": when,
        "sr_then": then,
        "sr_display": shown,
    });
    "CLOUDFLAREAPI_SINGLE_REDIRECT".clone_into(&mut record.rtype);
    record.ttl = REDIRECT_TTL;
    record.target.clone_from(&shown);
    // Redirects belong to the zone, not to a name.
    set_names(record, "@".to_owned(), "@".to_owned());
    set_rdata(record, fields, shown);
    Ok(())
}

fn set_rdata(record: &mut Record, fields: Value, text: String) {
    let text = Value::String(text);
    record.fields.insert("fields".to_owned(), fields);
    record.fields.insert("comparable".to_owned(), text.clone());
    record.fields.insert("zonfefilepartial".to_owned(), text);
}

fn count(args: &[Value], names: &[&str]) -> Result<()> {
    ensure!(
        args.len() == names.len(),
        "requires {} arguments ({}), not {}",
        names.len(),
        names.join(", "),
        args.len()
    );
    Ok(())
}

fn text_at(args: &[Value], index: usize) -> Result<String> {
    Ok(shown(args.get(index).context("has no arguments")?))
}

/// A number, or a text of digits.
fn number_at(args: &[Value], index: usize, name: &str, largest: u64) -> Result<u64> {
    let value = args.get(index).context("has no arguments")?;
    let number = match value {
        Value::String(text) => text.parse().ok(),
        // Fractions are cut off.
        other => other
            .as_f64()
            .filter(|number| *number >= 0.0)
            .map(|number| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "not negative; too large saturates, and is refused below"
                )]
                let whole = number as u64;
                whole
            }),
    };
    number
        .filter(|number| *number <= largest)
        .with_context(|| format!("`{name}` is {value}, not a whole number from 0 to {largest}"))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
