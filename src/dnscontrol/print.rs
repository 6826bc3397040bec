//! The IR as `dnscontrol print-ir` prints it (v4): the same fields, left out when the same are.

use serde_json::{Map, Value, json};

use crate::dnscontrol::ir::{Declaration, Domain, Ir, Record, Unmanaged};

/// Fields that only some types have, in DNSControl's order.
const FIELDS: [&str; 46] = [
    "fields",
    "comparable",
    "zonfefilepartial",
    "mxpreference",
    "srvpriority",
    "srvweight",
    "srvport",
    "caatag",
    "caaflag",
    "dskeytag",
    "dsalgorithm",
    "dsdigesttype",
    "dsdigest",
    "dnskeyflags",
    "dnskeyprotocol",
    "dnskeyalgorithm",
    "dnskeypublickey",
    "locversion",
    "locsize",
    "lochorizpre",
    "locvertpre",
    "loclatitude",
    "loclongitude",
    "localtitude",
    "luartype",
    "naptrorder",
    "naptrpreference",
    "naptrflags",
    "naptrservice",
    "naptrregexp",
    "smimeausage",
    "smimeaselector",
    "smimeamatchingtype",
    "sshfpalgorithm",
    "sshfpfingerprint",
    "soambox",
    "soaserial",
    "soarefresh",
    "soaretry",
    "soaexpire",
    "soaminttl",
    "svcpriority",
    "svcparams",
    "tlsausage",
    "tlsaselector",
    "tlsamatchingtype",
];

/// Fields that are objects of strings, and the rest.
const LAST_FIELDS: [&str; 5] = [
    "r53_alias",
    "azure_alias",
    "answer_type",
    "unknown_type_name",
    // Of v5, which prints nothing else.
    "rdata",
];

/// JSON on one line.
pub(super) fn print(ir: &Ir) -> String {
    let list = |items: &[Declaration]| items.iter().map(declaration).collect::<Vec<_>>();
    json!({
        "registrars": list(&ir.registrars),
        "dns_providers": list(&ir.dns_providers),
        "domains": ir.domains.iter().map(domain).collect::<Vec<_>>(),
    })
    .to_string()
}

/// An object whose empty values are left out.
struct Sparse(Map<String, Value>);

impl Sparse {
    fn always(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn unless_empty(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::Bool(yes) => !yes,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
        };
        if !empty {
            self.0.insert(key.to_owned(), value);
        }
    }
}

fn declaration(item: &Declaration) -> Value {
    let mut object = Sparse(Map::new());
    object.always("name", item.name.as_str());
    object.always("type", item.kind.as_str());
    // Printed as it was written, even when empty.
    if let Some(meta) = &item.meta {
        object.always("meta", meta.clone());
    }
    Value::Object(object.0)
}

fn domain(domain: &Domain) -> Value {
    let records = |items: &[Record]| items.iter().map(record).collect::<Vec<_>>();
    let servers = domain
        .nameservers
        .iter()
        .map(|server| json!({"name": server.name}));
    let mut object = Sparse(Map::new());
    object.always("name", domain.name.as_str());
    object.unless_empty("tag", domain.tag.as_str());
    object.always("uniquename", domain.uniquename.as_str());
    object.always("registrar", domain.registrar.as_str());
    object.always("dnsProviders", sorted(&domain.providers));
    object.unless_empty("meta", sorted(&domain.meta));
    object.always("records", records(&domain.records));
    object.unless_empty("nameservers", servers.collect::<Vec<_>>());
    object.unless_empty("recordsabsent", records(&domain.recordsabsent));
    object.unless_empty("keepunknown", domain.no_purge);
    let unmanaged = domain.unmanaged.iter().map(unmanaged);
    object.unless_empty("unmanaged", unmanaged.collect::<Vec<_>>());
    object.unless_empty("unmanaged_disable_safety_check", domain.unmanaged_unsafe);
    object.unless_empty("ignore_external_dns", domain.ignore_external_dns);
    object.unless_empty("external_dns_prefix", domain.external_dns_prefix.as_str());
    object.unless_empty("auto_dnssec", domain.auto_dnssec.as_str());
    Value::Object(object.0)
}

fn unmanaged(item: &Unmanaged) -> Value {
    let mut object = Sparse(Map::new());
    object.unless_empty("label_pattern", item.label.as_str());
    object.unless_empty("rType_pattern", item.types.as_str());
    object.unless_empty("target_pattern", item.target.as_str());
    Value::Object(object.0)
}

fn record(item: &Record) -> Value {
    let mut object = Sparse(Map::new());
    let field = |object: &mut Sparse, key: &str| {
        if let Some(value) = item.fields.get(key) {
            object.unless_empty(key, value.clone());
        }
    };
    object.always("type", item.rtype.as_str());
    object.unless_empty("ttl", item.ttl);
    field(&mut object, "name_raw");
    object.always("name", item.name.as_str());
    field(&mut object, "name_unicode");
    object.unless_empty("meta", sorted(&item.meta));
    object.always("filepos", position(&item.filepos));
    object.unless_empty("subdomain", item.subdomain.as_str());
    for key in FIELDS.iter().chain(&LAST_FIELDS) {
        field(&mut object, key);
    }
    object.always("target", item.target.as_str());
    Value::Object(object.0)
}

/// DNSControl knows the outermost place only, and not its file.
fn position(filepos: &str) -> String {
    let Some(outermost) = filepos.lines().last() else {
        return String::new();
    };
    // What DNSControl printed stays.
    if outermost.starts_with('[') {
        return outermost.to_owned();
    }
    let mut parts = outermost.rsplitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(column), Some(line), Some(_)) => format!("[line:{line}:{column}]"),
        _ => outermost.to_owned(),
    }
}

/// Maps are printed in the order of their keys.
fn sorted(map: &Map<String, Value>) -> Map<String, Value> {
    let mut sorted = map.clone();
    sorted.sort_keys();
    sorted
}
