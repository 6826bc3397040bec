//! What can be typed.

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{BoolishValueParser, StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::account::AccountCommand;
use crate::cli::check::Check;
use crate::cli::dns_arguments::{PrintIr, Providers};
use crate::cli::doctor::Doctor;
use crate::cli::export::{self, Export};
use crate::cli::history::{Log, Rollback, Why};
use crate::cli::import::Import;
use crate::cli::init::Init;
use crate::cli::keys::{RecipientsCommand, Rekey};
use crate::cli::manuals::{Completions, Man};
use crate::cli::places::CertRepo;
use crate::cli::pushing::Pushing;
use crate::cli::revoke::Revoke;
use crate::cli::settings::{ACME, Settings};
use crate::cli::signing::Signing;
use crate::cli::status::Status;
use crate::cli::unlock::Unlock;
use crate::cli::vault::GitOnly;
use crate::cli::verify::Verify;
use crate::model::secret::Secret;
use crate::model::shard::Shard;

/// Long options that get-certs' users wrote with one dash.
///
/// Its parser took one dash or two; ours would read `-email` as `-e mail`.
const ONE_DASH: &[&str] = &[
    "acme",
    "agreeTOS",
    "certConfig",
    "config",
    "creds",
    "dir",
    "email",
    "ir",
    "js",
    "json",
    "notify",
    "only",
    "renew",
    "skip",
    "variable",
    "vault",
    "vaultPath",
    "verbose",
];

/// Keeps Let's Encrypt certificates in a git repository
#[derive(Parser, Debug)]
#[command(
    name = "git-certs",
    bin_name = "git-certs",
    version,
    max_term_width = 100
)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(
    after_help = "Settings may also stand in git-certs.toml in the cert repository. A flag wins over the \
environment, the environment over the file.

Secrets come from the environment only:
  GIT_CERTS_AGE_KEY      age identity that opens the account key (or SOPS_AGE_KEY, SOPS_AGE_KEY_FILE)
  GIT_CERTS_TOKEN        token for https:// repositories (GITHUB_TOKEN, CI_JOB_TOKEN on their hosts)
  GIT_CERTS_DNS_TOKEN    the same for --dns-repo, where it is on another host
  GIT_CERTS_SSH_KEY      text of an SSH key for ssh:// repositories
  GIT_CERTS_SIGNING_KEY  text of an SSH key that signs commits, or its file
  GIT_CERTS_EAB_HMAC     key for external account binding, with --eab-kid (or LEGO_EAB_HMAC)
  GIT_CERTS_EXPORT_PASSWORD
                         password of PKCS#12 files that `export` writes
  GIT_CERTS_NOTIFY_...   services that `renew --notify` tells: _SLACK, _MATTERMOST, _DISCORD, _TEAMS,
                         _TELEGRAM, _MATRIX, _WEBHOOK, _MAIL
  VAULT_TOKEN            token for --vault and --vault-copy (docs/vault.md has other ways to log in)

Exit codes: 0 done or nothing to do; 1 some certificates failed, the rest is pushed; 2 could not run"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,

    #[command(flatten)]
    pub(super) log: Logging,
}

/// What goes to stderr.
#[derive(Args, Debug)]
#[command(next_help_heading = "Log")]
pub(super) struct Logging {
    /// Log what is done
    #[arg(long, short = 'v', env = "GIT_CERTS_VERBOSE", global = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) verbose: Option<bool>,

    /// Say nothing but warnings and errors
    #[arg(long, short = 'q', env = "GIT_CERTS_QUIET", global = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) quiet: Option<bool>,

