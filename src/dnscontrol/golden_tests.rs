//! Whole configurations and what `print-ir` prints for them: `golden/NAME.js` and `NAME.json`.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "fixtures of the source tree")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::dnscontrol::{DnsConfig, Source, TxtLookup, print_ir};
use crate::model::hint::explain;

/// Every name that DNSControl v4 has at the top level, and the functions that it adds to them.
const WORDS: &str = "
    A AAAA ADGUARDHOME_AAAA_PASSTHROUGH ADGUARDHOME_A_PASSTHROUGH AKAMAICDN AKAMAITLC ALIAS AUTODNSSEC
    AUTODNSSEC_OFF AUTODNSSEC_ON AUTOSPLIT AZURE_ALIAS BUNNY_DNS_PZ BUNNY_DNS_RDR CAA CAA_BUILDER
    CAA_CRITICAL CF_CNAME_FLATTEN_OFF CF_CNAME_FLATTEN_ON CF_COMMENT CF_MANAGE_COMMENTS CF_MANAGE_TAGS
    CF_PROXY_DEFAULT_OFF CF_PROXY_DEFAULT_ON CF_PROXY_FULL CF_PROXY_OFF CF_PROXY_ON CF_REDIRECT
    CF_SINGLE_REDIRECT CF_TAGS CF_TEMP_REDIRECT CF_UNIVERSALSSL_OFF CF_UNIVERSALSSL_ON CF_WORKER_ROUTE
    CLI_DEFAULTS CLOUDNS_WR CNAME ConvertDDToDMS D DEFAULTS DHCID DISABLE_IGNORE_SAFETY_CHECK
    DISABLE_REPEATED_DOMAIN_CHECK DKIM DKIM_BUILDER DMARC_BUILDER DNAME DNSKEY DOMAIN_ELSEWHERE
    DOMAIN_ELSEWHERE_AUTO DS D_EXTEND DefaultTTL DnsProvider END ENSURE_ABSENT_REC FETCH FRAME
    GIDINET_PREMIUM_NS HEDNS_DDNS_KEY HEDNS_DYNAMIC_OFF HEDNS_DYNAMIC_ON HTTPS IGNORE IGNORE_EXTERNAL_DNS
    IGNORE_NAME IGNORE_TARGET IMPORT_TRANSFORM IMPORT_TRANSFORM_STRIP INCLUDE IP LOC LOC_BUILDER_DD
    LOC_BUILDER_DMM_STR LOC_BUILDER_DMS_STR LOC_BUILDER_STR LOC_builder_push LUA M365_BUILDER
    MIKROTIK_FORWARDER MIKROTIK_FWD MIKROTIK_NXDOMAIN MX NAMESERVER NAMESERVER_TTL NAPTR NO_PURGE NS
    NewDnsProvider NewRegistrar OPENPGPKEY PORKBUN_URLFWD PTR PURGE R53_ALIAS R53_EVALUATE_TARGET_HEALTH
    R53_HEALTH_CHECK_ID R53_WEIGHT R53_ZONE RP SMIMEA SOA SPF_BUILDER SRV SSHFP SVCB TLSA TTL TXT URL
    URL301 _encodeDKIMQuotedPrintable _getDomainObject _isDomain _removeEmptyTag
    _validateCloudflareRedirect addRecord conf defaultArgs format_tt getConfiguredDomains getENotationInt
    getModifiers initialize isStringOrArray locDMSBuilder locStringBuilder makeCAAFlag newDomain num2dot
    oldNewDnsProvider oldNewRegistrar parseDMMCoordinatesString parseDMSCoordinatesString processDargs
    rawrecordBuilder recordBuilder require_glob stringToDuration validateAzureAliasType validateIntegers
    validateR53AliasType
    require glob REV REVCOMPAT PANIC HASH console setTimeout setInterval setImmediate clearTimeout
    clearInterval clearImmediate Promise _";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dnscontrol/golden")
}

