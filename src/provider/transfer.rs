//! Zone transfers (RFC 5936), signed with TSIG.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};
use tokio::sync::Semaphore;

use crate::provider::patience::Patience;
use crate::provider::rfc2136::{
    Address, Connection, Server, accepted, decode, frame, question, receive, send,
};
use crate::provider::volume::Volume;

/// Zones that are read at once: BIND hands out 10 (`transfers-out`), to everybody together.
const AT_ONCE: usize = 6;

/// How often a zone is asked for; with the pauses between, for 16 seconds.
const ATTEMPTS: u32 = 8;

/// A server that zones are transferred from.
#[derive(Debug)]
pub(super) struct Transfers {
    server: Server,
    /// For [`AT_ONCE`].
    turns: Semaphore,
}

impl Transfers {
    pub(super) fn from(server: Server) -> Self {
        Self {
            server,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.server.address
    }

    /// All records of a zone, the closing SOA left out.
    ///
    /// Asks again for some seconds where the server fails: BIND does while it hands out as many zones as it may.
    pub(super) async fn zone(&self, zone: &Name) -> Result<Vec<Record>> {
        let mut patience = Patience {
            pause: Duration::from_millis(250),
            longest: Duration::from_secs(4),
            attempts: Some(ATTEMPTS),
            until: None,
        };
        loop {
            match self.ask_for(zone).await? {
                Transfer::Whole(records) => return Ok(records),
                Transfer::Failed(error) => patience.wait(error, None).await?,
            }
        }
    }

    async fn ask_for(&self, zone: &Name) -> Result<Transfer> {
        let _turn = self.turns.acquire().await?;
        Connection::open(&self.server).await?.transfer(zone).await
    }
}

/// What came of asking for a zone.
enum Transfer {
    /// All its records, the closing SOA left out.
    Whole(Vec<Record>),
    /// SERVFAIL, before anything was sent.
    Failed(anyhow::Error),
}

impl Connection<'_> {
    async fn transfer(&mut self, zone: &Name) -> Result<Transfer> {
        let server = &self.server.address;
        let ((id, bytes), mut verifier) = self.server.sign(question(zone, RecordType::AXFR))?;
        let mut frames = Vec::new();
        frame(&mut frames, &bytes)?;
        send(&mut self.stream, self.server, &frames).await?;
        let mut records: Vec<Record> = Vec::new();
        let mut volume = Volume::default();
        let whose = format!("the zone that `{server}` transfers");
        loop {
            let bytes = receive(&mut self.stream, self.server).await?;
            volume.add(&whose, bytes.len())?;
            let answer = decode(&bytes, self.server)?;
            ensure!(
                answer.metadata.id == id,
                "`{server}` answered what was not asked"
            );
            verifier.check(&bytes, &answer)?;
            let code = answer.metadata.response_code;
            match accepted(&answer, self.server, "transfer the zone") {
                Err(error) if code == ResponseCode::ServFail && records.is_empty() => {
                    return Ok(Transfer::Failed(error));
                }
                accepted => accepted?,
            }
            ensure!(
                !answer.answers.is_empty(),
                "`{server}` broke off the transfer of the zone"
            );
            for record in answer.answers {
                let is_soa = record.record_type() == RecordType::SOA && record.name == *zone;
                match (records.is_empty(), is_soa) {
                    (true, false) => bail!("`{server}` began the transfer without an SOA record"),
                    (false, true) => {
                        verifier.finish()?;
                        return Ok(Transfer::Whole(records));
                    }
                    _ => records.push(record),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::provider::servers::{self, SECRET};
    use crate::provider::tsig::Key;

    /// Several runs ask one server, which has one turn to give.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_is_busy_is_asked_again() {
        let server = servers::Server::bind_with_one_transfer();
        let key = format!("hmac-sha256:test-key:{SECRET}");
        let runs: Vec<_> = (0..3)
            .map(|_| {
                Transfers::from(Server {
                    address: Address::parse(&server.dns.to_string()).unwrap(),
                    key: Some(Key::parse(&key, "transfer-key", "main").unwrap()),
                })
            })
            .collect();
        let zone = Name::from_ascii("big.test.").unwrap();
        let asked = runs.iter().flat_map(|run| (0..2).map(|_| run.zone(&zone)));
        let counts: Vec<_> = join_all(asked)
            .await
            .into_iter()
            .map(|records| records.unwrap().len())
            .collect();
        assert!(counts[0] > 1000, "{counts:?}");
        assert_eq!(counts, vec![counts[0]; runs.len() * 2]);
        let log = server.log();
        assert!(log.contains("request denied: quota reached"), "{log}");
    }
}
