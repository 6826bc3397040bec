//! ROUTE53 on moto with AWS's rules: the contract, what is particular, and every source of credentials.

use std::fs;

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use crate::model::change::TxtBatch;
use crate::model::environment::Environment;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Meta, Record, ZoneRef};
use crate::provider::conformance::{Subject, conforms_to_all, listed, message, name, txt};
use crate::provider::fake::Fake;
use crate::provider::fake::aws::{
    CONTAINER_TOKEN, EXTERNAL_ID, KEY, OPEN_ROLE, ROLE, SECRET, SESSION_KEY, SESSION_SECRET,
    SESSION_TOKEN, WEB_ROLE, WEB_TOKEN,
};
use crate::provider::fake::route53::Route53;
use crate::provider::port::DnsProvider;
use crate::provider::registry::{Context, connect};
use crate::provider::servers::{context, entry};

const OWN_KEYS: &[(&str, &str)] = &[("KeyId", KEY), ("SecretKey", SECRET)];

fn try_provider(
    fields: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> anyhow::Result<Box<dyn DnsProvider>> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let context = Context {
        environment: variables.collect::<Environment>(),
        ..context()
    };
    connect(&entry("ROUTE53", fields), &context)
}

fn own_keys(fake: &Fake) -> ProviderEntry {
    let mut entry = entry("ROUTE53", OWN_KEYS);
    entry.fields.insert("_base_url".to_owned(), fake.url());
    entry
}

fn provider(fake: &Fake) -> Box<dyn DnsProvider> {
    let url = fake.url();
    try_provider(&[OWN_KEYS, &[("_base_url", &url)]].concat(), &[]).unwrap()
}

/// The set that is put into moto, as the inner XML of a `ResourceRecordSet`.
fn set(name: &str, rtype: &str, more: &str, value: &str) -> String {
    format!(
        "<Name>{name}</Name><Type>{rtype}</Type>{more}<TTL>60</TTL><ResourceRecords><ResourceRecord>\
         <Value>{value}</Value></ResourceRecord></ResourceRecords>"
    )
}

fn policy(id: &str, weight: u32) -> String {
    format!("<SetIdentifier>{id}</SetIdentifier><Weight>{weight}</Weight>")
}

async fn add(provider: &dyn DnsProvider, zone: &str, owner: &str) -> anyhow::Result<()> {
    let zone = name(zone);
    let batch = TxtBatch::adding(vec![txt(owner, "x")]);
    provider.change((&zone).into(), &batch).await
}

#[tokio::test]
async fn conforms() {
    let fake = Route53::seeded().start();
    let entry = own_keys(&fake);
    conforms_to_all(&Subject {
        // The hosted zone, its sets, one change, whether all name servers have it.
        calls: 4,
        ..Subject::new(&fake, entry, "SecretKey")
    })
    .await;
}

#[tokio::test]
async fn changes_are_waited_for() {
    let mut route53 = Route53::seeded();
    (route53.pending, route53.busy) = (2, 1);
    let fake = route53.start();
    let provider = provider(&fake);
    let zone = name("big.test");
    provider.records((&zone).into()).await.unwrap();
    fake.requests();
    // One name is asked for, not all pages of the zone.
    add(&*provider, "big.test", "_acme-challenge.big.test")
        .await
        .unwrap();
    let requests = fake.requests();
    let (first, polls) = requests.split_at(3);
    let id = first[0].split('/').nth(3).unwrap();
    assert_eq!(
        first,
        [
            format!("GET /2013-04-01/hostedzone/{id}/rrset"),
            format!("POST /2013-04-01/hostedzone/{id}/rrset/"),
            format!("POST /2013-04-01/hostedzone/{id}/rrset/"),
        ]
    );
    assert_eq!(polls, ["GET /2013-04-01/change/C0000000000000"; 3]);
    // Nobody waits for values to disappear.
    let batch = TxtBatch::removing(vec![txt("_acme-challenge.big.test", "x")]);
    provider.change((&zone).into(), &batch).await.unwrap();
    assert_eq!(fake.requests().len(), 2);
}

