//! The chain of trust from the parent of a zone to the zone: DS against DNSKEY, and signatures (RFC 4035).

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;

use anyhow::{Context, Result};
use futures_util::future::{join, join_all};
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_proto::dnssec::{DigestType, Verifier};
use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use time::OffsetDateTime;

use crate::dns::exchange::{ask_with_signatures, wire_name};
use crate::dns::lookup::{Lookup, NameServer};
use crate::dns::not_seen::who;
use crate::dns::present::addresses;
use crate::model::name::DnsName;

/// What a validating resolver, such as that of a CA, makes of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The parent has no DS records: nothing is validated. DS records that would change that, if the zone is
    /// signed.
    None { to_add: Vec<String> },
    /// Every server has what the DS records ask for.
    Good,
    /// These servers have not.
    Broken(Vec<Break>),
}

/// Where the chain breaks. Prints as `ns1.example.com (192.0.2.1) has no DNSKEY records`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    pub(crate) who: Vec<String>,
    pub(crate) flaw: Flaw,
    /// DS records that would fit the keys that are there.
    pub(crate) to_add: Vec<String>,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who.join(", "), self.flaw)
    }
}

/// What is wrong at a server. Prints as the predicate of a sentence in the singular.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    NoKeys,
    /// No key is one that the parent has a DS record for, which have these tags.
    OtherKeys(Vec<u16>),
    /// The records of this type have no signature of such a key.
    Unsigned(RecordType),
    Expired(RecordType, OffsetDateTime),
    /// Valid from then on only.
    Early(RecordType, OffsetDateTime),
    Wrong(RecordType),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys => f.write_str("has no DNSKEY records"),
            Self::OtherKeys(tags) => {
                let tags: Vec<_> = tags.iter().map(ToString::to_string).collect();
                write!(f, "has no key with the tag {}", tags.join(" or "))
            }
            Self::Unsigned(kind) => write!(f, "does not sign its {kind} records"),
            Self::Expired(kind, at) => {
                write!(
                    f,
                    "has {kind} records whose signature expired on {}",
                    at.date()
                )
            }
            Self::Early(kind, at) => {
                write!(
                    f,
                    "has {kind} records whose signature is not valid before {}",
                    at.date()
                )
            }
            Self::Wrong(kind) => write!(f, "has {kind} records whose signature is wrong"),
        }
    }
}

/// Follows the chain to every address of the servers. Those that do not answer are left out.
///
/// DS records of kinds that nobody here can check count as none, as for validators (RFC 4035 section 5.2).
pub(crate) async fn trust(
    lookup: &Lookup,
    zone: &DnsName,
    servers: &[NameServer],
    now: OffsetDateTime,
) -> Result<Trust> {
    let failed = || format!("it is not known whether zone `{zone}` is signed");
    let asked = addresses(servers).map(|(server, address)| async move {
        let apex = [wire_name(zone)];
        let (keys, soa) = join(
            ask_with_signatures(address, RecordType::DNSKEY, &apex),
            ask_with_signatures(address, RecordType::SOA, &apex),
        )
        .await;
        let message = |mut answers: Vec<Result<Message, _>>| answers.pop()?.ok();
        Some((
            who(&server.name, address),
            Zone::new(zone, &message(keys)?, &message(soa)?),
        ))
    });
    let (ds, served) = join(lookup.ds(zone), join_all(asked)).await;
    let ds = ds.with_context(failed)?;
    let ds: Vec<_> = ds.iter().filter_map(delegation_signer).collect();
    Ok(judge(&ds, served.into_iter().flatten(), now))
}

fn judge(ds: &[DS], served: impl Iterator<Item = (String, Zone)>, now: OffsetDateTime) -> Trust {
    let is_usable = |ds: &&DS| ds.algorithm().is_supported() && ds.digest_type().is_supported();
    let ds: Vec<_> = ds.iter().filter(is_usable).collect();
    let mut breaks: BTreeMap<Flaw, Break> = BTreeMap::new();
    let mut to_add = Vec::new();
    for (who, zone) in served {
        if ds.is_empty() {
            to_add = zone.delegation_signers();
        } else if let Err(flaw) = zone.check(&ds, now) {
            let new = || Break {
                who: Vec::new(),
                flaw: flaw.clone(),
                to_add: zone.delegation_signers(),
            };
            breaks.entry(flaw.clone()).or_insert_with(new).who.push(who);
        }
    }
    match (ds.is_empty(), breaks.is_empty()) {
        (true, _) => Trust::None { to_add },
        (false, true) => Trust::Good,
        (false, false) => Trust::Broken(breaks.into_values().collect()),
    }
}

