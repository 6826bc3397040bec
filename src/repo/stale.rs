//! Keys that are encrypted for others than the recipients of today: looked for in every run.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::model::certificate::{CertificateName, Held, Wanted};
use crate::model::wording::first_of;
use crate::repo::git::Workspace;
use crate::repo::layout;

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
