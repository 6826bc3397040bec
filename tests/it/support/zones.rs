//! The zones of the lab, as zone files and as DNSControl declares them.

use crate::support::address::{BIND, NOBODY, POWERDNS};

/// Credentials entry of DNSControl, and the server behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `AXFRDDNS`: RFC 2136 and AXFR at BIND.
    Ddns,
    /// `POWERDNS`: its HTTP API.
    PowerDns,
    /// `BIND`: zone files, which BIND reloads when told to.
    ZoneFiles,
}

impl Provider {
    /// The entry's name in creds.json and its variable in dnsconfig.js.
    pub fn entry(self) -> &'static str {
        match self {
            Self::Ddns => "ddns",
            Self::PowerDns => "powerdns",
            Self::ZoneFiles => "zonefiles",
        }
    }
}

/// A zone: its name servers, and the providers that keep it.
#[derive(Clone, Copy, Debug)]
pub struct Zone {
    pub name: &'static str,
    /// Addresses of `ns1`, `ns2`.
    pub servers: &'static [&'static str],
    pub providers: &'static [Provider],
}

/// Every zone below `test.`.
pub const ZONES: [Zone; 6] = [
    // Two primaries that know nothing of each other: a value has to be written to both.
    Zone {
        name: "example.test",
        servers: &[BIND, POWERDNS],
        providers: &[Provider::Ddns, Provider::PowerDns],
    },
    Zone {
        name: "bench.test",
        servers: &[BIND],
        providers: &[Provider::Ddns],
    },
    Zone {
        name: "pdns.test",
        servers: &[POWERDNS],
        providers: &[Provider::PowerDns],
    },
    Zone {
        name: "files.test",
        servers: &[BIND],
        providers: &[Provider::ZoneFiles],
    },
    // The CA issues nothing below it.
    Zone {
        name: "blocked.test",
        servers: &[BIND],
        providers: &[Provider::Ddns],
    },
    // Nobody listens at the second name server.
    Zone {
        name: "lame.test",
        servers: &[BIND, NOBODY],
        providers: &[Provider::Ddns],
    },
];

/// The zone of this name.
pub fn zone(name: &str) -> Zone {
    *ZONES.iter().find(|zone| zone.name == name).unwrap()
}

/// Seconds, of every record: DNSControl's default.
pub const TTL: u32 = 300;

impl Zone {
    /// Its records: label, type, data.
    pub fn records(&self) -> Vec<(String, &'static str, String)> {
        let host = |number| format!("ns{number}.{}.", self.name);
        let mut records = vec![(
            "@".to_owned(),
            "SOA",
            format!("{} hostmaster.{}. 1 3600 600 86400 1", host(1), self.name),
        )];
        for (number, address) in (1..).zip(self.servers) {
            records.push(("@".to_owned(), "NS", host(number)));
            records.push((format!("ns{number}"), "A", (*address).to_owned()));
        }
        for label in ["@", "www"] {
            records.push((label.to_owned(), "A", "198.51.100.80".to_owned()));
        }
        records
    }

    /// The zone file.
    pub fn file(&self) -> String {
        let mut text = format!("$ORIGIN {}.\n$TTL {TTL}\n", self.name);
        for (label, kind, data) in self.records() {
            text.push_str(&format!("{label} {kind} {data}\n"));
        }
        text
    }

    /// What `test.` says of it: name servers and their addresses.
    pub fn delegation(&self) -> String {
        let mut text = String::new();
        for (number, address) in (1..).zip(self.servers) {
            let host = format!("ns{number}.{}.", self.name);
            text.push_str(&format!("{}. NS {host}\n{host} A {address}\n", self.name));
        }
        text
    }

    /// Its declaration with more in it.
    pub fn declaration_with(&self, more: &[&str]) -> String {
        let more: String = more.iter().map(|word| format!(",\n  {word}")).collect();
        let declaration = self.declaration();
        declaration.replace("\n);", &format!("{more}\n);"))
    }

    /// Its declaration in dnsconfig.js, which agrees with the servers.
    pub fn declaration(&self) -> String {
        let mut words = vec![format!("D({:?}, REG_NONE", self.name)];
        for provider in self.providers {
            words.push(format!("DnsProvider({}, 0)", provider.entry()));
        }
        for (label, kind, data) in self.records() {
            match kind {
                "NS" => words.push(format!("NAMESERVER({data:?})")),
                "A" => words.push(format!("A({label:?}, {data:?})")),
                // DNSControl compares the SOA record at PowerDNS, without its serial.
                "SOA" if self.providers.contains(&Provider::PowerDns) => {
                    let fields: Vec<_> = data.split(' ').collect();
                    let [host, mailbox, _, refresh, retry, expire, ttl] = fields[..] else {
                        panic!("an SOA record has seven fields: {data}");
                    };
                    words.push(format!(
                        "SOA({label:?}, {host:?}, {mailbox:?}, {refresh}, {retry}, {expire}, {ttl})"
                    ));
                }
                _ => {}
            }
        }
        format!("{}\n);\n", words.join(",\n  "))
    }
}
