//! A zone of Namecheap, which is read and written as a whole. Pure.

use std::fmt;

use anyhow::{Context as _, Result, anyhow};
use roxmltree::Node;

use crate::model::change::TxtBatch;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::bare::rdata;
use crate::provider::labels::owner;
use crate::provider::port::TXT_TTL;
use crate::provider::rrset::{TxtRecord, todo};

/// Types that `setHosts` takes: its `RecordType`.
const WRITABLE: [&str; 12] = [
    "A", "AAAA", "ALIAS", "CAA", "CNAME", "FRAME", "MX", "MXE", "NS", "TXT", "URL", "URL301",
];

/// What the API has as preference of records that are not MX.
const NO_PREFERENCE: &str = "10";

/// A zone as `getHosts` has it.
pub(super) struct Hosts {
    /// Mail setting of the zone, such as `MX` or `FWD`; empty where the API does not say.
    pub(super) email_type: String,
    is_using_our_dns: bool,
    pub(super) list: Vec<Host>,
}

/// A record.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// `@` or a label.
    pub(super) name: String,
    pub(super) rtype: String,
    pub(super) address: String,
    pub(super) preference: String,
    pub(super) ttl: String,
    is_active: bool,
    is_dynamic: bool,
}

impl Hosts {
    /// Reads `DomainDNSGetHostsResult`.
    pub(super) fn read(node: Node<'_, '_>) -> Result<Self> {
        let hosts = node.children().filter(|child| {
            let name = child.tag_name().name();
            name.eq_ignore_ascii_case("host")
        });
        Ok(Self {
            email_type: node.attribute("EmailType").unwrap_or_default().to_owned(),
            is_using_our_dns: node.attribute("IsUsingOurDNS").is_some_and(is_true),
            list: hosts.map(Host::read).collect::<Result<_>>()?,
        })
    }

    /// What Namecheap puts into a zone without records; to DNSControl such a zone is empty.
    pub(super) fn are_parking(&self) -> bool {
        matches!(&self.list[..], [alias, url]
            if alias.rtype == "CNAME" && alias.address.contains("parkingpage") && url.rtype == "URL")
    }

    /// The zone after a batch; none where nothing has to change.
    pub(super) fn after(&self, batch: &TxtBatch, zone: &DnsName) -> Result<Option<Self>> {
        let texts = self.list.iter().enumerate();
        let listed: Vec<TxtRecord<usize>> = texts
            .filter(|(_, host)| host.rtype == "TXT")
            .map(|(id, host)| {
                let Record {
                    name, ttl, data, ..
                } = host.record(zone)?;
                let value = data;
                Ok(TxtRecord {
                    id,
                    name,
                    ttl,
                    value,
                })
            })
            .collect::<Result<_>>()?;
        let todo = todo(&listed, batch, TXT_TTL);
        if todo.is_empty() {
            return Ok(None);
        }
        let kept = self.list.iter().enumerate();
        let kept = kept.filter(|(id, _)| !todo.delete.contains(id));
        let new = todo.create.iter().map(|new| Host {
            name: new.txt.name.label_in(zone).unwrap_or_default().to_owned(),
            rtype: "TXT".to_owned(),
            address: new.txt.value.clone(),
            preference: NO_PREFERENCE.to_owned(),
            ttl: new.ttl.to_string(),
            is_active: true,
            is_dynamic: false,
        });
        Ok(Some(Self {
            email_type: self.email_type.clone(),
            is_using_our_dns: self.is_using_our_dns,
            list: kept.map(|(_, host)| host.clone()).chain(new).collect(),
        }))
    }

