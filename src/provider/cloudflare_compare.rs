//! What DNSControl compares of Cloudflare's records besides their data: proxy, flattening, comments, tags.

use crate::model::zone::{Record, Zone};
use crate::provider::cloudflare::MINIMUM_TTL;
use crate::provider::port::COMPARED;

/// What DNSControl makes of a record before it compares.
pub(super) fn prepare(zone: &Zone, mut record: Record) -> Record {
    if record.rtype == "ALIAS" {
        "CNAME".clone_into(&mut record.rtype);
    }
    record.ttl = match record.ttl {
        0 | 1 => 1,
        ttl => ttl.max(MINIMUM_TTL),
    };
    let meta = |key: &str| record.meta.get(key).map(|value| value.to_lowercase());
    let mut compared = Vec::new();
    if ["A", "AAAA", "CNAME"].contains(&record.rtype.as_str()) {
        let default = zone.meta.get("cloudflare_proxy_default");
        let proxy = meta("cloudflare_proxy").or_else(|| default.map(|value| value.to_lowercase()));
        let is_proxied = proxy.is_some_and(|value| value != "off");
        compared.push(format!("proxy={is_proxied}"));
        if is_proxied {
            record.ttl = 1;
        }
    }
    if record.rtype == "CNAME" {
        let flatten = meta("cloudflare_cname_flatten").is_some_and(|value| value == "on");
        compared.push(format!("flatten={flatten}"));
    }
    for (key, managed) in [
        ("comment", "cloudflare_manage_comments"),
        ("tags", "cloudflare_manage_tags"),
    ] {
        if zone.meta.get(managed).is_some_and(|value| value == "true") {
            let value = record.meta.get(&format!("cloudflare_{key}"));
            compared.push(format!("{key}={}", value.map_or("", String::as_str)));
        }
    }
    if !compared.is_empty() {
        let compared = compared.join(",");
        record.meta.insert(COMPARED.to_owned(), compared);
    }
    record
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::zone::Meta;
    use crate::provider::servers;

    fn zone(meta: &[(&str, &str)]) -> Zone {
        Zone {
            meta: texts(meta),
            ..servers::zone("example.test")
        }
    }

    fn texts(meta: &[(&str, &str)]) -> Meta {
        let owned = meta
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()));
        owned.collect()
    }

    /// Type, TTL and what is compared besides.
    fn prepared(zone: &Zone, rtype: &str, ttl: u32, meta: &[(&str, &str)]) -> String {
        let name = "a.example.test".parse().unwrap();
        let mut record = Record::new(name, rtype, ttl, "x".to_owned());
        record.meta = texts(meta);
        let Record {
            rtype, ttl, meta, ..
        } = prepare(zone, record);
        let compared = meta.get(COMPARED).map_or("-", String::as_str);
        format!("{rtype} {ttl} {compared}")
    }

    #[test]
    fn proxy_and_ttl_are_compared_as_dnscontrol_does() {
        let plain = zone(&[]);
        let on = [("cloudflare_proxy", "ON")];
        assert_eq!(prepared(&plain, "A", 300, &[]), "A 300 proxy=false");
        assert_eq!(prepared(&plain, "A", 0, &[]), "A 1 proxy=false");
        assert_eq!(prepared(&plain, "AAAA", 5, &[]), "AAAA 60 proxy=false");
        assert_eq!(prepared(&plain, "A", 300, &on), "A 1 proxy=true");
        assert_eq!(
            prepared(&plain, "ALIAS", 300, &[]),
            "CNAME 300 proxy=false,flatten=false"
        );
        assert_eq!(
            prepared(&plain, "CNAME", 300, &[("cloudflare_cname_flatten", "on")]),
            "CNAME 300 proxy=false,flatten=true"
        );
        assert_eq!(
            prepared(&plain, "TXT", 300, &[("cloudflare_comment", "x")]),
            "TXT 300 -"
        );
        let proxied = zone(&[("cloudflare_proxy_default", "on")]);
        assert_eq!(prepared(&proxied, "A", 300, &[]), "A 1 proxy=true");
        assert_eq!(
            prepared(&proxied, "A", 300, &[("cloudflare_proxy", "off")]),
            "A 300 proxy=false"
        );
        assert_eq!(prepared(&proxied, "MX", 300, &[]), "MX 300 -");
        let managed = zone(&[
            ("cloudflare_manage_comments", "true"),
            ("cloudflare_manage_tags", "true"),
        ]);
        assert_eq!(
            prepared(&managed, "TXT", 300, &[("cloudflare_comment", "x")]),
            "TXT 300 comment=x,tags="
        );
    }
}
