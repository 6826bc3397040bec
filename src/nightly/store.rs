//! Step five: every certificate that was issued becomes a commit; then one push.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::model::certificate::Issued;
use crate::model::kill;
use crate::model::outcome::{Action, Planned, Stored};
use crate::model::wording::count;
use crate::nightly::prepare::Means;
use crate::nightly::renewal::Answers;
use crate::nightly::workspaces::Workspaces;
use crate::repo::git::{self, CommitId, File, Message, PushCheck, Pushed, Workspace};
use crate::repo::layout;
use crate::report::progress::Progress;

/// Digits of a commit's id that people see.
const SHORT_ID: usize = 10;

/// Where certificates are kept.
pub(crate) struct Store<'a> {
    pub(crate) workspaces: &'a Workspaces,
    pub(crate) push: bool,
    pub(crate) progress: &'a Progress,
}

/// What became of everything that was to be kept.
pub(crate) struct Kept {
    /// One for each certificate.
    pub(crate) certificates: Vec<Result<Stored>>,
    /// What was pushed; none if there are no commits.
    pub(super) pushed: Result<Option<git::Done>>,
    /// What was written to Vault instead, in words.
    pub(super) in_vault: Option<String>,
    /// Files of certificates that were issued, but are not where they were to be kept.
    pub(super) unstored: Vec<File>,
    /// When everything was committed.
    pub(super) committed_at: Instant,
    /// When everything was pushed.
    pub(super) ended_at: Instant,
}

impl Kept {
    /// What is in Vault needs no commit and no push.
    pub(super) fn in_vault(
        certificates: Vec<Result<Stored>>,
        in_vault: Option<String>,
        at: Instant,
    ) -> Self {
        Self {
            certificates,
            pushed: Ok(None),
            in_vault,
            unstored: Vec::new(),
            committed_at: at,
            ended_at: at,
        }
    }
}

