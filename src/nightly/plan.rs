//! Decides what is due. Pure: no clock, no network.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use crate::model::certificate::{CertificateName, Held, Issued, Wanted};
use crate::model::chain::Leaf;
use crate::model::home::Home;
use crate::model::name::Identifier;
use crate::model::outcome::{Action, Planned};
use crate::model::renewal::{Predecessor, RenewalInfo};

/// A lifetime up to which half of it, not a third, is the time to renew.
///
/// Let's Encrypt's advice for clients without ARI: <https://letsencrypt.org/docs/integration-guide/>.
const SHORT_LIFETIME: Duration = Duration::days(10);

/// A window that starts in this share of the lifetime is early: the CA wants the certificate replaced, as
/// before a mass revocation. Windows of all CAs that have them start after the half.
const EARLY: f64 = 0.45;

/// What the repository has for a certificate that is wanted; an error says why it cannot be read.
pub(crate) type Holdings = BTreeMap<CertificateName, Result<Held, String>>;

/// When certificates are due.
#[derive(Debug)]
pub(crate) struct Timing<'a> {
    /// Due with fewer days left; none: when the CA suggests, or by the lifetime.
    pub(crate) renew_days: Option<u32>,
    /// What CAs suggest.
    pub(crate) windows: &'a BTreeMap<CertificateName, RenewalInfo>,
    pub(crate) now: OffsetDateTime,
    /// Where certificates are kept.
    pub(crate) home: Home,
}

/// Compares what is wanted with what is held.
///
/// The first that applies: nothing is held, it cannot be read, its names differ, it is due, nothing.
/// Names are compared as sets of A-labels. Due is, with the first of these that is known: fewer days left
/// than `renew_days`; the moment in the CA's window; a third of the lifetime, or half of a lifetime of 10
/// days and less. A window that is early wins over `renew_days`. Order as in `wanted`.
pub(crate) fn plan(wanted: &[Wanted], held: &Holdings, timing: &Timing<'_>) -> Vec<Planned> {
    wanted
        .iter()
        .map(|wanted| {
            let known = held.get(&wanted.name);
            let decision = match known {
                None => Decision::now(Action::Issue, format!("not in {}", timing.home)),
                Some(Err(reason)) => Decision::now(Action::Reissue, reason.clone()),
                Some(Ok(held)) => decide(wanted, &held.leaf, timing),
            };
            let held = known.and_then(|held| held.as_ref().ok());
            Planned {
                wanted: wanted.clone(),
                action: decision.action,
                reason: decision.reason,
                not_after: held.map(|held| held.leaf.not_after),
                due_from: decision.due_from,
                replaces: held.and_then(|held| replaces(wanted, held)),
            }
        })
        .collect()
}

/// From when on a certificate that was just issued is to be renewed.
pub(super) fn due_from(issued: &Issued, renew_days: Option<u32>) -> Option<OffsetDateTime> {
    let name = &issued.wanted.name;
    let window = issued.renewal.iter();
    let timing = Timing {
        renew_days,
        windows: &window.map(|info| (name.clone(), info.clone())).collect(),
        now: issued.leaf.not_before,
        home: Home::Repository,
    };
    decide(&issued.wanted, &issued.leaf, &timing).due_from
}

/// Let's Encrypt wants a name that both have.
fn replaces(wanted: &Wanted, held: &Held) -> Option<Predecessor> {
    let shares_a_name = wanted
        .identifiers
        .iter()
        .any(|name| held.leaf.identifiers.contains(name));
    let predecessor = Predecessor {
        ca: held.ca.clone()?,
        id: held.leaf.id.clone()?,
    };
    shares_a_name.then_some(predecessor)
}

/// What is to be done for one certificate, why, and from when on if not at once.
struct Decision {
    action: Action,
    reason: String,
    due_from: Option<OffsetDateTime>,
}

impl Decision {
    fn now(action: Action, reason: String) -> Self {
        Self {
            action,
            reason,
            due_from: None,
        }
    }
}

fn decide(wanted: &Wanted, leaf: &Leaf, timing: &Timing<'_>) -> Decision {
    let decision = decide_by_time(wanted, leaf, timing);
    // With very many days it was due before it was there.
    let due_from = decision.due_from.map(|due| due.max(leaf.not_before));
    Decision {
        due_from,
        ..decision
    }
}

