//! Knot: the root zone and `test.`.

use crate::support::address::ROOT;
use crate::support::command::Command;
use crate::support::namespace::Namespace;
use crate::support::zones::{ZONES, Zone};

pub fn configure(namespace: &Namespace) {
    let soa = "SOA a.root. hostmaster.root. 1 3600 600 86400 1";
    namespace.write(
        "knot/root.zone",
        format!("$ORIGIN .\n$TTL 300\n@ {soa}\n@ NS a.root.\na.root. A {ROOT}\n"),
    );
    let delegations: String = ZONES.iter().map(Zone::delegation).collect();
    namespace.write(
        "knot/test.zone",
        format!("$ORIGIN test.\n$TTL 300\n@ {soa}\n@ NS a.root.\n{delegations}"),
    );
    let folder = namespace.folder().join("knot");
    let folder = folder.display();
    namespace.write(
        "knot/knot.conf",
        format!(
            r#"
server:
    rundir: "{folder}"
    pidfile: "{folder}/pid"
    listen: {ROOT}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
control:
    listen: "{folder}/control"
database:
    storage: "{folder}"
template:
  - id: default
    storage: "{folder}"
    journal-content: none
    zonefile-sync: -1
zone:
  - domain: .
    file: root.zone
  - domain: test.
    file: test.zone
"#
        ),
    );
}

pub fn command(namespace: &Namespace) -> Command {
    namespace
        .command("knotd")
        .arg("--config")
        .arg(namespace.folder().join("knot/knot.conf"))
}
