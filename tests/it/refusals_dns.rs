//! Refused runs, each with all that it says: providers, name servers and zones.

use std::fs;

use crate::support::bind;
use crate::support::lab::{Builder, Lab, Server};
use crate::support::repos::Files;
use crate::support::scene::Scene;
use crate::support::zones::zone;

fn with_bind() -> Builder {
    Lab::builder().bind()
}

#[track_caller]
fn changed_at_bind(scene: &Scene, change: &str) {
    let updated = bind::update(scene.lab.namespace(), "bench.test", change);
    updated.expect_code(0);
}

#[test]
fn a_tsig_key_that_the_server_does_not_know() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    let command = scene
        .renew()
        .env("LAB_TSIG_KEY", "hmac-sha256:lab-key:bm90IHRoZSBrZXk=");
    scene.blocked(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot read zone `bench.test` from `192.0.2.2:53` (AXFR, `creds.json` entry `ddns`)
  caused by: `192.0.2.2:53` does not accept the signature of the TSIG key `lab-key` (BADSIG)
hint: the secret of `transfer-key` in `creds.json` entry `ddns` must be the server's
",
    );
}

#[test]
fn a_tsig_key_of_another_name() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    let command = scene
        .renew()
        .env("LAB_TSIG_KEY", bind::TSIG.replace("lab-key", "old-key"));
    scene.blocked(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot read zone `bench.test` from `192.0.2.2:53` (AXFR, `creds.json` entry `ddns`)
  caused by: `192.0.2.2:53` does not know the TSIG key `old-key` (BADKEY)
hint: the algorithm and the name of `transfer-key` in `creds.json` entry `ddns` must be the server's
",
    );
}

#[test]
fn a_tsig_key_that_is_no_key() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    let command = scene.renew().env("LAB_TSIG_KEY", "hunter2");
    scene.blocked(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `update-key` in `creds.json` entry `ddns` is no TSIG key
hint: write it as `hmac-sha256:NAME:BASE64-SECRET`
",
    );
}

