//! What certs.json lists, and what the cert repository, or Vault, has of it.

use std::sync::Arc;

use anyhow::{Result, anyhow};

use crate::model::certificate::Wanted;
use crate::model::hint::with_hint;
use crate::model::wording::first_of;
use crate::nightly::job::{Job, Override};
use crate::nightly::plan::Holdings;
use crate::nightly::run::Nightly;
use crate::repo::certs_json::{self, CERTS_JSON, Listed};
use crate::repo::git::Workspace;
use crate::repo::held;
use crate::repo::layout::RECIPIENTS;
use crate::repo::starter::SETTINGS;
use crate::repo::{layout, stale};

/// The list, and the certificates that are there.
pub(super) struct Listing {
    pub(super) wanted: Vec<Wanted>,
    pub(super) held: Holdings,
    /// Certificates that the repository has, and that nothing renews any more.
    pub(super) unlisted: Vec<String>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

impl Nightly {
    /// certs.json and the certificates that there are.
    pub(super) async fn read(&self) -> Result<Listing> {
        let Some(vaulting) = self.vault_store() else {
            let job = Arc::clone(&self.job);
            let read = move |workspace: &mut Workspace| in_git(workspace, &job);
            return self.workspaces.with(read).await;
        };
        let listing = self.listing_alone().await?;
        Ok(Listing {
            held: self.held_in_vault(vaulting, &listing.wanted).await?,
            ..listing
        })
    }

    /// certs.json, without a look at what there is.
    pub(super) async fn listing_alone(&self) -> Result<Listing> {
        let job = Arc::clone(&self.job);
        let read = move |workspace: &mut Workspace| listed(workspace, &job);
        let listed = self.workspaces.with(read).await?;
        Ok(Listing {
            wanted: listed.wanted,
            held: Holdings::new(),
            unlisted: Vec::new(),
            warnings: listed.warnings,
        })
    }

    /// All of certs.json, or the one certificate of `--only`.
    pub(super) fn selected(&self, wanted: Vec<Wanted>) -> Result<Vec<Wanted>> {
        let Some(only) = &self.job.only else {
            return Ok(wanted);
        };
        if let Some(one) = wanted.iter().find(|wanted| &wanted.name == only) {
            return Ok(vec![one.clone()]);
        }
        let list = match &self.job.certs_json {
            Some(other) => other.origin.as_str(),
            None => "certs.json",
        };
        let names: Vec<_> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        Err(with_hint(
            anyhow!("`{list}` has no certificate `{only}`"),
            format!("it has {}", first_of(&names)),
        ))
    }
}

fn listed(workspace: &Workspace, job: &Job) -> Result<Listed> {
    match &job.certs_json {
        Some(other) => {
            let (text, origin) = (other.text.as_bytes(), &other.origin);
            certs_json::parse(text, origin, &job.defaults, &|path| workspace.read(path))
        }
        None => layout::wanted(workspace, &job.defaults),
    }
}

/// What the repository has.
fn in_git(workspace: &Workspace, job: &Job) -> Result<Listing> {
    let Listed {
        wanted,
        mut warnings,
        ..
    } = listed(workspace, job)?;
    let unlisted = layout::unlisted(workspace, &wanted)?;
    warnings.extend(
        unlisted
            .iter()
            .map(|name| format!("certificate `{name}` is not in certs.json: it is not renewed")),
    );
    warnings.extend(not_committed(workspace)?);
    let foreign = layout::foreign_keys(workspace, &wanted)?.into_iter();
    warnings.extend(foreign.map(|key| format!("{key}: `git-certs import` encrypts it with age")));
    let held = held::held(workspace, &wanted)?;
    let instead = job.recipients.as_ref().map(Override::as_pair);
    warnings.extend(stale::warning(workspace, &wanted, &held, instead));
    Ok(Listing {
        wanted,
        held,
        unlisted,
        warnings,
    })
}

/// What to say of files that a run goes by, and that the next clone does not have.
fn not_committed(workspace: &Workspace) -> Result<Option<String>> {
    let mut names = Vec::new();
    for name in [CERTS_JSON, RECIPIENTS, SETTINGS] {
        if workspace.is_changed(name)? {
            names.push(name);
        }
    }
    let told = || {
        let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        format!(
            "not committed as they are here, which is what counts now: {}; commit and push them",
            quoted.join(", ")
        )
    };
    Ok((!names.is_empty()).then(told))
}