impl Store<'_> {
    /// Commits what CAs said of when to renew, then each certificate, and pushes once.
    ///
    /// What cannot be committed fails alone. When to renew is not worth a push of its own, which would
    /// start a pipeline every night.
    pub(super) async fn keep(
        &self,
        planned: &[Planned],
        results: Vec<Result<Issued>>,
        means: &Means,
    ) -> Kept {
        if results.iter().any(Result::is_ok) {
            let issued = results.iter().flatten().map(|issued| &issued.wanted.name);
            let issued: BTreeSet<_> = issued.collect();
            let mut answers = means.answers.clone();
            answers.retain(|name, _| !issued.contains(name));
            if let Err(error) = self.commit_answers(answers).await {
                self.progress.warn(&format!(
                    "when to renew cannot be stored, so the next run asks again: {error:#}"
                ));
            }
        }
        let mut all = Vec::new();
        let (mut committed, mut unstored) = (Vec::new(), Vec::new());
        for (planned, result) in planned.iter().zip(results) {
            let (stored, files) = match result {
                Ok(issued) => self.commit(planned, issued, means).await,
                Err(error) => (Err(error), Vec::new()),
            };
            let kept = if stored.is_ok() {
                &mut committed
            } else {
                &mut unstored
            };
            kept.extend(files);
            all.push(stored);
        }
        let committed_at = Instant::now();
        let pushed = self.push().await;
        if pushed.is_err() {
            unstored.extend(committed);
        }
        if let Ok(Some(done)) = &pushed {
            self.leave_superseded(planned, &mut all, &done.superseded);
            take_ids(&mut all, &done.commits);
        }
        self.warn_if_behind().await;
        Kept {
            certificates: all,
            pushed,
            in_vault: None,
            unstored,
            committed_at,
            ended_at: Instant::now(),
        }
    }

    /// Another run has stored as good a certificate meanwhile: ours has no commit.
    fn leave_superseded(
        &self,
        planned: &[Planned],
        all: &mut [Result<Stored>],
        superseded: &[String],
    ) {
        for (planned, stored) in planned.iter().zip(all) {
            let name = &planned.wanted.name;
            let chain = layout::certificate_file(name, "crt");
            if let Ok(stored) = stored
                && superseded.iter().any(|path| path.ends_with(&chain))
            {
                stored.commit = None;
                self.progress.say(&format!(
                    "`{name}` was stored by another run meanwhile, and that certificate expires no earlier: it stays"
                ));
            }
        }
    }

    /// Commits files and pushes at once: what must be safe before the next step is done.
    ///
    /// Returns where the commit went; none if it stays here.
    pub(crate) async fn save(
        &self,
        message: impl Into<Message>,
        files: Vec<File>,
    ) -> Result<Option<Saved>> {
        self.save_after(|_| Ok(()), message, files).await
    }

    /// The same, if a last look finds nothing against it.
    pub(super) async fn save_after(
        &self,
        look: impl FnOnce(&Workspace) -> Result<()> + Send + 'static,
        message: impl Into<Message>,
        files: Vec<File>,
    ) -> Result<Option<Saved>> {
        let message = message.into();
        self.workspaces
            .with(move |workspace| {
                look(workspace)?;
                workspace.commit(message, &files)
            })
            .await?;
        let pushed = self.push().await;
        self.warn_if_behind().await;
        Ok(pushed?.as_ref().map(Saved::of))
    }

    /// Proves that what is committed can be pushed, as far as that can be known beforehand.
    pub(crate) async fn prove(&self) -> Result<()> {
        self.workspaces
            .with(|workspace| workspace.prove_commit())
            .await?;
        if !self.push {
            return Ok(());
        }
        let step = self.progress.step("trying out a push");
        let check = self
            .workspaces
            .with(|workspace| workspace.prove_push())
            .await?;
        step.done(describe(check));
        let git::Left { others, .. } = self.workspaces.with(Workspace::unpushed).await?;
        if others > 0 {
            let verbs = if others == 1 {
                "is not on the server yet: the push takes it along"
            } else {
                "are not on the server yet: the push takes them along"
            };
            let yours = count(others, "commit");
            self.progress.warn(&format!("{yours} of yours {verbs}"));
        }
        Ok(())
    }

    pub(super) async fn warn_if_behind(&self) {
        let behind = self
            .workspaces
            .with(|workspace| Ok(workspace.take_behind()));
        if let Ok(Some(error)) | Err(error) = behind.await {
            self.progress.warn(&format!(
                "the checkout could not follow what is committed: {error:#}: \
                 `git reset` puts its index right, `git checkout -- FILE` a file",
            ));
        }
    }

    async fn commit_answers(&self, answers: Answers) -> Result<()> {
        self.workspaces
            .with(move |workspace| {
                let files = answers
                    .iter()
                    .map(|(name, info)| layout::renewed_info(workspace, name, info));
                let files = files.collect::<Result<Vec<_>>>()?;
                let message = format!("Renewal windows of {}\n", count(files.len(), "certificate"));
                if !files.is_empty() {
                    workspace.commit_yielding(message, &files)?;
                }
                Ok(())
            })
            .await
    }

    /// Commits a certificate; its files are there for the case that they are to be saved elsewhere.
    async fn commit(
        &self,
        planned: &Planned,
        issued: Issued,
        means: &Means,
    ) -> (Result<Stored>, Vec<File>) {
        kill::point("before commit");
        let name = &planned.wanted.name;
        let forms = means.forms.get(name);
        let recipients = forms.and_then(|forms| forms.recipients.as_ref());
        let files = recipients
            .with_context(|| format!("`{name}` has no recipients"))
            .and_then(|recipients| layout::certificate_files(&issued, recipients, planned.action));
        let files = match files {
            Ok(files) => Arc::new(files),
            Err(error) => return (Err(error), Vec::new()),
        };
        let message = message(planned, &issued);
        let committed = Arc::clone(&files);
        let id = self
            .workspaces
            .with(move |workspace| workspace.commit(message, &committed))
            .await
            .with_context(|| format!("cannot store certificate `{name}`"));
        let stored = id.map(|id| Stored {
            leaf: issued.leaf,
            commit: id.map(short),
        });
        (stored, Arc::unwrap_or_clone(files))
    }

    /// Pushes what an earlier run has committed in this checkout and could not push.
    pub(super) async fn push_left(&self) -> Result<()> {
        if !self.push {
            return Ok(());
        }
        let git::Left { ours, others } = self.workspaces.with(Workspace::left).await?;
        let commits = count(ours, "commit");
        if ours > 0 && others == 0 {
            self.progress.say(&format!(
                "an earlier run has left {commits} that the server lacks"
            ));
            self.push().await?;
        } else if ours > 0 {
            self.progress.warn(&format!(
                "an earlier run has left {commits} that the server lacks, beside {} of yours: `git push` brings them there",
                count(others, "commit")
            ));
        }
        Ok(())
    }

    pub(super) async fn push(&self) -> Result<Option<git::Done>> {
        if !self.push {
            return Ok(None);
        }
        let step = self.progress.step("pushing");
        kill::point("before push");
        let pushed = self.workspaces.with(Workspace::push).await?;
        kill::point("after push");
        let Pushed::Done(done) = pushed else {
            return Ok(None);
        };
        step.done(&Saved::of(&done).to_string());
        if done.work_tree_behind {
            self.progress.warn(
                "the checkout could not follow the push, as changes of yours are in the way: \
                 run `git pull --rebase`",
            );
        }
        Ok(Some(done))
    }
}

/// Where commits went. Prints as what is said about it.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    commits: usize,
    branch: String,
}

impl Saved {
    pub(super) fn of(done: &git::Done) -> Self {
        Self {
            commits: done.commits.len(),
            branch: done.branch.clone(),
        }
    }

    /// Both, as one push.
    pub(super) fn after(self, earlier: Option<&Self>) -> Self {
        let before = earlier.map_or(0, |earlier| earlier.commits);
        Self {
            commits: before + self.commits,
            ..self
        }
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commits = count(self.commits, "commit");
        write!(f, "pushed {commits} to `{}`", self.branch)
    }
}

/// Commits that were re-applied on another push have other ids: ours are the last, in their order.
fn take_ids(all: &mut [Result<Stored>], pushed: &[CommitId]) {
    let ours = all.iter_mut().rev().flatten();
    let ours = ours.filter_map(|stored| stored.commit.as_mut());
    for (commit, id) in ours.zip(pushed.iter().rev()) {
        *commit = short(*id);
    }
}

fn short(id: CommitId) -> String {
    id.to_string().chars().take(SHORT_ID).collect()
}

/// What a trial push showed, in words.
fn describe(check: PushCheck) -> &'static str {
    match check {
        PushCheck::WouldBeAccepted => "a push would be accepted",
        PushCheck::NoRemote => "there is no remote to push to",
    }
}

/// What, why, and what the certificate says.
fn message(planned: &Planned, issued: &Issued) -> Message {
    let verb = match planned.action {
        Action::Issue | Action::Keep => "Issue",
        Action::Reissue => "Reissue",
        Action::Renew => "Renew",
    };
    let subject = format!("{verb} {}: {}", planned.wanted.name, planned.reason);
    Message::new(subject).about(&issued.leaf)
}