async fn read_problem(provider: &dyn DnsProvider, zone: &str, id: Option<&str>) -> String {
    let zone = name(zone);
    let meta = id.map(|id| ("zone_id".to_owned(), id.to_owned()));
    let meta: Meta = meta.into_iter().collect();
    let zone = ZoneRef {
        meta: &meta,
        ..ZoneRef::from(&zone)
    };
    message(&provider.records(zone).await.unwrap_err())
}

#[tokio::test]
async fn zones_that_are_not_clear_are_refused() {
    let route53 = Route53::new();
    let zone = |name: &str, is_private| route53.moto.create_zone(name, is_private);
    let mut ids = [false, false].map(|is_private| zone("twice.test", is_private));
    zone("twice.test", true);
    let (hidden, other) = (zone("hidden.test", true), zone("other.test", false));
    let fake = route53.start();
    let provider = provider(&fake);
    let at = format!(
        "Amazon Route 53 at `{}` (`creds.json` entry `main`)",
        fake.url()
    );
    ids.sort();
    let [first, second] = ids;
    assert_eq!(
        read_problem(&*provider, "twice.test", None).await,
        format!(
            "cannot read zone `twice.test` from {at}\nthe account has several public zones `twice.test`: `{first}`, \
             `{second}`\nhint: say which: add `R53_ZONE(\"ID\")` to `D(\"twice.test\", ...)`"
        )
    );
    let said = read_problem(&*provider, "hidden.test", None).await;
    let start = format!(
        "cannot read zone `hidden.test` from {at}\n`hidden.test` is only a private zone, which a CA cannot see\n"
    );
    assert!(said.starts_with(&start), "{said}");
    for (zone, id, what) in [
        ("hidden.test", &hidden, "is private, so a CA cannot see it"),
        ("x.test", &other, "is that of `other.test`"),
    ] {
        assert_eq!(
            read_problem(&*provider, zone, Some(id)).await,
            format!(
                "cannot read zone `{zone}` from {at}\nzone `{id}` {what}\n\
                 hint: check `R53_ZONE(\"{id}\")` in `D(\"{zone}\", ...)`"
            )
        );
    }
}

#[tokio::test]
async fn a_zone_is_found_by_its_id() {
    let route53 = Route53::new();
    let moto = &route53.moto;
    let [id, _] = ["first", "second"].map(|_| moto.create_zone("twice.test", false));
    moto.put(&id, &[set("first.twice.test", "A", "", "192.0.2.1")]);
    let fake = route53.start();
    for id in [id.clone(), format!("/hostedzone/{id}")] {
        let zone = name("twice.test");
        let meta = Meta::from([("zone_id".to_owned(), id)]);
        let zone = ZoneRef {
            meta: &meta,
            ..ZoneRef::from(&zone)
        };
        let provider = provider(&fake);
        let records = provider.records(zone).await.unwrap();
        let mut owners = records.iter().map(|record| &record.name);
        assert!(
            owners.any(|owner| *owner == name("first.twice.test")),
            "{records:?}"
        );
        let servers = provider.nameservers(zone).await.unwrap();
        assert_eq!(servers[0], name("ns-2048.awsdns-64.com"));
        assert_eq!(servers.len(), 4);
    }
}

/// A zone with an alias and weighted records, the second of which begins the second page.
fn with_policies() -> Route53 {
    let route53 = Route53::new();
    let id = route53.moto.create_zone("policies.test", false);
    let mut sets: Vec<String> = (0..296)
        .map(|number| set(&format!("a{number:03}.policies.test"), "A", "", "192.0.2.1"))
        .collect();
    sets.push(
        "<Name>policies.test</Name><Type>A</Type><AliasTarget><HostedZoneId>Z2</HostedZoneId>\
         <DNSName>Elb.test.</DNSName><EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget>"
            .to_owned(),
    );
    for (id, weight) in [("blue one", 1), ("green+two", 255), ("red", 0)] {
        sets.push(set(
            "w.policies.test",
            "A",
            &policy(id, weight),
            "192.0.2.1",
        ));
    }
    sets.push(set(
        "_acme-challenge.w.policies.test",
        "TXT",
        &policy("blue", 1),
        "\"x\"",
    ));
    route53.moto.put(&id, &sets);
    route53
}

