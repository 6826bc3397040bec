//! Takes over what another program keeps: its certificates, keys and accounts become files of the cert repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use time::OffsetDateTime;

use crate::acme::presets::Directory;
use crate::model::hint::Hint;
use crate::model::import::{Importing, Tool};
use crate::model::kill;
use crate::model::wording::count;
use crate::nightly::exposed;
use crate::nightly::import_losses::{discard, refuse_changed};
use crate::nightly::importing::{Decided, decide};
use crate::nightly::job::Override;
use crate::nightly::store::Store;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::repo::git::{Content, File, Workspace};
use crate::repo::import::exposed::{History, history};
use crate::repo::import::source::Source;
use crate::repo::import::{detect, read};
use crate::report::progress::Progress;

/// What is to be taken over, and for whom.
#[derive(Debug)]
pub(crate) struct ImportJob {
    /// None: found out.
    pub(crate) tool: Option<Tool>,
    /// None: the cert repository itself.
    pub(crate) folder: Option<PathBuf>,
    /// Of several accounts at one CA, this one.
    pub(crate) account: Option<String>,
    /// The CA of certificates that say nothing of it in certs.json.
    pub(crate) directory: Directory,
    /// certs.json from elsewhere than the root of the cert repository.
    pub(crate) certs_json: Option<Override>,
    pub(crate) recipients: Option<Override>,
    pub(crate) push: bool,
}

/// An import.
pub(crate) struct Import<'a> {
    pub(crate) workspaces: &'a Workspaces,
    pub(crate) progress: &'a Progress,
    pub(crate) job: Arc<ImportJob>,
}

impl Import<'_> {
    /// Reads everything, decides what is to be done, and does nothing.
    pub(crate) async fn look(&self, now: OffsetDateTime) -> Result<(Importing, Decided)> {
        let job = Arc::clone(&self.job);
        let step = self.progress.step("reading what is there");
        let (mut importing, decided, place) = self
            .workspaces
            .with(move |workspace| {
                let (importing, decided) = look(workspace, &job)?;
                Ok((importing, decided, workspace.place()))
            })
            .await?;
        step.done("read what is there");
        let found = match place.filter(|_| self.job.folder.is_none()) {
            Some(place) => {
                let step = self.progress.step("looking through the history");
                let found = blocking(move || history(&place)).await?;
                step.done("looked through the history");
                found
            }
            // Nobody could have given anything away.
            None => Some(History::default()),
        };
        if let Some(history) = found {
            let accounts = decided.account_keys.clone();
            let listed = decided.listed.clone();
            let exposed = self.workspaces.with(move |workspace| {
                exposed::of_today(workspace, &history, (&accounts, &listed), now)
            });
            importing.exposed = Some(exposed.await?);
        }
        Ok((importing, decided))
    }

    /// Commits and pushes what was decided. Returns where the commit went, in words.
    pub(crate) async fn carry_out(
        &self,
        importing: &Importing,
        decided: Decided,
    ) -> Result<Option<String>> {
        let store = Store {
            workspaces: self.workspaces,
            push: self.job.push,
            progress: self.progress,
        };
        // Whoever was asked first has had time to change files, and so has who waited for the server.
        let seen = decided.seen.clone();
        let check = move |workspace: &Workspace| {
            kill::point("before check");
            refuse_changed(&seen, workspace)
        };
        let pushed = if decided.files.is_empty() {
            store.push_left().await?;
            self.workspaces
                .with(move |workspace| check(workspace))
                .await?;
            None
        } else {
            store.prove().await?;
            // What no commit has goes with what one has: the mark of a checkout is there for all of it.
            let loose = decided.uncommitted.iter().map(|path| File {
                path: path.clone(),
                content: Content::Removed,
            });
            let files = decided.files.into_iter().chain(loose).collect();
            store
                .save_after(check, message(importing), files)
                .await
                .context("what was imported cannot be stored")?
        };
        // Where nothing was to be committed, or the files could not follow.
        let (seen, uncommitted) = (decided.seen, decided.uncommitted);
        let changed = self
            .workspaces
            .with(move |workspace| discard(workspace, &seen, uncommitted))
            .await
            .context("the keys are encrypted, but files in plain text cannot be removed")?;
        for path in changed {
            self.progress.warn(&format!(
                "`{path}` was changed meanwhile, and stays as it is: run `git-certs import` again"
            ));
        }
        Ok(pushed.map(|saved| saved.to_string()))
    }
}

fn message(importing: &Importing) -> String {
    let certificates = count(importing.certificates.len(), "certificate");
    let accounts = count(importing.accounts.len(), "account");
    let what = match (importing.certificates.len(), importing.accounts.len()) {
        (0, 0) => "Remove private keys that are encrypted beside them".to_owned(),
        (_, 0) => format!("Import {certificates}"),
        (0, _) => format!("Import {accounts}"),
        _ => format!("Import {certificates} and {accounts}"),
    };
    let mut text = format!("{what}\n\nFrom: {}\n", importing.tool);
    let names = importing.certificates.iter().map(|one| one.name.as_str());
    let names: Vec<_> = names.collect();
    if !names.is_empty() {
        text += &format!("Certificates: {}\n", names.join(", "));
    }
    let hosts: Vec<_> = importing
        .accounts
        .iter()
        .map(|(host, _)| host.as_str())
        .collect();
    if !hosts.is_empty() {
        text += &format!("Accounts: {}\n", hosts.join(", "));
    }
    text
}

fn look(workspace: &Workspace, job: &ImportJob) -> Result<(Importing, Decided)> {
    let Some(folder) = &job.folder else {
        if let Some(tool) = job.tool.filter(|tool| *tool != Tool::GetCerts) {
            return Err(anyhow!("`{tool}` keeps its files in a folder of its own"))
                .hint(|| format!("name it: `git-certs import --from {tool} FOLDER`"));
        }
        let source = Source::here(workspace);
        let found = read(Tool::GetCerts, &source)?;
        return decide(workspace, job, (Tool::GetCerts, found, source.seen()));
    };
    let shown = folder.display();
    // What is named a folder and is none would be an empty one.
    fs::read_dir(folder)
        .with_context(|| format!("cannot read `{shown}`"))
        .hint(|| "it takes the folder in which the other program keeps its files")?;
    let source = Source::Folder(folder);
    let tool = match job.tool {
        Some(tool) => tool,
        None => found_out(&source, folder)?,
    };
    let found = read(tool, &source)?;
    let (mut importing, decided) = decide(workspace, job, (tool, found, source.seen()))?;
    importing.folder = Some(shown.to_string());
    if !importing.is_nothing() {
        importing.notes.push(format!(
            "`{shown}` stays as it is, with its keys in plain text: once servers take theirs from this repository, stop {tool} \
             and remove the folder"
        ));
    }
    Ok((importing, decided))
}

fn found_out(source: &Source<'_>, folder: &Path) -> Result<Tool> {
    let shown = folder.display();
    let tools = detect(source)?;
    match tools.as_slice() {
        [only] => Ok(*only),
        [] => Err(anyhow!("`{shown}` has no certificates of a program that is known")).hint(|| {
            format!(
                "it takes the folder of one of {}, such as `/etc/letsencrypt`, `~/.acme.sh` or `.lego`",
                Tool::names()
            )
        }),
        several => {
            let several: Vec<_> = several.iter().map(|tool| format!("`{tool}`")).collect();
            Err(anyhow!("`{shown}` may be a folder of {}", several.join(" or ")))
                .hint(|| "say which with `--from`")
        }
    }
}
