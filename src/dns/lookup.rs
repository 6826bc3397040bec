//! Which servers are authoritative for a zone: its delegation and its own NS records.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use tokio::time::{Instant, timeout, timeout_at};

use crate::dns::exchange::{Unanswered, ask, wire_name};
use crate::dns::port53::Heard;
use crate::dns::recursor::Recursor;
use crate::dns::referral::{Delegation, Servers, delegation_in, targets};
use crate::dns::rules::{Ignoring, ServerRef, ZoneRules, mismatch};
use crate::model::hint::Hint;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;

/// Where name servers listen.
pub(super) const DNS_PORT: u16 = 53;

/// Name servers of a parent zone that are asked first. The others (`com` has 13) are asked only if
/// none of these answers.
const FIRST_PARENT_SERVERS: usize = 3;

/// How long other servers of a zone may take for its NS records once one has answered.
const STRAGGLERS: Duration = Duration::from_millis(500);

/// How long the resolver may take for the addresses of a server that has an IPv4 address as glue.
const BESIDES_GLUE: Duration = Duration::from_secs(2);

/// Finds name servers, starting from a recursive resolver.
///
/// The resolver is asked for SOA, NS, DS, A, AAAA and CAA records only, never for a challenge name.
pub(crate) struct Lookup {
    recursor: Recursor,
    port: u16,
    stragglers: Duration,
}

/// A name server of a zone with all its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameServer {
    /// Its address, where the user names a server by that.
    pub(crate) name: DnsName,
    /// IPv4 before IPv6, on port 53 outside tests. Never empty when it comes from [`Lookup`].
    pub(crate) addresses: Vec<SocketAddr>,
    /// The user adds it: it may stand on this side of a firewall.
    pub(crate) is_extra: bool,
}

/// The name servers of a zone, and what the user should know about them.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) servers: Vec<NameServer>,
    pub(super) warnings: Vec<String>,
}

impl Lookup {
    /// Starts from the resolvers of `/etc/resolv.conf`.
    pub(crate) fn system() -> Result<Self> {
        Ok(Self::from(Recursor::system()?))
    }

    /// Starts from recursive resolvers that the user names.
    pub(crate) fn at(resolvers: &[SocketAddr]) -> Result<Self> {
        Ok(Self::from(Recursor::at(resolvers)?))
    }

    fn from(recursor: Recursor) -> Self {
        Self {
            recursor,
            port: DNS_PORT,
            stragglers: STRAGGLERS,
        }
    }

    /// Addresses of a host; none is no error.
    pub(crate) async fn addresses(&self, host: &DnsName) -> Result<Vec<IpAddr>> {
        self.recursor.addresses(host).await
    }

    /// Takes name servers to listen on another port.
    #[cfg(test)]
    pub(super) fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Finds the servers of `zone`: those of its delegation, asked at the parent's own servers,
    /// those of its own NS records, asked at the delegated servers, and those of `rules`. Sorted by
    /// name.
    ///
    /// Where no server of the parent says anything, the NS records that the resolver knows stand
    /// in for the delegation, with a warning. A zone that is not delegated and a server without
    /// any address are errors.
    pub(super) async fn name_servers(
        &self,
        zone: &DnsName,
        rules: &ZoneRules,
        heard: &Heard,
    ) -> Result<Found> {
        let found = async {
            let mut ignoring = Ignoring::new(rules);
            let (mut delegated, mut warnings) = self.delegation(zone, heard).await?;
            ignoring.names(&mut delegated);
            let mut servers = self.with_addresses(zone, delegated.clone()).await?;
            ignoring.addresses(&mut servers);
            let mut own = self.own_names(zone, &servers, heard).await;
            ignoring.names(&mut own);
            warnings.extend(mismatch(zone, &delegated, &own));
            own.retain(|name, _| !delegated.contains_key(name));
            let mut others = self.with_addresses(zone, own).await?;
            ignoring.addresses(&mut others);
            servers.extend(others);
            servers.extend(self.extra(rules).await?);
            if servers.is_empty() {
                return Err(anyhow!("`ignore-servers` leaves none of them"))
                    .hint(|| "leave one of them in, or add another in `extra-servers`");
            }
            let unused = ignoring.unused().map(|entry| {
                format!("`{entry}` in `ignore-servers` is no name server of zone `{zone}`")
            });
            warnings.extend(unused);
            servers.sort_by(|a, b| a.name.cmp(&b.name));
            anyhow::Ok(Found { servers, warnings })
        };
        let context = || format!("cannot find the name servers of `{zone}`");
        found.await.with_context(context)
    }

