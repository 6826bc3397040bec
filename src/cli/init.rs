//! `init`: a new cert repository, in one step.

mod answers;
mod steps;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use git2::{Repository, RepositoryInitOptions};
use time::OffsetDateTime;

use crate::cli::init::answers::{Answers, Ground};
use crate::cli::signing::Signing;
use crate::model::hint::Hint;
use crate::model::outside::outside;
use crate::nightly::stop::Stop;
use crate::nightly::workspaces::blocking;
use crate::repo::certs_json::CERTS_JSON;
use crate::repo::export::folder;
use crate::repo::git::{self, Content, File, Workspace};
use crate::repo::identity;
use crate::repo::layout::RECIPIENTS;
use crate::repo::starter::{self, Ci, SETTINGS, Start};
use crate::report::progress::Progress;
use crate::report::questions::Questions;
use crate::report::terminal;

/// The branch of a repository that is made.
const BRANCH: &str = "main";

/// `init`
#[derive(Args, Debug)]
pub(super) struct Init {
    /// DNS names of the first certificate, wildcards included
    #[arg(value_name = "DNS_NAME")]
    names: Vec<String>,

    /// Name of the first certificate [default: its first DNS name, with `-` for dots]
    #[arg(long, value_name = "CERT_NAME")]
    name: Option<String>,

    /// Folder of the cert repository [default: the current folder]
    #[arg(long, env = "GIT_CERTS_DIR", value_name = "FOLDER")]
    pub(super) dir: Option<PathBuf>,

    /// Who runs git-certs at night
    #[arg(long, value_enum, value_name = "SYSTEM")]
    ci: Option<System>,

    /// DNSControl repository: its URL, or a folder, `.` if it is this one
    #[arg(long, env = "GIT_CERTS_DNS_REPO", value_name = "URL|PATH")]
    dns_repo: Option<String>,

    /// Who can open private keys: `age1...` or an SSH public key; may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Vec<String>,

    /// Make an age identity in this file, which only you can read, and let it open private keys
    #[arg(long, value_name = "FILE")]
    new_identity: Option<PathBuf>,

    /// Contact address of the ACME account (optional)
    #[arg(long, env = "GIT_CERTS_EMAIL", value_name = "ADDRESS")]
    email: Option<String>,

    /// Agree to the CA's terms of service
    #[arg(long, env = "GIT_CERTS_AGREE_TOS")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    agree_tos: Option<bool>,

    /// Make a git repository of the folder, if it is in none
    #[arg(long = "git-init")]
    makes_repository: bool,
}

/// CI systems that files are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum System {
    Github,
    Gitlab,
    None,
}

impl Init {
    /// Folder of the cert repository.
    pub(super) fn here(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| PathBuf::from("."))
    }

    /// What was given that belongs into a file, with the file's path.
    fn given(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (CERTS_JSON, "the DNS names", !self.names.is_empty()),
            (CERTS_JSON, "`--name`", self.name.is_some()),
            (RECIPIENTS, "`--recipient`", !self.recipient.is_empty()),
            (SETTINGS, "`--dns-repo`", self.dns_repo.is_some()),
            (SETTINGS, "`--email`", self.email.is_some()),
            (SETTINGS, "`--agree-tos`", self.agree_tos == Some(true)),
        ];
        let given = all.into_iter().filter(|(_, _, is_given)| *is_given);
        given.map(|(path, what, _)| (path, what)).collect()
    }
}

/// Runs the command.
pub(super) async fn run(arguments: Init) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let questions = Questions::new(&Progress::new());
    let text = stop
        .ends(blocking(move || begin(&arguments, &questions)))
        .await?;
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes what is not there yet; what is there stays as it is.
fn begin(arguments: &Init, questions: &Questions) -> Result<String> {
    let folder = arguments.here();
    if !folder.is_dir() {
        return Err(anyhow!("`{}` is not a folder", folder.display()))
            .hint(|| "make it first, or leave `--dir` out");
    }
    let mut workspace = Workspace::files(&folder, Signing::default().people()?);
    let there = there(&workspace)?;
    let repository = git::discover(&folder)?;
    let ground = Ground {
        there: &there,
        repository: repository.as_ref(),
    };
    let Answers {
        mut start,
        identity,
        makes_repository,
    } = Answers::collect(arguments, &ground, questions)?;
    if let Some(new) = identity.as_ref().filter(|identity| identity.is_new) {
        let path = new.file.clone();
        let made = outside(move || identity::create(&path, OffsetDateTime::now_utc()))?;
        start.recipients.push(made?);
    }
    let (kept, written) = write(&mut workspace, &start, &there)?;
    let mut has_git = repository.is_some();
    if makes_repository && !has_git {
        let mut options = RepositoryInitOptions::new();
        Repository::init_opts(&folder, options.initial_head(BRANCH))
            .with_context(|| format!("cannot make a git repository of `{}`", folder.display()))?;
        has_git = true;
    }
    let done = steps::Done {
        start: &start,
        written: &written,
        kept: &kept,
        given: &arguments.given(),
        identity: identity.as_ref(),
        needless: arguments
            .new_identity
            .as_deref()
            .filter(|_| identity.is_none()),
        has_git,
    };
    Ok(steps::text(&done))
}

/// Paths of files that `init` could make, and that are there.
fn there(workspace: &Workspace) -> Result<BTreeSet<&'static str>> {
    let ci = [Ci::GitHub, Ci::GitLab].map(Ci::paths).concat();
    let mut there = BTreeSet::new();
    for path in starter::PATHS
        .into_iter()
        .chain(ci)
        .chain([answers::DNSCONFIG])
    {
        if workspace.has(path)? {
            there.insert(path);
        }
    }
    Ok(there)
}

/// Paths that were there, and those that are written.
fn write(
    workspace: &mut Workspace,
    start: &Start,
    there: &BTreeSet<&'static str>,
) -> Result<(Vec<&'static str>, Vec<&'static str>)> {
    let (mut kept, mut written, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in starter::files(start) {
        if there.contains(path) {
            kept.push(path);
            continue;
        }
        written.push(path);
        files.push(File {
            path: path.to_owned(),
            content: Content::Public(text.into_bytes()),
        });
    }
    workspace.commit("", &files)?;
    Ok((kept, written))
}

/// An identity in the repository would be committed one day.
fn refuse_inside(file: &Path, folder: &Path, repository: Option<&Repository>) -> Result<()> {
    let top = repository.and_then(Repository::workdir).unwrap_or(folder);
    let top = top.canonicalize()?;
    let place = folder::real(file)?;
    let elsewhere = "whoever has the identity opens every key: keep it elsewhere, such as `~/.config/age/key.txt`";
    if place.starts_with(&top) {
        let file = std::path::absolute(file)?;
        return Err(anyhow!("`{}` is in the cert repository", file.display())).hint(|| elsewhere);
    }
    if folder::is_committed(&place)? {
        return Err(anyhow!("`{}` is in a git repository", file.display())).hint(|| elsewhere);
    }
    Ok(())
}
