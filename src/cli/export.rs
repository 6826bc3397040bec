//! `export`: certificates with their keys in the clear, for servers and for commands that deploy them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use time::OffsetDateTime;

use crate::cli::commands::open_with_keyring;
use crate::cli::environment;
use crate::cli::keys::{KeyPlace, certificate};
use crate::cli::vault::InVault;
use crate::model::file;
use crate::model::hint::{Hint, with_hint};
use crate::model::outside::outside;
use crate::model::secret::{Secret, looks_secret};
use crate::nightly::deploy::Deploy;
use crate::nightly::export::{Exports, Opened, Which};
use crate::nightly::stop::Stop;
use crate::nightly::workspaces::blocking;
use crate::repo::export::folder::{self, Written};
use crate::repo::export::pending::{Pending, Turn};
use crate::repo::export::{self, Format, Options};
use crate::report::progress::Progress;
use crate::report::tame::tame;
use crate::report::{masks, terminal};

pub(super) const EXAMPLES: &str = "Examples:
  git certs export www --to /etc/ssl/www           four files, readable by this user alone
  git certs export www --format haproxy --to /etc/haproxy/certs -- systemctl reload haproxy
  git-certs export www --repo https://github.com/example/certs -- ./deploy.sh
  git-certs export --all --format kubernetes --stdout --only-changed-since HEAD~1

Without `--to` the files are in a temporary folder for as long as the command runs. With it the
command is run if a file has changed. The folder's name is in GIT_CERTS_EXPORT_DIR.

Exit codes: 0 done or nothing to do; 2 could not run; with a command, that of the command";

/// Folder of the files for a command, in that of the run.
const FOLDER: &str = "export";

/// `export`
#[derive(Args, Debug)]
pub(super) struct Export {
    /// Certificates: `cert_name`s of certs.json
    #[arg(
        value_name = "CERT_NAME",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    names: Vec<String>,

    /// All certificates whose keys are in the repository
    #[arg(long)]
    all: bool,

    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Pem)]
    format: ExportFormat,

    /// Folder to write to; what is there and has not changed is left alone
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,

    /// Write to standard output, keys included
    #[arg(long, conflicts_with = "to")]
    stdout: bool,

    /// Only certificates that are others than in this commit; one of zeros stands for nothing, so that all are new
    #[arg(long, value_name = "COMMIT", allow_hyphen_values = true)]
    only_changed_since: Option<String>,

    /// File with the password of PKCS#12 files, instead of `GIT_CERTS_EXPORT_PASSWORD`
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Namespace of Kubernetes' Secrets
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,

    /// Folder that configurations of nginx and Apache name, where it is not that of `--to`
    #[arg(long, value_name = "FOLDER")]
    installed_in: Option<PathBuf>,

    /// age identity or SSH key that opens the keys
    #[arg(long, env = "GIT_CERTS_AGE_KEY_FILE", value_name = "FILE")]
    identity: Option<PathBuf>,

    #[command(flatten)]
    pub(super) place: KeyPlace,

    #[command(flatten)]
    vault: InVault,

    /// Command to run with the files, and its arguments
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "stdout")]
    command: Vec<OsString>,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// NAME.crt (all certificates, leaf first), NAME.key, NAME.cert.pem (leaf), NAME.chain.pem (the others)
    Pem,
    /// NAME.pem: all certificates and the key
    Haproxy,
    /// NAME.p12 for Java (8u301 and later) and others: AES-256, SHA-256
    Pkcs12,
    /// NAME.p12 for older Java and Windows, and for macOS: Triple DES, SHA-1
    Pkcs12Legacy,
    /// NAME.yaml: a Secret of type kubernetes.io/tls
    Kubernetes,
    /// NAME.crt, NAME.key, and NAME.conf to include in a server
    Nginx,
    /// NAME.crt, NAME.key, and NAME.conf to include in a virtual host
    Apache,
}

impl ExportFormat {
    /// As it is typed.
    fn word(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Pem => Self::Pem,
            ExportFormat::Haproxy => Self::Haproxy,
            ExportFormat::Pkcs12 => Self::Pkcs12,
            ExportFormat::Pkcs12Legacy => Self::Pkcs12Legacy,
            ExportFormat::Kubernetes => Self::Kubernetes,
            ExportFormat::Nginx => Self::Nginx,
            ExportFormat::Apache => Self::Apache,
        }
    }
}