    /// Names of the servers that the parent delegates a zone to.
    pub(crate) async fn delegated(&self, zone: &DnsName) -> Result<BTreeSet<DnsName>> {
        let (servers, _) = self.delegation(zone, &Heard::default()).await?;
        Ok(servers.into_keys().collect())
    }

    /// The DS records that the parent has for a zone.
    pub(super) async fn ds(&self, zone: &DnsName) -> Result<Vec<Record>> {
        self.recursor.ds(zone).await
    }

    /// The servers that the user adds.
    pub(super) async fn extra(&self, rules: &ZoneRules) -> Result<Vec<NameServer>> {
        let each = rules.extra.iter().map(|server| async move {
            let (name, addresses) = match server {
                ServerRef::Address(address) => (address.to_string().parse()?, vec![*address]),
                ServerRef::Name(name) => (name.clone(), self.recursor.addresses(name).await?),
            };
            if addresses.is_empty() {
                return Err(anyhow!("`{name}` in `extra-servers` has no address"))
                    .hint(|| "write the address in its place");
            }
            let at_port = |address| SocketAddr::new(address, self.port);
            Ok(NameServer {
                name,
                addresses: addresses.into_iter().map(at_port).collect(),
                is_extra: true,
            })
        });
        try_join_all(each).await
    }

    /// The CAA records of a name, with the CNAMEs that lead there.
    ///
    /// Where the resolver fails, which may be its own fault (small ones know no CAA), the servers of
    /// the zone are asked.
    pub(super) async fn caa(&self, name: &DnsName) -> Result<Vec<Record>> {
        let failed = match self.recursor.caa(name).await {
            Ok(records) => return Ok(records),
            Err(error) => error,
        };
        match self.caa_at_servers(name).await {
            Ok(Some(records)) => Ok(records),
            Ok(None) => Err(failed),
            Err(error) => {
                tracing::debug!(%name, error = format!("{error:#}"), "no CAA from name servers");
                Err(failed)
            }
        }
    }

    /// What a server of the zone says with authority; none if no server does, or if a CNAME leads
    /// elsewhere.
    async fn caa_at_servers(&self, name: &DnsName) -> Result<Option<Vec<Record>>> {
        let zone = self.recursor.apex(name).await?;
        let heard = Heard::default();
        let rules = ZoneRules::default();
        let found = self.name_servers(&zone, &rules, &heard).await?;
        for server in found.servers.iter().flat_map(|server| &server.addresses) {
            let mut answers = ask(*server, RecordType::CAA, &[wire_name(name)]).await;
            let Some(Ok(message)) = answers.pop() else {
                continue;
            };
            let code = message.metadata.response_code;
            let is_good = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
            if message.metadata.authoritative && is_good {
                let mut records = message.answers.iter();
                let leads_away = records.any(|record| record.record_type() == RecordType::CNAME);
                return Ok((!leads_away).then_some(message.answers));
            }
        }
        Ok(None)
    }

    /// The servers that the parent names, and what the user should know about that.
    async fn delegation(&self, zone: &DnsName, heard: &Heard) -> Result<(Servers, Vec<String>)> {
        let Some(above) = zone.parent() else {
            return Ok((self.recursor.name_server_names(zone).await?, Vec::new()));
        };
        let mut parent = self.recursor.apex(&above).await?;
        let mut its_servers = self.recursor.name_server_names(&parent).await?;
        loop {
            match self.ask_parent(&parent, its_servers, zone, heard).await? {
                Some(Delegation::To(servers)) => return Ok((servers, Vec::new())),
                Some(Delegation::Below(nearer, servers)) => {
                    parent = nearer;
                    its_servers = servers;
                }
                Some(Delegation::Absent) => {
                    let error = anyhow!(
                        "the zone `{zone}` is not delegated: its parent `{parent}` has no NS records for it"
                    );
                    let hint = format!(
                        "delegate `{zone}` in `{parent}` (for a registered domain: at its registrar), or correct its name in dnsconfig.js"
                    );
                    return Err(with_hint(error, hint));
                }
                None => {
                    let warning = format!(
                        "no name server of `{parent}` says who serves zone `{zone}`: the NS records are taken that the resolver knows"
                    );
                    return Ok((self.recursor.name_server_names(zone).await?, vec![warning]));
                }
            }
        }
    }

