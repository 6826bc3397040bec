//! NAMECHEAP: Namecheap's XML API, which writes a zone as a whole.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use roxmltree::Node;
use url::form_urlencoded::Serializer;

use crate::model::change::TxtBatch;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::namecheap_zone::{Hosts, attribute, is_true};
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::patience::Patience;
use crate::provider::port::{Answer, DnsProvider, Quirks};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::{Why, failure};
use crate::provider::rrset::Rounds;

pub(super) const SPEC: Spec = Spec {
    kind: "NAMECHEAP",
    name: "Namecheap",
    api: "https://www.namecheap.com/support/api/methods/domains-dns/set-hosts/",
    fields: &[
        Field {
            key: "apiuser",
            required: true,
            help: "name of the user",
        },
        Field {
            key: "apikey",
            required: true,
            help: "API key of the user",
        },
        Field {
            key: "BaseURL",
            required: false,
            help: "address of the API, such as `https://api.sandbox.namecheap.com/xml.response`",
        },
    ],
    scope: "API access must be on for the account, and list the IPv4 address that requests come from",
    // https://www.namecheap.com/support/knowledgebase/article.aspx/9739/63/api-faq/: also 8000 a day.
    rates: &[
        Rate {
            requests: 20,
            per: Duration::from_mins(1),
            of: Of::All,
        },
        Rate {
            requests: 700,
            per: Duration::from_hours(1),
            of: Of::All,
        },
    ],
    notes: &[
        "all values of a zone go in one call, which replaces the zone: it is read right before, written back with all other records and the mail setting as they were, and read again",
        "what another program changes between that reading and the write is lost: change a zone from one place at a time",
        "a zone with a record that has dynamic DNS, that is not active, or of a type that cannot be written is left alone: writing would change it",
        "SRV records are not listed by the API, and so are not compared",
        "a domain takes 150 records (https://www.namecheap.com/support/knowledgebase/article.aspx/10058/10/namecheap-dns-limits/)",
        "the apex NS set is Namecheap's own and is not compared",
        "an API key can do all that its user can: it cannot be limited to DNS",
    ],
    connect,
};

/// What DNSControl declares at the apex.
const NAMESERVERS: [&str; 2] = ["dns1.registrar-servers.com", "dns2.registrar-servers.com"];

/// What DNSControl sends as the address of the client; the API looks where requests come from.
const CLIENT_IP: &str = "127.0.0.1";

/// Too many requests, as the body says; the status 405 says so too.
const TOO_MANY: &str = "500000";

#[derive(Debug)]
struct Namecheap {
    api: Api,
    entry: ProviderEntry,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::VendorOr("https://api.namecheap.com/xml.response", "BaseURL");
    let api = Api::new(&SPEC, entry, context, base)?;
    Ok(Box::new(Namecheap {
        api: api
            .credential_in_request("apiuser")
            .credential_in_request("apikey"),
        entry: entry.clone(),
    }))
}

/// The root of every answer.
struct ApiResponse {
    status: String,
    errors: Vec<ErrorAnswer>,
    command: CommandResponse,
}

struct ErrorAnswer {
    number: String,
    message: String,
}

struct CommandResponse {
    /// Of `getHosts`.
    hosts: Option<Hosts>,
    /// `setHosts` says so.
    is_success: bool,
}

impl ApiResponse {
    fn read(root: Node<'_, '_>) -> Result<Self> {
        let all = |name: &'static str| {
            let nodes = root.descendants();
            nodes.filter(move |node| node.has_tag_name(name))
        };
        let error = |node: Node<'_, '_>| {
            Ok(ErrorAnswer {
                number: attribute(node, "Number")?,
                message: node.text().unwrap_or_default().trim().to_owned(),
            })
        };
        let hosts = all("DomainDNSGetHostsResult").next();
        let set = all("DomainDNSSetHostsResult").next();
        Ok(Self {
            status: attribute(root, "Status")?,
            errors: all("Error").map(error).collect::<Result<_>>()?,
            command: CommandResponse {
                hosts: hosts.map(Hosts::read).transpose()?,
                is_success: set
                    .and_then(|set| set.attribute("IsSuccess"))
                    .is_some_and(is_true),
            },
        })
    }
}

impl DnsProvider for Namecheap {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let hosts = self.look(zone).await?;
            if hosts.are_parking() {
                return Ok(Vec::new());
            }
            let records = hosts.list.iter().map(|host| host.record(zone.name));
            records.collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let mut rounds = Rounds::default();
            let mut sent: Option<Hosts> = None;
            loop {
                let hosts = self.look(zone).await?;
                if let Some(sent) = sent {
                    hosts.have_all_of(&sent, zone.name)?;
                }
                let Some(after) = hosts.after(batch, zone.name)? else {
                    return Ok(());
                };
                after.can_be_written()?;
                let written = self.write(zone, &after).await;
                sent = Some(after);
                rounds.look_again(written).await?;
            }
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        nameservers::fixed(&NAMESERVERS)
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignores_apex_ns: true,
            ..Quirks::default()
        }
    }
}

impl Namecheap {
    async fn look(&self, zone: ZoneRef<'_>) -> Result<Hosts> {
        let body = self.body("namecheap.domains.dns.getHosts", zone, |_| {})?;
        let answer = self.call(body, Repeat::Safe).await?;
        answer.hosts.context("the answer has no list of hosts")
    }