#[test]
fn an_api_key_that_the_server_does_not_know() {
    let scene = Scene::start(Lab::builder().powerdns(), &["www.pdns.test"]);
    let command = scene.renew().env("LAB_API_KEY", "hunter2");
    scene.blocked(&command, "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot read zone `pdns.test` from PowerDNS at `http://192.0.2.3:8081` (`creds.json` entry `powerdns`)
  caused by: `GET /api/v1/servers/localhost/zones/pdns.test.` answered 401 Unauthorized: Unauthorized
hint: check `apiKey` in `creds.json` entry `powerdns`: it must be the server's `api-key`
");
}

#[test]
fn one_of_two_name_servers_does_not_answer() {
    let scene = Scene::start(with_bind(), &["www.lame.test"]);
    scene.blocked(&scene.renew(), "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: not every name server of zone `lame.test` serves it: ns2.lame.test (192.0.2.66) refuses connections
hint: the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js
hint: a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"lame.test\"]` in `git-certs.toml`
");
}

#[test]
fn one_of_two_providers_does_not_answer() {
    let scene = Scene::start(with_bind().powerdns(), &["www.example.test"]);
    scene.lab.stop(Server::PowerDns);
    scene.blocked(&scene.renew(), "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot read zone `example.test` from PowerDNS at `http://192.0.2.3:8081` (`creds.json` entry `powerdns`)
  caused by: no answer to `GET /api/v1/servers/localhost/zones/example.test.`
  caused by: error sending request
  caused by: tcp connect error
  caused by: Connection refused
hint: check `apiUrl` in `creds.json` entry `powerdns`, and the way there: a proxy (`HTTPS_PROXY`, `NO_PROXY`), a firewall, DNS; then run again
error: cannot issue `www`
  caused by: not every name server of zone `example.test` serves it: ns2.example.test (192.0.2.3) refuses connections
hint: the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js
hint: a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"example.test\"]` in `git-certs.toml`
");
}

#[test]
fn no_name_server_answers() {
    let scene = Scene::start(with_bind(), &["www.files.test"]);
    scene.lab.stop(Server::Bind);
    scene.blocked(&scene.renew(), "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: not every name server of zone `files.test` serves it: ns1.files.test (192.0.2.2) refuses connections
hint: the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js
hint: a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"files.test\"]` in `git-certs.toml`
");
}

#[test]
fn no_provider_answers() {
    let scene = Scene::start(with_bind().powerdns(), &["www.example.test"]);
    scene.lab.stop(Server::Bind);
    scene.lab.stop(Server::PowerDns);
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot read zone `example.test` from `192.0.2.2:53` (AXFR, `creds.json` entry `ddns`)
  caused by: cannot connect to `192.0.2.2:53` by TCP
  caused by: Connection refused
hint: the server must run and take TCP; check its address in `creds.json`
error: cannot issue `www`
  caused by: cannot read zone `example.test` from PowerDNS at `http://192.0.2.3:8081` (`creds.json` entry `powerdns`)
  caused by: no answer to `GET /api/v1/servers/localhost/zones/example.test.`
  caused by: error sending request
  caused by: tcp connect error
  caused by: Connection refused
hint: check `apiUrl` in `creds.json` entry `powerdns`, and the way there: a proxy (`HTTPS_PROXY`, `NO_PROXY`), a firewall, DNS; then run again
error: cannot issue `www`
  caused by: not every name server of zone `example.test` serves it: ns1.example.test (192.0.2.2) refuses connections; ns2.example.test (192.0.2.3) refuses connections
hint: the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js
hint: a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"example.test\"]` in `git-certs.toml`
",
    );
}

#[test]
fn no_resolver_answers() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    scene.lab.stop(Server::Resolver);
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot find the name servers of `bench.test`
  caused by: the DNS resolver cannot look up SOA of `test`
  caused by: request timed out
hint: name servers cannot be asked on port 53 here, and fewer than two resolvers over HTTPS know the zone: `cloudflare-dns.com` cannot be reached: no connection over HTTPS, `dns.google` cannot be reached: no connection over HTTPS, `dns.quad9.net` cannot be reached: no connection over HTTPS
hint: check `/etc/resolv.conf`, or name a resolver with `--resolver`
",
    );
}

#[test]
fn a_zone_that_is_not_delegated() {
    let zone = zone("files.test");
    let declaration = zone.declaration().replace(zone.name, "nowhere.test");
    let scene = Scene::with(
        with_bind(),
        &["www.nowhere.test"],
        &Files::dns_of(&declaration),
    );
    let file = bind::zone_folder(scene.lab.namespace()).join("nowhere.test.zone");
    fs::write(file, zone.file().replace(zone.name, "nowhere.test")).unwrap();
    scene.blocked(&scene.renew(), "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot find the name servers of `nowhere.test`
  caused by: the zone `nowhere.test` is not delegated: its parent `test` has no NS records for it
hint: delegate `nowhere.test` in `test` (for a registered domain: at its registrar), or correct its name in dnsconfig.js
");
}

#[test]
fn a_zone_that_the_provider_does_not_have() {
    let zone = zone("bench.test");
    let declaration = zone.declaration().replace(zone.name, "pdns.test");
    let servers = with_bind().powerdns();
    let scene = Scene::with(servers, &["www.pdns.test"], &Files::dns_of(&declaration));
    scene.blocked(&scene.renew(), "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot read zone `pdns.test` from `192.0.2.2:53` (AXFR, `creds.json` entry `ddns`)
  caused by: `192.0.2.2:53` refuses to transfer the zone (NOTAUTH)
hint: the server must be primary for the zone and know the TSIG key: check `transfer-key` in `creds.json` entry `ddns`
");
}

#[test]
fn a_part_of_an_address_that_powerdns_does_not_know() {
    let servers = with_bind().powerdns();
    let zone = zone("files.test");
    let declaration = zone.declaration().replace("zonefiles", "powerdns");
    let scene = Scene::with(servers, &["www.files.test"], &Files::dns_of(&declaration));
    let check = "check `FIELD` in `creds.json` entry `powerdns`";
    for (field, value, path, hint) in [
        (
            "none",
            "",
            "",
            "the server has no zone `files.test`: create it there, or correct its name in `dnsconfig.js`".to_owned(),
        ),
        (
            "serverName",
            "primary",
            "",
            format!("{}: the API knows `localhost`", check.replace("FIELD", "serverName")),
        ),
        (
            "apiUrl",
            "http://192.0.2.3:8081/dns",
            "/dns",
            format!("{}: no PowerDNS API is there", check.replace("FIELD", "apiUrl")),
        ),
    ] {
        let of = |key: &str, usual: &str| if key == field { value.to_owned() } else { usual.to_owned() };
        let (server, url) = (of("serverName", "localhost"), of("apiUrl", "http://192.0.2.3:8081"));
        let entry = format!(
            r#"{{"none": {{"TYPE": "NONE"}}, "powerdns": {{"TYPE": "POWERDNS", "apiUrl": {url:?},
               "apiKey": "$LAB_API_KEY", "serverName": {server:?}}}}}"#
        );
        let files = Files::default().with("creds.json", &entry);
        files.commit(&scene.lab, &scene.dns, field);
        scene.blocked(&scene.renew(), &format!("\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot read zone `files.test` from PowerDNS at `http://192.0.2.3:8081` (`creds.json` entry `powerdns`)
  caused by: `GET {path}/api/v1/servers/{server}/zones/files.test.` answered 404 Not Found: Not Found
hint: {hint}
"));
    }
}

#[test]
fn a_server_of_extra_servers_that_is_down() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    let toml = "[zones.\"bench.test\"]\nextra-servers = [\"192.0.2.66\"]\n";
    scene.change(&Files::default().with("git-certs.toml", toml));
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: not every name server of zone `bench.test` serves it: 192.0.2.66 refuses connections
hint: `192.0.2.66` stands in `extra-servers` of `[zones.\"bench.test\"]` in `git-certs.toml`: correct it or take it out there, or repair the server
",
    );
}