    /// Form of the log: lines for people, or a JSON object a line
    #[arg(long, env = "GIT_CERTS_LOG_FORMAT", value_enum, default_value_t = Format::Text, global = true)]
    pub(super) log_format: Format,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Make a cert repository: its settings, lists, CI jobs and Makefile; no file that is there is changed
    #[command(after_help = "Examples:
  git certs init                                   asks on a terminal for what it has to know
  git certs init --ci github --dns-repo https://github.com/example/dns \\
    --new-identity ~/.config/age/key.txt example.com '*.example.com'
  git-certs init --ci none --dns-repo ../dns --recipient age1... www.example.com")]
    Init(Box<Init>),
    /// Issue and renew what is due, then commit and push
    #[command(after_help = "Examples:
  git certs renew                                  in a checkout of the cert repository
  git certs renew --dry-run                        look at everything, order and write nothing
  git certs renew --shard 3/8                      one of eight runs that share the work
  git-certs renew --repo https://github.com/example/certs --dns-repo https://github.com/example/dns
  git-certs renew --acme staging --only wildcardCert")]
    Renew(Renew),
    /// Say what `renew` would do and why, and what public DNS (CAA, delegations) has against it; orders and writes nothing
    #[command(after_help = "Examples:
  git certs plan
  git-certs plan --repo https://github.com/example/certs --format json
  git certs plan --matrix 8                        which of eight shards have something to do
  git certs plan --drill                           what a mass revocation would cost
  git certs plan --detailed-exitcode               0 nothing due, 1 error, 2 something due")]
    Plan(Plan),
    /// Say how the certificates are, and which servers still show an older one; asks no CA, needs no secret (but the login of Vault, with --vault)
    #[command(after_help = "Examples:
  git certs status
  git certs status --live                          and what servers show: 1 if it is not that
  git certs status --fail-within 14                for a job that watches
  git certs status --vault --vault-path kv/certs   what Vault has instead of git
  git-certs status --repo https://github.com/example/certs --format html --output public/index.html
  git-certs status --format prometheus --output /var/lib/prometheus/node-exporter/git-certs.prom

Exit codes: 0 looked; 1 with --fail-within, a certificate expires within so many days or cannot be used, and with --live, a server does not show the certificate of the repository, or is not reached; 2 could not run")]
    Status(Status),
    /// Say in sentences what `renew` would do for a certificate next, and why
    #[command(after_help = "Examples:
  git certs why www
  git-certs why www --repo https://github.com/example/certs")]
    Why(Why),
    /// Show the history of a certificate, the newest commit first
    #[command(after_help = "Examples:
  git certs log www
  git-certs log www --repo https://github.com/example/certs --format json")]
    Log(Log),
    /// Put the certificate before the one that is there back
    #[command(after_help = "Examples:
  git certs rollback www                           the one before
  git certs rollback www --to 1a2b3c4d5e           the one that this commit has
  git-certs rollback www --repo https://github.com/example/certs --yes")]
    Rollback(Box<Rollback>),
    /// Look at everything that `renew` needs, and say what is wrong and what to do
    #[command(after_help = "Examples:
  git certs doctor                                 in a checkout of the cert repository
  git certs doctor --rehearse                      try out every provider and name server
  git-certs doctor --repo https://github.com/example/certs --dns-repo https://github.com/example/dns --format json

Exit codes: 0 no errors (warnings and notes aside); 1 errors; 2 could not run")]
    Doctor(Box<Doctor>),
    /// Look for mistakes in certs.json, git-certs.toml, lists of recipients and dnsconfig.js, and for private keys in plain text; needs no secret and asks no CA
    #[command(after_help = "Examples:
  git certs check                                  in a checkout of the cert repository
  git certs check --dns-repo ../dns                names are compared with the zones of dnsconfig.js, too
  git-certs check --strict --format junit          warnings fail it; a report for CI systems

Exit codes: 0 no errors; 1 errors, or warnings with --strict; 2 could not run")]
    Check(Box<Check>),
    /// Look at the ACME account, register one, change its key, close it
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Revoke a certificate, so that it is issued again
    #[command(after_help = "Examples:
  git certs revoke www --reason superseded                      the next `renew` issues it again
  git certs revoke www --reason keyCompromise --renew-now       and this run does so at once
  git-certs revoke www --reason keyCompromise --repo https://github.com/example/certs --yes")]
    Revoke(Box<Revoke>),
    /// Say who can open private keys, and change that
    Recipients {
        #[command(subcommand)]
        command: RecipientsCommand,
    },
    /// Encrypt private keys anew for the recipients of today
    #[command(after_help = "Examples:
  git certs rekey                                  all keys that the identity opens
  git certs rekey www mail                         two certificates
  git-certs rekey --identity ~/.config/age/key.txt --no-push")]
    Rekey(Rekey),
    /// Open certificates for servers: as files, or for a command that deploys them
    #[command(after_help = export::EXAMPLES)]
    Export(Box<Export>),
    /// Take over certificates, keys and the account of get-certs, certbot, lego, acme.sh, dehydrated or uacme
    #[command(after_help = "Examples:
  git certs import                                 what get-certs has left here
  git certs import --dry-run /etc/letsencrypt      look first
  git certs import --from acme.sh                  from ~/.acme.sh
  git-certs import .lego --yes --no-push

Exit codes: 0 done or nothing to do; 1 something stays as it is, the rest is done; 2 could not run")]
    Import(Box<Import>),
    /// Look for private keys in plain text, and for files that do not belong together
    #[command(after_help = "Examples:
  git certs verify                                 the last commit
  git certs verify --history                       every commit, and its message
  git-certs verify --repo https://github.com/example/certs --format json

Exit codes: 0 no faults; 1 faults; 2 could not run")]
    Verify(Verify),
    /// Let the next run take over what a dead run has left, without waiting for `--lock-timeout`
    #[command(after_help = "Examples:
  git certs unlock                                              in a checkout of the cert repository
  git-certs unlock --repo https://github.com/example/certs --yes")]
    Unlock(Box<Unlock>),
    /// List the DNS providers, the fields of their entries in creds.json, and their limits
    Providers(Providers),
    /// Print a script that completes words of the command line for a shell
    #[command(after_help = "Examples:
  git-certs completions bash > ~/.local/share/bash-completion/completions/git-certs
  git-certs completions fish > ~/.config/fish/completions/git-certs.fish
  git-certs completions zsh > ~/.zfunc/_git-certs  with ~/.zfunc in fpath")]
    Completions(Completions),
    /// Write manual pages, which `git certs --help` shows
    #[command(after_help = "Examples:
  git-certs man --dir ~/.local/share/man/man1")]
    Man(Man),
    /// Print what dnsconfig.js declares, as `dnscontrol print-ir` (v4) does
    #[command(after_help = "Examples:
  git-certs print-ir --pretty                      in a checkout of the DNS repository
  git-certs print-ir | diff - <(dnscontrol print-ir)")]
    PrintIr(PrintIr),
}

