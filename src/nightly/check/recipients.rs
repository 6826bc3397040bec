//! Every list of recipients: each line of it, and whether there is one where it is needed.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::model::diagnostic::{Diagnostic, Place, Rule, Spot};
use crate::model::home::Home;
use crate::nightly::check::certs::List;
use crate::nightly::job::Override;
use crate::repo::certs_json::At;
use crate::repo::git::Workspace;
use crate::repo::layout::{self, ACCOUNT_RECIPIENTS, RECIPIENTS};
use crate::repo::recipients;

/// Looks at the lists of recipients in files; those in certs.json are looked at with it.
pub(super) fn look(
    workspace: &Workspace,
    list: &List,
    (instead, home): (Option<&Override>, Home),
    shown: &str,
) -> Result<Vec<Diagnostic>> {
    let (there, mut all) = files(workspace, list, shown)?;
    if let Some(Override { origin, text }) = instead {
        all.extend(in_file(origin, origin, text.as_bytes()));
    }
    let mut needs_general = !there.contains(ACCOUNT_RECIPIENTS);
    for found in list.certificates() {
        let recipients = &found.wanted.recipients;
        let own = found.of.as_ref();
        let own = own.filter(|name| there.contains(&layout::own_recipients(name)));
        let has_file = own.is_some();
        if let Some(name) = own
            && recipients.is_some()
        {
            let both =
                layout::recipients(&mut workspace.reader()?, name, recipients.as_deref(), None);
            let place = list.place(&At::field(found.entry, "recipients"));
            let both = both.err();
            all.extend(both.map(|error| Diagnostic::error(Rule::Recipients, place, &error)));
        }
        needs_general |= !has_file && recipients.is_none() && instead.is_none();
    }
    // What is in Vault is not encrypted with age.
    needs_general &= home == Home::Repository;
    if needs_general && !there.contains(RECIPIENTS) {
        let place = Place::file(&format!("{shown}{RECIPIENTS}"));
        let error = layout::no_recipients();
        all.push(Diagnostic::error(Rule::Recipients, place, &error));
    }
    Ok(all)
}

/// The files that are there, and what is wrong with them.
fn files(
    workspace: &Workspace,
    list: &List,
    shown: &str,
) -> Result<(BTreeSet<String>, Vec<Diagnostic>)> {
    let mut names: BTreeSet<String> = workspace.folders("certificates")?.into_iter().collect();
    let wanted = list.certificates().iter();
    let wanted = wanted.filter_map(|found| found.of.as_ref());
    names.extend(wanted.map(|name| name.as_str().to_owned()));
    let own = names.iter();
    let own = own.map(|name| format!("certificates/{name}/{RECIPIENTS}"));
    let fixed = [RECIPIENTS, ACCOUNT_RECIPIENTS].map(str::to_owned);
    let (mut there, mut all) = (BTreeSet::new(), Vec::new());
    for path in fixed.into_iter().chain(own) {
        let place = format!("{shown}{path}");
        match workspace.read(&path) {
            Ok(None) => continue,
            Ok(Some(bytes)) => all.extend(in_file(&path, &place, &bytes)),
            Err(error) => {
                let place = Place::file(&place);
                all.push(Diagnostic::error(Rule::Recipients, place, &error));
            }
        }
        there.insert(path);
    }
    Ok((there, all))
}

fn in_file(origin: &str, path: &str, bytes: &[u8]) -> Vec<Diagnostic> {
    let text = String::from_utf8_lossy(bytes);
    let faults = recipients::faults(&text, origin).into_iter();
    let told = faults.map(|fault| {
        let place = Place::at(path, fault.line.map(Spot::line));
        Diagnostic::error(Rule::Recipients, place, &fault.error)
    });
    told.collect()
}
