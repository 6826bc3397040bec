//! What all forms say in the same words.

use time::{Duration, OffsetDateTime};

use crate::model::certificate::KeyType;
use crate::model::history::Commit;
use crate::model::home::Home;
use crate::model::outcome::Action;
use crate::model::recipients::Fit;
use crate::model::status::{CertificateStatus, Finding, KeyReaders, Next, Served, State, Status};
use crate::report::terminal::{day, minute, past};

/// How somebody should feel about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mood {
    /// Nobody can use it.
    Bad,
    /// The next run has something to do.
    Due,
    Good,
    /// certs.json does not list it.
    Unlisted,
}

impl Mood {
    pub(super) const ALL: [Self; 4] = [Self::Bad, Self::Due, Self::Good, Self::Unlisted];

    pub(super) fn of(certificate: &CertificateStatus) -> Self {
        let is_due = |next: &Next| next.action != Action::Keep;
        match &certificate.state {
            _ if !certificate.is_wanted => Self::Unlisted,
            State::Missing | State::Broken(_) | State::Revoked(_) | State::Expired => Self::Bad,
            State::NotYetValid => Self::Due,
            State::Valid if certificate.next.as_ref().is_some_and(is_due) => Self::Due,
            State::Valid => Self::Good,
        }
    }

    /// Many of them.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Bad => "not usable",
            Self::Due => "due",
            Self::Good => "good",
            Self::Unlisted => "not in certs.json",
        }
    }
}

pub(super) fn state(state: &State) -> &'static str {
    match state {
        State::Valid => "valid",
        State::NotYetValid => "not yet valid",
        State::Expired => "expired",
        State::Revoked(_) => "revoked",
        State::Broken(_) => "broken",
        State::Missing => "missing",
    }
}

/// How much of the lifetime is left, from 0 to 1.
pub(super) fn share_left(certificate: &CertificateStatus, now: OffsetDateTime) -> Option<f64> {
    let leaf = certificate.leaf.as_ref()?;
    let lifetime = leaf.lifetime().as_seconds_f64();
    let left = (leaf.not_after - now).as_seconds_f64();
    (lifetime > 0.0).then(|| (left / lifetime).clamp(0.0, 1.0))
}

/// `74 days`, `31 hours`, `expired`.
pub(in crate::report) fn time_left(end: OffsetDateTime, now: OffsetDateTime) -> String {
    let left = end - now;
    // Lifetimes end one second early.
    let rounded = left + Duration::SECOND;
    match (rounded.whole_days(), rounded.whole_hours()) {
        _ if left <= Duration::ZERO => "expired".to_owned(),
        (..2, 1) => "1 hour".to_owned(),
        (..2, hours) => format!("{hours} hours"),
        (days, _) => format!("{days} days"),
    }
}

pub(super) fn issuer(certificate: &CertificateStatus) -> &str {
    let leaf = certificate.leaf.as_ref();
    leaf.map_or("", |leaf| leaf.issuer.as_str())
}

pub(in crate::report) fn key_type(certificate: &CertificateStatus) -> String {
    match (certificate.key_type(), &certificate.leaf) {
        (Some(kind), _) => KeyType::to_string(&kind),
        (None, Some(_)) => "other".to_owned(),
        (None, None) => String::new(),
    }
}

/// When the next one comes: `from 2027-01-22`.
pub(super) fn next(certificate: &CertificateStatus) -> String {
    match &certificate.next {
        None => "never".to_owned(),
        Some(next) if next.action != Action::Keep => "now".to_owned(),
        Some(next) => next
            .due_from
            .map_or_else(String::new, |moment| format!("from {}", day(moment))),
    }
}

/// How many can open the key, and whether that is the list of today.
pub(super) fn readers(certificate: &CertificateStatus) -> String {
    match &certificate.readers {
        None => String::new(),
        Some(Err(_)) => "not known".to_owned(),
        Some(Ok(KeyReaders { count, fit, .. })) => match fit {
            Fit::Current => count.to_string(),
            Fit::Stale => format!("{count}, stale"),
            Fit::Unknown | Fit::Swapped => format!("{count}, not known"),
        },
    }
}

/// What to do about a key that another file has taken the place of.
pub(in crate::report) fn swapped(certificate: &CertificateStatus) -> String {
    let next = if !certificate.is_wanted {
        String::new()
    } else if certificate.keeps_key {
        let name = &certificate.name;
        format!(
            "; it has `reuse_key`, so `git-certs renew` fails for it each time, unless the file has the same key: \
             `git-certs rollback {name} --to COMMIT` brings the right one back, or leave `reuse_key` out for a new key"
        )
    } else {
        "; `git-certs renew` issues the certificate again, with a new key".to_owned()
    };
    format!(
        "its key file is not the one that was stored with the certificate: `git log` says who changed it, \
         `git-certs verify` what else was{next}"
    )
}