    /// What the servers of `parent` say about `zone`; none if none of them says anything of use.
    async fn ask_parent(
        &self,
        parent: &DnsName,
        servers: Servers,
        zone: &DnsName,
        heard: &Heard,
    ) -> Result<Option<Delegation>> {
        let servers: Vec<_> = servers.into_iter().collect();
        let (first, others) = servers.split_at(servers.len().min(FIRST_PARENT_SERVERS));
        for group in [first, others] {
            let found = join_all(group.iter().map(|(name, glue)| async move {
                if glue.is_empty() {
                    self.recursor.addresses(name).await
                } else {
                    Ok(glue.iter().copied().collect())
                }
            }));
            let addresses: BTreeSet<_> = found.await.into_iter().flatten().flatten().collect();
            let mut answers: FuturesUnordered<_> = addresses
                .iter()
                .map(|&address| self.ask_name_servers(address, zone, heard))
                .collect();
            let mut absent = None;
            while let Some((address, answer)) = answers.next().await {
                match answer.map(|message| delegation_in(&message, parent, zone)) {
                    // A delegation that is new comes to some servers later.
                    Ok(Some(Ok(Delegation::Absent))) => absent = Some(Delegation::Absent),
                    Ok(Some(said)) => return said.map(Some),
                    Ok(None) => tracing::debug!(%parent, %address, %zone, "no referral"),
                    Err(error) => tracing::debug!(%parent, %address, %zone, %error, "no answer"),
                }
            }
            if absent.is_some() {
                return Ok(absent);
            }
        }
        Ok(None)
    }

    async fn ask_name_servers(
        &self,
        address: IpAddr,
        zone: &DnsName,
        heard: &Heard,
    ) -> (IpAddr, Result<Message, Unanswered>) {
        let server = SocketAddr::new(address, self.port);
        let mut answers = ask(server, RecordType::NS, &[wire_name(zone)]).await;
        let answer = answers.pop().unwrap_or(Err(Unanswered::Silent));
        heard.note(&answer);
        (address, answer)
    }

    /// The NS set that `servers` have for their zone. Empty if none of them answers with authority:
    /// the wait for a value finds out what is wrong with them.
    async fn own_names(&self, zone: &DnsName, servers: &[NameServer], heard: &Heard) -> Servers {
        let apex = wire_name(zone);
        let mut own = Servers::new();
        let mut answers: FuturesUnordered<_> = servers
            .iter()
            .flat_map(|server| &server.addresses)
            .map(|address| self.ask_name_servers(address.ip(), zone, heard))
            .collect();
        // Every question ends by itself long before.
        let mut until = Instant::now() + Duration::from_hours(1);
        while let Ok(Some((address, answer))) = timeout_at(until, answers.next()).await {
            let Ok(message) = answer else { continue };
            if !message.metadata.authoritative {
                continue;
            }
            match targets(&message.answers, &apex) {
                Ok(names) if !names.is_empty() => {
                    own.extend(names.into_iter().map(|name| (name, BTreeSet::new())));
                    until = until.min(Instant::now() + self.stragglers);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%zone, %address, %error, "NS record left out"),
            }
        }
        own
    }

    async fn with_addresses(&self, zone: &DnsName, servers: Servers) -> Result<Vec<NameServer>> {
        let each = servers.into_iter().map(|(name, glue)| async move {
            let looked_up = if glue.iter().any(IpAddr::is_ipv4) {
                // The resolver has to ask the servers of the zone, which may be down.
                let found = timeout(BESIDES_GLUE, self.recursor.addresses(&name)).await;
                found.ok().and_then(Result::ok).unwrap_or_else(|| {
                    tracing::warn!(%zone, %name, "only the glue addresses are known");
                    Vec::new()
                })
            } else {
                self.recursor.addresses(&name).await?
            };
            let addresses: BTreeSet<_> = glue.into_iter().chain(looked_up).collect();
            if addresses.is_empty() {
                let error = anyhow!("the name server `{name}` of `{zone}` has no address");
                let hint = format!(
                    "give `{name}` an A or AAAA record, or take it out of the NS records of `{zone}` and of its delegation"
                );
                return Err(with_hint(error, hint));
            }
            let at_port = |address| SocketAddr::new(address, self.port);
            Ok(NameServer {
                name,
                addresses: addresses.into_iter().map(at_port).collect(),
                is_extra: false,
            })
        });
        try_join_all(each).await
    }
}