/// Where the certificates go.
enum Target {
    Folder(PathBuf),
    Stdout,
    /// To a folder of ours, for a command.
    Command,
}

/// Runs the command.
pub(super) async fn run(arguments: Export, temporary: &Path) -> Result<ExitCode> {
    let target = target(&arguments)?;
    let names = arguments.names.iter();
    let names = names.map(|name| certificate(name, "export"));
    let which = if arguments.all {
        Which::All
    } else {
        Which::These(names.collect::<Result<BTreeSet<_>>>()?)
    };
    let options = options(&arguments, &target)?;
    let mut run = arguments.place.run_with(arguments.vault);
    run.settings.identity = arguments.identity;
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let opened = open_with_keyring(&run, temporary, &progress);
    let (workspaces, keyring, vault) = stop.ends(opened).await?;
    let exports = Exports {
        workspaces: &workspaces,
        keyring,
        vault: vault.as_ref(),
        progress: &progress,
    };
    let since = arguments.only_changed_since;
    let opened = exports.open(which.clone(), since.clone(), OffsetDateTime::now_utc());
    let opened = stop.ends(opened).await?;
    let exported = [exported(&which), vec![arguments.format.word()]].concat();
    let after = After::of(arguments.command, exported)?;
    let is_empty = opened.bundles.is_empty();
    if is_empty {
        let since = since.map_or_else(String::new, |since| format!(" since `{since}`"));
        progress.say(&format!("nothing has changed{}", tame(&since)));
    }
    match target {
        Target::Folder(to) => to_folder(to, opened, options, after).await,
        Target::Stdout | Target::Command if is_empty => Ok(ExitCode::SUCCESS),
        Target::Stdout => {
            let all = blocking(move || export::in_one(&opened.bundles, &options)).await?;
            terminal::print_bytes(all.expose())?;
            Ok(ExitCode::SUCCESS)
        }
        Target::Command => {
            let folder = temporary.join(FOLDER);
            write(folder.clone(), opened, (options, None)).await?;
            // Removed with the folder of the run where this fails.
            let clear = || drop(std::fs::remove_dir_all(&folder));
            match after {
                Some(after) => after.deploy.run(&folder, clear).await.map(ExitCode::from),
                None => Ok(ExitCode::SUCCESS),
            }
        }
    }
}

fn target(arguments: &Export) -> Result<Target> {
    match &arguments.to {
        Some(folder) => Ok(Target::Folder(folder.clone())),
        None if arguments.stdout => Ok(Target::Stdout),
        None if !arguments.command.is_empty() => Ok(Target::Command),
        None => Err(anyhow!("`export` is not told where to"))
            .hint(|| "name a folder with `--to`, a command after `--`, or say `--stdout`"),
    }
}

/// Options that the format has no use for: somebody means another format.
fn refuse_needless(arguments: &Export) -> Result<()> {
    use ExportFormat as It;
    let options: [(&str, bool, &[It]); 3] = [
        (
            "--namespace",
            arguments.namespace.is_some(),
            &[It::Kubernetes],
        ),
        (
            "--password-file",
            arguments.password_file.is_some(),
            &[It::Pkcs12, It::Pkcs12Legacy],
        ),
        (
            "--installed-in",
            arguments.installed_in.is_some(),
            &[It::Nginx, It::Apache],
        ),
    ];
    let word = |format: &It| format!("`{}`", format.word());
    for (option, is_given, formats) in options {
        if is_given && !formats.contains(&arguments.format) {
            let formats: Vec<_> = formats.iter().map(word).collect();
            return Err(anyhow!(
                "`{option}` is of no use to the format {}",
                word(&arguments.format)
            ))
            .hint(|| {
                format!(
                    "leave it out, or choose with `--format`: {}",
                    formats.join(" or ")
                )
            });
        }
    }
    Ok(())
}

fn options(arguments: &Export, target: &Target) -> Result<Options> {
    refuse_needless(arguments)?;
    let format = Format::from(arguments.format);
    let needs_password = matches!(format, Format::Pkcs12 | Format::Pkcs12Legacy);
    let password = needs_password
        .then(|| password(arguments.password_file.as_deref()))
        .transpose()?;
    let installed_in = match (&arguments.installed_in, target) {
        (Some(folder), _) => Some(folder.clone()),
        (None, Target::Folder(folder)) => Some(std::path::absolute(folder)?),
        (None, Target::Stdout | Target::Command) => None,
    };
    Ok(Options {
        format,
        password: password.flatten(),
        namespace: arguments.namespace.clone(),
        installed_in,
    })
}