#[tokio::test]
async fn aliases_and_policies_are_listed_and_left_alone() {
    let fake = with_policies().start();
    let provider = provider(&fake);
    let zone = name("policies.test");
    let records = provider.records((&zone).into()).await.unwrap();
    // Four name servers, one alias, four weighted.
    assert_eq!(records.len(), 4 + 296 + 1 + 4);
    let alias = records.iter().find(|record| record.rtype == "R53_ALIAS");
    assert_eq!(
        alias.unwrap().to_string(),
        "R53_ALIAS policies.test A elb.test. zone_id=Z2 evaluate_target_health=true ttl=300"
    );
    let meta =
        |record: &Record| ["r53_set_identifier", "r53_weight"].map(|key| record.meta[key].clone());
    let weighted = records
        .iter()
        .filter(|record| record.name == name("w.policies.test"));
    let weighted: Vec<[String; 2]> = weighted.map(meta).collect();
    assert_eq!(
        weighted,
        [["blue one", "1"], ["green+two", "255"], ["red", "0"]]
    );
    let error = add(
        &*provider,
        "policies.test",
        "_acme-challenge.w.policies.test",
    )
    .await;
    assert_eq!(
        message(&error.unwrap_err()),
        format!(
            "cannot change zone `policies.test` at Amazon Route 53 at `{}` (`creds.json` entry `main`)\n\
             the TXT set of `_acme-challenge.w.policies.test` has a routing policy (record `blue`)\n\
             hint: a challenge needs a simple TXT record there; remove this one, or rename it",
            fake.url()
        )
    );
    assert!(!fake.requests().iter().any(|line| line.starts_with("POST")));
}

/// A set that somebody changed after we looked keeps what they wrote.
#[tokio::test]
async fn another_writer_is_not_overwritten() {
    let owner = "_acme-challenge.rival.example.test";
    let zone = name("example.test");
    let text = |value: &str| format!("TXT {owner} \"{value}\" ttl=60");
    let adding = TxtBatch::adding(vec![txt(owner, "ours")]);
    let removing = TxtBatch::removing(vec![txt(owner, "old")]);
    for (before, batch, after) in [
        (None, &adding, vec![text("ours"), text("theirs")]),
        (Some("old"), &adding, vec![text("ours"), text("theirs")]),
        (Some("theirs"), &adding, vec![text("ours"), text("theirs")]),
        (Some("old"), &removing, vec![text("theirs")]),
    ] {
        let mut route53 = Route53::new();
        let id = route53.moto.create_zone("example.test", false);
        let of = |value: &str| set(owner, "TXT", "", &format!("\"{value}\""));
        if let Some(before) = before {
            route53.moto.put(&id, &[of(before)]);
        }
        route53.rival = Some(of("theirs"));
        let fake = route53.start();
        let provider = provider(&fake);
        provider.change((&zone).into(), batch).await.unwrap();
        let mut lines = listed(&*provider, &zone).await;
        lines.retain(|line| line.starts_with("TXT"));
        assert_eq!(lines, after, "{before:?}");
    }
}

/// What another writer does not explain is not tried for ever.
#[tokio::test]
async fn a_refusal_that_stays_is_said() {
    let fake = Route53::seeded().start();
    let provider = provider(&fake);
    let owner = "_acme-challenge.alias.example.test";
    let error = add(&*provider, "example.test", owner).await.unwrap_err();
    let said = message(&error);
    assert!(
        said.contains(
            "RRSet of type TXT with DNS name _acme-challenge.alias.example.test. is not permitted because a \
             conflicting RRSet of type CNAME"
        ),
        "{said}"
    );
    assert!(said.contains("answered 400 Bad Request: "), "{said}");
    let writes = fake
        .requests()
        .iter()
        .filter(|line| line.starts_with("POST"))
        .count();
    assert_eq!(writes, 2);
}

/// A folder with configuration and tokens, and the variables that lead there.
struct Machine {
    folder: TempDir,
    url: String,
}

