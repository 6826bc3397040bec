//! Which servers are authoritative for a zone: its delegation and its own NS records.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::StreamExt;
use futures_util::future::{join, join_all, try_join_all};
use futures_util::stream::FuturesUnordered;
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::time::{Instant, timeout, timeout_at};

use crate::dns::exchange::{Unanswered, ask, wire_name};
use crate::dns::referral::{Delegation, Servers, address_in, delegation_in, plain_name, targets};
use crate::model::hint::{Hint, with_hint};
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

/// Longest silence of a resolver that the user names, before the question is repeated. That of the
/// others is set in `/etc/resolv.conf`.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(3);

/// Finds name servers, starting from a recursive resolver.
///
/// The resolver is asked for SOA, NS, A and AAAA records only, never for a challenge name.
pub(crate) struct Lookup {
    resolver: TokioResolver,
    port: u16,
}

/// A name server of a zone with all its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameServer {
    pub(crate) name: DnsName,
    /// IPv4 before IPv6, on port 53 outside tests. Never empty when it comes from [`Lookup`].
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Lookup {
    /// Starts from the resolvers of `/etc/resolv.conf`.
    pub(crate) fn system() -> Result<Self> {
        let (config, options) = read_system_conf()
            .context("cannot read `/etc/resolv.conf`")
            .hint(|| "name a resolver with `--resolver`")?;
        Self::new(config, options)
    }

    /// Starts from recursive resolvers that the user names.
    pub(crate) fn at(resolvers: &[SocketAddr]) -> Result<Self> {
        let servers = resolvers.iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let mut options = ResolverOpts::default();
        options.timeout = RESOLVER_PATIENCE;
        Self::new(config, options)
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self> {
        if config.name_servers().is_empty() {
            let error = anyhow!("there is no DNS resolver to start from");
            return Err(with_hint(error, "name a resolver with `--resolver`"));
        }
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .context("cannot set up the DNS resolver")?;
        Ok(Self {
            resolver,
            port: DNS_PORT,
        })
    }

    /// Takes name servers to listen on another port.
    #[cfg(test)]
    pub(super) fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Finds the servers of `zone`: those of its delegation, asked at the parent's own servers,
    /// and those of its own NS records, asked at the delegated servers. Sorted by name.
    ///
    /// Where no server of the parent says anything, the NS records that the resolver knows stand
    /// in for the delegation, with a warning. A zone that is not delegated and a server without
    /// any address are errors.
    pub(crate) async fn name_servers(&self, zone: &DnsName) -> Result<Vec<NameServer>> {
        let found = async {
            let delegated = self.delegation(zone).await?;
            let mut servers = self.with_addresses(zone, delegated.clone()).await?;
            let mut own = self.own_names(zone, &servers).await;
            if !own.is_empty() && !own.keys().eq(delegated.keys()) {
                tracing::warn!(
                    %zone, delegated = ?delegated.keys(), own = ?own.keys(),
                    "the NS records of the zone differ from its delegation; all are asked"
                );
            }
            own.retain(|name, _| !delegated.contains_key(name));
            servers.extend(self.with_addresses(zone, own).await?);
            servers.sort_by(|a, b| a.name.cmp(&b.name));
            anyhow::Ok(servers)
        };
        let context = || format!("cannot find the name servers of `{zone}`");
        found.await.with_context(context)
    }

    async fn delegation(&self, zone: &DnsName) -> Result<Servers> {
        let Some(above) = zone.parent() else {
            return self.name_server_names(zone).await;
        };
        let mut parent = self.apex(&above).await?;
        let mut its_servers = self.name_server_names(&parent).await?;
        loop {
            match self.ask_parent(&parent, its_servers, zone).await? {
                Some(Delegation::To(servers)) => return Ok(servers),
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
                    tracing::warn!(
                        %zone, %parent,
                        "no name server of the parent says who serves the zone; the resolver's NS records are taken"
                    );
                    return self.name_server_names(zone).await;
                }
            }
        }
    }

    /// The zone that `name` is in, as the resolver sees it.
    async fn apex(&self, name: &DnsName) -> Result<DnsName> {
        let mut at = name.clone();
        loop {
            let owner = match self.resolver.lookup(wire_name(&at), RecordType::SOA).await {
                Ok(found) => found
                    .answers()
                    .iter()
                    .find(|record| record.record_type() == RecordType::SOA)
                    .map(|record| record.name.clone()),
                Err(error) if error.is_no_records_found() => {
                    error.into_soa().map(|record| record.name)
                }
                Err(error) => return Err(resolver_failed(error, &at, RecordType::SOA)),
            };
            // The SOA at the end of a CNAME belongs to another tree.
            if let Some(apex) = owner.map(|owner| plain_name(&owner)).transpose()?
                && at.is_in(&apex)
            {
                return Ok(apex);
            }
            at = at
                .parent()
                .with_context(|| format!("no SOA record at or above `{name}`"))?;
        }
    }

    /// What the servers of `parent` say about `zone`; none if none of them says anything of use.
    async fn ask_parent(
        &self,
        parent: &DnsName,
        servers: Servers,
        zone: &DnsName,
    ) -> Result<Option<Delegation>> {
        let servers: Vec<_> = servers.into_iter().collect();
        let (first, others) = servers.split_at(servers.len().min(FIRST_PARENT_SERVERS));
        for group in [first, others] {
            let found = join_all(group.iter().map(|(name, glue)| async move {
                if glue.is_empty() {
                    self.addresses(name).await
                } else {
                    Ok(glue.iter().copied().collect())
                }
            }));
            let addresses: BTreeSet<_> = found.await.into_iter().flatten().flatten().collect();
            let mut answers: FuturesUnordered<_> = addresses
                .iter()
                .map(|&address| self.ask_name_servers(address, zone))
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
    ) -> (IpAddr, Result<Message, Unanswered>) {
        let server = SocketAddr::new(address, self.port);
        let mut answers = ask(server, RecordType::NS, &[wire_name(zone)]).await;
        (address, answers.pop().unwrap_or(Err(Unanswered::Silent)))
    }

    /// The NS set that `servers` have for their zone. Empty if none of them answers with authority:
    /// the wait for a value finds out what is wrong with them.
    async fn own_names(&self, zone: &DnsName, servers: &[NameServer]) -> Servers {
        let apex = wire_name(zone);
        let mut own = Servers::new();
        let mut answers: FuturesUnordered<_> = servers
            .iter()
            .flat_map(|server| &server.addresses)
            .map(|address| self.ask_name_servers(address.ip(), zone))
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
                    until = until.min(Instant::now() + STRAGGLERS);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%zone, %address, %error, "NS record left out"),
            }
        }
        own
    }

    /// Names of the servers of `zone` as the resolver knows them.
    async fn name_server_names(&self, zone: &DnsName) -> Result<Servers> {
        let apex = wire_name(zone);
        let names = match self.resolver.lookup(apex.clone(), RecordType::NS).await {
            Ok(found) => targets(found.answers(), &apex)?,
            Err(error) if error.is_no_records_found() => BTreeSet::new(),
            Err(error) => return Err(resolver_failed(error, zone, RecordType::NS)),
        };
        if names.is_empty() {
            bail!("the resolver knows no NS records of `{zone}`");
        }
        Ok(names
            .into_iter()
            .map(|name| (name, BTreeSet::new()))
            .collect())
    }

    async fn with_addresses(&self, zone: &DnsName, servers: Servers) -> Result<Vec<NameServer>> {
        let each = servers.into_iter().map(|(name, glue)| async move {
            let looked_up = if glue.iter().any(IpAddr::is_ipv4) {
                // The resolver has to ask the servers of the zone, which may be down.
                let found = timeout(BESIDES_GLUE, self.addresses(&name)).await;
                found.ok().and_then(Result::ok).unwrap_or_else(|| {
                    tracing::warn!(%zone, %name, "only the glue addresses are known");
                    Vec::new()
                })
            } else {
                self.addresses(&name).await?
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
            })
        });
        try_join_all(each).await
    }

    /// Addresses of a host. None is no error; a look-up that fails is one, for AAAA only where
    /// there is no A record: some servers answer SERVFAIL to every AAAA question.
    async fn addresses(&self, host: &DnsName) -> Result<Vec<IpAddr>> {
        let of_type = async |kind| match self.resolver.lookup(wire_name(host), kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(address_in).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(resolver_failed(error, host, kind)),
        };
        let (ipv4, ipv6) = join(of_type(RecordType::A), of_type(RecordType::AAAA)).await;
        let mut addresses: Vec<IpAddr> = ipv4?;
        match ipv6 {
            Err(error) if !addresses.is_empty() => {
                tracing::warn!(%host, error = format!("{error:#}"), "IPv6 addresses are not known");
            }
            other => addresses.extend(other?),
        }
        Ok(addresses)
    }
}

