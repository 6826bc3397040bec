//! Keys that are encrypted for others than the recipients of today: looked for in every run.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::model::certificate::{CertificateName, Held, Wanted};
use crate::repo::git::Workspace;
use crate::repo::layout;

/// Certificates whose names a warning has; of more it has the number.
const NAMED: usize = 10;

/// What a run says of certificates that are held: by the hashes in NAME.json, as far as it has them.
pub(crate) fn warning(
    workspace: &Workspace,
    wanted: &[Wanted],
    held: &BTreeMap<CertificateName, Result<Held, String>>,
    instead: Option<(&str, &str)>,
) -> Option<String> {
    match stale(workspace, wanted, held, instead) {
        Ok(names) if names.is_empty() => None,
        Ok(names) => Some(format!(
            "keys of {} are encrypted for other recipients than those of today: `git-certs rekey` encrypts \
             them anew",
            first_of(&names)
        )),
        Err(error) => Some(format!(
            "it is not known whether keys are encrypted for the recipients of today: {error:#}"
        )),
    }
}

fn stale<'w>(
    workspace: &Workspace,
    wanted: &'w [Wanted],
    held: &BTreeMap<CertificateName, Result<Held, String>>,
    instead: Option<(&str, &str)>,
) -> Result<Vec<&'w CertificateName>> {
    let mut reader = workspace.reader()?;
    let mut general = None;
    let mut stale = Vec::new();
    for Wanted {
        name, recipients, ..
    } in wanted
    {
        let Some(Ok(Held {
            recipients: Some(hash),
            ..
        })) = held.get(name)
        else {
            continue;
        };
        let has_own = recipients.is_some() || reader.has(&layout::own_recipients(name))?;
        let today = match &general {
            Some(hash) if !has_own => String::clone(hash),
            _ => layout::recipients(&mut reader, name, recipients.as_deref(), instead)?.hash(),
        };
        if today != *hash {
            stale.push(name);
        }
        if !has_own {
            general = Some(today);
        }
    }
    Ok(stale)
}

fn first_of(names: &[&CertificateName]) -> String {
    let first = names.iter().take(NAMED).map(|name| format!("`{name}`"));
    let first = first.collect::<Vec<_>>().join(", ");
    match names.len() - names.len().min(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_ten_at_most() {
        let names: Vec<CertificateName> =
            (0..12).map(|n| format!("c{n}").parse().unwrap()).collect();
        let names: Vec<_> = names.iter().collect();
        assert_eq!(first_of(&names[..2]), "`c0`, `c1`");
        let text = first_of(&names);
        assert!(
            text.starts_with("`c0`, `c1`, ") && text.ends_with(", `c9` and 2 more"),
            "{text}"
        );
    }
}