/// What somebody should know of a certificate, a line each.
pub(super) fn notes(certificate: &CertificateStatus) -> Vec<String> {
    let mut notes = Vec::new();
    let name = &certificate.name;
    match &certificate.next {
        None => notes.push("certs.json does not list it: it is not renewed".to_owned()),
        Some(next) if next.action != Action::Keep => {
            notes.push(format!("to {}: {}", next.action, next.reason));
        }
        Some(_) => {}
    }
    if certificate.state == State::NotYetValid
        && let Some(leaf) = &certificate.leaf
    {
        notes.push(format!("not valid before {}", minute(leaf.not_before)));
    }
    let anew = format!("`git-certs rekey {name}` encrypts it for those of today");
    match &certificate.readers {
        Some(Err(error)) => notes.push(format!("who can open its key is not known: {error}")),
        Some(Ok(readers)) if readers.fit == Fit::Stale => notes.push(format!(
            "its key is encrypted for other recipients than those of today: {anew}"
        )),
        Some(Ok(readers)) if readers.fit == Fit::Unknown => {
            notes.push(format!(
                "it is not known for whom its key is encrypted: {anew}"
            ));
        }
        Some(Ok(readers)) if readers.fit == Fit::Swapped => notes.push(swapped(certificate)),
        Some(Ok(_)) | None => {}
    }
    notes
}

/// What a server shows: a word.
pub(super) fn finding(finding: &Finding) -> &'static str {
    match finding {
        Finding::Current => "current",
        Finding::Unproven => "unproven",
        Finding::Older => "older",
        Finding::Newer => "newer",
        Finding::SelfSigned => "self-signed",
        Finding::Other => "other",
        Finding::Unreachable(_) => "unreachable",
        Finding::Skipped(_) => "skipped",
    }
}

/// What a server shows: a sentence without its stop.
pub(super) fn served(served: &Served, home: Home) -> String {
    let which = served.leaf.as_ref().map_or_else(String::new, |leaf| {
        format!(
            "serial {}, until {}, by {}",
            leaf.serial,
            day(leaf.not_after),
            leaf.issuer
        )
    });
    match &served.finding {
        Finding::Current => format!("the certificate of {home}"),
        Finding::Unproven => {
            format!("the certificate of {home}, but the server does not prove that it has its key")
        }
        Finding::Older => format!("renewed, but not deployed: it still shows {which}"),
        Finding::Newer if home == Home::Vault => {
            format!("it shows a newer one than Vault has: {which}")
        }
        Finding::Newer => {
            format!("it shows a newer one, so this copy of the repository is behind: {which}")
        }
        Finding::SelfSigned => format!("it shows a certificate that signs itself: {which}"),
        Finding::Other => format!("it shows one that is not from here: {which}"),
        Finding::Unreachable(reason) => reason.clone(),
        Finding::Skipped(reason) => (*reason).to_owned(),
    }
}

/// The newest run, as far as commits tell.
pub(super) fn last_run(status: &Status) -> String {
    match &status.last_run {
        Some(Commit { at, run, .. }) => {
            let by = run
                .as_deref()
                .map_or_else(String::new, |run| format!(", {run}"));
            format!("{}{by}", past(*at))
        }
        None if status.home == Home::Vault => {
            "not known: what is written to Vault leaves no commit".to_owned()
        }
        None if status.is_cut_off => "not known: the history is cut off".to_owned(),
        None => "none has left a commit".to_owned(),
    }
}

/// Until when what CAs said of renewals held; none where none said anything.
pub(super) fn ari_as_of(status: &Status) -> Option<String> {
    let windows = status
        .certificates
        .iter()
        .filter_map(|certificate| certificate.window.as_ref());
    let oldest = windows.map(|window| window.next_check).min()?;
    Some(format!(
        "when to renew is what the CAs said last (ARI), good until {}; `git-certs plan` asks anew",
        minute(oldest)
    ))
}

/// How many there are of each mood that there is.
pub(super) fn counts(status: &Status) -> Vec<(Mood, usize)> {
    let all = status.certificates.iter().map(Mood::of).collect::<Vec<_>>();
    let counted = Mood::ALL.map(|mood| (mood, all.iter().filter(|one| **one == mood).count()));
    counted
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
}
