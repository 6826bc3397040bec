//! TXT records of other domains, for `SPF_BUILDER` with `flatten`: the only look-ups of a
//! configuration.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::{Resolver, TokioResolver};

type Lookup = dyn Fn(&str) -> Result<Vec<String>> + Send + Sync;

/// Looks TXT records up.
#[derive(Clone)]
pub(crate) enum TxtLookup {
    /// At these recursive resolvers; none: those of `/etc/resolv.conf`.
    At(Vec<SocketAddr>),
    /// In a function, which gives the strings of each record joined.
    #[cfg_attr(
        not(any(test, feature = "fuzzing")),
        expect(dead_code, reason = "for tests")
    )]
    Function(Arc<Lookup>),
}

impl Default for TxtLookup {
    fn default() -> Self {
        Self::At(Vec::new())
    }
}

impl TxtLookup {
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn from_fn(
        lookup: impl Fn(&str) -> Result<Vec<String>> + Send + Sync + 'static,
    ) -> Self {
        Self::Function(Arc::new(lookup))
    }

    /// The TXT records of `name`, strings joined. Blocks.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        match self {
            Self::At(resolvers) => on_its_own_thread(resolvers, name),
            Self::Function(lookup) => lookup(name),
        }
    }
}

impl fmt::Debug for TxtLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(resolvers) => write!(f, "At({resolvers:?})"),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}

/// On a thread of its own: the caller may be part of an asynchronous program.
fn on_its_own_thread(resolvers: &[SocketAddr], name: &str) -> Result<Vec<String>> {
    thread::scope(|scope| scope.spawn(|| ask(resolvers, name)).join())
        .map_err(|_| anyhow!("the resolver ended early"))?
}

fn ask(resolvers: &[SocketAddr], name: &str) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the resolver")?;
    let absolute = format!("{}.", name.trim_end_matches('.'));
    runtime.block_on(async {
        let resolver = resolver(resolvers).context("cannot set up the DNS resolver")?;
        let answer = resolver.lookup(absolute, RecordType::TXT).await?;
        Ok(answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::TXT(text) => {
                    Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned())
                }
                _ => None,
            })
            .collect())
    })
}

fn resolver(addresses: &[SocketAddr]) -> Result<TokioResolver> {
    if addresses.is_empty() {
        return Ok(Resolver::builder_tokio()?.build()?);
    }
    let servers = addresses.iter().map(|address| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        server
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    Ok(builder.build()?)
}
