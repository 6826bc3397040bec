//! CAA records of many names at once, found as a CA finds them: from each name up to its TLD.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::StreamExt;
use futures_util::stream;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::time::timeout;

use crate::dns::caa::{Property, RecordSet};
use crate::dns::doh::Resolver;
use crate::dns::exchange::wire_name;
use crate::dns::lookup::Lookup;
use crate::dns::referral::plain_name;
use crate::model::hint::Shared;
use crate::model::name::DnsName;

/// Names that are asked for at the same time: enough to hide the way to a resolver, few enough for
/// a small one.
const AT_ONCE: usize = 64;

/// Longest time for one name, whoever has to be asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// CAA records of names and of all names above them, each asked for once.
#[derive(Debug, Default)]
pub(crate) struct CaaTrees {
    /// None: the name has none.
    found: BTreeMap<DnsName, Result<Option<RecordSet>, Shared>>,
}

impl CaaTrees {
    /// Asks for the records of the names and of those above them, but for the root.
    ///
    /// `https`: resolvers that are asked where nobody answers on port 53.
    pub(crate) async fn look_up(
        lookup: &Lookup,
        https: &[Resolver],
        names: impl Iterator<Item = DnsName>,
    ) -> Self {
        let all: BTreeSet<_> = names
            .flat_map(|name| std::iter::successors(Some(name), above))
            .collect();
        let asked = all.into_iter().map(|name| async {
            let found = record_set(lookup, https, &name).await.map_err(Shared::new);
            (name, found)
        });
        let found = stream::iter(asked).buffer_unordered(AT_ONCE).collect();
        Self { found: found.await }
    }

    /// The first set that is not empty, from the name up (RFC 8659 section 3).
    ///
    /// A look-up that failed before one was found is an error: a CA would not issue (section 6).
    pub(crate) fn relevant(&self, name: &DnsName) -> Result<Option<&RecordSet>, Shared> {
        for at in std::iter::successors(Some(name.clone()), above) {
            match self.found.get(&at) {
                Some(Ok(None)) => {}
                Some(Ok(Some(found))) => return Ok(Some(found)),
                Some(Err(error)) => return Err(error.clone()),
                None => return Err(Shared::new(anyhow!("CAA of `{at}` was not asked for"))),
            }
        }
        Ok(None)
    }
}

/// The name above, unless that is the root.
fn above(name: &DnsName) -> Option<DnsName> {
    name.parent().filter(|parent| *parent != DnsName::root())
}

async fn record_set(
    lookup: &Lookup,
    https: &[Resolver],
    name: &DnsName,
) -> Result<Option<RecordSet>> {
    let failed = || format!("the CAA records of `{name}` cannot be looked up");
    let records = timeout(PATIENCE, records(lookup, https, name));
    let records = records.await.with_context(failed)?.with_context(failed)?;
    let mut at = None;
    let mut properties = Vec::new();
    for record in &records {
        if let Some(property) = property(record) {
            at = Some(plain_name(&record.name)?);
            properties.push(property);
        }
    }
    Ok(at.map(|at| RecordSet { at, properties }))
}

async fn records(lookup: &Lookup, https: &[Resolver], name: &DnsName) -> Result<Vec<Record>> {
    let failed = match lookup.caa(name).await {
        Ok(records) => return Ok(records),
        Err(error) => error,
    };
    for resolver in https {
        let answer = resolver.ask(RecordType::CAA, &wire_name(name)).await;
        let is_good = |message: &Message| {
            let code = message.metadata.response_code;
            matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
        };
        if let Some(message) = answer.ok().filter(is_good) {
            return Ok(message.answers);
        }
    }
    Err(failed)
}

