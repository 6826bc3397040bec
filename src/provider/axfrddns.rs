//! AXFRDDNS: any name server that speaks zone transfers and dynamic updates.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{DNSClass, Name, RData, Record as WireRecord, RecordType};

use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, ZoneRef};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec, default_nameservers};
use crate::provider::rfc2136::{
    Address, Connection, Server, accepted, ask_by_udp, question, update,
};
use crate::provider::transfer::Transfers;
use crate::provider::tsig::Key;
use crate::provider::wire;
use crate::provider::written;

pub(super) const SPEC: Spec = Spec {
    kind: "AXFRDDNS",
    name: "AXFR and dynamic updates (BIND, Knot, PowerDNS, ...)",
    api: "https://www.rfc-editor.org/rfc/rfc2136",
    fields: &[
        Field {
            key: "master",
            required: false,
            help: "server that takes updates, `HOST` or `HOST:PORT`; default: the first of `nameservers`",
        },
        Field {
            key: "nameservers",
            required: false,
            help: "name servers that DNSControl puts in every zone, separated by commas",
        },
        Field {
            key: "update-key",
            required: false,
            help: "TSIG key for updates, `hmac-sha256:NAME:BASE64-SECRET`; default: unsigned; the right \
                   to change TXT records at `_acme-challenge` names is enough",
        },
        Field {
            key: "transfer-key",
            required: false,
            help: "TSIG key for transfers, in the same form; default: unsigned; needs no other right",
        },
        Field {
            key: "transfer-server",
            required: false,
            help: "server that hands out transfers, `HOST` or `HOST:PORT`; default: `master`",
        },
        Field {
            key: "update-mode",
            required: false,
            help: "how updates are sent: `tcp` (default) or `udp`",
        },
        Field {
            key: "transfer-mode",
            required: false,
            help: "how transfers are made: `tcp` (default), nothing else",
        },
        Field {
            key: "buggy-cname",
            required: false,
            help: "accepted and without effect, as in DNSControl",
        },
    ],
    notes: &[
        "TSIG: hmac-sha256, hmac-sha384 and hmac-sha512; not hmac-md5 and hmac-sha1",
        "TLS (`tcp-tls`) is not supported yet",
        "the server must answer TXT queries with the update key from here: each change is checked",
    ],
    scope: "the key must be allowed to transfer the zone, and to update TXT records at `_acme-challenge` names",
    rates: &[],
    connect,
};

/// What BIND and its kin add to a signed zone; DNSControl hides it (65534 is BIND's signing state).
const DNSSEC_TYPES: &[&str] = &[
    "RRSIG",
    "DNSKEY",
    "CDNSKEY",
    "CDS",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "TYPE65534",
];

/// Changes in one message; well below 64 KiB.
const CHANGES_PER_MESSAGE: usize = 300;

/// How long a server may take until it serves what it has accepted (inline signing).
const SERVE_TIMEOUT: Duration = Duration::from_secs(10);

/// First pause before asking again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A primary server, and one to transfer from.
#[derive(Debug)]
struct AxfrDdns {
    entry: String,
    update: Server,
    by_udp: bool,
    transfer: Transfers,
    nameservers: Vec<DnsName>,
}

fn connect(entry: &ProviderEntry, _: &Context) -> Result<Box<dyn DnsProvider>> {
    for mode in ["update-mode", "transfer-mode"] {
        check_mode(entry, mode)?;
    }
    let nameservers = nameservers(entry)?;
    let master = match (entry.field("master"), nameservers.first()) {
        (Some(master), _) => address(entry, "master", master)?,
        (None, Some(first)) => address(entry, "nameservers", first.as_str())?,
        (None, None) => {
            let name = &entry.name;
            return Err(anyhow!(
                "`creds.json` entry `{name}` (AXFRDDNS) has neither `master` nor `nameservers`"
            ))
            .hint(|| "add `master`: the server that takes updates");
        }
    };
    let key = |field| {
        let text = entry.optional(field)?;
        text.map(|text| Key::parse(text, field, &entry.name))
            .transpose()
    };
    let transfer = match entry.field("transfer-server") {
        Some(text) => address(entry, "transfer-server", text)?,
        None => master.clone(),
    };
    Ok(Box::new(AxfrDdns {
        entry: entry.name.clone(),
        by_udp: entry.field("update-mode") == Some("udp"),
        update: Server {
            address: master,
            key: key("update-key")?,
        },
        transfer: Transfers::from(Server {
            address: transfer,
            key: key("transfer-key")?,
        }),
        nameservers,
    }))
}

fn check_mode(entry: &ProviderEntry, field: &str) -> Result<()> {
    match (entry.field(field), field) {
        (None | Some("tcp"), _) | (Some("udp"), "update-mode") => Ok(()),
        (Some("tcp-tls"), _) => Err(anyhow!(
            "`creds.json` entry `{}`: `{field}` is `tcp-tls`, which is not supported yet",
            entry.name
        ))
        .hint(|| "use `tcp` with a TSIG key"),
        (Some(other), _) => bail!(
            "`creds.json` entry `{}`: unknown `{field}` `{other}`",
            entry.name
        ),
    }
}

