//! Names that no public CA certifies, or not together. Pure.

use anyhow::{Error, anyhow};

use crate::model::certificate::Wanted;
use crate::model::hint::{Shared, with_hint};
use crate::model::name::Identifier;
use crate::model::outcome::{Done, Planned};

/// Parts the certificates that a CA could issue from those with a name that belongs to no single
/// owner.
pub(super) fn sort(due: Vec<Planned>) -> (Vec<Planned>, Vec<Done>) {
    let (mut good, mut refused) = (Vec::new(), Vec::new());
    for planned in due {
        let mut names = planned.wanted.identifiers.iter();
        match names.find(|name| is_public_suffix(name)) {
            None => good.push(planned),
            Some(name) => refused.push(Done {
                result: Err(Shared::new(public(name))),
                planned,
            }),
        }
    }
    (good, refused)
}

/// What the user should know about the names of a certificate.
///
/// A name that a wildcard covers is ordered as it is asked for: get-certs did so, and CAs other than
/// Let's Encrypt may issue it; leaving the name out would be another certificate than certs.json asks
/// for.
pub(super) fn warnings(wanted: &Wanted) -> Vec<String> {
    let name = &wanted.name;
    let public_suffixes = wanted
        .identifiers
        .iter()
        .filter(|name| is_public_suffix(name));
    let mut all: Vec<_> = public_suffixes
        .map(|identifier| format!("certificate `{name}`: {}", public(identifier)))
        .collect();
    all.extend(covered(wanted));
    all
}

/// Names that a wildcard of the same certificate covers.
pub(super) fn covered(wanted: &Wanted) -> Vec<String> {
    let Wanted {
        name, identifiers, ..
    } = wanted;
    let covered = identifiers.iter().filter_map(|identifier| {
        let overlap = overlap(identifier, identifiers)?;
        Some(format!("certificate `{name}`: {overlap}: {REDUNDANT}"))
    });
    covered.collect()
}

/// What to do about a name beside its wildcard.
pub(super) const REDUNDANT: &str = "take one of them out of the list";

/// What to say of a name that a wildcard of the same certificate covers.
pub(super) fn overlap(name: &Identifier, all: &[Identifier]) -> Option<String> {
    let wildcard = wildcard_over(name).filter(|wildcard| all.contains(wildcard))?;
    Some(format!(
        "`{name}` is covered by `{wildcard}`, and Let's Encrypt refuses an order for both"
    ))
}

/// Why no CA issues a certificate for the name.
pub(super) fn refused(name: &Identifier) -> Option<Error> {
    is_public_suffix(name).then(|| public(name))
}

/// The wildcard that covers the name; none for a wildcard.
fn wildcard_over(name: &Identifier) -> Option<Identifier> {
    let parent = name.base().parent()?;
    let is_wildcard = name.as_str().starts_with("*.");
    let wildcard = format!("*.{parent}").parse().ok();
    wildcard.filter(|_| !is_wildcard)
}

/// Whether the name, or what a wildcard stands before, is a suffix under which registries sell
/// domains. The private part of the list does not count, as for CAs: its entries have an owner.
fn is_public_suffix(name: &Identifier) -> bool {
    let base = name.base();
    let suffix = psl::suffix(base.as_str().as_bytes());
    suffix.is_some_and(|suffix| {
        suffix == base.as_str().as_bytes() && suffix.typ() == Some(psl::Type::Icann)
    })
}

fn public(name: &Identifier) -> Error {
    let base = name.base();
    let what = if name.as_str().starts_with("*.") {
        anyhow!("`{name}` is a wildcard directly below `{base}`, a public suffix: no CA issues it")
    } else {
        anyhow!(
            "`{name}` is a public suffix, under which anybody can register domains: no CA issues it"
        )
    };
    with_hint(
        what,
        "correct the name in certs.json: the list of suffixes is at https://publicsuffix.org",
    )
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::certificate::{KeySource, KeyType};
    use crate::model::hint::explain;
    use crate::model::outcome::Action;

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

    fn planned(names: &[&str]) -> Planned {
        Planned {
            wanted: wanted(names),
            action: Action::Issue,
            reason: String::new(),
            not_after: None,
            due_from: None,
            replaces: None,
        }
    }

    #[test]
    fn a_name_beside_its_wildcard_is_told() {
        assert_eq!(
            warnings(&wanted(&["a.x.test", "*.x.test", "x.test", "b.a.x.test"])),
            [
                "certificate `www`: `a.x.test` is covered by `*.x.test`, and Let's Encrypt refuses \
                 an order for both: take one of them out of the list"
            ]
        );
        assert!(warnings(&wanted(&["*.x.test", "x.test", "*.a.x.test"])).is_empty());
    }

    #[test]
    fn names_that_belong_to_nobody_are_refused() {
        let (good, refused) = sort(vec![
            planned(&["www.example.co.uk", "co.uk"]),
            planned(&["*.co.uk"]),
            planned(&["example.co.uk", "*.example.co.uk"]),
            // Of the private part, and not in the list at all.
            planned(&["github.io", "*.github.io", "lab.test", "*.lab.test"]),
        ]);
        let names = |planned: &Planned| planned.wanted.identifiers[0].to_string();
        assert_eq!(
            good.iter().map(names).collect::<Vec<_>>(),
            ["example.co.uk", "github.io"]
        );
        let told = |done: &Done| {
            let told = explain(&Error::new(done.result.clone().unwrap_err()));
            (told.what, told.hints)
        };
        let hint =
            "correct the name in certs.json: the list of suffixes is at https://publicsuffix.org";
        assert_eq!(
            refused.iter().map(told).collect::<Vec<_>>(),
            [
                (
                    "`co.uk` is a public suffix, under which anybody can register domains: no CA issues it"
                        .to_owned(),
                    vec![hint.to_owned()]
                ),
                (
                    "`*.co.uk` is a wildcard directly below `co.uk`, a public suffix: no CA issues it"
                        .to_owned(),
                    vec![hint.to_owned()]
                ),
            ]
        );
    }

    #[test]
    fn a_plan_tells_of_them_too() {
        assert_eq!(
            warnings(&wanted(&["co.uk"])),
            [
                "certificate `www`: `co.uk` is a public suffix, under which anybody can register \
                 domains: no CA issues it"
            ]
        );
    }
}