    /// An error where a write would change more than it should.
    pub(super) fn can_be_written(&self) -> Result<()> {
        let refused = |what: String, hint: &str| Err(with_hint(anyhow!(what), hint));
        let delegate = "delegate the challenge: a CNAME at `_acme-challenge` to another zone";
        if !self.is_using_our_dns {
            return refused(
                "the domain does not use Namecheap's name servers".to_owned(),
                "point it to them, or take the provider from the zone in `dnsconfig.js`",
            );
        }
        if self.email_type.is_empty() {
            return refused(
                "the API does not say what the zone's mail setting is, so that a write would turn mail off".to_owned(),
                delegate,
            );
        }
        for host in &self.list {
            let what = if host.is_dynamic {
                "has dynamic DNS, which a write would turn off"
            } else if !host.is_active {
                "is not active, and a write would make it active"
            } else if !WRITABLE.contains(&host.rtype.as_str()) {
                "is of a type that the API does not write, so that it would be lost"
            } else {
                continue;
            };
            return refused(format!("`{host}` {what}"), delegate);
        }
        Ok(())
    }

    /// An error where something is gone that was written, challenges aside: others may have
    /// withdrawn theirs.
    pub(super) fn have_all_of(&self, sent: &Self, zone: &DnsName) -> Result<()> {
        let mut there: Vec<String> = self.list.iter().map(ToString::to_string).collect();
        let mut lost = Vec::new();
        for host in &sent.list {
            let text = host.to_string();
            if let Some(index) = there.iter().position(|other| *other == text) {
                there.swap_remove(index);
            } else if host.rtype != "TXT" || !host.owner(zone)?.is_challenge() {
                lost.push(format!("`{text}`"));
            }
        }
        if self.email_type != sent.email_type {
            lost.push(format!("the mail setting `{}`", sent.email_type));
        }
        if lost.is_empty() {
            return Ok(());
        }
        Err(with_hint(
            anyhow!("after the write the zone lacks {}", lost.join(", ")),
            "`dnscontrol push` writes what `dnsconfig.js` declares; look whether another program changes the zone",
        ))
    }
}

impl Host {
    fn read(node: Node<'_, '_>) -> Result<Self> {
        let is_active = node.attribute("IsActive").unwrap_or_default();
        Ok(Self {
            name: attribute(node, "Name")?,
            rtype: attribute(node, "Type")?,
            address: attribute(node, "Address")?,
            preference: attribute(node, "MXPref")?,
            ttl: attribute(node, "TTL")?,
            is_active: !is_active.eq_ignore_ascii_case("false"),
            is_dynamic: node.attribute("IsDDNSEnabled").is_some_and(is_true),
        })
    }

    fn owner(&self, zone: &DnsName) -> Result<DnsName> {
        match self.name.as_str() {
            // The record of the mail setting MXE has the domain as its label.
            name if self.rtype == "MXE" && name == zone.as_str() => Ok(zone.clone()),
            label => owner(label, zone),
        }
    }

    pub(super) fn record(&self, zone: &DnsName) -> Result<Record> {
        let data = rdata(&self.rtype, &self.preference, &self.address);
        let ttl = self.ttl.parse();
        let ttl = ttl.with_context(|| format!("`{self}` has a TTL that is no number"))?;
        Ok(Record::new(self.owner(zone)?, &self.rtype, ttl, data))
    }
}

/// What the API keeps of a record, but for the final dot, which it adds to names.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            rtype,
            address,
            preference,
            ttl,
            ..
        } = self;
        let address = address.trim_end_matches('.');
        write!(f, "{} {rtype} {address}", name.to_lowercase())?;
        if rtype == "MX" {
            write!(f, " preference={preference}")?;
        }
        write!(f, " ttl={ttl}")
    }
}

/// An attribute that is always there.
pub(super) fn attribute(node: Node<'_, '_>, name: &str) -> Result<String> {
    let value = node.attribute(name).map(str::to_owned);
    value.with_context(|| format!("a `{}` has no `{name}`", node.tag_name().name()))
}