fn address(entry: &ProviderEntry, field: &str, text: &str) -> Result<Address> {
    Address::parse(text)
        .with_context(|| format!("bad `{field}` in `creds.json` entry `{}`", entry.name))
}

fn nameservers(entry: &ProviderEntry) -> Result<Vec<DnsName>> {
    let mut names: Vec<DnsName> = entry
        .field("nameservers")
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().parse::<DnsName>())
        .collect::<Result<_, _>>()
        .with_context(|| format!("bad `nameservers` in `creds.json` entry `{}`", entry.name))?;
    names.extend(default_nameservers(entry)?);
    Ok(names)
}

impl DnsProvider for AxfrDdns {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        Box::pin(async move {
            self.transfer_zone(zone.name).await.with_context(|| {
                format!(
                    "cannot read zone `{zone}` from `{}` (AXFR, `creds.json` entry `{}`)",
                    self.transfer.address(),
                    self.entry
                )
            })
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        Box::pin(async move {
            let update = written::watched(self.update_zone(zone.name, batch));
            update.await.with_context(|| {
                format!(
                    "cannot change zone `{zone}` at `{}` (RFC 2136, `creds.json` entry `{}`)",
                    self.update.address, self.entry
                )
            })
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        Box::pin(async { Ok(self.nameservers.clone()) })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            ..Quirks::default()
        }
    }
}

impl AxfrDdns {
    async fn transfer_zone(&self, zone: &DnsName) -> Result<Vec<Record>> {
        let records = self.transfer.zone(&wire::name(zone)?).await?;
        let records = records.iter().map(|record| wire::record(record, zone));
        let mut records = records.collect::<Result<Vec<_>>>()?;
        records.retain(|record| !DNSSEC_TYPES.contains(&record.rtype.as_str()));
        Ok(records)
    }

    async fn update_zone(&self, zone: &DnsName, batch: &TxtBatch) -> Result<()> {
        let all = batch.add.iter().chain(&batch.remove);
        let names: BTreeSet<&DnsName> = all.map(|txt| &txt.name).collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut connection = Connection::open(&self.update).await?;
        let before = self.sets(&mut connection, &names).await?;
        let mut changes = Vec::with_capacity(batch.add.len() + batch.remove.len());
        for txt in batch.add.iter().filter(|txt| !batch.remove.contains(txt)) {
            let ttl = before.get(&txt.name).and_then(|set| set.ttl);
            changes.push(txt_record(txt, ttl.unwrap_or(TXT_TTL), DNSClass::IN)?);
        }
        for txt in &batch.remove {
            changes.push(txt_record(txt, 0, DNSClass::NONE)?);
        }
        for group in changes.chunks(CHANGES_PER_MESSAGE) {
            let mut message = update(&wire::name(zone)?);
            message.add_authorities(group.iter().cloned());
            let sent = self.send(&mut connection, message).await;
            let answer = sent.inspect_err(|_| written::note())?;
            // A message is taken as a whole, or not at all (RFC 2136 section 3.7).
            let taken = accepted(&answer, &self.update, "update the zone");
            let taken = taken.inspect(|()| written::note());
            match batch.add.iter().find(|txt| is_alias(&before, txt)) {
                Some(txt) => taken.hint(|| cannot_be(txt))?,
                None => taken?,
            }
        }
        self.verify(&mut connection, &names, batch).await
    }

    async fn send(&self, connection: &mut Connection<'_>, message: Message) -> Result<Message> {
        if self.by_udp
            && let Some(answer) = ask_by_udp(&self.update, message.clone()).await?
        {
            return Ok(answer);
        }
        let mut answers = connection.ask(vec![message]).await?;
        answers.pop().context("no answer")
    }

    /// Asks the server for the sets until they hold what the batch says.
    ///
    /// A server accepts an addition beside a CNAME and does nothing (RFC 2136 section 3.4.2.2).
    async fn verify(
        &self,
        connection: &mut Connection<'_>,
        names: &BTreeSet<&DnsName>,
        batch: &TxtBatch,
    ) -> Result<()> {
        let deadline = Instant::now() + SERVE_TIMEOUT;
        let mut pause = FIRST_PAUSE;
        loop {
            let sets = self.sets(connection, names).await?;
            let Some((txt, is_there)) = unfinished(&sets, batch) else {
                return Ok(());
            };
            if !is_there && is_alias(&sets, txt) {
                return Err(with_hint(
                    anyhow!(cannot_be(txt)),
                    "remove the CNAME, or point it to a zone that `dnsconfig.js` has",
                ));
            }
            if Instant::now() + pause > deadline {
                let state = if is_there {
                    "still has"
                } else {
                    "does not have"
                };
                return Err(with_hint(
                    anyhow!("the server accepted the update but {state} {txt}"),
                    "see the server's log; the update must reach the version of the zone that it serves here",
                ));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn sets(
        &self,
        connection: &mut Connection<'_>,
        names: &BTreeSet<&DnsName>,
    ) -> Result<BTreeMap<DnsName, TxtSet>> {
        let owners: Vec<Name> = names
            .iter()
            .map(|name| wire::name(name))
            .collect::<Result<_>>()?;
        let questions = owners
            .iter()
            .map(|owner| question(owner, RecordType::TXT))
            .collect();
        let answers = connection.ask(questions).await?;
        let mut sets = BTreeMap::new();
        for ((name, owner), answer) in names.iter().zip(&owners).zip(&answers) {
            if answer.metadata.response_code != hickory_proto::op::ResponseCode::NXDomain {
                accepted(answer, &self.update, "answer a TXT query")?;
            }
            sets.insert((*name).clone(), TxtSet::read(owner, answer));
        }
        Ok(sets)
    }
}

/// The TXT values at one name.
#[derive(Default)]
struct TxtSet {
    /// None where there is no value.
    ttl: Option<u32>,
    values: BTreeSet<Vec<u8>>,
    /// The name has a CNAME instead.
    is_alias: bool,
}

impl TxtSet {
    fn read(owner: &Name, answer: &Message) -> Self {
        let mut set = Self::default();
        for record in answer.answers.iter().filter(|record| record.name == *owner) {
            match &record.data {
                RData::TXT(txt) => {
                    set.ttl = Some(record.ttl);
                    set.values.insert(txt.txt_data.concat());
                }
                RData::CNAME(_) => set.is_alias = true,
                _ => {}
            }
        }
        set
    }
}

fn is_alias(sets: &BTreeMap<DnsName, TxtSet>, txt: &Txt) -> bool {
    sets.get(&txt.name).is_some_and(|set| set.is_alias)
}

fn cannot_be(txt: &Txt) -> String {
    format!("`{}` is a CNAME, so it cannot have a TXT record", txt.name)
}

/// A value that is not yet as the batch says, and whether it is there.
fn unfinished<'a>(
    sets: &BTreeMap<DnsName, TxtSet>,
    batch: &'a TxtBatch,
) -> Option<(&'a Txt, bool)> {
    let is_there = |txt: &Txt| {
        sets.get(&txt.name)
            .is_some_and(|set| set.values.contains(txt.value.as_bytes()))
    };
    let missing = batch
        .add
        .iter()
        .find(|txt| !batch.remove.contains(txt) && !is_there(txt));
    missing.map(|txt| (txt, false)).or_else(|| {
        let left = batch.remove.iter().find(|txt| is_there(txt));
        left.map(|txt| (txt, true))
    })
}

fn txt_record(txt: &Txt, ttl: u32, class: DNSClass) -> Result<WireRecord> {
    let data = RData::TXT(TXT::from_bytes(vec![txt.value.as_bytes()]));
    let mut record = WireRecord::from_rdata(wire::name(&txt.name)?, ttl, data);
    record.dns_class = class;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hint::explain;
    use crate::provider::servers::{context, entry};

    fn error(fields: &[(&str, &str)]) -> (String, Vec<String>) {
        let entry = entry("AXFRDDNS", fields);
        let explained = explain(&connect(&entry, &context()).unwrap_err());
        let lines = [vec![explained.what], explained.causes].concat();
        (lines.join(": "), explained.hints)
    }

    #[test]
    fn bad_entries_name_the_field() {
        for (fields, what, hint) in [
            (
                &[][..],
                "`creds.json` entry `main` (AXFRDDNS) has neither `master` nor `nameservers`",
                &["add `master`: the server that takes updates"][..],
            ),
            (
                &[("master", "127.0.0.1"), ("update-mode", "tcp-tls")],
                "`creds.json` entry `main`: `update-mode` is `tcp-tls`, which is not supported yet",
                &["use `tcp` with a TSIG key"],
            ),
            (
                &[("master", "127.0.0.1"), ("transfer-mode", "udp")],
                "`creds.json` entry `main`: unknown `transfer-mode` `udp`",
                &[],
            ),
            (
                &[("master", "ns1:x")],
                "bad `master` in `creds.json` entry `main`: `ns1:x` is no server: want `HOST` or `HOST:PORT`",
                &[],
            ),
            (
                &[("nameservers", "ns1.test,,ns2.test")],
                "bad `nameservers` in `creds.json` entry `main`: `` is not a DNS name",
                &[],
            ),
        ] {
            let hints: Vec<String> = hint.iter().map(|hint| (*hint).to_owned()).collect();
            assert_eq!(error(fields), (what.to_owned(), hints));
        }
    }
}