#[cfg(test)]
mod tests {
    use crate::dns::testing::{Lab, name};
    use crate::model::hint::explain;

    use super::*;

    const ROOT: &str = "127.0.0.9";
    const RESOLVER: &str = "127.0.0.10";

    /// Root and `test` on one Knot, `example.test` on BIND and on another Knot whose NS set has a
    /// server more, `b.example.test` below it, and an Unbound that knows them all.
    async fn lab() -> (Lab, Lookup) {
        let mut lab = Lab::new();
        let top = "@ NS a.root.\na.root. A 127.0.0.9";
        let tld = "@ NS a.root.
example NS ns1.example
example NS ns2.example
ns1.example A 127.0.0.1
ns2.example A 127.0.0.3
ns2.example AAAA ::1
noaddress NS ns.nowhere.example.
mixed NS ns1.example
mixed NS ns9.example
gone NS ns1.gone
ns1.gone A 127.0.0.66
plain A 127.0.0.1
deep.er NS ns1.example";
        let example = "@ NS ns1\n@ NS ns2\nns1 A 127.0.0.1\nns2 A 127.0.0.3\nns3 A 127.0.0.33
host A 127.0.0.1\nb NS ns1\n";
        let b = "@ NS ns1.example.test.\n@ NS ns3.example.test.";
        let deep = "@ NS ns1.example.test.";
        let root = lab.knot(ROOT, &[(".", top), ("test.", tld)]).await;
        let bind = [
            ("example.test", example),
            ("b.example.test", b),
            ("deep.er.test", deep),
        ];
        let bind = lab.bind(&bind).await;
        let knot = lab
            .knot(
                "127.0.0.3",
                &[("example.test.", &format!("{example}\n@ NS ns3"))],
            )
            .await;
        let zones = [
            (".", root),
            ("test", root),
            ("example.test", bind),
            ("example.test", knot),
            ("b.example.test", bind),
            ("deep.er.test", bind),
        ];
        let resolver = lab.resolver(RESOLVER, &zones).await;
        let lookup = Lookup {
            // All servers answer, but the machine may be busy.
            stragglers: Duration::from_secs(20),
            ..Lookup::at(&[resolver]).unwrap().on_port(lab.port)
        };
        (lab, lookup)
    }

    async fn looked_up(lookup: &Lookup, zone: &str, rules: &ZoneRules) -> Result<Found> {
        let heard = Heard::default();
        lookup.name_servers(&name(zone), rules, &heard).await
    }

    async fn found(lookup: &Lookup, zone: &str) -> Result<Vec<NameServer>> {
        let found = looked_up(lookup, zone, &ZoneRules::default()).await?;
        Ok(found.servers)
    }

    async fn failure(lookup: &Lookup, zone: &str) -> (String, Vec<String>, Vec<String>) {
        let error = found(lookup, zone).await.unwrap_err();
        let explained = explain(&error);
        (explained.what, explained.causes, explained.hints)
    }

