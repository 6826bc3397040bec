//! Decides what is due. Pure: no clock, no network.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use crate::model::certificate::{CertificateName, Wanted};
use crate::model::chain::Leaf;
use crate::model::name::Identifier;
use crate::model::outcome::{Action, Planned};

/// A lifetime up to which half of it, not a third, is the time to renew.
///
/// Let's Encrypt's advice for clients without ARI: <https://letsencrypt.org/docs/integration-guide/>.
const SHORT_LIFETIME: Duration = Duration::days(10);

/// What the repository has for a certificate that is wanted; an error says why it cannot be read.
pub(crate) type Holdings = BTreeMap<CertificateName, Result<Leaf, String>>;

/// Compares what is wanted with what is held.
///
/// The first that applies: nothing is held, it cannot be read, its names differ, it is due, nothing.
/// Names are compared as sets of A-labels. `renew_days`: due with fewer days left; without it, a
/// third of the lifetime, or half of a lifetime of 10 days and less. Order as in `wanted`.
pub(crate) fn plan(
    wanted: &[Wanted],
    held: &Holdings,
    renew_days: Option<u32>,
    now: OffsetDateTime,
) -> Vec<Planned> {
    wanted
        .iter()
        .map(|wanted| {
            let (action, reason) = match held.get(&wanted.name) {
                None => (Action::Issue, "not in the repository".to_owned()),
                Some(Err(reason)) => (Action::Reissue, reason.clone()),
                Some(Ok(leaf)) => decide(wanted, leaf, renew_days, now),
            };
            let not_after = held
                .get(&wanted.name)
                .and_then(|held| held.as_ref().ok())
                .map(|leaf| leaf.not_after);
            Planned {
                wanted: wanted.clone(),
                action,
                reason,
                not_after,
            }
        })
        .collect()
}

fn decide(
    wanted: &Wanted,
    leaf: &Leaf,
    renew_days: Option<u32>,
    now: OffsetDateTime,
) -> (Action, String) {
    let want = wanted.identifier_set();
    let have: BTreeSet<&Identifier> = leaf.identifiers.iter().collect();
    if want != have {
        return (Action::Reissue, difference(&want, &have));
    }
    let left = leaf.not_after - now;
    if left <= Duration::ZERO {
        return (
            Action::Renew,
            format!("expired on {}", leaf.not_after.date()),
        );
    }
    let threshold = renew_days.map_or_else(
        || default_threshold(leaf.lifetime()),
        |days| Duration::days(days.into()),
    );
    let reason = format!(
        "{} of {} left, due below {}",
        amount(left),
        amount(leaf.lifetime()),
        amount(threshold)
    );
    if left < threshold {
        (Action::Renew, reason)
    } else {
        (Action::Keep, reason)
    }
}

fn default_threshold(lifetime: Duration) -> Duration {
    if lifetime <= SHORT_LIFETIME {
        lifetime / 2
    } else {
        lifetime / 3
    }
}

fn difference(want: &BTreeSet<&Identifier>, have: &BTreeSet<&Identifier>) -> String {
    let added = want.difference(have).map(|name| format!("+ {name}"));
    let dropped = have.difference(want).map(|name| format!("- {name}"));
    let changes: Vec<_> = added.chain(dropped).collect();
    format!("names differ: {}", changes.join(", "))
}

/// Whole days, or hours below two days, rounded down; a second short of a day is a day, since
/// lifetimes end one second early.
fn amount(duration: Duration) -> String {
    let duration = duration + Duration::SECOND;
    match (duration.whole_days(), duration.whole_hours()) {
        (..2, 1) => "1 hour".to_owned(),
        (..2, hours) => format!("{hours} hours"),
        (days, _) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::model::certificate::KeyType;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);

    fn wanted(names: &[&str]) -> Wanted {
        Wanted {
            name: "www".parse().unwrap(),
            identifiers: names.iter().map(|name| name.parse().unwrap()).collect(),
            key_type: KeyType::P256,
        }
    }

    fn held(names: &[&str], lifetime: Duration, left: Duration) -> Holdings {
        let name: CertificateName = "www".parse().unwrap();
        let leaf = Leaf {
            identifiers: names.iter().map(|name| name.parse().unwrap()).collect(),
            not_before: NOW + left - lifetime,
            not_after: NOW + left,
            serial: "01".into(),
            issuer: "CA".into(),
            key_type: None,
            public_key: Vec::new(),
        };
        BTreeMap::from([(name, Ok(leaf))])
    }

    fn decision(want: &[&str], held: &Holdings, renew_days: Option<u32>) -> (Action, String) {
        let plan = plan(&[wanted(want)], held, renew_days, NOW);
        (plan[0].action, plan[0].reason.clone())
    }

    #[test]
    fn what_is_not_there_is_issued() {
        assert_eq!(
            decision(&["a.test.x"], &BTreeMap::new(), None),
            (Action::Issue, "not in the repository".into())
        );
    }

    #[test]
    fn what_cannot_be_read_is_issued_again() {
        let held = BTreeMap::from([("www".parse().unwrap(), Err("no PEM".to_owned()))]);
        assert_eq!(
            decision(&["a.test.x"], &held, None),
            (Action::Reissue, "no PEM".into())
        );
    }

    #[test]
    fn order_case_and_script_of_names_do_not_matter() {
        let held = held(
            &["xn--bcher-kva.example", "*.example.com", "example.com"],
            Duration::days(90),
            Duration::days(80),
        );
        assert_eq!(
            decision(
                &["example.com.", "Bücher.example", "*.EXAMPLE.com"],
                &held,
                None
            )
            .0,
            Action::Keep
        );
    }

    #[test]
    fn other_names_win_over_expiry() {
        let held = held(
            &["a.example", "b.example"],
            Duration::days(90),
            Duration::days(1),
        );
        assert_eq!(
            decision(&["a.example", "c.example"], &held, None),
            (
                Action::Reissue,
                "names differ: + c.example, - b.example".into()
            )
        );
    }

    #[test]
    fn a_third_of_the_lifetime_is_the_default() {
        let kept = held(&["a.example"], Duration::days(90), Duration::days(30));
        assert_eq!(
            decision(&["a.example"], &kept, None),
            (
                Action::Keep,
                "30 days of 90 days left, due below 30 days".into()
            )
        );
        let due = held(
            &["a.example"],
            Duration::days(90),
            Duration::days(30) - Duration::SECOND,
        );
        assert_eq!(decision(&["a.example"], &due, None).0, Action::Renew);
    }

    #[test]
    fn half_of_a_short_lifetime_is_the_default() {
        let lifetime = Duration::hours(160);
        let kept = held(&["a.example"], lifetime, Duration::hours(80));
        assert_eq!(decision(&["a.example"], &kept, None).0, Action::Keep);
        let due = held(&["a.example"], lifetime, Duration::hours(40));
        assert_eq!(
            decision(&["a.example"], &due, None),
            (
                Action::Renew,
                "40 hours of 6 days left, due below 3 days".into()
            )
        );
    }

    #[test]
    fn days_given_by_the_user_win_and_are_strict() {
        let held = held(&["a.example"], Duration::days(90), Duration::days(15));
        assert_eq!(decision(&["a.example"], &held, Some(15)).0, Action::Keep);
        assert_eq!(decision(&["a.example"], &held, Some(16)).0, Action::Renew);
    }

    #[test]
    fn expired_is_said() {
        let held = held(&["a.example"], Duration::days(90), -Duration::days(2));
        assert_eq!(
            decision(&["a.example"], &held, Some(0)),
            (Action::Renew, "expired on 2026-11-21".into())
        );
    }
}
