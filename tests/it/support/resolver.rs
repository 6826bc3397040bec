//! Unbound: resolves from the lab's root, keeps nothing; over HTTPS too, under two names.

use crate::support::address::{RESOLVER, ROOT};
use crate::support::command::Command;
use crate::support::namespace::Namespace;

pub fn configure(namespace: &Namespace) {
    namespace.write(
        "resolver/root.hints",
        format!(". 300 IN NS a.root.\na.root. 300 IN A {ROOT}\n"),
    );
    // A lab without certificates has no resolver over HTTPS.
    let tls = namespace.folder().join("tls");
    let https = if tls.exists() {
        format!(
            "interface: {RESOLVER}@443\n    https-port: 443\n    \
             tls-service-pem: \"{0}/cert.pem\"\n    tls-service-key: \"{0}/key.pem\"",
            tls.display()
        )
    } else {
        String::new()
    };
    let folder = namespace.folder().join("resolver");
    let folder = folder.display();
    // `test.` is one of the names that Unbound keeps to itself by default.
    namespace.write(
        "resolver/unbound.conf",
        format!(
            r#"
server:
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: "{folder}/pid"
    use-syslog: no
    log-time-ascii: yes
    num-threads: 1
    interface: {RESOLVER}@53
    {https}
    outgoing-interface: {RESOLVER}
    access-control: 0.0.0.0/0 allow
    do-ip6: no
    module-config: "iterator"
    root-hints: "{folder}/root.hints"
    local-zone: "test." nodefault
    qname-minimisation: no
    minimal-responses: no
    target-fetch-policy: "0 0 0 0 0"
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
    infra-host-ttl: 1
    unknown-server-time-limit: 50
    incoming-num-tcp: 1000
remote-control:
    control-enable: no
"#
        ),
    );
}

pub fn command(namespace: &Namespace) -> Command {
    namespace
        .unconfined("unbound")
        .arg("-d")
        .arg("-c")
        .arg(namespace.folder().join("resolver/unbound.conf"))
}
