//! Refused runs, each with all that it says: providers, name servers and zones.

use std::fs;

use crate::support::bind;
use crate::support::lab::{Builder, Lab, Server};
use crate::support::repos::Files;
use crate::support::scene::Scene;
use crate::support::zones::zone;

/// A DNS repository with these declarations.
fn declared(zones: &str) -> Files {
    let script = format!(
        r#"var REG_NONE = NewRegistrar("none");
var ddns = NewDnsProvider("ddns");
var zonefiles = NewDnsProvider("zonefiles");
{zones}"#
    );
    Files::dns().with("dnsconfig.js", &script)
}

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
    scene.refused(&command, "@a_tsig_key_that_the_server_does_not_know");
}

#[test]
fn a_tsig_key_of_another_name() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    let command = scene
        .renew()
        .env("LAB_TSIG_KEY", bind::TSIG.replace("lab-key", "old-key"));
    scene.refused(&command, "@a_tsig_key_of_another_name");
}

#[test]
fn a_tsig_key_that_is_no_key() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    let command = scene.renew().env("LAB_TSIG_KEY", "hunter2");
    scene.refused(&command, "@a_tsig_key_that_is_no_key");
}

#[test]
fn an_api_key_that_the_server_does_not_know() {
    let scene = Scene::start(Lab::builder().powerdns(), &["www.pdns.test"]);
    let command = scene.renew().env("LAB_API_KEY", "hunter2");
    scene.refused(&command, "@an_api_key_that_the_server_does_not_know");
}

#[test]
fn one_of_two_name_servers_does_not_answer() {
    let scene = Scene::start(with_bind(), &["www.lame.test"]);
    scene.refused(&scene.renew(), "@one_of_two_name_servers_does_not_answer");
}

#[test]
fn one_of_two_providers_does_not_answer() {
    let scene = Scene::start(with_bind().powerdns(), &["www.example.test"]);
    scene.lab.stop(Server::PowerDns);
    scene.refused(&scene.renew(), "@one_of_two_providers_does_not_answer");
}

#[test]
fn no_name_server_answers() {
    let scene = Scene::start(with_bind(), &["www.files.test"]);
    scene.lab.stop(Server::Bind);
    scene.refused(&scene.renew(), "@no_name_server_answers");
}

#[test]
fn no_provider_answers() {
    let scene = Scene::start(with_bind().powerdns(), &["www.example.test"]);
    scene.lab.stop(Server::Bind);
    scene.lab.stop(Server::PowerDns);
    scene.refused(&scene.renew(), "@no_provider_answers");
}

#[test]
fn no_resolver_answers() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    scene.lab.stop(Server::Resolver);
    scene.refused(&scene.renew(), "@no_resolver_answers");
}

#[test]
fn a_zone_that_is_not_delegated() {
    let zone = zone("files.test");
    let declaration = zone.declaration().replace(zone.name, "nowhere.test");
    let scene = Scene::with(with_bind(), &["www.nowhere.test"], declared(&declaration));
    let file = bind::zone_folder(scene.lab.namespace()).join("nowhere.test.zone");
    fs::write(file, zone.file().replace(zone.name, "nowhere.test")).unwrap();
    scene.refused(&scene.renew(), "@a_zone_that_is_not_delegated");
}

#[test]
fn a_zone_that_the_provider_does_not_have() {
    let zone = zone("bench.test");
    let declaration = zone.declaration().replace(zone.name, "pdns.test");
    let servers = with_bind().powerdns();
    let scene = Scene::with(servers, &["www.pdns.test"], declared(&declaration));
    scene.refused(&scene.renew(), "@a_zone_that_the_provider_does_not_have");
}

#[test]
fn a_zone_without_a_provider() {
    let files = declared("D(\"bench.test\", REG_NONE);\n");
    let scene = Scene::with(Lab::builder(), &["www.bench.test"], files);
    scene.refused(&scene.renew(), "@a_zone_without_a_provider");
}

#[test]
fn all_providers_are_skipped() {
    let scene = Scene::start(Lab::builder(), &["www.bench.test"]);
    let command = scene.renew().args(["--skip", "ddns"]);
    scene.refused(&command, "@all_providers_are_skipped");
}

#[test]
fn corrections_are_pending() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    changed_at_bind(&scene, "add by-hand.bench.test 300 A 198.51.100.1");
    changed_at_bind(&scene, "delete www.bench.test A");
    changed_at_bind(&scene, "add www.bench.test 60 A 198.51.100.80");
    changed_at_bind(&scene, "delete bench.test A");
    scene.refused(&scene.renew(), "@corrections_are_pending");
}

#[test]
fn a_cname_is_declared_where_the_challenge_goes() {
    let cname = r#"CNAME("_acme-challenge.www", "elsewhere.test.")"#;
    let declaration = zone("bench.test").declaration();
    let declaration = declaration.replace("\n);", &format!(",\n  {cname}\n);"));
    let scene = Scene::with(with_bind(), &["www.bench.test"], declared(&declaration));
    scene.refused(
        &scene.renew(),
        "@a_cname_is_declared_where_the_challenge_goes",
    );
}

#[test]
fn a_cname_is_served_where_the_challenge_goes() {
    let scene = Scene::start(with_bind(), &["www.bench.test"]);
    changed_at_bind(
        &scene,
        "add _acme-challenge.www.bench.test 300 CNAME elsewhere.test.",
    );
    scene.refused(
        &scene.renew(),
        "@a_cname_is_served_where_the_challenge_goes",
    );
}