fn decide_by_time(wanted: &Wanted, leaf: &Leaf, timing: &Timing<'_>) -> Decision {
    let want = wanted.identifier_set();
    let have: BTreeSet<&Identifier> = leaf.identifiers.iter().collect();
    if want != have {
        return Decision::now(Action::Reissue, difference(&want, &have));
    }
    let left = leaf.not_after - timing.now;
    if left <= Duration::ZERO {
        return Decision {
            action: Action::Renew,
            reason: format!("expired on {}", leaf.not_after.date()),
            due_from: Some(leaf.not_after),
        };
    }
    let longest = default_threshold(leaf.lifetime());
    let threshold = match (timing.renew_days, suggested(wanted, leaf, timing)) {
        (_, Some(Suggestion::Now(reason, moment))) => {
            return Decision {
                action: Action::Renew,
                reason,
                due_from: Some(moment),
            };
        }
        (Some(days), _) => Duration::days(days.into()),
        // A window that never comes must not let a certificate expire.
        (None, Some(Suggestion::Later(reason, moment))) if left >= longest / 2 => {
            return Decision {
                action: Action::Keep,
                reason,
                due_from: Some(moment.min(leaf.not_after - longest / 2)),
            };
        }
        (None, _) => longest,
    };
    let reason = format!(
        "{} of {} left, due below {}",
        amount(left),
        amount(leaf.lifetime()),
        amount(threshold)
    );
    let is_due = left < threshold;
    Decision {
        action: if is_due { Action::Renew } else { Action::Keep },
        reason,
        due_from: Some(leaf.not_after - threshold),
    }
}

/// What the CA's window means now, why, and the moment in it.
enum Suggestion {
    Now(String, OffsetDateTime),
    Later(String, OffsetDateTime),
}

fn suggested(wanted: &Wanted, leaf: &Leaf, timing: &Timing<'_>) -> Option<Suggestion> {
    let window = timing.windows.get(&wanted.name)?;
    let is_early = window.start < leaf.not_before + leaf.lifetime() * EARLY;
    let moment = window.moment(leaf.id.as_ref()?);
    if moment > timing.now {
        let reason = format!(
            "{} of {} left, due on {}, as the CA suggests",
            amount(leaf.not_after - timing.now),
            amount(leaf.lifetime()),
            moment.date()
        );
        return Some(Suggestion::Later(reason, moment));
    }
    if timing.renew_days.is_some() && !is_early {
        return None;
    }
    let (start, end) = (window.start.date(), window.end.date());
    let what = if is_early {
        "wants it replaced early, between"
    } else {
        "suggests to renew it between"
    };
    let why = window.explanation_url.as_ref();
    let why = why.map_or_else(String::new, |url| format!(": {url}"));
    let reason = format!("the CA {what} {start} and {end}{why}");
    Some(Suggestion::Now(reason, moment))
}