/// `renew`
#[derive(Args, Debug)]
pub(super) struct Renew {
    #[command(flatten)]
    pub(super) run: Run,

    #[command(flatten)]
    pub(super) reports: Reports,

    /// Stop before anything is ordered or written: look at zones, CAA and the CA's limits, and say what would fail; needs the credentials of the providers, but no key
    #[arg(long, env = "GIT_CERTS_DRY_RUN")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) dry_run: Option<bool>,

    #[command(flatten)]
    pub(super) pushing: Pushing,
}

/// `plan`
#[derive(Args, Debug)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) run: Run,

    #[command(flatten)]
    pub(super) reports: Reports,

    /// Say what replacing every certificate on one day would cost, as after a mass revocation
    #[arg(long, conflicts_with_all = ["detailed_exitcode", "shard"])]
    pub(super) drill: bool,

    /// Print which of this many shards have something to do, as `strategy.matrix` of GitHub takes it
    #[arg(long, env = "GIT_CERTS_MATRIX", value_name = "SHARDS", value_parser = shards, conflicts_with_all = ["drill", "only", "shard"])]
    pub(super) matrix: Option<NonZeroU16>,

    /// Do not ask public DNS whether CAA and delegations would let a run issue what is due
    #[arg(long, env = "GIT_CERTS_NO_DNS")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) no_dns: Option<bool>,

    /// Exit with 0 if nothing is due, 1 on an error, 2 if something is due
    #[arg(long)]
    pub(super) detailed_exitcode: bool,
}

/// What every run needs to know: where the repositories are, and the settings.
#[derive(Args, Debug, Default)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) certs: CertRepo,

    /// Only this certificate
    #[arg(long, env = "GIT_CERTS_ONLY", value_name = "CERT_NAME")]
    pub(super) only: Option<String>,

    /// Only this share of the certificates, such as `3/8`: several runs at once, each with its own, do all of them
    #[arg(
        long,
        env = "GIT_CERTS_SHARD",
        value_name = "NUMBER/OF",
        conflicts_with = "only"
    )]
    pub(super) shard: Option<Shard>,

    /// Form of what goes to stdout
    #[arg(long, env = "GIT_CERTS_FORMAT", value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    #[command(flatten)]
    pub(super) signing: Signing,

    #[command(flatten)]
    pub(super) settings: Settings,

    /// Set where the command cannot look at Vault.
    #[arg(skip)]
    pub(super) git_only: Option<GitOnly>,

    /// HMAC key for external account binding; better in the environment, as other users of the machine see command lines
    #[arg(long, env = "GIT_CERTS_EAB_HMAC", value_name = "KEY", help_heading = ACME, allow_hyphen_values = true, value_parser = StringValueParser::new().map(secret))]
    pub(super) eab_hmac: Option<Arc<Secret>>,
}