fn property(record: &Record) -> Option<Property> {
    let RData::CAA(caa) = &record.data else {
        return None;
    };
    Some(Property {
        flags: caa.flags(),
        tag: caa.tag.to_ascii_lowercase(),
        value: String::from_utf8_lossy(&caa.value).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hickory_proto::op::MessageType;
    use pretty_assertions::assert_eq;
    use tokio::net::UdpSocket;

    use crate::dns::testing::{Lab, name};

    use super::*;

    const ROOT: &str = "127.0.0.9";
    const RESOLVER: &str = "127.0.0.10";

    /// Root and `test` on Knot, `example.test` on BIND, and an Unbound that knows them all.
    async fn lab() -> (Lab, SocketAddr) {
        let mut lab = Lab::new();
        let top = "@ NS a.root.\na.root. A 127.0.0.9";
        let tld = "@ NS a.root.\nexample NS ns1.example\nns1.example A 127.0.0.1";
        let example = r#"@ NS ns1
ns1 A 127.0.0.1
@ CAA 0 issue "ca.test; accounturi=https://ca.test/1"
@ CAA 128 IODEF "mailto:x@y.test"
sub CAA 0 issuewild ";"
plain.sub A 127.0.0.1
alias CNAME sub
dangling CNAME nowhere
"#;
        let root = lab.knot(ROOT, &[(".", top), ("test.", tld)]).await;
        let bind = lab.bind(&[("example.test", example)]).await;
        let zones = [(".", root), ("test", root), ("example.test", bind)];
        let resolver = lab.resolver(RESOLVER, &zones).await;
        (lab, resolver)
    }

    /// What the tree says of a name: where, and the records; `-` for none.
    fn said(trees: &CaaTrees, of: &str) -> String {
        match trees.relevant(&name(of)) {
            Ok(None) => "-".to_owned(),
            Ok(Some(RecordSet { at, properties })) => {
                let mut all: Vec<_> = properties.iter().map(ToString::to_string).collect();
                all.sort();
                format!("{at}: {}", all.join(", "))
            }
            Err(error) => error.to_string(),
        }
    }

    const APEX: &str = r#"example.test: 0 issue "ca.test; accounturi=https://ca.test/1", 128 iodef "mailto:x@y.test""#;
    const SUB: &str = r#"sub.example.test: 0 issuewild ";""#;

    #[tokio::test]
    async fn the_first_records_on_the_way_up_count() {
        let (lab, resolver) = lab().await;
        let lookup = Lookup::at(&[resolver]).unwrap().on_port(lab.port);
        let expected = [
            ("example.test", APEX),
            ("not.there.example.test", APEX),
            ("plain.sub.example.test", SUB),
            ("alias.example.test", SUB),
            // A CNAME to nothing: on from the name itself.
            ("dangling.example.test", APEX),
            ("other.test", "-"),
        ];
        let names = expected.iter().map(|(of, _)| name(of));
        let trees = CaaTrees::look_up(&lookup, &[], names).await;
        let found = expected.map(|(of, _)| (of, said(&trees, of)));
        assert_eq!(found, expected.map(|(of, said)| (of, said.to_owned())));
        // `test` and `example.test` once each, however many names are below them.
        assert_eq!(trees.found.len(), 9);
        assert_eq!(
            said(&trees, "who.test"),
            "CAA of `who.test` was not asked for"
        );
    }

    /// A resolver that knows no CAA, as those of some home routers: everything else is passed on.
    async fn without_caa(resolver: SocketAddr) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut packet = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let mut message = Message::from_vec(&packet[..length]).unwrap();
                let answer = if message.queries[0].query_type == RecordType::CAA {
                    message.metadata.message_type = MessageType::Response;
                    message.metadata.response_code = ResponseCode::ServFail;
                    message.to_vec().unwrap()
                } else {
                    let onward = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                    onward.send_to(&packet[..length], resolver).await.unwrap();
                    let mut answer = vec![0; 4096];
                    let (length, _) = onward.recv_from(&mut answer).await.unwrap();
                    answer.truncate(length);
                    answer
                };
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn name_servers_are_asked_where_the_resolver_fails() {
        let (lab, resolver) = lab().await;
        let resolver = without_caa(resolver).await;
        let lookup = Lookup::at(&[resolver]).unwrap().on_port(lab.port);
        let expected = [
            ("www.example.test", APEX),
            ("plain.sub.example.test", SUB),
            // Where it leads is the resolver's business.
            (
                "alias.example.test",
                "the CAA records of `alias.example.test` cannot be looked up",
            ),
        ];
        let names = expected.iter().map(|(of, _)| name(of));
        let trees = CaaTrees::look_up(&lookup, &[], names).await;
        let found = expected.map(|(of, _)| (of, said(&trees, of)));
        assert_eq!(found, expected.map(|(of, said)| (of, said.to_owned())));
    }
}