/// The password of PKCS#12 files: the first line of a file, or a variable.
fn password(file: Option<&Path>) -> Result<Option<Secret>> {
    let Some(file) = file else {
        return Ok(environment::secret(environment::EXPORT_PASSWORD));
    };
    let shown = file.display().to_string();
    if looks_secret(&shown) {
        return Err(anyhow!("`--password-file` holds a private key"))
            .hint(|| "it takes the name of a file with a password");
    }
    let text = file::read(file)
        .map(Secret::new)
        .with_context(|| format!("cannot read `{shown}` of `--password-file`"))
        .hint(|| "a relative path starts at the current folder")?;
    let line = text.expose().split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(with_hint(
            anyhow!("`{shown}` of `--password-file` has no password"),
            "its first line is the password",
        ));
    }
    masks::mask(line);
    Ok(Some(Secret::new(line.to_vec())))
}

/// The command that follows.
struct After {
    deploy: Deploy,
    /// What it was told as.
    words: Vec<OsString>,
    /// What says which files it is for.
    exported: Vec<String>,
}

impl After {
    /// None if there are no words. Signals that come from now on are for the command.
    fn of(words: Vec<OsString>, exported: Vec<String>) -> Result<Option<Self>> {
        let deploy = Deploy::of(words.clone())?;
        Ok(deploy.map(|deploy| Self {
            deploy,
            words,
            exported,
        }))
    }

    /// Whether it has still to be run for what is in the folder.
    fn pending(&self, folder: &Path) -> Pending {
        Pending::new(folder, &self.exported, &self.words)
    }
}

/// The certificates as they were asked for.
fn exported(which: &Which) -> Vec<String> {
    match which {
        Which::All => vec!["--all".to_owned()],
        Which::These(names) => names.iter().map(ToString::to_string).collect(),
    }
}

async fn to_folder(
    to: PathBuf,
    opened: Opened,
    options: Options,
    after: Option<After>,
) -> Result<ExitCode> {
    let folder = std::path::absolute(&to)?;
    let pending = after.as_ref().map(|after| after.pending(&folder));
    let begun = if opened.bundles.is_empty() {
        None
    } else {
        folder::check(&to, opened.work_tree.as_deref())?;
        let (written, begun) = write(to, opened, (options, pending.clone())).await?;
        let lines: String = written.iter().map(line).collect();
        terminal::print(&tame(&lines))?;
        begun
    };
    let (Some(after), Some(pending)) = (after, pending) else {
        return Ok(ExitCode::SUCCESS);
    };
    let turn = match begun {
        Some(turn) => turn,
        None if pending.waits()? => {
            let pending = pending.clone();
            outside(move || pending.go_on())??
        }
        None => return Ok(ExitCode::SUCCESS),
    };
    let ended = after.deploy.run(&folder, || ()).await;
    let is_done = matches!(ended, Ok(0));
    let noted = outside(move || pending.ended(&turn, is_done))?;
    let code = ended?;
    noted?;
    Ok(ExitCode::from(code))
}

fn line(written: &Written) -> String {
    let what = if written.has_changed {
        "written  "
    } else {
        "unchanged"
    };
    format!("{what}  {}\n", written.path.display())
}

/// What was written, and the turn of the command that follows. `pending`: where one does.
async fn write(
    folder: PathBuf,
    opened: Opened,
    (options, pending): (Options, Option<Pending>),
) -> Result<(Vec<Written>, Option<Turn>)> {
    let write = move || {
        let all = export::files(&opened.bundles, &options)?;
        folder::refuse_committed(&folder, &all)?;
        folder::make(&folder)?;
        let written = folder::compare(&folder, &all)?;
        let has_changed = |_: &_| written.iter().any(|written| written.has_changed);
        // Before the files: whoever is killed after them has not run the command.
        let pending = pending.filter(has_changed);
        let begun = pending.map(|pending| pending.begin()).transpose()?;
        folder::write(&folder, &all, &written)?;
        Ok((written, begun))
    };
    blocking(move || outside(write)?).await
}
