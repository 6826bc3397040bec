//! RDATA of a record of the IR, whose fields have names there.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::dnscontrol::ir::Record;
use crate::model::location;
use crate::model::name::DnsName;
use crate::model::rdata::{canonical, quote, quote_txt};

/// Where a part of the RDATA comes from.
#[derive(Clone, Copy)]
enum Part {
    /// A field with a whole number, and the largest that it can be. 0 where it is absent.
    Number(&'static str, u32),
    /// A field with a word.
    Word(&'static str),
    /// A field with a character-string.
    Quoted(&'static str),
    Target,
    QuotedTarget,
}

const BYTE: u32 = 0xff;
const SHORT: u32 = 0xffff;
const LONG: u32 = u32::MAX;

/// Parts in the order of the RDATA; none for types whose target is all.
fn parts(rtype: &str) -> Option<&'static [Part]> {
    use Part::{Number, Quoted, QuotedTarget, Target, Word};
    Some(match rtype {
        "MX" => &[Number("mxpreference", SHORT), Target],
        "SRV" => &[
            Number("srvpriority", SHORT),
            Number("srvweight", SHORT),
            Number("srvport", SHORT),
            Target,
        ],
        "CAA" => &[Number("caaflag", BYTE), Word("caatag"), QuotedTarget],
        "TLSA" => &[
            Number("tlsausage", BYTE),
            Number("tlsaselector", BYTE),
            Number("tlsamatchingtype", BYTE),
            Target,
        ],
        "SMIMEA" => &[
            Number("smimeausage", BYTE),
            Number("smimeaselector", BYTE),
            Number("smimeamatchingtype", BYTE),
            Target,
        ],
        "SSHFP" => &[
            Number("sshfpalgorithm", BYTE),
            Number("sshfpfingerprint", BYTE),
            Target,
        ],
        "DS" => &[
            Number("dskeytag", SHORT),
            Number("dsalgorithm", BYTE),
            Number("dsdigesttype", BYTE),
            Word("dsdigest"),
        ],
        "NAPTR" => &[
            Number("naptrorder", SHORT),
            Number("naptrpreference", SHORT),
            Quoted("naptrflags"),
            Quoted("naptrservice"),
            Quoted("naptrregexp"),
            Target,
        ],
        "SOA" => &[
            Target,
            Word("soambox"),
            Number("soaserial", LONG),
            Number("soarefresh", LONG),
            Number("soaretry", LONG),
            Number("soaexpire", LONG),
            Number("soaminttl", LONG),
        ],
        "DNSKEY" => &[
            Number("dnskeyflags", SHORT),
            Number("dnskeyprotocol", BYTE),
            Number("dnskeyalgorithm", BYTE),
            Word("dnskeypublickey"),
        ],
        "HTTPS" | "SVCB" => &[Number("svcpriority", SHORT), Target, Word("svcparams")],
        "AKAMAITLC" => &[Word("answer_type"), Target],
        _ => return None,
    })
}

/// Canonical RDATA of `record`; `origin` completes host names.
pub(super) fn data(record: &Record, origin: &DnsName) -> Result<String> {
    let rtype = record.rtype.as_str();
    if let (Some(whole), true) = (record.whole(), record.target.is_empty()) {
        return Ok(canonical(rtype, whole, origin));
    }
    match rtype {
        // Addresses have been read, and are in their canonical form.
        "A" | "AAAA" | "TXT" | "CLOUDFLAREAPI_SINGLE_REDIRECT" => Ok(record.target.clone()),
        "LOC" => loc(record),
        "LUA" => Ok(format!(
            "{} {}",
            word(record, "luartype"),
            quote_txt(&record.target)
        )),
        "R53_ALIAS" => Ok(r53_alias(record, origin)),
        "AZURE_ALIAS" => Ok(format!(
            "{} {}",
            alias_field(record, "azure_alias", "type"),
            record.target
        )),
        _ => {
            let text = match parts(rtype) {
                Some(parts) => joined(record, parts)?,
                None => record.target.clone(),
            };
            Ok(canonical(rtype, &text, origin))
        }
    }
}

fn joined(record: &Record, parts: &[Part]) -> Result<String> {
    let texts = parts
        .iter()
        .map(|part| match *part {
            Part::Number(key, largest) => number(record, key, largest).map(|n| n.to_string()),
            Part::Word(key) => Ok(word(record, key)),
            Part::Quoted(key) => Ok(quote(&word(record, key))),
            Part::Target => Ok(record.target.clone()),
            Part::QuotedTarget => Ok(quote(&record.target)),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(texts.join(" "))
}

fn loc(record: &Record) -> Result<String> {
    let field = |key| number(record, key, LONG);
    Ok(location::from_wire(&location::Wire {
        size: field("locsize")?,
        horizontal: field("lochorizpre")?,
        vertical: field("locvertpre")?,
        latitude: field("loclatitude")?,
        longitude: field("loclongitude")?,
        altitude: field("localtitude")?,
    }))
}

fn number(record: &Record, key: &str, largest: u32) -> Result<u32> {
    let Some(value) = record.fields.get(key) else {
        return Ok(0);
    };
    let number = value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .with_context(|| format!("`{key}` is {value}, not a whole number from 0"))?;
    ensure!(
        number <= largest,
        "`{key}` is {number}, more than {largest}"
    );
    Ok(number)
}

fn word(record: &Record, key: &str) -> String {
    match record.fields.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn r53_alias(record: &Record, origin: &DnsName) -> String {
    let field = |name| alias_field(record, "r53_alias", name);
    let target = canonical("CNAME", &record.target, origin);
    let zone_id = match field("zone_id") {
        "" => String::new(),
        id => format!(" zone_id={id}"),
    };
    let evaluate = field("evaluate_target_health") == "true";
    format!(
        "{} {target}{zone_id} evaluate_target_health={evaluate}",
        field("type")
    )
}

fn alias_field<'a>(record: &'a Record, key: &str, name: &str) -> &'a str {
    let alias = record.fields.get(key).and_then(|alias| alias.get(name));
    alias.and_then(Value::as_str).unwrap_or_default()
}