/// Where what a run has to say goes beside stdout.
#[derive(Args, Debug)]
pub(super) struct Reports {
    /// Add a summary in Markdown to this file, besides `$GITHUB_STEP_SUMMARY`
    #[arg(long, env = "GIT_CERTS_SUMMARY_FILE", value_name = "FILE")]
    pub(super) summary_file: Option<PathBuf>,

    /// Add what later steps can use to this file, as `CERTS_NAME=VALUE`, besides `$GITHUB_OUTPUT`
    #[arg(long, env = "GIT_CERTS_OUTPUT_FILE", value_name = "FILE")]
    pub(super) output_file: Option<PathBuf>,
}

/// GitHub makes at most 256 jobs of a matrix:
/// <https://docs.github.com/en/actions/reference/limits>.
const MOST_SHARDS: u16 = 256;

fn shards(text: &str) -> Result<NonZeroU16, String> {
    let shards = text.parse().ok();
    let shards = shards.filter(|shards: &NonZeroU16| shards.get() <= MOST_SHARDS);
    shards.ok_or_else(|| format!("a whole number from 1 to {MOST_SHARDS} is needed"))
}

/// Wiped after use, and never printed.
pub(super) fn secret(text: String) -> Arc<Secret> {
    Arc::new(Secret::from(text))
}

/// Form of the data on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

/// Adds the second dash that get-certs' users never had to type.
///
/// `-v KEY=VALUE` meant `--variable` there; it still does.
pub(super) fn two_dashes(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.peekable();
    let mut all = Vec::new();
    while let Some(word) = words.next() {
        let next_is_assignment = words
            .peek()
            .and_then(|next| next.to_str())
            .is_some_and(|next| next.contains('='));
        let changed = match word.to_str() {
            Some("--") => {
                all.push(word);
                all.extend(words);
                return all;
            }
            Some("-v") if next_is_assignment => Some(OsString::from("--variable")),
            Some(text) => with_two_dashes(text),
            None => None,
        };
        all.push(changed.unwrap_or(word));
    }
    all
}

