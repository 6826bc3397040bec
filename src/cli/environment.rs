//! Secrets and facts that come from the environment alone, each variable named once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::OnceLock;

use anyhow::Result;
use time::OffsetDateTime;

use crate::model::environment::Environment;
use crate::model::lent;
pub(super) use crate::model::lent::SOPS_AGE_KEY;
use crate::model::secret::{Secret, looks_secret};
use crate::repo::git::People;
use crate::repo::journal::{Process, Run as JournalRun};
use crate::repo::transport::{Ssh, Token};

/// Text of an age identity.
pub(super) const AGE_KEY: &str = "GIT_CERTS_AGE_KEY";

/// Path of an age identity file, as sops users have it.
pub(super) const SOPS_AGE_KEY_FILE: &str = "SOPS_AGE_KEY_FILE";

/// Token for the host of the cert repository.
pub(super) const TOKEN: &str = "GIT_CERTS_TOKEN";

/// Token for the host of the DNS repository, where it is another one.
pub(super) const DNS_TOKEN: &str = "GIT_CERTS_DNS_TOKEN";

/// SSH key that signs commits, or its file.
pub(super) const SIGNING_KEY: &str = "GIT_CERTS_SIGNING_KEY";

/// SSH key for repositories behind `ssh://`.
pub(super) const SSH_KEY: &str = "GIT_CERTS_SSH_KEY";

/// Password of PKCS#12 files.
pub(super) const EXPORT_PASSWORD: &str = "GIT_CERTS_EXPORT_PASSWORD";

/// Addresses of services that tell people, each a secret.
pub(super) const NOTIFY_SLACK: &str = "GIT_CERTS_NOTIFY_SLACK";
pub(super) const NOTIFY_MATTERMOST: &str = "GIT_CERTS_NOTIFY_MATTERMOST";
pub(super) const NOTIFY_DISCORD: &str = "GIT_CERTS_NOTIFY_DISCORD";
pub(super) const NOTIFY_TEAMS: &str = "GIT_CERTS_NOTIFY_TEAMS";
pub(super) const NOTIFY_TELEGRAM: &str = "GIT_CERTS_NOTIFY_TELEGRAM";
pub(super) const NOTIFY_MATRIX: &str = "GIT_CERTS_NOTIFY_MATRIX";
pub(super) const NOTIFY_WEBHOOK: &str = "GIT_CERTS_NOTIFY_WEBHOOK";
pub(super) const NOTIFY_MAIL: &str = "GIT_CERTS_NOTIFY_MAIL";

/// Where the user's ssh-agent listens.
pub(super) const SSH_AUTH_SOCK: &str = "SSH_AUTH_SOCK";
/// Token that GitHub made for the job.
const GITHUB_TOKEN: &str = "GITHUB_TOKEN";

/// Token that GitLab made for the job.
const CI_JOB_TOKEN: &str = "CI_JOB_TOKEN";

/// HMAC key for external account binding.
const EAB_HMAC: &str = "GIT_CERTS_EAB_HMAC";

/// PEM files of roots, separated by colons, as users of lego and get-certs have it.
pub(super) const LEGO_CA_CERTIFICATES: &str = "LEGO_CA_CERTIFICATES";
/// Key identifier for external account binding, as lego's users have it.
pub(super) const LEGO_EAB_KID: &str = "LEGO_EAB_KID";

/// The HMAC key that belongs to it.
pub(super) const LEGO_EAB_HMAC: &str = "LEGO_EAB_HMAC";

/// Token for Vault, as its own programs have it.
pub(super) const VAULT_TOKEN: &str = "VAULT_TOKEN";

/// Who logs in with `AppRole`.
pub(super) const VAULT_ROLE_ID: &str = "VAULT_ROLE_ID";

/// The secret that belongs to it.
pub(super) const VAULT_SECRET_ID: &str = "VAULT_SECRET_ID";

/// ID token of a job, as GitLab's documentation names it.
pub(super) const VAULT_ID_TOKEN: &str = "VAULT_ID_TOKEN";

/// What a job shows GitHub to get an ID token.
pub(super) const ACTIONS_ID_TOKEN_REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Where GitHub's runner takes the summary of a step.
pub(super) const GITHUB_STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Where GitHub's runner takes the outputs of a step.
pub(super) const GITHUB_OUTPUT: &str = "GITHUB_OUTPUT";

/// Whether GitHub's runner, or that of Forgejo or Gitea, reads what is printed.
pub(super) fn is_github() -> bool {
    variable("GITHUB_ACTIONS").as_deref() == Some("true")
}

/// Whether GitLab's runner reads what is printed.
pub(super) fn is_gitlab() -> bool {
    variable("GITLAB_CI").as_deref() == Some("true")
}

/// Secrets that were taken out of the environment, by their variables.
static TAKEN: OnceLock<BTreeMap<&str, Secret>> = OnceLock::new();

/// A variable that is set and not empty.
///
/// CI systems set variables to the empty string where an input was left out.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Environment {
    /// What the program was started with; variables that are not UTF-8 are left out.
    pub(super) fn of_process() -> Self {
        let text = |word: OsString| word.into_string().ok();
        std::env::vars_os()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect()
    }
}

/// Tells this run from all others.
static RUN: LazyLock<String> = LazyLock::new(|| {
    let mut id = [0; 8];
    // Without randomness the time tells runs apart.
    let _ = aws_lc_rs::rand::fill(&mut id);
    data_encoding::HEXLOWER.encode(&id)
});

