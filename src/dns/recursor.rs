//! What the recursive resolver knows that the machine or the user names.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::future::join;
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_proto::rr::{Record, RecordType};
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};

use crate::dns::exchange::wire_name;
use crate::dns::referral::{Servers, address_in, plain_name, targets};
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;

/// Longest silence of a resolver that the user names, before the question is repeated. That of the
/// others is set in `/etc/resolv.conf`.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(3);

/// Recursive resolvers, asked for SOA, NS, DS, A, AAAA and CAA records only.
pub(super) struct Recursor {
    resolver: TokioResolver,
    /// Those that the user names; empty: those of `/etc/resolv.conf`.
    named: Vec<SocketAddr>,
}

/// The resolver gave no answer at all.
#[derive(Debug, thiserror::Error)]
#[error("the DNS resolver cannot look up {kind} of `{name}`")]
pub(crate) struct NoAnswer {
    name: DnsName,
    kind: RecordType,
    #[source]
    error: NetError,
}

impl Recursor {
    /// Starts from the resolvers of `/etc/resolv.conf`.
    pub(super) fn system() -> Result<Self> {
        let (config, options) = read_system_conf()
            .context("cannot read `/etc/resolv.conf`")
            .hint(|| "name a resolver with `--resolver`")?;
        Self::new(config, options, Vec::new())
    }

    /// Starts from recursive resolvers that the user names.
    pub(super) fn at(resolvers: &[SocketAddr]) -> Result<Self> {
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
        Self::new(config, options, resolvers.to_vec())
    }

    fn new(
        config: ResolverConfig,
        mut options: ResolverOpts,
        named: Vec<SocketAddr>,
    ) -> Result<Self> {
        if config.name_servers().is_empty() {
            let error = anyhow!("there is no DNS resolver to start from");
            return Err(with_hint(error, "name a resolver with `--resolver`"));
        }
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .context("cannot set up the DNS resolver")?;
        Ok(Self { resolver, named })
    }

    /// The zone that `name` is in, as the resolver sees it.
    pub(super) async fn apex(&self, name: &DnsName) -> Result<DnsName> {
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
                Err(error) => return Err(self.failed(error, &at, RecordType::SOA)),
            };
            // The SOA at the end of a CNAME belongs to another tree.
            if let Some(apex) = owner.map(|owner| plain_name(&owner)).transpose()?
                && at.is_in(&apex)
            {
                return Ok(apex);
            }
            at = at
                .parent()
                .with_context(|| format!("no SOA record at or above `{name}`"))
                .hint(|| "if the zone exists, the resolver does not work: check the network, or name another with `--resolver`")?;
        }
    }

    /// Names of the servers of `zone` as the resolver knows them.
    pub(super) async fn name_server_names(&self, zone: &DnsName) -> Result<Servers> {
        let apex = wire_name(zone);
        let names = match self.resolver.lookup(apex.clone(), RecordType::NS).await {
            Ok(found) => targets(found.answers(), &apex)?,
            Err(error) if error.is_no_records_found() => BTreeSet::new(),
            Err(error) => return Err(self.failed(error, zone, RecordType::NS)),
        };
        if names.is_empty() {
            bail!("the resolver knows no NS records of `{zone}`");
        }
        Ok(names
            .into_iter()
            .map(|name| (name, BTreeSet::new()))
            .collect())
    }

    /// Addresses of a host. None is no error; a look-up that fails is one, for AAAA only where
    /// there is no A record: some servers answer SERVFAIL to every AAAA question.
    pub(super) async fn addresses(&self, host: &DnsName) -> Result<Vec<IpAddr>> {
        let of_type = async |kind| match self.resolver.lookup(wire_name(host), kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(address_in).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(self.failed(error, host, kind)),
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

    fn failed(&self, error: NetError, name: &DnsName, kind: RecordType) -> anyhow::Error {
        let unreachable = matches!(
            error,
            NetError::Timeout | NetError::NoConnections | NetError::Io(_)
        );
        let name = name.clone();
        let error = if unreachable {
            anyhow::Error::new(NoAnswer { name, kind, error })
        } else {
            let what = format!("the DNS resolver cannot look up {kind} of `{name}`");
            anyhow::Error::new(error).context(what)
        };
        let named: Vec<_> = self.named.iter().map(|one| format!("`{one}`")).collect();
        match named.as_slice() {
            _ if !unreachable => error,
            [] => with_hint(
                error,
                "check `/etc/resolv.conf`, or name a resolver with `--resolver`",
            ),
            named => with_hint(
                error,
                format!(
                    "`--resolver` names {}: check that it is a recursive resolver that this machine reaches, \
                     or leave the setting out for those of `/etc/resolv.conf`",
                    named.join(", ")
                ),
            ),
        }
    }

    /// The DS records that the parent of a zone has for it. None is no error.
    pub(super) async fn ds(&self, zone: &DnsName) -> Result<Vec<Record>> {
        match self.resolver.lookup(wire_name(zone), RecordType::DS).await {
            Ok(found) => Ok(found.answers().to_vec()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(self.failed(error, zone, RecordType::DS)),
        }
    }

    /// The CAA records of a name, or of the end of the CNAMEs that begin there. None is no error.
    pub(super) async fn caa(&self, name: &DnsName) -> Result<Vec<Record>> {
        match self.resolver.lookup(wire_name(name), RecordType::CAA).await {
            Ok(found) => Ok(found.answers().to_vec()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(self.failed(error, name, RecordType::CAA)),
        }
    }
}
