//! Zones besides those that every lab has, for tests that need many registered domains.

use std::fs;

use crate::support::address::BIND;
use crate::support::bind;
use crate::support::lab::{Lab, Server};
use crate::support::zones::{Provider, Zone};

/// Adds so many zones at BIND, `many-1.test` and so on, delegated like the others.
pub fn add(lab: &Lab, count: usize) -> Vec<Zone> {
    let zones: Vec<_> = (1..=count)
        .map(|number| Zone {
            name: format!("many-{number}.test").leak(),
            servers: &[BIND],
            providers: &[Provider::Ddns],
        })
        .collect();
    for server in [Server::Bind, Server::Root] {
        lab.stop(server);
    }
    append(
        lab,
        "bind/named.conf",
        &zones.iter().map(bind::declaration).collect::<String>(),
    );
    for zone in &zones {
        let path = format!("bind/zones/{}.zone", zone.name);
        lab.namespace().write(&path, zone.file());
    }
    append(
        lab,
        "knot/test.zone",
        &zones.iter().map(Zone::delegation).collect::<String>(),
    );
    for server in [Server::Bind, Server::Root] {
        lab.start(server);
    }
    zones
}

fn append(lab: &Lab, path: &str, more: &str) {
    let text = fs::read_to_string(lab.folder().join(path)).unwrap();
    lab.namespace().write(path, text + more);
}
