//! Whether CAA lets a CA issue: looked up while zones are surveyed, judged before the first order.

use std::sync::Arc;

use anyhow::{Error, Result, anyhow};
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use tokio::task::AbortHandle;

use crate::dns::caa::{self, Authority, Forbidden, Remedy};
use crate::dns::caa_tree::CaaTrees;
use crate::dns::doh::Resolver;
use crate::dns::lookup::Lookup;
use crate::model::hint::{Shared, find, with_hint};
use crate::model::name::{DnsName, Identifier};
use crate::model::outcome::Planned;
use crate::nightly::stop::Stop;

/// CAA records that are being looked up; given up when this is dropped.
pub(super) struct Permission {
    trees: future::Shared<BoxFuture<'static, Result<Arc<CaaTrees>, Shared>>>,
    looking: AbortHandle,
    /// Zones of dnsconfig.js.
    zones: Vec<DnsName>,
}

impl Drop for Permission {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

impl Permission {
    /// Starts to look up the records of all names of the certificates.
    pub(super) fn look_up(
        lookup: Lookup,
        https: Vec<Resolver>,
        due: &[Planned],
        zones: Vec<DnsName>,
    ) -> Self {
        let names = due.iter().flat_map(|planned| &planned.wanted.identifiers);
        let names: Vec<_> = names.map(Identifier::base).collect();
        let task =
            tokio::spawn(
                async move { CaaTrees::look_up(&lookup, &https, names.into_iter()).await },
            );
        Self {
            looking: task.abort_handle(),
            trees: async {
                let ended = |error| anyhow!("the look-up of CAA records ended: {error}");
                task.await
                    .map(Arc::new)
                    .map_err(|error| Shared::new(ended(error)))
            }
            .boxed()
            .shared(),
            zones,
        }
    }

    /// Whether the CA may issue each of the certificates, in their order.
    ///
    /// A look-up that failed counts as the CA counts it: it may not (RFC 8659 section 6). Where no
    /// name stands for the CA nothing is checked.
    pub(super) async fn judge(
        &self,
        wanted: &[&Planned],
        authority: &Authority<'_>,
        stop: &Stop,
    ) -> Vec<Result<()>> {
        if authority.identities.is_empty() {
            tracing::debug!("CAA is not checked: the CA does not say which names stand for it");
            return wanted.iter().map(|_| Ok(())).collect();
        }
        let trees = stop.ends(async { Ok(self.trees.clone().await?) }).await;
        let trees = trees.map_err(Shared::new);
        let judged = wanted.iter().map(|planned| match &trees {
            Ok(trees) => self.judge_one(planned, trees, authority),
            Err(error) => Err(error.clone().into()),
        });
        judged.collect()
    }

    fn judge_one(
        &self,
        planned: &Planned,
        trees: &CaaTrees,
        authority: &Authority<'_>,
    ) -> Result<()> {
        for name in &planned.wanted.identifiers {
            let relevant = trees.relevant(&name.base()).map_err(unknown)?;
            let is_wildcard = name.as_str().starts_with("*.");
            match caa::allows(relevant, is_wildcard, authority) {
                Ok(Some(record)) => tracing::debug!(%name, %record, "CAA allows"),
                Ok(None) => tracing::debug!(%name, "no CAA record is in the way"),
                Err(error) => return Err(self.forbidden(error, name)),
            }
        }
        Ok(())
    }

    fn forbidden(&self, error: Forbidden, name: &Identifier) -> Error {
        let Forbidden { at, remedy, .. } = &error;
        let hint = match remedy {
            Remedy::Add { tag, value } => self.to_add(at, tag, value),
            Remedy::Remove(_) => {
                format!("take that record of `{at}` out, or make it not critical")
            }
        };
        let error = Error::new(error).context(format!("CAA forbids the CA to issue for `{name}`"));
        with_hint(error, hint)
    }

    /// Says it if CAA lets every account at the CA issue for the name, and ours is known.
    pub(super) async fn for_everybody(
        &self,
        name: &Identifier,
        authority: &Authority<'_>,
    ) -> Option<Error> {
        let trees = self.trees.clone().await.ok()?;
        let relevant = trees.relevant(&name.base()).ok()??;
        let is_wildcard = name.as_str().starts_with("*.");
        let record = caa::allows(Some(relevant), is_wildcard, authority).ok()??;
        let value = record.pinned_to(authority.account?)?;
        let error = anyhow!(
            "CAA record `{record}` at `{}` lets every account at the CA issue",
            relevant.at
        );
        let hint = match self.line(&relevant.at, &record.tag, &value) {
            Some((line, zone)) => format!(
                "`{line}` in its place in `D(\"{zone}\", ...)` in dnsconfig.js lets ours alone"
            ),
            None => format!(
                "`0 {} \"{value}\"` in its place lets ours alone",
                record.tag
            ),
        };
        Some(with_hint(error, hint))
    }