/// How the API writes what is so.
pub(super) fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    fn answer(hosts: &str) -> Hosts {
        let xml = format!(
            r#"<DomainDNSGetHostsResult Domain="example.test" EmailType="MXE" IsUsingOurDNS="true">{hosts}</DomainDNSGetHostsResult>"#
        );
        let document = roxmltree::Document::parse(&xml).unwrap();
        Hosts::read(document.root_element()).unwrap()
    }

    fn host(attributes: &str) -> String {
        format!(
            r#"<host HostId="1" {attributes} MXPref="10" TTL="1799" AssociatedAppTitle="" FriendlyName="" IsActive="true" IsDDNSEnabled="false" />"#
        )
    }

    #[test]
    fn records_read_as_zone_files_have_them() {
        let zone = "example.test".parse().unwrap();
        for (attributes, expected) in [
            (
                r#"Name="@" Type="TXT" Address="a &quot;b&quot; &amp; c+d""#,
                "TXT example.test \"a \"b\" & c+d\" ttl=1799",
            ),
            (
                r#"Name="*" Type="CNAME" Address="Example.com.""#,
                "CNAME *.example.test example.com. ttl=1799",
            ),
            (
                r#"Name="@" Type="MX" Address="mx.example.com""#,
                "MX example.test 10 mx.example.com. ttl=1799",
            ),
            (
                r#"Name="example.test" Type="MXE" Address="192.0.2.5""#,
                "MXE example.test 192.0.2.5 ttl=1799",
            ),
            (
                r#"Name="a" Type="AAAA" Address="2001:DB8:0::1""#,
                "AAAA a.example.test 2001:db8::1 ttl=1799",
            ),
            (
                r#"Name="@" Type="CAA" Address="0 issue &quot;letsencrypt.org&quot;""#,
                "CAA example.test 0 issue \"letsencrypt.org\" ttl=1799",
            ),
            (
                r#"Name="x" Type="URL301" Address="https://example.com/?a=b&amp;c""#,
                "URL301 x.example.test https://example.com/?a=b&c ttl=1799",
            ),
        ] {
            let hosts = answer(&host(attributes));
            let record = hosts.list[0].record(&zone).unwrap();
            assert_eq!(record.to_string(), expected);
        }
    }

    #[test]
    fn an_empty_zone_and_a_parked_one_have_no_records() {
        assert!(answer("").list.is_empty());
        let parked = [
            host(r#"Name="www" Type="CNAME" Address="parkingpage.namecheap.com.""#),
            host(r#"Name="@" Type="URL" Address="http://www.example.test/?from=@""#),
        ];
        assert!(answer(&parked.concat()).are_parking());
        assert!(!answer(&parked[0]).are_parking());
    }

    #[test]
    fn what_cannot_be_written_back_is_named() {
        let refusal = |hosts: Hosts| explain(&hosts.can_be_written().unwrap_err()).what;
        let plain = host(r#"Name="www" Type="A" Address="192.0.2.1""#);
        assert!(answer(&plain).can_be_written().is_ok());
        assert_eq!(
            refusal(answer(
                &plain.replace("Enabled=\"false\"", "Enabled=\"true\"")
            )),
            "`www A 192.0.2.1 ttl=1799` has dynamic DNS, which a write would turn off"
        );
        assert_eq!(
            refusal(answer(
                &plain.replace("IsActive=\"true\"", "IsActive=\"false\"")
            )),
            "`www A 192.0.2.1 ttl=1799` is not active, and a write would make it active"
        );
        assert_eq!(
            refusal(answer(&plain.replace("Type=\"A\"", "Type=\"SRV\""))),
            "`www SRV 192.0.2.1 ttl=1799` is of a type that the API does not write, so that it would be lost"
        );
        let without_mail = Hosts {
            email_type: String::new(),
            ..answer(&plain)
        };
        assert_eq!(
            refusal(without_mail),
            "the API does not say what the zone's mail setting is, so that a write would turn mail off"
        );
        let elsewhere = Hosts {
            is_using_our_dns: false,
            ..answer(&plain)
        };
        assert_eq!(
            refusal(elsewhere),
            "the domain does not use Namecheap's name servers"
        );
    }
}
