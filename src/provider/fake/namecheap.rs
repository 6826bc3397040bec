//! Namecheap, as <https://www.namecheap.com/support/api/methods/domains-dns/> describes it, and the
//! vendor's own client, <https://github.com/namecheap/go-namecheap-sdk>.
//!
//! The limit of 150 records in a domain is left out: the suite writes more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use pretty_assertions::assert_eq;

use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::explain;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::provider::conformance::{Subject, conforms_to_all, provider};
use crate::provider::fake::{Fake, Reply, Request, Store, Vendor};
use crate::provider::servers::entry;

const USER: &str = "namecheap-user";
const KEY: &str = "namecheap-key-for-tests";

/// Types of records: `RecordType` of `setHosts`.
const TYPES: [&str; 12] = [
    "A", "AAAA", "ALIAS", "CAA", "CNAME", "MX", "MXE", "NS", "TXT", "URL", "URL301", "FRAME",
];

/// Mail settings: `EmailType` of `setHosts`, and `NONE`, which the vendor's client has as well.
const EMAIL_TYPES: [&str; 6] = ["NONE", "MXE", "MX", "FWD", "OX", "GMAIL"];

/// A record: name, type, address, preference, TTL.
type Host = [String; 5];

#[derive(Clone, Debug, Default, PartialEq)]
struct Domain {
    email_type: String,
    hosts: Vec<Host>,
    /// Attributes that `setHosts` has no parameter for, by the index of the host.
    odd: BTreeMap<usize, &'static str>,
}

/// By SLD and TLD.
#[derive(Default)]
struct Account {
    domains: BTreeMap<(String, String), Domain>,
    /// A type that a write loses.
    loses: &'static str,
}

fn host(name: &str, rtype: &str, address: &str, ttl: u32) -> Host {
    [name, rtype, address, "10", &ttl.to_string()].map(str::to_owned)
}

/// What the other fakes have, without the types that `getHosts` does not list: SRV, the apex NS.
fn account() -> Arc<Mutex<Account>> {
    let mut account = Account::default();
    for (zone, rows) in Store::seeded(0).zones {
        let origin: DnsName = zone.parse().unwrap();
        let others = rows.iter().map(|row| &row.record).filter(|record| {
            record.rtype != "SRV" && (record.rtype != "NS" || record.name != origin)
        });
        let hosts = others.map(|record| {
            let (preference, address) = match record.rtype.as_str() {
                "MX" => record.data.split_once(' ').unwrap(),
                _ => ("10", record.data.as_str()),
            };
            let name = record.name.label_in(&origin).unwrap();
            let ttl = record.ttl.to_string();
            [name, &record.rtype, address, preference, &ttl].map(str::to_owned)
        });
        let (sld, tld) = zone.split_once('.').unwrap();
        let domain = Domain {
            email_type: "MX".to_owned(),
            hosts: hosts.collect(),
            odd: BTreeMap::new(),
        };
        account
            .domains
            .insert((sld.to_owned(), tld.to_owned()), domain);
    }
    Arc::new(Mutex::new(account))
}

fn start(account: &Arc<Mutex<Account>>) -> Fake {
    let account = Arc::clone(account);
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut account.lock().unwrap(), request)),
        is_write: |request| request.body.contains("domains.dns.setHosts"),
        // The vendor's client knows the status 405 for that, and no Retry-After.
        too_many: Reply::empty(405),
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

fn xml(status: &str, errors: &str, command: &str) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "text/xml; charset=utf-8".to_owned())],
        body: format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
             <ApiResponse Status=\"{status}\" xmlns=\"http://api.namecheap.com/xml.response\">\
             <Errors>{errors}</Errors><Warnings />{command}<Server>FAKE</Server></ApiResponse>"
        ),
    }
}

/// Errors come with status 200.
fn error(number: u32, message: &str) -> Reply {
    let errors = format!("<Error Number=\"{number}\">{}</Error>", escaped(message));
    xml("ERROR", &errors, "<RequestedCommand />")
}

fn answer(account: &mut Account, request: &Request) -> Reply {
    let is_form = request.header("content-type") == "application/x-www-form-urlencoded";
    if request.method != "POST" || !is_form {
        return error(1_010_101, "Parameter APIUser is missing");
    }
    let pairs = url::form_urlencoded::parse(request.body.as_bytes());
    let form: BTreeMap<String, String> = pairs.into_owned().collect();
    let parameter = |name: &str| form.get(name).map_or("", String::as_str);
    // https://www.namecheap.com/support/api/global-parameters/
    if parameter("ApiUser") != USER {
        return error(1_010_101, "Parameter APIUser is missing");
    }
    if parameter("ApiKey") != KEY {
        return error(
            1_011_102,
            "API Key is invalid or API access has not been enabled",
        );
    }
    if parameter("UserName") != USER {
        return error(1_019_103, "Parameter UserName is not available");
    }
    if parameter("ClientIp").parse::<std::net::Ipv4Addr>().is_err() {
        return error(1_010_105, "Parameter ClientIP is missing");
    }
    let key = (parameter("SLD").to_owned(), parameter("TLD").to_owned());
    let loses = account.loses;
    let Some(domain) = account.domains.get_mut(&key) else {
        return error(2_019_166, "Domain not found");
    };
    let name = format!("{}.{}", key.0, key.1);
    match parameter("Command") {
        "namecheap.domains.dns.getHosts" => get_hosts(domain, &name),
        "namecheap.domains.dns.setHosts" => set_hosts(domain, &name, &form, loses),
        _ => error(1_010_104, "Parameter Command is missing"),
    }
}

