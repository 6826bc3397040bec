//! Why `renew` would do what it would do, in sentences.

use crate::model::chain::list;
use crate::model::home::Home;
use crate::model::outcome::Action;
use crate::model::recipients::Fit;
use crate::model::status::{Allowance, CertificateStatus, State, Why};
use crate::report::status::words;
use crate::report::tame::tame;
use crate::report::terminal::{day, minute};

/// A paragraph a question: what is wanted, what is held, when it ends, what the CA said, what comes next.
pub(crate) fn text(why: &Why) -> String {
    let certificate = &why.certificate;
    let mut sentences = vec![
        format!(
            "certs.json wants `{}` for {}.",
            certificate.name,
            list(&certificate.names)
        ),
        held(why),
    ];
    sentences.extend(lifetime(why));
    sentences.extend(window(why));
    sentences.push(next(why));
    sentences.extend(swapped(certificate));
    sentences.push(limits(why));
    sentences
        .iter()
        .map(|sentence| format!("{}\n", tame(sentence)))
        .collect()
}

fn held(why: &Why) -> String {
    let (certificate, home) = (&why.certificate, why.home.capitalized());
    let what = certificate.leaf.as_ref().map(|leaf| {
        format!(
            "a certificate with serial {} by {}, key type {}, for {}",
            leaf.serial,
            leaf.issuer,
            words::key_type(certificate),
            list(&leaf.identifiers)
        )
    });
    match (&certificate.state, what) {
        (State::Missing, _) => format!("{home} has no certificate for it."),
        (State::Broken(reason), None) => {
            format!("What {} has cannot be used: {reason}.", why.home)
        }
        (_, None) => format!("What {} has cannot be read.", why.home),
        (State::Broken(reason), Some(what)) => {
            format!("{home} has {what}; it cannot be used: {reason}.")
        }
        (State::Revoked(reason), Some(what)) => {
            format!("{home} has {what}; it was {reason}.")
        }
        (_, Some(what)) => format!("{home} has {what}."),
    }
}

fn lifetime(why: &Why) -> Option<String> {
    let leaf = why.certificate.leaf.as_ref()?;
    let days = (leaf.lifetime() + time::Duration::SECOND).whole_days();
    let (from, until) = (day(leaf.not_before), day(leaf.not_after));
    Some(if leaf.not_after <= why.at {
        format!("It was valid from {from} until {until}, for {days} days.")
    } else {
        let left = words::time_left(leaf.not_after, why.at);
        format!("It is valid from {from} until {until}: {left} of {days} days are left.")
    })
}

fn window(why: &Why) -> Option<String> {
    let Some(window) = &why.certificate.window else {
        return why.certificate.leaf.as_ref().map(|_| {
            format!(
                "{} does not know what the CA suggests (ARI).",
                why.home.capitalized()
            )
        });
    };
    let explanation = window.explanation_url.as_ref();
    let explanation =
        explanation.map_or_else(String::new, |url| format!(", and says why at {url}"));
    let fresh = if why.at < window.next_check {
        format!("That holds until {}", minute(window.next_check))
    } else {
        format!(
            "That held until {}: the next `plan` or `renew` asks again",
            minute(window.next_check)
        )
    };
    Some(format!(
        "The CA suggests to renew it between {} and {} (ARI){explanation}. {fresh}.",
        minute(window.start),
        minute(window.end)
    ))
}

fn next(why: &Why) -> String {
    let Some(next) = &why.certificate.next else {
        return "Nothing comes next.".to_owned();
    };
    match (next.action, next.due_from) {
        (Action::Keep, Some(moment)) => format!(
            "Nothing is due: {}. It is to be renewed from {} on.",
            next.reason,
            minute(moment)
        ),
        (Action::Keep, None) => format!("Nothing is due: {}.", next.reason),
        (Action::Renew, _) => format!("It is to be renewed now: {}.", next.reason),
        (Action::Reissue, _) => format!("It is to be issued again now: {}.", next.reason),
        (Action::Issue, _) => format!("It is to be issued now: {}.", next.reason),
    }
}

fn swapped(certificate: &CertificateStatus) -> Option<String> {
    let readers = certificate.readers.as_ref()?.as_ref().ok()?;
    (readers.fit == Fit::Swapped)
        .then(|| format!("As for the key: {}.", words::swapped(certificate)))
}

fn limits(why: &Why) -> String {
    let authority = &why.authority;
    let known = match why.home {
        Home::Repository => "this repository knows",
        Home::Vault => "the certificates in Vault tell",
    };
    match &why.allowance {
        Allowance::Unlimited => format!("No rate limits are kept for `{authority}`."),
        Allowance::Fits => {
            format!("The rate limits of `{authority}` leave room for an order, as far as {known}.")
        }
        Allowance::UsedUp { reason, until } => format!(
            "The rate limits of `{authority}` leave no room for an order until {}: {reason}.",
            minute(*until)
        ),
    }
}
