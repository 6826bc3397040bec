//! Route 53: moto, behind a proxy that can refuse changes. Nobody asks it over DNS.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::namespace::Namespace;
use crate::support::zones::{TTL, Zone};

/// Its only address, inside.
pub const ADDRESS: &str = "127.0.0.1";

/// Credentials: moto takes any.
pub const KEY_ID: &str = "AKIALABLABLABLABLAB0";
pub const SECRET_KEY: &str = "lab-secret-key";

const MOTO: &str = "target/moto/bin/moto_server";

const XMLNS: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// The API's address, as `_base_url` has it.
pub fn api_url() -> String {
    format!("http://{ADDRESS}:5001")
}

pub fn configure(namespace: &Namespace) {
    namespace.write("route53/proxy.py", include_str!("route53.py"));
}

pub fn command(namespace: &Namespace) -> Command {
    let moto = Path::new(env!("CARGO_MANIFEST_DIR")).join(MOTO);
    assert!(
        moto.is_file(),
        "there is no `{MOTO}`\nhint: run `scripts/install-test-deps`"
    );
    namespace
        .command("python3")
        .arg(namespace.folder().join("route53/proxy.py"))
        .arg(moto)
        .arg(deny(namespace))
}

/// Asks for something below the API's version.
pub fn ask(namespace: &Namespace, target: &str) -> Command {
    // The signature is not verified; moto finds the service in it.
    let authorization = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/us-east-1/route53/aws4_request, \
         SignedHeaders=host, Signature=0"
    );
    namespace
        .command("curl")
        .args(["--silent", "--show-error", "--fail-with-body"])
        .args(["--header", &authorization])
        .arg(format!("{}/2013-04-01/{target}", api_url()))
}

/// The file that makes it refuse changes.
fn deny(namespace: &Namespace) -> PathBuf {
    namespace.folder().join("route53/deny")
}

/// A hosted zone.
#[derive(Debug)]
pub struct HostedZone<'lab> {
    lab: &'lab Lab,
    pub id: String,
}

impl<'lab> HostedZone<'lab> {
    /// Makes it, with the zone's records; the SOA record is Route 53's own.
    pub fn create(lab: &'lab Lab, zone: &Zone) -> Self {
        let name = zone.name;
        let answer = post(
            lab,
            "hostedzone",
            format!(
                "<CreateHostedZoneRequest xmlns=\"{XMLNS}\"><Name>{name}.</Name>\
                 <CallerReference>{name}</CallerReference></CreateHostedZoneRequest>"
            ),
        );
        let (_, id) = answer.split_once("<Id>/hostedzone/").unwrap();
        let id = id.split_once('<').unwrap().0.to_owned();
        let hosted = Self { lab, id };
        let mut sets: Vec<(String, &str, String)> = Vec::new();
        for (label, kind, data) in zone.records() {
            let value = format!("<ResourceRecord><Value>{data}</Value></ResourceRecord>");
            match sets
                .iter_mut()
                .find(|set| (&set.0, set.1) == (&label, kind))
            {
                Some((.., values)) => values.push_str(&value),
                None if kind == "SOA" => {}
                None => sets.push((label, kind, value)),
            }
        }
        let mut changes = String::new();
        for (label, kind, values) in sets {
            let owner = format!("{label}.{name}.").replace("@.", "");
            changes.push_str(&format!(
                "<Change><Action>UPSERT</Action><ResourceRecordSet><Name>{owner}</Name><Type>{kind}</Type>\
                 <TTL>{TTL}</TTL><ResourceRecords>{values}</ResourceRecords></ResourceRecordSet></Change>"
            ));
        }
        post(
            lab,
            &format!("hostedzone/{}/rrset/", hosted.id),
            format!(
                "<ChangeResourceRecordSetsRequest xmlns=\"{XMLNS}\"><ChangeBatch><Changes>{changes}</Changes>\
                 </ChangeBatch></ChangeResourceRecordSetsRequest>"
            ),
        );
        hosted
    }

    /// Names and types of all its sets, sorted.
    pub fn sets(&self) -> Vec<String> {
        let target = format!("hostedzone/{}/rrset", self.id);
        let answer = ask(self.lab.namespace(), &target).succeed().stdout;
        let element = |set: &str, name: &str| {
            let (_, after) = set.split_once(&format!("<{name}>")).unwrap();
            after.split_once('<').unwrap().0.to_owned()
        };
        let mut sets: Vec<_> = answer
            .split("<ResourceRecordSet>")
            .skip(1)
            .map(|set| format!("{} {}", element(set, "Name"), element(set, "Type")))
            .collect();
        sets.sort();
        sets
    }

    /// Status of the answer to each change so far.
    pub fn changes(&self) -> Vec<String> {
        let log = fs::read_to_string(self.lab.folder().join("log/Route53.out")).unwrap();
        let change = format!("POST /2013-04-01/hostedzone/{}/rrset/ ", self.id);
        let statuses = log.lines().filter_map(|line| line.strip_prefix(&change));
        statuses.map(str::to_owned).collect()
    }

    /// Refuses changes from now on.
    pub fn deny_changes(&self) {
        fs::write(deny(self.lab.namespace()), "").unwrap();
    }

    /// Takes them again.
    pub fn allow_changes(&self) {
        fs::remove_file(deny(self.lab.namespace())).unwrap();
    }
}

fn post(lab: &Lab, target: &str, body: String) -> String {
    ask(lab.namespace(), target)
        .args(["--header", "Content-Type: application/xml", "--data", "@-"])
        .stdin(body)
        .succeed()
        .stdout
}