fn get_hosts(domain: &Domain, name: &str) -> Reply {
    let mut hosts = String::new();
    for (index, [name, rtype, address, preference, ttl]) in domain.hosts.iter().enumerate() {
        let odd = domain.odd.get(&index);
        let odd = odd.unwrap_or(&"IsActive=\"true\" IsDDNSEnabled=\"false\"");
        hosts.push_str(&format!(
            "<host HostId=\"{index}\" Name=\"{name}\" Type=\"{rtype}\" Address=\"{}\" \
             MXPref=\"{preference}\" TTL=\"{ttl}\" AssociatedAppTitle=\"\" FriendlyName=\"\" {odd} />",
            escaped(address)
        ));
    }
    let email_type = &domain.email_type;
    xml(
        "OK",
        "",
        &format!(
            "<CommandResponse Type=\"namecheap.domains.dns.getHosts\">\
             <DomainDNSGetHostsResult Domain=\"{name}\" EmailType=\"{email_type}\" \
             IsUsingOurDNS=\"true\">{hosts}</DomainDNSGetHostsResult></CommandResponse>"
        ),
    )
}

/// "All host records that are not included into the API call will be deleted"; what there is no
/// parameter for is reset.
fn set_hosts(
    domain: &mut Domain,
    name: &str,
    form: &BTreeMap<String, String>,
    loses: &str,
) -> Reply {
    let invalid = |what: &str| error(2_050_900, &format!("{what} is invalid"));
    let mut hosts = Vec::new();
    while let Some(label) = form.get(&format!("HostName{}", hosts.len() + 1)) {
        let number = hosts.len() + 1;
        let parameter = |name: &str| form.get(&format!("{name}{number}")).cloned();
        let (Some(rtype), Some(address), Some(preference), Some(ttl)) = (
            parameter("RecordType"),
            parameter("Address"),
            parameter("MXPref"),
            parameter("TTL"),
        ) else {
            return invalid(&format!("Record {number}"));
        };
        if !TYPES.contains(&rtype.as_str()) || address.is_empty() || label.is_empty() {
            return invalid(&format!("Record {number}"));
        }
        // "any value between 60 to 60000"
        if !ttl
            .parse::<u32>()
            .is_ok_and(|ttl| (60..=60_000).contains(&ttl))
        {
            return invalid(&format!("TTL{number}"));
        }
        if preference.parse::<u8>().is_err() {
            return invalid(&format!("MXPref{number}"));
        }
        hosts.push([label.clone(), rtype, address, preference, ttl]);
    }
    let extra = form.keys().filter(|key| key.starts_with("HostName"));
    if extra.count() != hosts.len() {
        return invalid("The numbering");
    }
    // Without the parameter, mail is turned off.
    let email_type = form.get("EmailType").map_or("NONE", String::as_str);
    if !EMAIL_TYPES.contains(&email_type) {
        return invalid("EmailType");
    }
    email_type.clone_into(&mut domain.email_type);
    hosts.retain(|host| host[1] != loses);
    domain.hosts = hosts;
    domain.odd.clear();
    xml(
        "OK",
        "",
        &format!(
            "<CommandResponse Type=\"namecheap.domains.dns.setHosts\">\
             <DomainDNSSetHostsResult Domain=\"{name}\" IsSuccess=\"true\"><Warnings />\
             </DomainDNSSetHostsResult></CommandResponse>"
        ),
    )
}

fn credentials() -> ProviderEntry {
    entry("NAMECHEAP", &[("apiuser", USER), ("apikey", KEY)])
}

#[tokio::test]
async fn conforms() {
    let fake = start(&account());
    conforms_to_all(&Subject {
        lists_apex_ns: false,
        lacks: &["SRV"],
        // The zone, one write, the zone again.
        calls: 3,
        ..Subject::new(&fake, credentials(), "apikey")
    })
    .await;
}

/// An account with one domain at a public suffix of two labels, and a batch for it.
fn shop(hosts: Vec<Host>, email_type: &str) -> (Arc<Mutex<Account>>, TxtBatch) {
    let domain = Domain {
        email_type: email_type.to_owned(),
        hosts,
        odd: BTreeMap::new(),
    };
    let key = ("shop".to_owned(), "co.uk".to_owned());
    let account = Account {
        domains: BTreeMap::from([(key, domain)]),
        loses: "",
    };
    let value = Txt {
        name: "_acme-challenge.shop.co.uk".parse().unwrap(),
        value: "x".to_owned(),
    };
    (Arc::new(Mutex::new(account)), TxtBatch::adding(vec![value]))
}

