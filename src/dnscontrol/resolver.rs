//! TXT records of other domains, for `SPF_BUILDER` with `flatten`: the only look-ups of a
//! configuration.

use std::fmt;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::Resolver;

type Lookup = dyn Fn(&str) -> Result<Vec<String>> + Send + Sync;

/// Looks TXT records up; by default through the system's resolver.
#[derive(Clone, Default)]
pub(crate) struct TxtLookup(Option<Arc<Lookup>>);

impl TxtLookup {
    /// Asks `lookup`, which gives the strings of each record joined.
    #[cfg(test)]
    pub(crate) fn from_fn(
        lookup: impl Fn(&str) -> Result<Vec<String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(lookup)))
    }

    /// The TXT records of `name`, strings joined. Blocks.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        match &self.0 {
            Some(lookup) => lookup(name),
            None => system(name),
        }
    }
}

impl fmt::Debug for TxtLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "function"
        } else {
            "system"
        })
    }
}

/// On a thread of its own: the caller may be part of an asynchronous program.
fn system(name: &str) -> Result<Vec<String>> {
    thread::scope(|scope| scope.spawn(|| ask(name)).join())
        .map_err(|_| anyhow!("the resolver ended early"))?
}

fn ask(name: &str) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the resolver")?;
    let absolute = format!("{}.", name.trim_end_matches('.'));
    runtime.block_on(async {
        let resolver = Resolver::builder_tokio()
            .and_then(hickory_resolver::ResolverBuilder::build)
            .context("cannot read the system's resolver settings")?;
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
