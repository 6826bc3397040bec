//! Which due certificates fit into the CA's limits, and which wait for a later run. Pure.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::acme::limits::{Budget, Candidate};
use crate::acme::presets::Directory;
use crate::model::outcome::{Action, Planned, PutOff};

/// A due certificate and its place in the plan.
type Placed<T> = Vec<(usize, T)>;

/// Parts what fits from what has to wait, for one CA.
///
/// The most urgent are served first: what is not there or has expired, then what expires soonest.
pub(super) fn sort(
    mut due: Placed<Planned>,
    mut budget: Budget,
    directory: &Directory,
    now: OffsetDateTime,
) -> (Placed<Planned>, Placed<PutOff>) {
    due.sort_by_key(|(place, planned)| (urgency(planned, now), *place));
    let (mut fit, mut wait) = (Vec::new(), Vec::new());
    for (place, planned) in due {
        let identifiers: BTreeSet<_> = planned.wanted.identifiers.iter().cloned().collect();
        let replaced = planned.replaces.as_ref();
        let candidate = Candidate {
            identifiers: &identifiers,
            is_renewal: planned.action == Action::Renew,
            replaces: replaced.is_some_and(|replaced| directory.is_of_same_ca(&replaced.ca)),
        };
        match budget.take(candidate) {
            Ok(()) => fit.push((place, planned)),
            Err(exceeded) => wait.push((
                place,
                PutOff {
                    reason: exceeded.to_string(),
                    until: exceeded.until,
                    planned,
                },
            )),
        }
    }
    (fit, wait)
}

/// The end of what is held; none, and first, where nobody can use a certificate now.
fn urgency(planned: &Planned, now: OffsetDateTime) -> Option<OffsetDateTime> {
    planned.not_after.filter(|end| *end > now)
}

/// In the order of the plan.
pub(super) fn in_order<T>(mut all: Placed<T>) -> Vec<T> {
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::acme::limits::{LETS_ENCRYPT, Limit, Limits};
    use crate::model::certificate::{KeySource, KeyType, Wanted};
    use crate::model::renewal::{CertificateId, Predecessor};

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00:00 UTC);

    fn planned(name: &str, action: Action, days_left: Option<i64>) -> Planned {
        Planned {
            wanted: Wanted {
                name: name.parse().unwrap(),
                identifiers: vec![format!("{name}.example.com").parse().unwrap()],
                key_type: KeyType::P256,
                key_source: KeySource::New,
                acme: None,
                profile: None,
                preferred_chain: None,
                recipients: None,
            },
            action,
            reason: String::new(),
            not_after: days_left.map(|days| NOW + Duration::days(days)),
            due_from: None,
            replaces: None,
        }
    }

    /// Names of what fits and of what waits, with room for so many new certificates.
    fn sorted(room: u32, due: Vec<Planned>) -> (Vec<String>, Vec<String>) {
        let limits = Limits {
            per_domain: Limit {
                size: room,
                ..LETS_ENCRYPT.per_domain
            },
            ..LETS_ENCRYPT
        };
        let (fit, wait) = sorted_by(limits, due);
        let name = |planned: &Planned| planned.wanted.name.to_string();
        (
            fit.iter().map(name).collect(),
            wait.iter().map(|put_off| name(&put_off.planned)).collect(),
        )
    }

    fn sorted_by(limits: Limits, due: Vec<Planned>) -> (Vec<Planned>, Vec<PutOff>) {
        let due = due.into_iter().enumerate().collect();
        let directory = "live".parse().unwrap();
        let (fit, wait) = sort(due, Budget::new(limits, &[], NOW), &directory, NOW);
        (in_order(fit), in_order(wait))
    }

    #[test]
    fn what_takes_the_place_of_another_always_fits() {
        let replacing = |ca: &str| Planned {
            replaces: Some(Predecessor {
                ca: ca.to_owned(),
                id: CertificateId::new(&[1], &[2]),
            }),
            ..planned("a", Action::Reissue, Some(3))
        };
        let here = replacing("https://acme-v02.api.letsencrypt.org/acme/cert/1");
        let elsewhere = replacing("https://ca.test/dir");
        let first = planned("b", Action::Issue, None);
        let due = vec![first.clone(), here.clone(), here];
        assert_eq!(sorted(1, due), (to_owned(&["b", "a", "a"]), vec![]));
        let due = vec![first, elsewhere];
        assert_eq!(sorted(1, due), (to_owned(&["b"]), to_owned(&["a"])));
    }

    #[test]
    fn the_most_urgent_are_served_first() {
        let due = || {
            vec![
                planned("later", Action::Reissue, Some(20)),
                planned("new", Action::Issue, None),
                planned("sooner", Action::Reissue, Some(2)),
                planned("expired", Action::Reissue, Some(-1)),
                planned("renewal", Action::Renew, Some(30)),
            ]
        };
        for (room, fit, wait) in [
            (
                1,
                vec!["new", "renewal"],
                vec!["later", "sooner", "expired"],
            ),
            (
                2,
                vec!["new", "expired", "renewal"],
                vec!["later", "sooner"],
            ),
            (
                3,
                vec!["new", "sooner", "expired", "renewal"],
                vec!["later"],
            ),
            (
                4,
                vec!["later", "new", "sooner", "expired", "renewal"],
                vec![],
            ),
        ] {
            let (fits, waits) = sorted(room, due());
            assert_eq!((fits, waits), (to_owned(&fit), to_owned(&wait)), "{room}");
        }
    }

    fn to_owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_waits_says_why_and_until_when() {
        let due = vec![
            planned("a", Action::Issue, None),
            planned("b", Action::Issue, None),
        ];
        let limits = Limits {
            per_domain: Limit {
                size: 1,
                ..LETS_ENCRYPT.per_domain
            },
            ..LETS_ENCRYPT
        };
        let (_, wait) = sorted_by(limits, due);
        assert_eq!(
            (wait[0].reason.as_str(), wait[0].until),
            (
                "the 1 new certificates in 7 days for `example.com` are used up",
                NOW + Duration::WEEK
            )
        );
    }
}
