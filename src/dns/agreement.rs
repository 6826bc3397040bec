//! What the name servers of a zone say, each for itself.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};

use crate::dns::exchange::{ask, wire_name};
use crate::dns::lookup::NameServer;
use crate::dns::not_seen::who;
use crate::dns::present::{addresses, txt_at};
use crate::dns::referral::targets;
use crate::model::name::DnsName;

/// NS records at the top of a zone, and which addresses say so, as `ns1.example.com (192.0.2.1)`.
///
/// Addresses that do not answer with authority are left out.
pub(crate) async fn name_servers(
    zone: &DnsName,
    servers: &[NameServer],
) -> BTreeMap<BTreeSet<DnsName>, Vec<String>> {
    let apex = wire_name(zone);
    let mut said: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (who, mut answers) in each(servers, RecordType::NS, std::slice::from_ref(&apex)).await {
        let answer = answers.pop().flatten();
        if let Some(names) = answer.and_then(|message| targets(&message.answers, &apex).ok()) {
            said.entry(names).or_default().push(who);
        }
    }
    said
}

/// TXT values that one address of the servers at least has at each of the names; a set a name, in order.
pub(crate) async fn txt(names: &[DnsName], servers: &[NameServer]) -> Vec<BTreeSet<String>> {
    let questions: Vec<_> = names.iter().map(wire_name).collect();
    let mut all = vec![BTreeSet::new(); names.len()];
    for (_, answers) in each(servers, RecordType::TXT, &questions).await {
        for ((values, name), answer) in all.iter_mut().zip(&questions).zip(answers) {
            values.extend(answer.iter().flat_map(|message| txt_at(message, name)));
        }
    }
    all
}

/// What each address answers with authority, a message a name.
async fn each(
    servers: &[NameServer],
    kind: RecordType,
    names: &[Name],
) -> Vec<(String, Vec<Option<Message>>)> {
    let asked = addresses(servers).map(|(server, address)| async move {
        let answers = ask(address, kind, names).await.into_iter();
        let answers =
            answers.map(|answer| answer.ok().filter(|message| message.metadata.authoritative));
        (who(&server.name, address), answers.collect())
    });
    join_all(asked).await
}