fn resolver_failed(error: NetError, name: &DnsName, kind: RecordType) -> anyhow::Error {
    let unreachable = matches!(
        error,
        NetError::Timeout | NetError::NoConnections | NetError::Io(_)
    );
    let error = anyhow::Error::new(error).context(format!(
        "the DNS resolver cannot look up {kind} of `{name}`"
    ));
    if unreachable {
        with_hint(
            error,
            "check `/etc/resolv.conf`, or name a resolver with `--resolver`",
        )
    } else {
        error
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
        let lookup = Lookup::at(&[resolver]).unwrap().on_port(lab.port);
        (lab, lookup)
    }

    async fn failure(lookup: &Lookup, zone: &str) -> (String, Vec<String>, Vec<String>) {
        let error = lookup.name_servers(&name(zone)).await.unwrap_err();
        let explained = explain(&error);
        (explained.what, explained.causes, explained.hints)
    }

    #[tokio::test]
    async fn delegation_with_glue_and_the_childs_own_servers() {
        let (lab, lookup) = lab().await;
        // ns2's IPv6 address is in the glue only, ns3 in the NS set of one server of the child only.
        let found = lookup.name_servers(&name("example.test")).await.unwrap();
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
        let below = lookup.name_servers(&name("b.example.test")).await.unwrap();
        let ns3 = lab.server("ns3.example.test", &["127.0.0.33"]);
        assert_eq!(below, [ns1.clone(), ns3]);
        // `er.test` is no zone and has no records.
        let deep = lookup.name_servers(&name("deep.er.test")).await.unwrap();
        assert_eq!(deep, [ns1]);
        let root = lookup.name_servers(&name(".")).await.unwrap();
        assert_eq!(root, [lab.server("a.root", &[ROOT])]);
        let tld = lookup.name_servers(&name("test")).await.unwrap();
        assert_eq!(tld, [lab.server("a.root", &[ROOT])]);
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
        let gone = lookup.name_servers(&name("gone.test")).await.unwrap();
        assert_eq!(gone, [lab.server("ns1.gone.test", &["127.0.0.66"])]);
        lab.freeze("127.0.0.3");
        let found = lookup.name_servers(&name("example.test")).await.unwrap();
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
        let found = lookup.name_servers(&name("lone")).await.unwrap();
        assert_eq!(found, [lab.server("ns1.lone", &["127.0.0.3"])]);
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
        let found = lookup.name_servers(&name("new")).await.unwrap();
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
        let found = lookup.name_servers(&name("low.mid")).await.unwrap();
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
        assert_eq!(
            hints,
            ["check `/etc/resolv.conf`, or name a resolver with `--resolver`"]
        );
    }

    /// Compiles only if the look-up can be spawned on a runtime with several threads.
    #[tokio::test]
    async fn spawned() {
        let (lab, lookup) = lab().await;
        let found = tokio::spawn(async move { lookup.name_servers(&name("test")).await });
        let expected = [lab.server("a.root", &[ROOT])];
        assert_eq!(found.await.unwrap().unwrap(), expected);
    }

    #[test]
    fn no_resolver() {
        let error = Lookup::at(&[]).err().unwrap();
        assert_eq!(error.to_string(), "there is no DNS resolver to start from");
    }
}