/// What a server has at the top of a zone.
struct Zone {
    name: Name,
    keys: Vec<DNSKEY>,
    /// DNSKEY and SOA records.
    records: Vec<Record>,
    signatures: Vec<RRSIG>,
}

impl Zone {
    fn new(name: &DnsName, keys: &Message, soa: &Message) -> Self {
        let name = wire_name(name);
        let answers = keys.answers.iter().chain(&soa.answers);
        let records: Vec<_> = answers
            .filter(|record| record.name == name)
            .cloned()
            .collect();
        let of = |record: &Record| match &record.data {
            RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key.clone()),
            _ => None,
        };
        let keys = records
            .iter()
            .filter_map(of)
            .filter(|key| key.zone_key() && !key.revoke());
        let signature = |record: &Record| match &record.data {
            RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature.clone()),
            _ => None,
        };
        Self {
            keys: keys.collect(),
            signatures: records.iter().filter_map(signature).collect(),
            records,
            name,
        }
    }

    /// The DNSKEY set has to be signed by a key that a DS record is for, the rest by any key of the set.
    fn check(&self, ds: &[&DS], now: OffsetDateTime) -> Result<(), Flaw> {
        if self.keys.is_empty() {
            return Err(Flaw::NoKeys);
        }
        let is_trusted = |key: &&DNSKEY| ds.iter().any(|ds| self.is_for(ds, key));
        let trusted: Vec<_> = self.keys.iter().filter(is_trusted).collect();
        if trusted.is_empty() {
            let mut tags: Vec<_> = ds.iter().map(|ds| ds.key_tag()).collect();
            tags.dedup();
            return Err(Flaw::OtherKeys(tags));
        }
        self.check_set(RecordType::DNSKEY, &trusted, now)?;
        self.check_set(RecordType::SOA, &self.keys.iter().collect::<Vec<_>>(), now)
    }

    fn is_for(&self, ds: &DS, key: &DNSKEY) -> bool {
        let algorithm = hickory_proto::dnssec::PublicKey::algorithm(key.public_key());
        ds.algorithm() == algorithm
            && key.calculate_key_tag().is_ok_and(|tag| tag == ds.key_tag())
            && ds.covers(&self.name, key).is_ok_and(|covers| covers)
    }

    /// Whether one signature by one of the keys is good; why not, if none is.
    fn check_set(
        &self,
        kind: RecordType,
        keys: &[&DNSKEY],
        now: OffsetDateTime,
    ) -> Result<(), Flaw> {
        let mut flaw = Flaw::Unsigned(kind);
        for signature in &self.signatures {
            let input = signature.input();
            let by = |key: &&&DNSKEY| {
                key.calculate_key_tag()
                    .is_ok_and(|tag| tag == input.key_tag)
            };
            if input.type_covered != kind || input.signer_name != self.name {
                continue;
            }
            for key in keys.iter().filter(by) {
                match self.check_signature(kind, signature, key, now) {
                    Ok(()) => return Ok(()),
                    Err(found) => flaw = found,
                }
            }
        }
        Err(flaw)
    }

    fn check_signature(
        &self,
        kind: RecordType,
        signature: &RRSIG,
        key: &DNSKEY,
        now: OffsetDateTime,
    ) -> Result<(), Flaw> {
        let signed = self
            .records
            .iter()
            .filter(|record| record.record_type() == kind);
        key.verify_rrsig(&self.name, DNSClass::IN, signature, signed)
            .map_err(|_| Flaw::Wrong(kind))?;
        let input = signature.input();
        let (from, until) = (
            moment(input.sig_inception.get(), now),
            moment(input.sig_expiration.get(), now),
        );
        match () {
            () if now > until => Err(Flaw::Expired(kind, until)),
            () if now < from => Err(Flaw::Early(kind, from)),
            () => Ok(()),
        }
    }

    /// DS records for the keys that sign keys, as they are written in zone files and on pages of registrars.
    fn delegation_signers(&self) -> Vec<String> {
        let is_entry = |key: &&DNSKEY| key.secure_entry_point();
        let written = self.keys.iter().filter(is_entry).filter_map(|key| {
            let digest = key.to_digest(&self.name, DigestType::SHA256).ok()?;
            let mut hex = String::new();
            for byte in digest.as_ref() {
                write!(hex, "{byte:02X}").ok()?;
            }
            let algorithm = hickory_proto::dnssec::PublicKey::algorithm(key.public_key());
            let (tag, algorithm) = (key.calculate_key_tag().ok()?, u8::from(algorithm));
            Some(format!("{tag} {algorithm} 2 {hex}"))
        });
        written.collect()
    }
}

