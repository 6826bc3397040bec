//! A zone at three providers, one of which fails half-way.

use pretty_assertions::assert_eq;

use crate::support::command::Output;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::Nightly;
use crate::support::repos::Files;
use crate::support::route53::{self, HostedZone};
use crate::support::zones::zone;
use crate::support::{address, powerdns};

/// `example.test` at BIND, PowerDNS and Route 53; `bench.test` at BIND alone.
fn files() -> Files {
    let zones = format!(
        "var route53 = NewDnsProvider(\"route53\");\n\n{}\n{}",
        zone("example.test").declaration_with(&["DnsProvider(route53, 0)"]),
        zone("bench.test").declaration()
    );
    let creds = format!(
        r#"{{
  "none": {{ "TYPE": "NONE" }},
  "ddns": {{
    "TYPE": "AXFRDDNS",
    "master": "{bind}",
    "transfer-key": "$LAB_TSIG_KEY",
    "update-key": "$LAB_TSIG_KEY"
  }},
  "powerdns": {{
    "TYPE": "POWERDNS",
    "apiUrl": "{powerdns}",
    "apiKey": "$LAB_API_KEY",
    "serverName": "localhost"
  }},
  "route53": {{
    "TYPE": "ROUTE53",
    "KeyId": "$LAB_AWS_KEY_ID",
    "SecretKey": "$LAB_AWS_SECRET_KEY",
    "_base_url": "{route53}"
  }},
  "zonefiles": {{ "TYPE": "BIND" }}
}}
"#,
        bind = address::BIND,
        powerdns = powerdns::api_url(),
        route53 = route53::api_url(),
    );
    Files::dns_of(&zones).with("creds.json", &creds)
}

fn renew(nightly: &Nightly) -> Output {
    let command = nightly.command(&["renew"]);
    command
        .env("LAB_AWS_KEY_ID", route53::KEY_ID)
        .env("LAB_AWS_SECRET_KEY", route53::SECRET_KEY)
        .run()
}

/// How often a server has changed the zone.
fn changes(lab: &Lab, server: Server) -> u32 {
    let soa = lab.ask(server, "example.test", "SOA").concat();
    let serial: u32 = soa.split(' ').nth(2).unwrap().parse().unwrap();
    serial - 1
}

#[track_caller]
fn assert_nothing_left(lab: &Lab, hosted: &HostedZone<'_>) {
    assert_eq!(lab.challenges().into_iter().collect::<Vec<_>>(), []);
    assert_eq!(
        hosted.sets(),
        [
            "example.test. A",
            "example.test. NS",
            "example.test. SOA",
            "ns1.example.test. A",
            "ns2.example.test. A",
            "www.example.test. A",
        ]
    );
}

#[test]
fn one_provider_of_three_refuses_to_write_and_the_others_are_cleaned_up() {
    let nightly = Nightly::new(
        Lab::builder().bind().powerdns().route53().pebble().start(),
        &[("three", &["example.test"]), ("fine", &["www.bench.test"])],
    );
    let Nightly { lab, certs, .. } = &nightly;
    files().commit(lab, &nightly.dns, "three providers");
    let hosted = HostedZone::create(lab, &zone("example.test"));
    hosted.deny_changes();

    let output = renew(&nightly).expect_code(1);
    assert_eq!(
        output.normal_stdout(),
        "failed   three  example.test\n\
         issued   fine   www.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 1 failed, 0 up to date\n\
         pushed 1 commit to `main`\n"
    );
    let errors = &output.stderr[output.stderr.find("error: ").unwrap()..];
    assert_eq!(
        errors.replace(&hosted.id, "[ZONE]"),
        "error: cannot issue `three`\n  \
         caused by: cannot add challenges to zone `example.test` at `route53`\n  \
         caused by: cannot change zone `example.test` at Amazon Route 53 at `http://127.0.0.1:5001` \
         (`creds.json` entry `route53`)\n  \
         caused by: `POST /2013-04-01/hostedzone/[ZONE]/rrset/` answered 403 Forbidden: \
         User: arn:aws:iam::123456789012:user/lab is not authorized to perform: \
         route53:ChangeResourceRecordSets on resource: arn:aws:route53:::hostedzone/[ZONE] because \
         no identity-based policy allows the route53:ChangeResourceRecordSets action (AccessDenied)\n\
         hint: check `KeyId` and `SecretKey` in `creds.json` entry `route53`: the policy must allow \
         `route53:ListHostedZonesByName` and `route53:GetChange`, and for the zone \
         `route53:GetHostedZone`, `route53:ListResourceRecordSets` and `route53:ChangeResourceRecordSets`\n"
    );
    nightly.assert_valid("fine");
    assert!(!certs.files(lab).iter().any(|path| path.contains("three")));
    // The others had the value, and gave it back.
    for server in [Server::Bind, Server::PowerDns] {
        assert_eq!(changes(lab, server), 2, "{server:?}");
    }
    // The zone's records, then the value.
    assert_eq!(hosted.changes(), ["200", "403"]);
    assert_nothing_left(lab, &hosted);

    hosted.allow_changes();
    let output = renew(&nightly).expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "issued   three  example.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 0 failed, 1 up to date\n\
         pushed 1 commit to `main`\n"
    );
    nightly.assert_valid("three");
    // The value, and without it.
    assert_eq!(hosted.changes(), ["200", "403", "200", "200"]);
    assert_nothing_left(lab, &hosted);
}