pub(super) fn default_threshold(lifetime: Duration) -> Duration {
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
    use crate::model::certificate::{KeySource, KeyType};
    use crate::model::renewal::CertificateId;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);
    const CA: &str = "https://ca.example/dir";

    fn wanted(names: &[&str]) -> Wanted {
        Wanted {
            name: "www".parse().unwrap(),
            identifiers: names.iter().map(|name| name.parse().unwrap()).collect(),
            key_type: KeyType::P256,
            key_source: KeySource::New,
            acme: None,
            profile: None,
            preferred_chain: None,
            recipients: None,
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
            id: Some(CertificateId::new(&[1], &[1])),
        };
        let held = Held {
            leaf,
            ca: Some(CA.to_owned()),
            renewal: None,
            recipients: None,
        };
        BTreeMap::from([(name, Ok(held))])
    }

    fn planned(
        want: &[&str],
        held: &Holdings,
        renew_days: Option<u32>,
        window: Option<RenewalInfo>,
    ) -> Planned {
        let timing = Timing {
            renew_days,
            windows: &window
                .into_iter()
                .map(|window| ("www".parse().unwrap(), window))
                .collect(),
            now: NOW,
            home: Home::Repository,
        };
        plan(&[wanted(want)], held, &timing).remove(0)
    }

    fn decision(want: &[&str], held: &Holdings, renew_days: Option<u32>) -> (Action, String) {
        let planned = planned(want, held, renew_days, None);
        (planned.action, planned.reason)
    }

    /// A window of two days.
    fn window(start: OffsetDateTime) -> RenewalInfo {
        RenewalInfo {
            start,
            end: start + Duration::days(2),
            explanation_url: None,
            next_check: NOW,
        }
    }

    /// The decision for 90 days of which 60 are gone, and for a window that starts so many days from now.
    fn with_window(left: i64, days: i64, renew_days: Option<u32>) -> (Action, String) {
        let held = held(&["a.example"], Duration::days(90), Duration::days(left));
        let window = window(NOW + Duration::days(days));
        let planned = planned(&["a.example"], &held, renew_days, Some(window));
        (planned.action, planned.reason)
    }

    #[test]
    fn the_window_of_the_ca_decides() {
        assert_eq!(
            with_window(29, -2, None),
            (
                Action::Renew,
                "the CA suggests to renew it between 2026-11-21 and 2026-11-23".into()
            )
        );
        // Below a third of the lifetime, but the CA knows better.
        let (action, reason) = with_window(29, 3, None);
        assert_eq!(action, Action::Keep);
        assert!(
            ["2026-11-26", "2026-11-27", "2026-11-28"]
                .iter()
                .any(|day| reason
                    == format!("29 days of 90 days left, due on {day}, as the CA suggests")),
            "{reason}"
        );
        // It may not lead to an end without a renewal.
        assert_eq!(
            with_window(14, 3, None),
            (
                Action::Renew,
                "14 days of 90 days left, due below 30 days".into()
            )
        );
    }

    #[test]
    fn the_moment_from_which_it_is_due_is_told() {
        let due_from = |want: &[&str], held: &Holdings, days: Option<u32>, start: Option<i64>| {
            let window = start.map(|days| window(NOW + Duration::days(days)));
            planned(want, held, days, window).due_from
        };
        let held = held(&["a.example"], Duration::days(90), Duration::days(80));
        let after = |days| Some(NOW + Duration::days(days));
        let want = ["a.example"];
        assert_eq!(due_from(&want, &held, None, None), after(50));
        assert_eq!(due_from(&want, &held, Some(15), None), after(65));
        let suggested = due_from(&want, &held, None, Some(40)).unwrap();
        assert!((after(40).unwrap()..after(42).unwrap()).contains(&suggested));
        // Never before it was there.
        assert_eq!(due_from(&want, &held, Some(9999), None), after(-10));
        // However late the window, half of the last third is the latest.
        assert_eq!(due_from(&want, &held, None, Some(70)), after(65));
        assert_eq!(due_from(&["b.example"], &held, None, None), None);
        assert_eq!(due_from(&want, &BTreeMap::new(), None, None), None);
    }

    #[test]
    fn days_given_by_the_user_win_over_the_window_unless_it_is_early() {
        assert_eq!(with_window(29, -2, Some(15)).0, Action::Keep);
        assert_eq!(with_window(14, 3, Some(15)).0, Action::Renew);
        let mut early = window(NOW - Duration::days(2));
        early.explanation_url = Some("https://ca.example/incident".to_owned());
        let held = held(&["a.example"], Duration::days(90), Duration::days(80));
        let planned = planned(&["a.example"], &held, Some(15), Some(early));
        assert_eq!(
            (planned.action, planned.reason.as_str()),
            (
                Action::Renew,
                "the CA wants it replaced early, between 2026-11-21 and 2026-11-23: https://ca.example/incident"
            )
        );
    }

    #[test]
    fn the_certificate_that_is_replaced_is_named_with_its_ca() {
        let mut held = held(
            &["a.example", "b.example"],
            Duration::days(90),
            Duration::days(1),
        );
        let replaces = |want: &[&str], held: &Holdings| planned(want, held, None, None).replaces;
        let predecessor = Predecessor {
            ca: CA.to_owned(),
            id: CertificateId::new(&[1], &[1]),
        };
        assert_eq!(replaces(&["a.example"], &held), Some(predecessor));
        assert_eq!(replaces(&["c.example"], &held), None);
        held.values_mut().next().unwrap().as_mut().unwrap().ca = None;
        assert_eq!(replaces(&["a.example"], &held), None);
        assert_eq!(replaces(&["a.example"], &BTreeMap::new()), None);
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