    fn to_add(&self, at: &DnsName, tag: &str, value: &str) -> String {
        match self.line(at, tag, value) {
            Some((line, zone)) => format!(
                "add `{line}` to `D(\"{zone}\", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL"
            ),
            None => format!(
                "`{at}` is in no zone of dnsconfig.js: whoever keeps it has to add the CAA record \
                 `0 {tag} \"{value}\"`"
            ),
        }
    }

    /// The record as dnsconfig.js declares it, and the zone that it goes to.
    fn line(&self, at: &DnsName, tag: &str, value: &str) -> Option<(String, &DnsName)> {
        let zones = self.zones.iter().filter(|zone| at.is_in(zone));
        let zone = zones.max_by_key(|zone| zone.as_str().len())?;
        let label = at.label_in(zone)?;
        Some((format!("CAA(\"{label}\", \"{tag}\", \"{value}\")"), zone))
    }
}

/// Whether CAA forbids this CA; another may be allowed to.
pub(super) fn is_forbidden(error: &Error) -> bool {
    find::<Forbidden>(error).is_some()
}

fn unknown(error: Shared) -> Error {
    with_hint(
        Error::new(error).context("it is not known whether CAA lets the CA issue"),
        "a CA refuses as long as it gets no answer: let every name server of the zone answer \
         questions for CAA, if only with none; `dig CAA NAME @SERVER` shows what it says",
    )
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::certificate::{KeySource, KeyType, Wanted};
    use crate::model::hint::explain;
    use crate::model::outcome::Action;

    fn planned() -> Planned {
        Planned {
            wanted: Wanted {
                name: "www".parse().unwrap(),
                identifiers: vec!["www.example.com".parse().unwrap()],
                key_type: KeyType::P256,
                key_source: KeySource::New,
                acme: None,
                profile: None,
                preferred_chain: None,
                recipients: None,
            },
            action: Action::Issue,
            reason: String::new(),
            not_after: None,
            due_from: None,
            replaces: None,
        }
    }

    /// Nobody answers here.
    fn permission(zones: &[&str]) -> Permission {
        let lookup = Lookup::at(&["127.0.0.1:9".parse().unwrap()]).unwrap();
        let zones = zones.iter().map(|zone| zone.parse().unwrap());
        Permission::look_up(lookup, Vec::new(), &[planned()], zones.collect())
    }

    #[tokio::test]
    async fn where_nobody_stands_for_the_ca_nothing_is_waited_for() {
        let authority = Authority {
            identities: &[],
            account: None,
        };
        let stop = Stop::on_signals().unwrap();
        let planned = planned();
        let judged = permission(&[]);
        let judged = judged.judge(&[&planned], &authority, &stop).await;
        assert!(judged.into_iter().all(|judged| judged.is_ok()));
    }

    #[tokio::test]
    async fn the_remedy_depends_on_who_keeps_the_zone() {
        let hint = |zones: &[&str]| {
            permission(zones).to_add(&"example.com".parse().unwrap(), "issue", "ca.test")
        };
        assert_eq!(
            hint(&["com", "example.com", "www.example.com"]),
            "add `CAA(\"@\", \"issue\", \"ca.test\")` to `D(\"example.com\", ...)` in dnsconfig.js, and push \
             it: resolvers keep the old records for their TTL"
        );
        assert_eq!(
            hint(&["www.example.com"]),
            "`example.com` is in no zone of dnsconfig.js: whoever keeps it has to add the CAA record `0 \
             issue \"ca.test\"`"
        );
    }

    #[tokio::test]
    async fn a_refusal_is_known_as_one() {
        let error = Forbidden {
            why: "CAA record `0 issue \";\"` at `example.com` names other CAs than `ca.test`"
                .into(),
            at: "example.com".parse().unwrap(),
            remedy: Remedy::Add {
                tag: "issue",
                value: "ca.test".into(),
            },
        };
        let permission = permission(&[]);
        let error = permission.forbidden(error, &"www.example.com".parse().unwrap());
        assert!(is_forbidden(&error));
        let told = explain(&error);
        assert_eq!(
            told.what,
            "CAA forbids the CA to issue for `www.example.com`"
        );
        assert!(!is_forbidden(&unknown(Shared::new(anyhow!("no answer")))));
    }
}