/// The address of the CI job, where one is known.
fn job_address() -> Option<String> {
    let github = || {
        let [server, repository, run] =
            ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"].map(variable);
        Some(format!("{}/{}/actions/runs/{}", server?, repository?, run?))
    };
    github().or_else(|| variable("CI_JOB_URL"))
}

/// This run, for the journal.
pub(super) fn this_run() -> JournalRun {
    let now = OffsetDateTime::now_utc();
    let here = || {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        match variable("USER") {
            Some(user) => format!("{user} on {host}"),
            None => host,
        }
    };
    JournalRun {
        id: RUN.clone(),
        by: job_address().unwrap_or_else(here),
        began: now,
        seen: now,
        ended: false,
        process: Process::this(),
    }
}

/// Our own secrets and the key of sops, which no child inherits.
const OURS: [&str; 16] = [
    AGE_KEY,
    SOPS_AGE_KEY,
    SIGNING_KEY,
    SSH_KEY,
    TOKEN,
    DNS_TOKEN,
    EAB_HMAC,
    EXPORT_PASSWORD,
    NOTIFY_SLACK,
    NOTIFY_MATTERMOST,
    NOTIFY_DISCORD,
    NOTIFY_TEAMS,
    NOTIFY_TELEGRAM,
    NOTIFY_MATRIX,
    NOTIFY_WEBHOOK,
    NOTIFY_MAIL,
];

/// Secrets that this program takes from the environment, whether it comes to need them or not.
pub(super) fn secrets() -> impl Iterator<Item = Secret> {
    const OTHERS: [&str; 7] = [
        LEGO_EAB_HMAC,
        GITHUB_TOKEN,
        CI_JOB_TOKEN,
        VAULT_TOKEN,
        VAULT_SECRET_ID,
        VAULT_ID_TOKEN,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN,
    ];
    // Of these two, the name of a file is none.
    let is_file = |name: &str, secret: &Secret| {
        [SIGNING_KEY, SSH_KEY].contains(&name) && !secret.expose_str().is_some_and(looks_secret)
    };
    OURS.into_iter()
        .chain(OTHERS)
        .filter_map(move |name| secret(name).filter(|secret| !is_file(name, secret)))
}

/// A secret that is set and not empty.
pub(super) fn secret(name: &str) -> Option<Secret> {
    let taken = TAKEN.get().and_then(|taken| taken.get(name));
    match taken {
        Some(taken) => Some(Secret::new(taken.expose().to_vec())),
        None => variable(name).map(Secret::from),
    }
}

/// Takes our own secrets out of the environment, so that no child inherits them: plugins of age are started by a
/// library, which leaves nothing out. Tokens of others stay.
///
/// To be called once, before there is another thread.
pub(super) fn take_secrets() {
    let taken = OURS
        .into_iter()
        .filter_map(|name| Some((name, secret(name)?)));
    let _ = TAKEN.set(taken.collect());
    if let Some(key) = secret(SOPS_AGE_KEY) {
        lent::keep(key);
    }
    for name in OURS {
        #[expect(
            unsafe_code,
            reason = "nobody else reads the environment yet: there is one thread"
        )]
        // SAFETY: `main` calls this before it starts anything.
        unsafe {
            std::env::remove_var(name);
        }
    }
}

/// The user's home folder.
pub(super) fn home() -> Option<PathBuf> {
    variable("HOME").map(PathBuf::from)
}

/// A token that CI made for `host`: GitHub's and GitLab's are sent to their own servers only.
pub(super) fn ci_token(host: &str) -> Option<Token> {
    let of_github = variable("GITHUB_SERVER_URL").map_or_else(
        || host == "github.com",
        |server| server.split("//").nth(1) == Some(host),
    );
    if of_github && let Some(token) = secret(GITHUB_TOKEN) {
        return Some(Token::new(token));
    }
    if variable("CI_SERVER_HOST").as_deref() == Some(host) {
        return secret(CI_JOB_TOKEN).map(Token::gitlab_job);
    }
    None
}

/// How ssh is called.
pub(super) fn ssh() -> Ssh {
    Ssh::new(
        variable("GIT_SSH_COMMAND"),
        variable("GIT_SSH"),
        std::io::stdin().is_terminal(),
    )
}

/// What git's configuration has in the environment, as `git config` would print it.
///
/// `GIT_CONFIG_COUNT` says how many `GIT_CONFIG_KEY_0`, `GIT_CONFIG_VALUE_0` and so on there are.
pub(super) fn git_config() -> Vec<(String, Secret)> {
    let count = variable("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok());
    (0..count.unwrap_or(0_u16))
        .map_while(|number| {
            let key = variable(&format!("GIT_CONFIG_KEY_{number}"))?;
            let value = std::env::var(format!("GIT_CONFIG_VALUE_{number}")).ok()?;
            Some((key, Secret::from(value)))
        })
        .collect()
}

/// Who commits: git's variables, then the user's git configuration. Commits name the CI job, or else the run.
pub(super) fn people() -> Result<People> {
    let config = git2::Config::open_default().ok();
    Ok(People {
        run: Some(job_address().unwrap_or_else(|| RUN.clone())),
        ..People::find(variable, config.as_ref())?
    })
}
