//! What it takes to get into a repository: a token, git's configuration, the way ssh is called.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::model::secret::Secret;
use crate::net::http::Http;
use crate::repo::transport::agent::Agent;
use crate::repo::transport::configured::Configured;

/// User name that goes with a token where neither the URL nor the token has one (GitHub's word).
pub(super) const TOKEN_USER: &str = "x-access-token";

/// User name that goes with a GitLab job token.
const GITLAB_JOB_USER: &str = "gitlab-ci-token";

/// What it takes to get into a repository. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// For HTTP; wins over a password in the URL.
    pub(crate) token: Option<Arc<Token>>,
    pub(crate) http: Http,
    pub(crate) ssh: Ssh,
    /// What git's configuration has for HTTP.
    pub(crate) configured: Configured,
}

impl Access {
    /// Takes in the configuration of a repository; helpers are looked up from `folder`.
    pub(crate) fn read(mut self, config: &git2::Config, folder: Option<&Path>) -> Result<Self> {
        self.ssh = self.ssh.configured(config);
        self.configured = self.configured.read(config, folder.map(Path::to_owned))?;
        Ok(self)
    }
}

/// A token for the host of a remote: sent to that host only, over HTTP.
#[derive(Debug)]
pub(crate) struct Token {
    pub(super) user: &'static str,
    pub(super) secret: Arc<Secret>,
}

impl Token {
    /// A token of GitHub, Gitea, a GitLab project, and so on.
    pub(crate) fn new(secret: Secret) -> Self {
        Self {
            user: TOKEN_USER,
            secret: Arc::new(secret),
        }
    }

    /// `CI_JOB_TOKEN` of a GitLab pipeline.
    pub(crate) fn gitlab_job(secret: Secret) -> Self {
        Self {
            user: GITLAB_JOB_USER,
            secret: Arc::new(secret),
        }
    }
}

/// How `ssh` is called.
#[derive(Clone, Debug)]
pub(crate) struct Ssh {
    pub(crate) program: SshProgram,
    /// Whether `ssh` may ask for a passphrase or about a host key on the terminal.
    pub(crate) interactive: bool,
    /// Holds the key that was given for this run.
    pub(crate) agent: Option<Arc<Agent>>,
}

/// The program that opens a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SshProgram {
    /// `ssh` from PATH.
    Default,
    /// A shell command (`GIT_SSH_COMMAND`, `core.sshCommand`).
    Command(String),
    /// A program without arguments (`GIT_SSH`).
    Program(String),
}

impl Ssh {
    /// From the values of `GIT_SSH_COMMAND` and `GIT_SSH`; empty ones do not count.
    pub(crate) fn new(
        git_ssh_command: Option<String>,
        git_ssh: Option<String>,
        interactive: bool,
    ) -> Self {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let program = match (filled(git_ssh_command), filled(git_ssh)) {
            (Some(command), _) => SshProgram::Command(command),
            (None, Some(program)) => SshProgram::Program(program),
            (None, None) => SshProgram::Default,
        };
        Self {
            program,
            interactive,
            agent: None,
        }
    }

    /// Takes `core.sshCommand` in; it stands between the two variables, as in git.
    pub(crate) fn configured(mut self, config: &git2::Config) -> Self {
        let command = config.get_string("core.sshCommand");
        if !matches!(self.program, SshProgram::Command(_))
            && let Ok(command) = command
        {
            self.program = SshProgram::Command(command);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_chosen_as_git_does() {
        let text = |text: &str| Some(text.to_owned());
        let choose = |command, program| Ssh::new(command, program, false);
        assert_eq!(
            choose(text("a -v"), text("c")).program,
            SshProgram::Command("a -v".into())
        );
        assert_eq!(
            choose(text(""), text("c")).program,
            SshProgram::Program("c".into())
        );
        assert_eq!(choose(None, None).program, SshProgram::Default);

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        crate::repo::files::replace(&file, b"[core]\nsshCommand = b\n", 0o600).unwrap();
        let config = git2::Config::open(&file).unwrap();
        let configured = |ssh: Ssh| ssh.configured(&config).program;
        assert_eq!(
            configured(choose(text("a"), None)),
            SshProgram::Command("a".into())
        );
        assert_eq!(
            configured(choose(None, text("c"))),
            SshProgram::Command("b".into())
        );
    }
}