fn only(account: &Arc<Mutex<Account>>) -> Domain {
    account
        .lock()
        .unwrap()
        .domains
        .values()
        .next()
        .unwrap()
        .clone()
}

async fn change(account: &Arc<Mutex<Account>>, batch: &TxtBatch) -> anyhow::Result<()> {
    let fake = start(account);
    let subject = Subject::new(&fake, credentials(), "apikey");
    let zone: DnsName = "shop.co.uk".parse().unwrap();
    let provider = provider(&subject.entry);
    provider.change((&zone).into(), batch).await
}

#[tokio::test]
async fn mail_and_every_other_record_are_written_back_as_they_were() {
    let mut mail = host("@", "MX", "mx1.privateemail.com.", 1799);
    mail[3] = "20".to_owned();
    let hosts = vec![
        mail,
        host("shop.co.uk", "MXE", "192.0.2.5", 1800),
        host("@", "URL", "https://example.com/?a=b&c=\"d\"", 60),
        host("old", "URL301", "http://example.com/", 1799),
        host("frame", "FRAME", "https://example.com/", 1799),
        host("@", "ALIAS", "example.com.", 60_000),
        host("@", "CAA", "0 iodef \"mailto:a@example.com\"", 1799),
        host("@", "TXT", "v=spf1 a+b ~all; \\ é", 1799),
        host("twice", "TXT", "same", 300),
        host("twice", "TXT", "same", 300),
    ];
    let (account, batch) = shop(hosts, "OX");
    let before = only(&account);
    change(&account, &batch).await.unwrap();
    let mut expected = before.clone();
    expected.hosts.push(host("_acme-challenge", "TXT", "x", 60));
    assert_eq!(only(&account), expected);
    change(&account, &TxtBatch::removing(batch.add))
        .await
        .unwrap();
    assert_eq!(only(&account), before);
}

#[tokio::test]
async fn a_record_that_a_write_would_change_stops_it() {
    for (odd, what) in [
        (
            "IsActive=\"true\" IsDDNSEnabled=\"true\"",
            "`home A 192.0.2.1 ttl=1799` has dynamic DNS, which a write would turn off",
        ),
        (
            "IsActive=\"false\" IsDDNSEnabled=\"false\"",
            "`home A 192.0.2.1 ttl=1799` is not active, and a write would make it active",
        ),
    ] {
        let (account, batch) = shop(vec![host("home", "A", "192.0.2.1", 1799)], "FWD");
        let mut changed = only(&account);
        changed.odd.insert(0, odd);
        let key = ("shop".to_owned(), "co.uk".to_owned());
        account.lock().unwrap().domains.insert(key, changed.clone());
        let error = change(&account, &batch).await.unwrap_err();
        let explained = explain(&error);
        assert_eq!(explained.causes, [what]);
        assert_eq!(
            explained.hints,
            ["delegate the challenge: a CNAME at `_acme-challenge` to another zone"]
        );
        assert_eq!(only(&account), changed);
    }
}

#[tokio::test]
async fn a_write_that_loses_records_is_reported() {
    let hosts = vec![
        host("@", "A", "192.0.2.1", 1799),
        host("a", "FRAME", "https://example.com/", 1799),
    ];
    let (account, batch) = shop(hosts, "NONE");
    account.lock().unwrap().loses = "FRAME";
    let explained = explain(&change(&account, &batch).await.unwrap_err());
    assert_eq!(
        explained.causes,
        ["after the write the zone lacks `a FRAME https://example.com/ ttl=1799`"]
    );
    assert_eq!(
        explained.hints,
        [
            "`dnscontrol push` writes what `dnsconfig.js` declares; look whether another program changes the zone"
        ]
    );
}

#[tokio::test]
async fn too_many_requests_in_the_body_are_sent_again() {
    let (account, batch) = shop(Vec::new(), "NONE");
    let shared = Arc::clone(&account);
    let mut refused = 0;
    let fake = Fake::start(Vendor {
        answer: Box::new(move |request| {
            refused += 1;
            match refused {
                // https://github.com/namecheap/terraform-provider-namecheap/issues/9
                1 => error(500_000, "Too many requests"),
                _ => answer(&mut shared.lock().unwrap(), request),
            }
        }),
        is_write: |_| false,
        too_many: Reply::empty(405),
    });
    let subject = Subject::new(&fake, credentials(), "apikey");
    let zone: DnsName = "shop.co.uk".parse().unwrap();
    let provider = provider(&subject.entry);
    provider.change((&zone).into(), &batch).await.unwrap();
    assert_eq!(
        only(&account).hosts,
        [host("_acme-challenge", "TXT", "x", 60)]
    );
    assert_eq!(fake.requests().len(), 4);
}