fn delegation_signer(record: &Record) -> Option<DS> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds.clone()),
        _ => None,
    }
}

/// The moment nearest to `now` that the 32 bits stand for (RFC 4034 section 3.1.5).
fn moment(seconds: u32, now: OffsetDateTime) -> OffsetDateTime {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "serial number arithmetic is modulo 2^32"
    )]
    let now_in_32_bits = now.unix_timestamp() as u32;
    let ahead = seconds.wrapping_sub(now_in_32_bits).cast_signed();
    now + time::Duration::seconds(ahead.into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests are not confined")]

    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;
    use crate::dns::testing::{Lab, name};

    const BIND: &str = "127.0.0.1";
    const KNOT: &str = "127.0.0.9";
    const RESOLVER: &str = "127.0.0.10";

    const RECORDS: &str = "@ NS ns1\nns1 A 127.0.0.1";

    /// A zone that BIND's own tools have signed, and its DS record without the owner.
    fn signed(folder: &Path, zone: &str, options: &[&str]) -> (String, String) {
        let run = |program: &str, args: &[&str]| {
            let mut command = Command::new(program);
            let run = command.args(args).current_dir(folder).output().unwrap();
            assert!(run.status.success(), "{program} {args:?}: {run:?}");
        };
        let soa = "@ SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 1";
        let text = format!("$ORIGIN {zone}.\n$TTL 60\n{soa}\n{RECORDS}\n");
        fs::write(folder.join(zone), text).unwrap();
        run(
            "dnssec-keygen",
            &["-a", "ECDSAP256SHA256", "-f", "KSK", zone],
        );
        run("dnssec-keygen", &["-a", "ECDSAP256SHA256", zone]);
        let options = [
            &["-S", "-P", "-O", "full", "-o", zone, "-f", "signed"],
            options,
            &[zone],
        ];
        run("dnssec-signzone", &options.concat());
        let text = fs::read_to_string(folder.join("signed")).unwrap();
        let set = fs::read_to_string(folder.join(format!("dsset-{zone}."))).unwrap();
        let ds = set.lines().next().unwrap().split("DS").nth(1).unwrap();
        // The digest comes in two parts.
        let words: Vec<_> = ds.split_whitespace().collect();
        let (before, digest) = words.split_at(3);
        (text, format!("{} {}", before.join(" "), digest.concat()))
    }

    /// The same zone with a signature of its SOA record that is another one's.
    fn with_a_wrong_signature(text: &str) -> String {
        let lines = text.lines().map(|line| match line.rsplit_once(' ') {
            Some((before, signature)) if line.contains("RRSIG\tSOA") => {
                let flipped = if signature.starts_with('A') { "B" } else { "A" };
                format!("{before} {flipped}{}\n", &signature[1..])
            }
            _ => format!("{line}\n"),
        });
        lines.collect()
    }

    /// The parent on Knot, with these zones and DS records, and a resolver.
    async fn lab(zones: &[(&str, &str)], ds: &[(&str, &str)]) -> (Lab, Lookup) {
        let mut parent = format!("@ NS ns.test.\nns A {KNOT}\n");
        for (zone, _) in zones {
            let label = zone.strip_suffix(".test").unwrap();
            parent += &format!("{label} NS ns1.{label}\nns1.{label} A {BIND}\n");
        }
        for (label, ds) in ds {
            parent += &format!("{label} DS {ds}\n");
        }
        let mut lab = Lab::new();
        let parent = lab.knot(KNOT, &[("test.", &parent)]).await;
        lab.bind(zones).await;
        let resolver = lab.resolver(RESOLVER, &[("test", parent)]).await;
        let lookup = Lookup::at(&[resolver]).unwrap().on_port(lab.port);
        (lab, lookup)
    }

    /// What is made of a zone, in words: `good`, or the flaws, and the DS records to add.
    async fn said(lookup: &Lookup, lab: &Lab, zone: &str) -> String {
        let servers = [lab.server("ns1", &[BIND])];
        let (zone, now) = (name(zone), OffsetDateTime::now_utc());
        match trust(lookup, &zone, &servers, now).await.unwrap() {
            Trust::None { to_add } => format!("none {}", to_add.join(", ")),
            Trust::Good => "good".to_owned(),
            Trust::Broken(breaks) => {
                let all: Vec<_> = breaks.iter().map(|one| one.flaw.to_string()).collect();
                format!("{} {}", all.join(", "), breaks[0].to_add.join(", "))
            }
        }
    }

    #[tokio::test]
    async fn a_chain_is_followed_to_every_server() {
        let folder = tempfile::tempdir().unwrap();
        let sign = |zone, options: &[&str]| signed(folder.path(), zone, options);
        let (good, ds_of_good) = sign("good.test", &[]);
        let (island, ds_of_island) = sign("island.test", &[]);
        let tag = ds_of_good.split(' ').next().unwrap();
        // Keys of one zone are made with different tags, those of two zones are not.
        let (other, ds_of_other) = loop {
            let folder = tempfile::tempdir().unwrap();
            let made = signed(folder.path(), "other.test", &[]);
            if !made.0.contains(&format!(" {tag} other.test.")) {
                break made;
            }
        };
        let zones = [
            ("good.test", good.as_str()),
            ("island.test", &island),
            ("other.test", &other),
            ("bare.test", RECORDS),
            ("plain.test", RECORDS),
        ];
        let ds = ds_of_good.as_str();
        let (lab, lookup) = lab(&zones, &[("good", ds), ("other", ds), ("bare", ds)]).await;
        let said = async |zone: &str| said(&lookup, &lab, zone).await;
        assert_eq!(said("good.test").await, "good");
        assert_eq!(said("plain.test").await, "none ");
        assert_eq!(said("island.test").await, format!("none {ds_of_island}"));
        assert_eq!(said("bare.test").await, "has no DNSKEY records ");
        assert_eq!(
            said("other.test").await,
            format!("has no key with the tag {tag} {ds_of_other}")
        );
    }

    #[tokio::test]
    async fn signatures_have_to_be_good_today() {
        let folder = tempfile::tempdir().unwrap();
        let sign = |zone, options: &[&str]| signed(folder.path(), zone, options);
        let past = ["-s", "20260101000000", "-e", "20260201000000"];
        let year = OffsetDateTime::now_utc().year() + 2;
        let future = [
            "-s",
            &format!("{year}0101000000"),
            "-e",
            &format!("{year}0201000000"),
        ];
        let (expired, ds_of_expired) = sign("expired.test", &past);
        let (early, ds_of_early) = sign("early.test", &future);
        let (wrong, ds_of_wrong) = sign("wrong.test", &[]);
        let wrong = with_a_wrong_signature(&wrong);
        let zones = [
            ("expired.test", expired.as_str()),
            ("early.test", &early),
            ("wrong.test", &wrong),
        ];
        let ds = [
            ("expired", ds_of_expired.as_str()),
            ("early", &ds_of_early),
            ("wrong", &ds_of_wrong),
        ];
        let (lab, lookup) = lab(&zones, &ds).await;
        let said = async |zone: &str| said(&lookup, &lab, zone).await;
        assert_eq!(
            said("expired.test").await,
            format!("has DNSKEY records whose signature expired on 2026-02-01 {ds_of_expired}")
        );
        assert_eq!(
            said("early.test").await,
            format!(
                "has DNSKEY records whose signature is not valid before {year}-01-01 {ds_of_early}"
            )
        );
        assert_eq!(
            said("wrong.test").await,
            format!("has SOA records whose signature is wrong {ds_of_wrong}")
        );
    }

    #[test]
    fn moments_are_near() {
        let now = datetime!(2026-11-26 10:00 UTC);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "as on the wire"
        )]
        let same = |at: OffsetDateTime| moment(at.unix_timestamp() as u32, now) == at;
        assert!(same(now));
        assert!(same(datetime!(2026-01-01 0:00 UTC)));
        // After the 32 bits have begun anew.
        assert!(same(datetime!(2080-01-01 0:00 UTC)));
    }
}