impl Machine {
    fn new(fake: &Fake) -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
            url: fake.url(),
        };
        fs::create_dir(machine.folder.path().join(".aws")).unwrap();
        machine
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn provider(
        &self,
        fields: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Box<dyn DnsProvider>> {
        let home = self.folder.path().to_str().unwrap();
        let usual = [
            ("AWS_ENDPOINT_URL_ROUTE_53", self.url.as_str()),
            ("AWS_ENDPOINT_URL_STS", &self.url),
            // For all services but these.
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("HOME", home),
        ];
        try_provider(fields, &[&usual, variables].concat())
    }

    /// Reads a zone, and says which requests that took before the first one to Route 53.
    async fn reads(
        &self,
        fake: &Fake,
        fields: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Vec<String> {
        fake.requests();
        let provider = self.provider(fields, variables).unwrap();
        let listed = listed(&*provider, &name("small.test")).await;
        assert_eq!(listed.len(), 4, "{listed:?}");
        let requests = fake.requests();
        let before = requests
            .iter()
            .take_while(|line| !line.contains("/2013-04-01/"));
        before.cloned().collect()
    }

    async fn problem(&self, fields: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
        let zone = name("small.test");
        let error = match self.provider(fields, variables) {
            Ok(provider) => provider.records((&zone).into()).await.unwrap_err(),
            Err(error) => error,
        };
        let said = message(&error);
        for secret in [
            SECRET,
            SESSION_SECRET,
            SESSION_TOKEN,
            WEB_TOKEN,
            EXTERNAL_ID,
            WRONG,
        ] {
            assert!(!said.contains(secret), "{said}");
        }
        said
    }
}

const WRONG: &str = "wrong-credential-for-tests";

fn small() -> Fake {
    let route53 = Route53::new();
    route53.moto.create_zone("small.test", false);
    route53.start()
}

#[tokio::test]
async fn credentials_come_from_every_source() {
    let fake = small();
    let machine = Machine::new(&fake);
    let none: [String; 0] = [];
    let session = [
        ("KeyId", SESSION_KEY),
        ("SecretKey", SESSION_SECRET),
        ("Token", SESSION_TOKEN),
    ];
    assert_eq!(machine.reads(&fake, &session, &[]).await, none);
    let keys = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    assert_eq!(machine.reads(&fake, &[], &keys).await, none);
    let session = [
        ("AWS_ACCESS_KEY_ID", SESSION_KEY),
        ("AWS_SECRET_ACCESS_KEY", SESSION_SECRET),
        ("AWS_SESSION_TOKEN", SESSION_TOKEN),
    ];
    assert_eq!(machine.reads(&fake, &[], &session).await, none);
    // A role with its external id, from the entry.
    let role = [("RoleArn", ROLE), ("ExternalId", EXTERNAL_ID)];
    assert_eq!(machine.reads(&fake, &role, &keys).await, ["POST /"]);
    // Profiles: keys, and a role whose keys are those of a role whose keys are in another profile.
    let keys = format!("aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    machine.file(
        ".aws/credentials",
        &format!("[default]\n{keys}[base]\n{keys}"),
    );
    machine.file(
        ".aws/config",
        &format!(
            "[profile outer]\nrole_arn = {OPEN_ROLE}\nsource_profile = inner\n\
             [profile inner]\nrole_arn = {OPEN_ROLE}\nsource_profile = base\nrole_session_name = by-hand\n"
        ),
    );
    assert_eq!(machine.reads(&fake, &[], &[]).await, none);
    assert_eq!(
        machine.reads(&fake, &[("Profile", "base")], &[]).await,
        none
    );
    let roles = machine.reads(&fake, &[], &[("AWS_PROFILE", "outer")]).await;
    assert_eq!(roles, ["POST /", "POST /"]);
}

#[tokio::test]
async fn services_hand_out_credentials() {
    let fake = small();
    let machine = Machine::new(&fake);
    let token = machine.file("token", &format!("{WEB_TOKEN}\n"));
    let web = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", WEB_ROLE),
    ];
    assert_eq!(machine.reads(&fake, &[], &web).await, ["POST /"]);
    // A container, its token in a variable and in a file.
    let uri = format!("{}/container", fake.url());
    let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str());
    let variable = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN);
    assert_eq!(
        machine.reads(&fake, &[], &[container, variable]).await,
        ["GET /container"]
    );
    let file = machine.file("container", &format!("{CONTAINER_TOKEN}\n"));
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.as_str());
    assert_eq!(
        machine.reads(&fake, &[], &[container, file]).await,
        ["GET /container"]
    );
    // An EC2 instance.
    let url = fake.url();
    let instance = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())];
    let expected = [
        "PUT /latest/api/token",
        "GET /latest/meta-data/iam/security-credentials/",
        "GET /latest/meta-data/iam/security-credentials/dns-role",
    ];
    assert_eq!(machine.reads(&fake, &[], &instance).await, expected);
}

