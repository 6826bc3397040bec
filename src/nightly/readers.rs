//! Who can open what: the lists of recipients, shown and changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use crate::model::certificate::{CertificateName, Wanted};
use crate::model::hint::with_hint;
use crate::model::recipients::{Fit, Readers, RecipientList};
use crate::model::wording::first_of;
use crate::nightly::job::Override;
use crate::nightly::rekey::{Keys, listed};
use crate::repo::git::{Content, File, Workspace};
use crate::repo::keys::{self, Lists};
use crate::repo::layout::{self, ACCOUNT_RECIPIENTS, RECIPIENTS};
use crate::repo::recipients::Recipients;
use crate::repo::recipients_file;

/// Which list.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    Certificates,
    Accounts,
    Certificate(CertificateName),
}

/// A recipient and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Add(String),
    Remove(String),
}

/// What came of a change.
pub(crate) struct Edited {
    pub(crate) path: String,
    /// Where the commit went, in words.
    pub(crate) pushed: Option<String>,
    pub(crate) has_changed: bool,
}

impl Keys<'_> {
    /// The lists, and which keys are not encrypted for them.
    pub(crate) async fn readers(&self) -> Result<Readers> {
        let job = Arc::clone(&self.job);
        let mut readers = self
            .workspaces
            .with(move |workspace| {
                let wanted = listed(workspace, &job)?;
                let lists = Lists {
                    listed: keys::listed(&wanted),
                    instead: job.recipients.as_ref().map(Override::as_pair),
                };
                let mut names: BTreeSet<_> = wanted.into_iter().map(|wanted| wanted.name).collect();
                names.extend(keys::certificates(workspace)?);
                all_lists(workspace, &lists, &names)
            })
            .await?;
        for key in self.all().await? {
            match key.fit {
                Fit::Current => readers.current += 1,
                Fit::Stale => readers.stale.push(key.owner.to_string()),
                Fit::Unknown => readers.unknown.push(key.owner.to_string()),
                Fit::Swapped => readers.swapped.push(key.owner.to_string()),
            }
        }
        Ok(readers)
    }

    /// Changes a list, commits and pushes it.
    pub(crate) async fn edit(&self, whose: Whose, edit: Edit) -> Result<Edited> {
        let job = Arc::clone(&self.job);
        let (message, verb) = match &edit {
            Edit::Add(line) => (line.clone(), "Add"),
            Edit::Remove(line) => (line.clone(), "Remove"),
        };
        let (path, text) = self
            .workspaces
            .with(move |workspace| {
                if let Whose::Certificate(name) = &whose {
                    let wanted = listed(workspace, &job)?;
                    refuse_unknown(workspace, name, &wanted)?;
                    refuse_if_listed(name, keys::listed(&wanted).contains_key(name))?;
                }
                edited(workspace, &whose, &edit)
            })
            .await?;
        let Some(text) = text else {
            return Ok(Edited {
                path,
                pushed: None,
                has_changed: false,
            });
        };
        let file = File {
            path: path.clone(),
            content: Content::Public(text.into_bytes()),
        };
        let message = format!("{verb} a recipient\n\nFile: {path}\nRecipient: {message}\n");
        let store = self.store();
        store.prove().await?;
        let saved = store.save(message, vec![file]).await?;
        Ok(Edited {
            path,
            pushed: saved.map(|saved| saved.to_string()),
            has_changed: true,
        })
    }
}

fn all_lists(
    workspace: &Workspace,
    lists: &Lists<'_>,
    names: &BTreeSet<CertificateName>,
) -> Result<Readers> {
    let list = |of: String, recipients: &Recipients| RecipientList {
        of,
        source: recipients.origin().to_owned(),
        recipients: recipients.lines().map(str::to_owned).collect(),
    };
    let mut reader = workspace.reader()?;
    let general = layout::general_recipients(&mut reader, lists.instead)?;
    let accounts = layout::account_recipients(workspace)?;
    let mut all = vec![
        list("certificates".to_owned(), &general),
        list("accounts".to_owned(), &accounts),
    ];
    for name in names {
        let listed = lists.listed.get(name).map(String::as_str);
        let own = layout::recipients(&mut reader, name, listed, lists.instead)?;
        if own.origin() != general.origin() {
            all.push(list(format!("certificate `{name}`"), &own));
        }
    }
    Ok(Readers {
        lists: all,
        ..Readers::default()
    })
}

/// A list for a misspelt name would be of no effect.
fn refuse_unknown(workspace: &Workspace, name: &CertificateName, wanted: &[Wanted]) -> Result<()> {
    let mut names = wanted.iter().map(|wanted| &wanted.name);
    if names.any(|known| known == name) || keys::certificates(workspace)?.contains(name) {
        return Ok(());
    }
    let names: Vec<_> = wanted.iter().map(|wanted| &wanted.name).collect();
    Err(with_hint(
        anyhow!("there is no certificate `{name}`, in certs.json or in the repository"),
        format!("certs.json has {}", first_of(&names)),
    ))
}

fn refuse_if_listed(name: &CertificateName, is_listed: bool) -> Result<()> {
    if is_listed {
        return Err(with_hint(
            anyhow!("certificate `{name}` has its recipients in certs.json"),
            "change `recipients` there",
        ));
    }
    Ok(())
}

/// Path of the file and its new text; none if it stays as it is.
///
/// A list that is not there yet begins with those who count in its place, so that nobody loses keys.
fn edited(workspace: &Workspace, whose: &Whose, edit: &Edit) -> Result<(String, Option<String>)> {
    let path = match whose {
        Whose::Certificates => RECIPIENTS.to_owned(),
        Whose::Accounts => ACCOUNT_RECIPIENTS.to_owned(),
        Whose::Certificate(name) => layout::own_recipients(name),
    };
    let bytes = match workspace.read(&path)? {
        Some(bytes) => bytes,
        None => workspace.read(RECIPIENTS)?.unwrap_or_default(),
    };
    let text = String::from_utf8(bytes).with_context(|| format!("`{path}` is not UTF-8"))?;
    let new = match edit {
        Edit::Add(line) => recipients_file::with(&text, &path, line)?,
        Edit::Remove(line) => Some(recipients_file::without(&text, &path, line)?),
    };
    Ok((path, new))
}
