//! The test lab: real servers in a network namespace of their own.
//!
//! ```text
//! let lab = Lab::builder().bind().powerdns().pebble().git_http().start();
//! ```
//!
//! | address | server | what it has |
//! | --- | --- | --- |
//! | 192.0.2.1 | Knot | the root zone and `test.`, with real delegations |
//! | 192.0.2.2 | BIND | `example.test`, `bench.test`, `files.test`, `blocked.test`, `lame.test` |
//! | 192.0.2.3 | PowerDNS | its own `example.test`, and `pdns.test`; HTTP API on port 8081 |
//! | 192.0.2.10 | Unbound | the resolver of the namespace, without a cache; over HTTPS as `one.doh.test` and `two.doh.test` |
//! | 192.0.2.14 | Pebble | `https://acme.test/dir` |
//! | 192.0.2.15 | a proxy | `https://faulty.test/dir`: Pebble with faults that a test chooses |
//! | 192.0.2.20 | lighttpd, sshd | `git.test`: git over HTTP, HTTPS (with a token) and ssh |
//! | 192.0.2.40 | a server of ours | `api.github.com`: what GitHub has for releases; `github.com` is the git server |
//! | 127.0.0.1 | moto | Route 53's API on port 5001; no DNS |
//!
//! A missing program is a failure: `make test-deps` installs all of them.

pub mod address;
pub mod authority;
pub mod bind;
pub mod cert_repo;
pub mod command;
pub mod disk;
pub mod dns;
pub mod dnscontrol;
pub mod faults;
pub mod folders;
pub mod get_certs;
pub mod git_server;
pub mod github;
pub mod knot;
pub mod lab;
pub mod more_zones;
pub mod namespace;
pub mod nightly;
pub mod openbao;
pub mod pebble;
pub mod peers;
pub mod powerdns;
pub mod repos;
pub mod resolver;
pub mod route53;
pub mod scene;
pub mod secrets;
pub mod signed;
pub mod zones;