#[test]
fn a_resolver_of_a_setting_that_is_dead() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    let command = scene
        .renew()
        .args(["--resolver", "192.0.2.66", "--doh", "off"]);
    scene.blocked(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: cannot find the name servers of `bench.test`
  caused by: the DNS resolver cannot look up SOA of `test`
  caused by: request timed out
hint: name servers cannot be asked on port 53 here, and DNS over HTTPS is off
hint: `--resolver` names `192.0.2.66:53`: check that it is a recursive resolver that this machine reaches, or leave the setting out for those of `/etc/resolv.conf`
",
    );
}

#[test]
fn a_pattern_that_fits_no_zone() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    let command = scene
        .renew()
        .args(["--only", "none", "--never-count", "date.bnech.test"]);
    scene.refused(
        &command,
        "\
warning: `date.bnech.test` of `never-count` fits no name in a zone of the DNS repository
error: `certs.json` has no certificate `none`
hint: it has `www`
",
    );
}

#[test]
fn a_zone_without_a_provider() {
    let files = Files::dns_of("D(\"bench.test\", REG_NONE);\n");
    let scene = Scene::with(Lab::builder(), &["www.bench.test"], &files);
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: zone `bench.test` has no DNS provider in dnsconfig.js
hint: add `DnsProvider(...)` to `D(\"bench.test\", ...)`
",
    );
}

#[test]
fn all_providers_are_skipped() {
    let scene = Scene::start(Lab::builder(), &["www.bench.test"]);
    let command = scene.renew().args(["--skip", "ddns"]);
    scene.blocked(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: all DNS providers of zone `bench.test` are skipped
hint: take one of them off `--skip`
",
    );
}

#[test]
fn corrections_are_pending() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    changed_at_bind(&scene, "add by-hand.bench.test 300 A 198.51.100.1");
    changed_at_bind(&scene, "delete www.bench.test A");
    changed_at_bind(&scene, "add www.bench.test 60 A 198.51.100.80");
    changed_at_bind(&scene, "delete bench.test A");
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: zone `bench.test` has 3 pending corrections at `ddns`:
    + CREATE bench.test A 198.51.100.80 ttl=300
    - DELETE by-hand.bench.test A 198.51.100.1 ttl=300
    ± MODIFY-TTL www.bench.test A ttl=(60->300) 198.51.100.80
hint: run `dnscontrol push`, or bring dnsconfig.js in line with the provider; `never-count` names records that may differ, and `--pending warn` goes on all the same
",
    );
}
