//! What the lab's name servers say.

use std::collections::BTreeSet;

use crate::support::bind;
use crate::support::lab::{Lab, Server};
use crate::support::zones::{ZONES, Zone};

impl Lab {
    /// Asks one server: the data of all records of this name and type.
    pub fn ask(&self, server: Server, name: &str, kind: &str) -> Vec<String> {
        let output = self
            .command("dig")
            .args(["+time=5", "+tries=2", "+short", kind, name])
            .arg(format!("@{}", server.address()))
            .succeed();
        // dig tells of attempts that were in vain between the answers.
        let answers = output.stdout.lines().filter(|line| !line.starts_with(';'));
        answers.map(str::to_owned).collect()
    }

    /// Asks one server for the TXT values of a name, sorted.
    pub fn txt(&self, server: Server, name: &str) -> Vec<String> {
        let records = self.ask(server, name, "TXT");
        let mut values: Vec<_> = records.iter().map(|record| unquote(record)).collect();
        values.sort();
        values
    }

    /// Every TXT value at a challenge name in every zone of all name servers of this lab, which have to run.
    pub fn challenges(&self) -> BTreeSet<Challenge> {
        let servers = self.servers().iter();
        servers
            .flat_map(|server| self.challenges_at(*server))
            .collect()
    }

    /// The same of one server; the others may be silent.
    pub fn challenges_at(&self, server: Server) -> BTreeSet<Challenge> {
        let served = |zone: &&Zone| zone.servers.contains(&server.address());
        let zones = ZONES.iter().filter(served);
        zones
            .flat_map(|zone| self.challenges_of(server, zone.name))
            .collect()
    }

    /// The same of one zone at one server.
    pub fn challenges_of(&self, server: Server, zone: &str) -> Vec<Challenge> {
        let mut dig = self
            .command("dig")
            .args(["+noall", "+answer", "AXFR", zone])
            .arg(format!("@{}", server.address()));
        if server == Server::Bind {
            dig = dig.args(["-y", bind::TSIG]);
        }
        let output = dig.succeed().stdout;
        // dig exits with 0 when the server refuses the transfer.
        assert!(
            output.contains("\tSOA\t"),
            "{server:?} does not transfer {zone}: {output}{}",
            self.logs()
        );
        output
            .lines()
            .filter(|line| line.starts_with("_acme-challenge."))
            .filter_map(|line| {
                let (before, data) = line.split_once("\tTXT\t")?;
                Some(Challenge {
                    server,
                    name: before
                        .split_whitespace()
                        .next()?
                        .trim_end_matches('.')
                        .to_owned(),
                    value: unquote(data),
                })
            })
            .collect()
    }
}

/// A TXT value that a server has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Challenge {
    pub server: Server,
    pub name: String,
    pub value: String,
}

/// The text of a TXT record: its strings without quotes, one after the other.
fn unquote(data: &str) -> String {
    data.split("\" \"")
        .collect::<String>()
        .trim_matches('"')
        .to_owned()
}