/// Keys are kept while they last, and fetched again before they end.
#[tokio::test]
async fn keys_are_renewed() {
    for (lifetime, fetches) in [(60, 1), (4, 2)] {
        let mut route53 = Route53::new();
        route53.aws.lifetime = lifetime;
        route53.moto.create_zone("small.test", false);
        let fake = route53.start();
        let machine = Machine::new(&fake);
        let uri = format!("{}/container", fake.url());
        let variables = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN),
        ];
        let provider = machine.provider(&[], &variables).unwrap();
        // Two requests: the zone, and its sets.
        listed(&*provider, &name("small.test")).await;
        let requests = fake.requests();
        let count = requests
            .iter()
            .filter(|line| *line == "GET /container")
            .count();
        assert_eq!(count, fetches, "{requests:?}");
    }
}

fn reading(fake: &Fake) -> String {
    let url = fake.url();
    format!(
        "cannot read zone `small.test` from Amazon Route 53 at `{url}` (`creds.json` entry `main`)\n"
    )
}

#[tokio::test]
async fn roles_that_refuse_are_named() {
    let fake = small();
    let machine = Machine::new(&fake);
    let reading = reading(&fake);
    // For want of the external id.
    let keys = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    assert_eq!(
        machine.problem(&[("RoleArn", ROLE)], &keys).await,
        format!(
            "{reading}cannot assume the AWS role `{ROLE}`\nSTS answered 403 Forbidden: User: \
             arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: {ROLE} \
             (AccessDenied)\n\
             hint: the role's trust policy must allow `sts:AssumeRole` to the credentials that assume it"
        )
    );
    let token = machine.file("token", WRONG);
    let web = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", WEB_ROLE),
    ];
    assert_eq!(
        machine.problem(&[], &web).await,
        format!(
            "{reading}cannot assume the AWS role `{WEB_ROLE}`\nSTS answered 400 Bad Request: Couldn't verify the token \
             [web identity token] (InvalidIdentityToken)\n\
             hint: the role's trust policy must name the issuer, audience and subject of the token"
        )
    );
}

#[tokio::test]
async fn credentials_that_fail_say_where_they_come_from() {
    let fake = small();
    let machine = Machine::new(&fake);
    let reading = reading(&fake);
    let wrong = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", WRONG)];
    let said = machine.problem(&[], &wrong).await;
    assert!(said.contains("(SignatureDoesNotMatch)"), "{said}");
    let hint = "hint: check `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`: the policy must allow";
    assert!(said.contains(hint), "{said}");
    let uri = format!("{}/container", fake.url());
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", WRONG),
    ];
    let no = "the container's service answered 400 Bad Request: no (InvalidAuthorization)";
    assert_eq!(
        machine.problem(&[], &container).await,
        format!("{reading}{no}")
    );
    let nowhere = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")];
    let said = machine.problem(&[], &nowhere).await;
    let start = format!("{reading}there are no AWS credentials, and this is no EC2 instance\n");
    assert!(said.starts_with(&start), "{said}");
    let hint =
        "\nhint: add `KeyId` and `SecretKey`, or `Profile`, to `creds.json` entry `main`; or set";
    assert!(said.contains(hint), "{said}");
}