    async fn write(&self, zone: ZoneRef<'_>, hosts: &Hosts) -> Result<()> {
        let body = self.body("namecheap.domains.dns.setHosts", zone, |body| {
            body.append_pair("EmailType", &hosts.email_type);
            for (number, host) in (1..).zip(&hosts.list) {
                for (parameter, value) in [
                    ("HostName", &host.name),
                    ("RecordType", &host.rtype),
                    ("Address", &host.address),
                    ("MXPref", &host.preference),
                    ("TTL", &host.ttl),
                ] {
                    body.append_pair(&format!("{parameter}{number}"), value);
                }
            }
        })?;
        let answer = self.call(body, Repeat::Never).await?;
        let written = answer.is_success.then_some(());
        written.context("the answer does not say that the zone was written")
    }

    /// The form of a command: global parameters, the domain, and what `more` adds.
    ///
    /// <https://www.namecheap.com/support/api/global-parameters/>
    fn body(
        &self,
        command: &str,
        zone: ZoneRef<'_>,
        more: impl FnOnce(&mut Serializer<'_, String>),
    ) -> Result<String> {
        let (sld, tld) = registered(zone.name)?;
        let user = self.entry.required("apiuser")?;
        let mut body = Serializer::new(String::new());
        body.append_pair("ApiUser", user)
            .append_pair("ApiKey", self.entry.required("apikey")?)
            .append_pair("UserName", user)
            .append_pair("ClientIp", CLIENT_IP)
            .append_pair("Command", command)
            .append_pair("SLD", sld)
            .append_pair("TLD", tld);
        more(&mut body);
        Ok(body.finish())
    }

    /// Sends a form, and again while there are too many requests.
    async fn call(&self, body: String, repeat: Repeat) -> Result<CommandResponse> {
        // DNSControl asks again every five seconds, for not quite two minutes.
        let mut patience = Patience {
            pause: Duration::from_secs(1),
            longest: Duration::from_secs(5),
            attempts: Some(25),
            until: None,
        };
        loop {
            match self.call_once(body.clone(), repeat).await {
                Err(error) if is_too_many(&error) => patience.wait(error, None).await?,
                answer => return answer,
            }
        }
    }

    async fn call_once(&self, body: String, repeat: Repeat) -> Result<CommandResponse> {
        let request = self.api.request(Method::POST, self.api.url(&[])?);
        let request = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let reply = self.api.send(request, repeat).await?;
        let answer = self.api.xml(&reply, ApiResponse::read)?;
        if answer.status == "OK" {
            return Ok(answer.command);
        }
        let errors = &answer.errors;
        let first = errors.first().map_or("", |error| &error.number);
        let all: Vec<String> = errors
            .iter()
            .map(|error| format!("{} ({})", error.message, error.number))
            .collect();
        let refused = self.api.refused(&reply, why(first), &all.join("; "));
        Err(match first {
            "2030288" => with_hint(
                refused,
                "the domain must use Namecheap's name servers (BasicDNS or PremiumDNS)",
            ),
            _ => refused,
        })
    }
}

/// What an error number means: the global ones are about the user, the key and the address.
fn why(number: &str) -> Why {
    match number {
        "2016166" | "2019166" | "2030166" => Why::NotFound,
        number if number.starts_with("10") => Why::Credentials,
        _ => Why::Other,
    }
}

fn is_too_many(error: &anyhow::Error) -> bool {
    failure(error).is_some_and(|failure| {
        failure.status == Some(StatusCode::METHOD_NOT_ALLOWED)
            || failure.body.contains(&format!("Number=\"{TOO_MANY}\""))
    })
}

/// A registered domain as the API wants it: label and public suffix.
fn registered(zone: &DnsName) -> Result<(&str, &str)> {
    let name = zone.as_str();
    let suffix = psl::suffix(name.as_bytes());
    let tld = suffix.and_then(|suffix| std::str::from_utf8(suffix.as_bytes()).ok());
    let split = tld.and_then(|tld| Some((name.strip_suffix(tld)?.strip_suffix('.')?, tld)));
    split.filter(|(sld, _)| !sld.contains('.')).ok_or_else(|| {
        with_hint(
            anyhow!("`{zone}` is no registered domain, and the API has zones of those only"),
            "declare its records in the zone of the registered domain",
        )
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    fn split(zone: &str) -> Result<(String, String)> {
        let zone: DnsName = zone.parse()?;
        registered(&zone).map(|(sld, tld)| (sld.to_owned(), tld.to_owned()))
    }

    #[test]
    fn domains_are_split_at_the_public_suffix() {
        for (zone, sld, tld) in [
            ("example.com", "example", "com"),
            ("example.co.uk", "example", "co.uk"),
            ("example.uk.com", "example", "uk.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva", "example"),
        ] {
            assert_eq!(split(zone).unwrap(), (sld.to_owned(), tld.to_owned()));
        }
        for zone in ["sub.example.com", "co.uk", "com", "a.b.example.co.uk"] {
            let explained = explain(&split(zone).unwrap_err());
            assert_eq!(
                explained.what,
                format!("`{zone}` is no registered domain, and the API has zones of those only")
            );
        }
    }
}
