//! Who listens where: addresses for documentation (RFC 5737), carried by the loopback interface.

/// Knot, with the root zone and `test.`.
pub const ROOT: &str = "192.0.2.1";
/// BIND.
pub const BIND: &str = "192.0.2.2";
/// PowerDNS, and its HTTP API on port 8081.
pub const POWERDNS: &str = "192.0.2.3";
/// Unbound, the namespace's resolver.
pub const RESOLVER: &str = "192.0.2.10";
/// Pebble, as `acme.test`.
pub const PEBBLE: &str = "192.0.2.14";
/// The proxy before Pebble that injects faults, as `faulty.test`.
pub const FAULTS: &str = "192.0.2.15";
/// The git servers, as `git.test`.
pub const GIT: &str = "192.0.2.20";
/// OpenBao, as `vault.test`.
pub const VAULT: &str = "192.0.2.30";
/// GitHub's API, as `api.github.com`.
pub const GITHUB: &str = "192.0.2.40";
/// Nobody: connections are refused.
pub const NOBODY: &str = "192.0.2.66";

/// All of them. BIND only listens on addresses that an interface carries.
pub const ALL: [&str; 10] = [
    ROOT, BIND, POWERDNS, RESOLVER, PEBBLE, FAULTS, GIT, VAULT, GITHUB, NOBODY,
];