fn configurations() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".js").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn source(name: &str) -> Source {
    Source {
        root: folder(),
        config: format!("{name}.js").into(),
        variables: vec![("given".to_owned(), "variable".to_owned())],
        txt: TxtLookup::from_fn(|name| match name {
            "one.example" => Ok(vec![
                "v=spf1 ip4:192.0.2.7 include:two.example -all".to_owned(),
            ]),
            "two.example" => Ok(vec!["text".to_owned(), "v=spf1 a -all".to_owned()]),
            _ => bail!("no such name"),
        }),
        ..Source::default()
    }
}

fn printed(source: &Source) -> String {
    print_ir(source).unwrap_or_else(|error| panic!("{}: {error:#}", source.config.display()))
}

#[test]
fn configurations_print_what_they_should() {
    let names = configurations();
    assert!(names.len() > 10);
    for name in names {
        let expected = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let printed: Value = serde_json::from_str(&printed(&source(&name))).unwrap();
        assert_eq!(printed, expected, "{name}");
    }
}

#[test]
fn what_is_printed_means_the_same_when_it_is_read() {
    for name in configurations() {
        let folder = tempfile::tempdir().unwrap();
        let from_script = source(&name);
        let from_ir = Source {
            root: folder.path().to_owned(),
            ir: Some("ir.json".into()),
            ..Source::default()
        };
        fs::write(folder.path().join("ir.json"), printed(&from_script)).unwrap();
        let zones = |source: &Source| {
            let mut zones = DnsConfig::load(source).unwrap().zones;
            for zone in &mut zones {
                // Printed in the order of their names.
                zone.providers
                    .sort_by(|one, other| one.entry.cmp(&other.entry));
            }
            format!("{zones:#?}")
        };
        assert_eq!(zones(&from_ir), zones(&from_script), "{name}");
        assert_eq!(printed(&from_ir), printed(&from_script), "{name}");
    }
}

#[test]
fn every_word_is_in_a_configuration() {
    let scripts: String = configurations()
        .iter()
        .map(|name| fs::read_to_string(folder().join(format!("{name}.js"))).unwrap())
        .collect();
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let used: std::collections::HashSet<&str> =
        scripts.split(|character| !is_part(character)).collect();
    let missing: Vec<&str> = WORDS
        .split_whitespace()
        .filter(|word| !used.contains(word))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_word_is_there() {
    let list: Vec<&str> = WORDS.split_whitespace().collect();
    assert_eq!(list.len(), 142 + 15);
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "var missing = {}.filter(function (word) {{ return typeof this[word] === 'undefined'; }}, this);\n\
         if (missing.length) throw new Error(missing.join());",
        serde_json::to_string(&list).unwrap()
    );
    fs::write(folder.path().join("dnsconfig.js"), script).unwrap();
    let source = Source {
        root: folder.path().to_owned(),
        ..Source::default()
    };
    assert_eq!(
        print_ir(&source).unwrap(),
        r#"{"registrars":[],"dns_providers":[],"domains":[]}"#
    );
}

/// `golden/mistakes.txt`: arguments of `D('a.test', 'none', ...)`, and below them, indented, the
/// error as the user reads it.
#[test]
fn mistakes_are_explained() {
    let list = fs::read_to_string(folder().join("mistakes.txt")).unwrap();
    let mut cases: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in list.lines() {
        match line.strip_prefix('\t') {
            Some(expected) => cases.last_mut().unwrap().1.push(expected),
            None => cases.push((line, Vec::new())),
        }
    }
    assert!(cases.len() > 150);
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in cases {
        let script = format!(
            "NewRegistrar('none'); NewDnsProvider('x');\nD('a.test', 'none', {arguments});"
        );
        fs::write(folder.path().join("dnsconfig.js"), script).unwrap();
        let source = Source {
            root: folder.path().to_owned(),
            txt: TxtLookup::from_fn(|_| bail!("no network")),
            ..Source::default()
        };
        let explained = explain(&print_ir(&source).unwrap_err());
        let mut lines = vec![explained.what];
        lines.extend(explained.causes);
        lines.extend(explained.hints.iter().map(|hint| format!("hint: {hint}")));
        assert_eq!(lines, expected, "{arguments}");
    }
}