    #[tokio::test]
    async fn delegation_with_glue_and_the_childs_own_servers() {
        let (lab, lookup) = lab().await;
        // ns2's IPv6 address is in the glue only, ns3 in the NS set of one server of the child only.
        let found = found(&lookup, "example.test").await.unwrap();
        let expected = [
            lab.server("ns1.example.test", &["127.0.0.1"]),
            lab.server("ns2.example.test", &["127.0.0.3", "::1"]),
            lab.server("ns3.example.test", &["127.0.0.33"]),
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn parents_on_the_same_server_and_above_empty_names() {
        let (lab, lookup) = lab().await;
        let ns1 = lab.server("ns1.example.test", &["127.0.0.1"]);
        // BIND serves parent and child; the referral of the other server of the parent has ns1 only.
        let below = found(&lookup, "b.example.test").await.unwrap();
        let ns3 = lab.server("ns3.example.test", &["127.0.0.33"]);
        assert_eq!(below, [ns1.clone(), ns3]);
        // `er.test` is no zone and has no records.
        let deep = found(&lookup, "deep.er.test").await.unwrap();
        assert_eq!(deep, [ns1]);
        let root = found(&lookup, ".").await.unwrap();
        assert_eq!(root, [lab.server("a.root", &[ROOT])]);
        let tld = found(&lookup, "test").await.unwrap();
        assert_eq!(tld, [lab.server("a.root", &[ROOT])]);
    }

    fn refs(list: &[&str]) -> Vec<ServerRef> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn servers_that_are_ignored_and_servers_that_are_added() {
        let (lab, lookup) = lab().await;
        let rules = ZoneRules {
            ignore: refs(&["ns1.example.test", "::1", "ns9.example.test", "192.0.2.1"]),
            extra: refs(&["127.0.0.44", "host.example.test"]),
            ..ZoneRules::default()
        };
        let found = looked_up(&lookup, "example.test", &rules).await.unwrap();
        let expected = [
            lab.extra("127.0.0.44", &["127.0.0.44"]),
            lab.extra("host.example.test", &["127.0.0.1"]),
            lab.server("ns2.example.test", &["127.0.0.3"]),
            lab.server("ns3.example.test", &["127.0.0.33"]),
        ];
        assert_eq!(found.servers, expected);
        assert_eq!(
            found.warnings,
            [
                "the NS records of zone `example.test` differ from its delegation, only the zone has `ns3.example.test`: the servers of both are asked",
                "`ns9.example.test` in `ignore-servers` is no name server of zone `example.test`",
                "`192.0.2.1` in `ignore-servers` is no name server of zone `example.test`",
            ]
        );
        // Nobody asks for the addresses of a server that is ignored.
        let rules = |ignore: &[&str], extra: &[&str]| ZoneRules {
            ignore: refs(ignore),
            extra: refs(extra),
            ..ZoneRules::default()
        };
        let without = rules(&["ns9.example.test"], &[]);
        let found = looked_up(&lookup, "mixed.test", &without).await.unwrap();
        assert_eq!(
            found.servers,
            [lab.server("ns1.example.test", &["127.0.0.1"])]
        );
        assert_eq!(found.warnings, [""; 0]);
        for (rules, cause) in [
            (
                rules(&["127.0.0.66"], &[]),
                "`ignore-servers` leaves none of them",
            ),
            (
                rules(&[], &["plain.test", "ns9.example.test"]),
                "`ns9.example.test` in `extra-servers` has no address",
            ),
        ] {
            let error = looked_up(&lookup, "gone.test", &rules).await.unwrap_err();
            assert_eq!(explain(&error).causes, [cause]);
        }
    }

    #[tokio::test]
    async fn zones_that_are_not_delegated() {
        let (_lab, lookup) = lab().await;
        for (zone, parent) in [
            ("missing.test", "test"),
            ("plain.test", "test"),
            ("host.example.test", "example.test"),
            ("x.y.z.missing.test", "test"),
        ] {
            assert_eq!(
                failure(&lookup, zone).await,
                (
                    format!("cannot find the name servers of `{zone}`"),
                    vec![format!(
                        "the zone `{zone}` is not delegated: its parent `{parent}` has no NS records for it"
                    )],
                    vec![format!(
                        "delegate `{zone}` in `{parent}` (for a registered domain: at its registrar), or correct its name in dnsconfig.js"
                    )],
                )
            );
        }
    }

    #[tokio::test]
    async fn a_server_without_an_address_is_named() {
        let (_lab, lookup) = lab().await;
        for (zone, server) in [
            ("noaddress.test", "ns.nowhere.example"),
            ("mixed.test", "ns9.example.test"),
        ] {
            assert_eq!(
                failure(&lookup, zone).await,
                (
                    format!("cannot find the name servers of `{zone}`"),
                    vec![format!(
                        "the name server `{server}` of `{zone}` has no address"
                    )],
                    vec![format!(
                        "give `{server}` an A or AAAA record, or take it out of the NS records of `{zone}` and of its delegation"
                    )],
                )
            );
        }
    }

    #[tokio::test]
    async fn servers_that_are_down_are_still_servers() {
        let (mut lab, lookup) = lab().await;
        let gone = found(&lookup, "gone.test").await.unwrap();
        assert_eq!(gone, [lab.server("ns1.gone.test", &["127.0.0.66"])]);
        lab.freeze("127.0.0.3");
        let found = found(&lookup, "example.test").await.unwrap();
        let names: Vec<_> = found.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names, ["ns1.example.test", "ns2.example.test"]);
    }

    #[tokio::test]
    async fn the_resolver_stands_in_for_a_parent_that_says_nothing() {
        // The resolver knows another address of the root than its NS records say.
        let mut lab = Lab::new();
        let top = "@ NS a.root.\na.root. A 127.0.0.77\n";
        let root = lab.knot(ROOT, &[(".", top)]).await;
        let zone = "@ NS ns1\nns1 A 127.0.0.3";
        let child = lab.knot("127.0.0.3", &[("lone.", zone)]).await;
        let resolver = lab
            .resolver(RESOLVER, &[(".", root), ("lone", child)])
            .await;
        let lookup = Lookup::at(&[resolver]).unwrap().on_port(lab.port);
        let found = looked_up(&lookup, "lone", &ZoneRules::default())
            .await
            .unwrap();
        assert_eq!(found.servers, [lab.server("ns1.lone", &["127.0.0.3"])]);
        assert_eq!(
            found.warnings,
            [
                "no name server of `.` says who serves zone `lone`: the NS records are taken that the resolver knows"
            ]
        );
    }

    #[tokio::test]
    async fn one_server_of_the_parent_is_behind() {
        let mut lab = Lab::new();
        let top = "@ NS a.root.\n@ NS b.root.\na.root. A 127.0.0.9\nb.root. A 127.0.0.5\n";
        lab.knot(ROOT, &[(".", top)]).await;
        let new = format!("{top}new NS ns.new\nns.new A 127.0.0.66");
        let ahead = lab.knot("127.0.0.5", &[(".", &new)]).await;
        let resolver = lab.resolver(RESOLVER, &[(".", ahead)]).await;
        let lookup = Lookup::at(&[resolver]).unwrap().on_port(lab.port);
        let found = found(&lookup, "new").await.unwrap();
        assert_eq!(found, [lab.server("ns.new", &["127.0.0.66"])]);
    }

    #[tokio::test]
    async fn a_zone_between_that_the_resolver_does_not_see() {
        let mut lab = Lab::new();
        let seen = lab.knot("127.0.0.5", &[(".", "@ NS a.root.\na.root. A 127.0.0.9")]);
        let seen = seen.await;
        let top = "@ NS a.root.\na.root. A 127.0.0.9\nmid NS ns.mid\nns.mid A 127.0.0.3";
        lab.knot(ROOT, &[(".", top)]).await;
        let mid = "@ NS ns\nns A 127.0.0.3\nlow NS ns.low\nns.low A 127.0.0.66";
        lab.knot("127.0.0.3", &[("mid.", mid)]).await;
        let resolver = lab.resolver(RESOLVER, &[(".", seen)]).await;
        let lookup = Lookup::at(&[resolver]).unwrap().on_port(lab.port);
        let found = found(&lookup, "low.mid").await.unwrap();
        assert_eq!(found, [lab.server("ns.low.mid", &["127.0.0.66"])]);
        let (_, causes, _) = failure(&lookup, "none.mid").await;
        assert_eq!(
            causes,
            ["the zone `none.mid` is not delegated: its parent `mid` has no NS records for it"]
        );
    }

    #[tokio::test]
    async fn a_resolver_that_is_down() {
        let (mut lab, lookup) = lab().await;
        lab.kill(RESOLVER);
        let (what, causes, hints) = failure(&lookup, "example.test").await;
        assert_eq!(what, "cannot find the name servers of `example.test`");
        assert_eq!(causes[0], "the DNS resolver cannot look up SOA of `test`");
        let named = SocketAddr::new(RESOLVER.parse().unwrap(), lab.port);
        assert_eq!(
            hints,
            [format!(
                "`--resolver` names `{named}`: check that it is a recursive resolver that this machine reaches, \
                 or leave the setting out for those of `/etc/resolv.conf`"
            )]
        );
    }

    /// Compiles only if the look-up can be spawned on a runtime with several threads.
    #[tokio::test]
    async fn spawned() {
        let (lab, lookup) = lab().await;
        let found = tokio::spawn(async move { found(&lookup, "test").await });
        let expected = [lab.server("a.root", &[ROOT])];
        assert_eq!(found.await.unwrap().unwrap(), expected);
    }

    #[test]
    fn no_resolver() {
        let error = Lookup::at(&[]).err().unwrap();
        assert_eq!(error.to_string(), "there is no DNS resolver to start from");
    }
}
