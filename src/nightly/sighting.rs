//! What our own check saw of a challenge, for the report of a proof that failed.

use anyhow::Error;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::acme::unproven::Unproven;
use crate::dns::view::View;
use crate::model::change::Txt;
use crate::model::hint::{find, with_hint};

/// A value that every name server of its zone showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Names of the servers, or of the resolvers that were asked instead.
    who: Vec<String>,
    at: OffsetDateTime,
}

impl Sighting {
    /// Everybody in `view` showed the value at this moment.
    pub(super) fn of(view: &View, at: OffsetDateTime) -> Self {
        let servers = view.servers.iter().map(|server| server.name.to_string());
        let resolvers = view.resolvers.iter();
        let resolvers = resolvers.map(|resolver| format!("{} (over HTTPS)", resolver.host()));
        Self {
            who: servers.chain(resolvers).collect(),
            at,
        }
    }

    /// Prints as `ns1.example.com, ns2.example.com showed ... at 10:00:07 UTC`.
    fn describe(&self, txt: &Txt) -> String {
        let time = format_description!("[hour]:[minute]:[second] UTC");
        let at = self.at.format(time).unwrap_or_default();
        format!("{} showed `{txt}` at {at}", self.who.join(", "))
    }
}

/// Says of a proof that the CA did not accept what our own check had seen.
pub(super) fn beside(error: Error, seen: &[(Txt, Sighting)]) -> Error {
    if find::<Unproven>(&error).is_none() || seen.is_empty() {
        return error;
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(txt, sighting)| sighting.describe(txt))
        .collect();
    with_hint(
        error,
        format!(
            "before the CA looked, {}; it asks through resolvers of its own, from several places, \
             and validates DNSSEC",
            seen.join("; ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::acme::refusal::Refusal;
    use crate::dns::doh::Resolver;
    use crate::model::hint::explain;
    use crate::net::http::Http;

    #[test]
    fn a_failed_proof_is_told_with_who_had_shown_the_value() {
        let http = Http::new(None).unwrap();
        let view = View {
            servers: Vec::new(),
            resolvers: vec![Resolver::new("https://one.example/dns-query", &http).unwrap()],
            settle: Duration::ZERO,
            deadline: None,
            confirmations: NonZeroU32::MIN,
            warnings: Vec::new(),
        };
        let txt = Txt {
            name: "_acme-challenge.a.example".parse().unwrap(),
            value: "x".to_owned(),
        };
        let seen = [(txt, Sighting::of(&view, datetime!(2026-11-25 10:00:07 UTC)))];
        let refusal = Refusal {
            status: None,
            problem: None,
            retry_after: None,
        };
        let unproven = Unproven {
            names: vec![("a.example".parse().unwrap(), refusal)],
        };
        let told = explain(&beside(unproven.into(), &seen));
        assert_eq!(
            told.hints,
            [
                "before the CA looked, one.example (over HTTPS) showed `_acme-challenge.a.example TXT \"x\"` \
                 at 10:00:07 UTC; it asks through resolvers of its own, from several places, and validates DNSSEC"
            ]
        );
        // Any other trouble has nothing to do with what was seen.
        let other = beside(anyhow::anyhow!("no answer"), &seen);
        assert!(explain(&other).hints.is_empty());
    }
}