fn with_two_dashes(word: &str) -> Option<OsString> {
    let name = word
        .strip_prefix('-')
        .filter(|rest| !rest.starts_with('-'))?;
    let bare = name.split('=').next().unwrap_or(name);
    ONE_DASH.contains(&bare).then(|| format!("-{word}").into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Arg, CommandFactory};
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::cli::environment;

    fn words(text: &str) -> Vec<String> {
        two_dashes(text.split(' ').map(OsString::from))
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect()
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn one_dash_is_enough_where_it_was() {
        assert_eq!(
            words("git-certs renew -email me@example.com -agreeTOS -renew=15 -v a=b -v --only x"),
            "git-certs renew --email me@example.com --agreeTOS --renew=15 --variable a=b -v --only x"
                .split(' ')
                .collect::<Vec<_>>()
        );
        assert_eq!(words("-x -1 -- -email"), ["-x", "-1", "--", "-email"]);
    }

    #[test]
    fn old_spellings_are_understood() {
        let typed = words(
            "git-certs renew -agreeTOS -email a@b.test -certConfig c.json -vaultPath /x -js d.js \
             -verbose=false -skip a,b",
        );
        let arguments = Arguments::try_parse_from(typed).unwrap();
        assert_eq!(arguments.log.verbose, Some(false));
        let Command::Renew(renew) = arguments.command else {
            panic!("another command");
        };
        let settings = renew.run.settings;
        assert_eq!(settings.agree_tos, Some(true));
        assert_eq!(settings.cert_config, Some("c.json".into()));
        assert_eq!(settings.config, Some("d.js".into()));
        assert_eq!(settings.skip, Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a page may be written in one go")]
    fn the_page_of_the_settings_is_what_can_be_set() {
        let generated = configuration();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(file, &generated).unwrap();
        }
        assert_eq!(
            fs::read_to_string(file).unwrap_or_default(),
            generated,
            "docs/configuration.md is out of date: run the tests with UPDATE_DOCS=1"
        );
    }

    /// The whole of docs/configuration.md.
    fn configuration() -> String {
        let mut command = Arguments::command();
        command.build();
        let renew = command.find_subcommand("renew").unwrap();
        let settings = renew.get_arguments();
        let settings: Vec<_> = settings
            .filter(|arg| arg.get_long() != Some("help"))
            .collect();
        let mut headings = Vec::new();
        for arg in &settings {
            if !headings.contains(&arg.get_help_heading()) {
                headings.push(arg.get_help_heading());
            }
        }
        let mut page = INTRODUCTION.to_owned();
        for heading in headings {
            page += &format!(
                "\n## {}\n\n| Option | Environment | `git-certs.toml` | Meaning | Default |\n\
                 | --- | --- | --- | --- | --- |\n",
                heading.unwrap_or("The run")
            );
            let rows = settings
                .iter()
                .filter(|arg| arg.get_help_heading() == heading);
            page += &rows.map(|arg| row(arg)).collect::<String>();
        }
        page + TABLES + &secrets()
    }

    const TABLES: &str = "
## In `git-certs.toml` alone

| Table | Meaning |
| --- | --- |
| `[challenge-zones]` | Zones beside those of dnsconfig.js that challenges may be written to: `\"acme.example.net\" = \"ENTRY\"`, with an entry of creds.json or a list of them ([dns.md](dns.md)) |
| `[zones.\"NAME\"]` | What differs in one zone: `ignore-servers`, `extra-servers` (lists of names and addresses), `dns-timeout` (seconds), `dns-confirmations` ([wait.md](wait.md)) |
";

    const INTRODUCTION: &str = "# Settings of `git certs renew`

A flag wins over the environment, the environment over `git-certs.toml` at the root of the cert repository. A
variable that is set to nothing counts as not set. `git certs plan` takes the same settings, but for `--dry-run` and
`--no-push`, and has `--no-dns` (`GIT_CERTS_NO_DNS`), `--detailed-exitcode`, `--drill` and `--matrix` (`GIT_CERTS_MATRIX`). `git certs doctor` takes them too, and has `--rehearse`. Relative paths start at the current folder, those of `--config`,
`--creds` and `--ir` in the DNSControl repository. `creds` in the file names a file that ends with `.json`, never a command or a program.
Lists are written with commas in flags and variables (`skip`, `resolver`, `doh`, `fallback-acme`), but `variable` and `never-count` one a line in a variable, and
one a flag. Tables `[zones.\"NAME\"]` of the file say what differs in single zones: see [wait.md](wait.md).
";

    fn row(arg: &Arg) -> String {
        let long = arg.get_long().unwrap();
        let short = arg
            .get_short()
            .map_or_else(String::new, |short| format!("`-{short}`, "));
        let value = match arg.get_value_names() {
            Some([name]) if !is_switch(arg) => format!(" {name}"),
            _ => String::new(),
        };
        let help = arg.get_help().unwrap().to_string();
        let (meaning, default) = match help
            .strip_suffix(']')
            .map(|help| help.split_once(" [default: "))
        {
            Some(Some((meaning, default))) => (meaning.to_owned(), default.to_owned()),
            _ => (help, String::new()),
        };
        let default = match arg.get_default_values() {
            [value] => format!("`{}`", value.to_str().unwrap()),
            _ => default,
        };
        let cells = [
            format!("{short}`--{long}{value}`"),
            format!("`{}`", arg.get_env().unwrap().to_str().unwrap()),
            in_file(long).map_or_else(String::new, |kind| format!("`{long}`: {kind}")),
            meaning,
            default,
        ];
        format!(
            "| {} |\n",
            cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
        )
    }

    fn is_switch(arg: &Arg) -> bool {
        arg.get_num_args().unwrap().min_values() == 0
    }

    /// What `git-certs.toml` takes under this key, if anything.
    fn in_file(key: &str) -> Option<&'static str> {
        let kinds = [
            ("true", "boolean"),
            ("1", "number"),
            ("[\"x\"]", "list of strings"),
            ("\"p256\"", "string"),
            ("\"warn\"", "string"),
            ("\"off\"", "string"),
            ("\"x.json\"", "string"),
        ];
        kinds.into_iter().find_map(|(value, kind)| {
            let file = format!("{key} = {value}");
            Settings::from_file(file.as_bytes()).is_ok().then_some(kind)
        })
    }

    fn secrets() -> String {
        let [
            age,
            sops,
            sops_file,
            token,
            dns_token,
            ssh,
            signing,
            kid,
            hmac,
            password,
        ] = [
            environment::AGE_KEY,
            environment::SOPS_AGE_KEY,
            environment::SOPS_AGE_KEY_FILE,
            environment::TOKEN,
            environment::DNS_TOKEN,
            environment::SSH_KEY,
            environment::SIGNING_KEY,
            environment::LEGO_EAB_KID,
            environment::LEGO_EAB_HMAC,
            environment::EXPORT_PASSWORD,
        ];
        format!(
            "\n## Secrets, from the environment only

| Environment | Meaning |
| --- | --- |
| `{age}` | Text of an age identity that opens the account key |
| `{sops}`, `{sops_file}` | The same and the path of a file with it, as SOPS has them |
| `{token}` | Token for the `https://` URL of the cert repository, and of the DNSControl repository on the same host |
| `{dns_token}` | Token for the DNSControl repository |
| `{ssh}` | SSH key for `ssh://` repositories: its text ([git.md](git.md)) |
| `{signing}` | SSH key that signs commits: its text, or its file as with `--signing-key` |
| `{kid}`, `{hmac}` | What `--eab-kid` and `--eab-hmac` take, where those are not given |
| `{password}` | Password of PKCS#12 files that `git certs export` writes ([deploy.md](deploy.md)) |
| `GIT_CERTS_NOTIFY_SLACK`, `GIT_CERTS_NOTIFY_MATTERMOST`, `GIT_CERTS_NOTIFY_DISCORD`, `GIT_CERTS_NOTIFY_TEAMS`, `GIT_CERTS_NOTIFY_TELEGRAM`, `GIT_CERTS_NOTIFY_MATRIX`, `GIT_CERTS_NOTIFY_WEBHOOK`, `GIT_CERTS_NOTIFY_MAIL` | Whom `--notify` tells ([notify.md](notify.md)) |
| `GITHUB_TOKEN`, `CI_JOB_TOKEN` | The token for a repository, from GitHub and GitLab, sent to their own hosts only: that of `GITHUB_SERVER_URL` (or `github.com`), and `CI_SERVER_HOST` |

Without any of the first two lines and without `--identity`, `.ssh/id_ed25519` and `.ssh/id_rsa` below `HOME` are tried. What
`creds.json` names with `$` comes from the environment too.

## From other programs

`GIT_SSH_COMMAND` and `GIT_SSH` say how ssh is called, `SSH_AUTH_SOCK` where the ssh-agent is that signs, `GIT_CONFIG_COUNT` that git's configuration has more in the environment ([git.md](git.md)).
`GITHUB_REPOSITORY`, `GITHUB_RUN_ID`, `CI_JOB_URL` and `USER` say in [the journal](journal.md) and in commits who runs. `GIT_AUTHOR_NAME`, `GIT_AUTHOR_EMAIL` and their
`GIT_COMMITTER_` twins say who commits, before `user.name` and `user.email` of git's configuration.

With `--vault` and `--vault-copy`, `VAULT_ADDR`, `VAULT_NAMESPACE`, `VAULT_CACERT`, `VAULT_TOKEN`, `VAULT_ROLE_ID`, `VAULT_SECRET_ID` and `VAULT_ID_TOKEN` say where
Vault is and who logs in; on GitHub, `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN` ([vault.md](vault.md)).

`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name proxies; what is for this machine goes through none. `LEGO_CA_CERTIFICATES` names PEM files of roots, separated
by colons, that are trusted besides the system's and those of `--ca-bundle`.

Where `GITHUB_ACTIONS` is `true`, errors and warnings are annotations, and `GITHUB_STEP_SUMMARY` and `GITHUB_OUTPUT` are written; there and where
`GITLAB_CI` is `true` steps are folded: [ci.md](ci.md).
GitHub's runner is told then (`::add-mask::`, on stderr) of the secrets above, of what identity files hold, and of the fields of `creds.json`
whose names speak of keys, tokens, secrets or passwords, so that its log shows none of them.
"
        )
    }
}
