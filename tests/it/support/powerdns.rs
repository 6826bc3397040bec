//! PowerDNS: zones in a database, changed over its HTTP API.

use std::path::Path;

use crate::support::address::POWERDNS;
use crate::support::command::{Command, Output};
use crate::support::namespace::Namespace;
use crate::support::zones::{TTL, ZONES};

/// The API's key.
pub const API_KEY: &str = "lab-api-key";

/// The API's address, as POWERDNS writes it.
pub fn api_url() -> String {
    format!("http://{POWERDNS}:8081")
}

pub fn configure(namespace: &Namespace) {
    let folder = namespace.folder().join("powerdns");
    let shown = folder.display();
    // Without the cache times an answer from before a change would be repeated after it.
    namespace.write(
        "powerdns/pdns.conf",
        format!(
            "launch=gsqlite3
gsqlite3-database={shown}/zones.sqlite3
gsqlite3-pragma-synchronous=0
local-address={POWERDNS}
local-port=53
socket-dir={shown}
setuid=
setgid=
allow-axfr-ips=0.0.0.0/0
webserver=yes
webserver-address={POWERDNS}
webserver-port=8081
webserver-allow-from=0.0.0.0/0
api=yes
api-key={API_KEY}
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
receiver-threads=1
distributor-threads=1
security-poll-suffix=
"
        ),
    );
    namespace
        .command("sqlite3")
        .args(["-bail"])
        .arg(folder.join("zones.sqlite3"))
        .stdin(database())
        .succeed();
}

/// The database as SQL: the schema that the package brings, and the zones.
fn database() -> String {
    // Images for containers leave out /usr/share/doc.
    let schema = [
        "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
        "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
    ]
    .into_iter()
    .find(|path| Path::new(path).is_file())
    .expect("`pdns-backend-sqlite3` is not installed\nhint: run `make test-deps`");
    let mut sql = format!("PRAGMA synchronous=OFF;\n.read {schema}\nBEGIN;\n");
    let served = ZONES.iter().filter(|zone| zone.servers.contains(&POWERDNS));
    for (id, zone) in (1..).zip(served) {
        let name = zone.name;
        sql.push_str(&format!(
            "INSERT INTO domains (id, name, type) VALUES ({id}, '{name}', 'NATIVE');
INSERT INTO domainmetadata (domain_id, kind, content) VALUES ({id}, 'SOA-EDIT-API', 'INCREASE');\n"
        ));
        for (label, kind, data) in zone.records() {
            let owner = if label == "@" {
                name.to_owned()
            } else {
                format!("{label}.{name}")
            };
            // PowerDNS keeps host names without the dot at the end.
            let data = data.replace(". ", " ");
            let data = data.trim_end_matches('.');
            sql.push_str(&format!(
                "INSERT INTO records (domain_id, name, type, content, ttl, auth) \
                 VALUES ({id}, '{owner}', '{kind}', '{data}', {TTL}, 1);\n"
            ));
        }
    }
    sql + "COMMIT;\n"
}

pub fn command(namespace: &Namespace) -> Command {
    let mut folder = std::ffi::OsString::from("--config-dir=");
    folder.push(namespace.folder().join("powerdns"));
    namespace.command("pdns_server").arg(folder).args([
        "--daemon=no",
        "--guardian=no",
        "--write-pid=no",
        "--disable-syslog",
    ])
}

/// Replaces the TXT values at a name through the API; none removes them.
pub fn set_txt(namespace: &Namespace, zone: &str, name: &str, values: &[&str]) -> Output {
    let records: Vec<_> = values
        .iter()
        .map(|value| serde_json::json!({"content": format!("\"{value}\""), "disabled": false}))
        .collect();
    let body = serde_json::json!({"rrsets": [{
        "name": format!("{name}."),
        "type": "TXT",
        "ttl": TTL,
        "changetype": if values.is_empty() { "DELETE" } else { "REPLACE" },
        "records": records,
    }]});
    namespace
        .command("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--request",
            "PATCH",
        ])
        .args(["--header", &format!("X-API-Key: {API_KEY}"), "--data", "@-"])
        .arg(format!(
            "{}/api/v1/servers/localhost/zones/{zone}.",
            api_url()
        ))
        .stdin(body.to_string())
        .run()
}
