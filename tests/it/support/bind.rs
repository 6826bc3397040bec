//! BIND: AXFR and RFC 2136 with TSIG, and one zone that is reloaded from its file.

use std::path::PathBuf;

use crate::support::address::BIND;
use crate::support::command::{Command, Output};
use crate::support::namespace::{Namespace, program};
use crate::support::zones::{Provider, ZONES, Zone};

/// TSIG key for transfers and updates, as AXFRDDNS writes it: algorithm, name, secret.
pub const TSIG: &str = "hmac-sha256:lab-key:bGFiIHNlY3JldCwgZ29vZCBmb3Igbm90aGluZyBlbHNl";

/// The folder of the zone files.
pub fn zone_folder(namespace: &Namespace) -> PathBuf {
    namespace.folder().join("bind/zones")
}

pub fn configure(namespace: &Namespace) {
    let folder = namespace.folder().join("bind");
    let folder = folder.display();
    let secret = TSIG.rsplit(':').next().unwrap();
    let key =
        |name: &str| format!("key \"{name}\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n");
    namespace.write("bind/rndc.key", key("rndc-key"));
    let mut config = format!(
        r#"
include "{folder}/rndc.key";
{}
options {{
    directory "{folder}";
    pid-file "{folder}/pid";
    session-keyfile none;
    listen-on port 53 {{ {BIND}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    notify no;
    allow-transfer {{ key "lab-key"; }};
}};
controls {{ inet {BIND} port 953 allow {{ any; }} keys {{ "rndc-key"; }}; }};
"#,
        key("lab-key")
    );
    for zone in ZONES.iter().filter(|zone| zone.servers.contains(&BIND)) {
        config.push_str(&declaration(zone));
        namespace.write(&format!("bind/zones/{}.zone", zone.name), zone.file());
    }
    namespace.write("bind/named.conf", config);
}

/// What BIND's configuration has for a zone.
pub fn declaration(zone: &Zone) -> String {
    let name = zone.name;
    // BIND keeps a journal and writes the file itself where it takes updates.
    let policy = if zone.providers.contains(&Provider::Ddns) {
        "update-policy { grant \"lab-key\" zonesub ANY; };"
    } else {
        ""
    };
    format!("zone \"{name}\" {{ type primary; file \"zones/{name}.zone\"; {policy} }};\n")
}

pub fn command(namespace: &Namespace) -> Command {
    namespace
        .unconfined("named")
        .args(["-g", "-n", "1", "-c"])
        .arg(namespace.folder().join("bind/named.conf"))
}

/// Words that make BIND read a zone file again.
pub fn reload_words(namespace: &Namespace, zone: &str) -> Vec<String> {
    let key = namespace.folder().join("bind/rndc.key");
    let rndc = program("rndc");
    vec![
        rndc.to_str().unwrap().to_owned(),
        "-s".to_owned(),
        BIND.to_owned(),
        "-k".to_owned(),
        key.to_str().unwrap().to_owned(),
        "reload".to_owned(),
        zone.to_owned(),
    ]
}

/// Sends an update of nsupdate's own words, such as `add NAME 60 TXT value`.
pub fn update(namespace: &Namespace, zone: &str, change: &str) -> Output {
    namespace
        .command("nsupdate")
        .args(["-y", TSIG])
        .stdin(format!(
            "server {BIND}\nzone {zone}\nupdate {change}\nsend\n"
        ))
        .run()
}
