//! Where the repositories are, and what it takes to get in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::cli::arguments::Run;
use crate::cli::environment;
use crate::cli::mended;
use crate::cli::settings::{FILE, Settings};
use crate::cli::signing;
use crate::model::hint::Hint;
use crate::net::http::Http;
use crate::nightly::job::Location;
use crate::repo::address::Address;
use crate::repo::transport::{Access, Agent, Configured, Remote, Ssh, Token};

/// Where the cert repository is.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct CertRepo {
    /// Cert repository: URL or path of a repository to clone [default: the checkout in --dir]
    #[arg(
        long,
        env = "GIT_CERTS_REPO",
        value_name = "URL|PATH",
        conflicts_with = "dir"
    )]
    pub(super) repo: Option<String>,

    /// Branch to read and to push [default: the remote's HEAD, or the one that is checked out]
    #[arg(long, env = "GIT_CERTS_BRANCH", value_name = "NAME")]
    pub(super) branch: Option<String>,

    /// Folder of the cert repository, to work in place [default: the current folder]
    #[arg(long, env = "GIT_CERTS_DIR", value_name = "FOLDER")]
    pub(super) dir: Option<PathBuf>,
}

/// Finds the repositories of a run.
pub(super) struct Places<'r> {
    run: &'r Run,
    http: &'r Http,
    ssh: Ssh,
}

impl CertRepo {
    /// Folder of the cert repository, where it is not cloned.
    pub(super) fn here(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| PathBuf::from("."))
    }
}

impl<'r> Places<'r> {
    /// The key of `GIT_CERTS_SSH_KEY` is held by an agent with its socket in `temporary`.
    pub(super) fn new(run: &'r Run, http: &'r Http, temporary: &Path) -> Result<Self> {
        let agent = signing::ssh_key()?.map(|key| Agent::start(key, temporary));
        let mut ssh = environment::ssh();
        ssh.agent = agent.transpose()?.map(Arc::new);
        Ok(Self { run, http, ssh })
    }

    /// Where the cert repository is: `--repo`, or the checkout in `--dir`, of which is told what is left there half done.
    pub(super) fn certs(&self) -> Result<Location> {
        let location = self.location()?;
        if let Location::Folder { path, .. } = &location {
            mended::look(path);
        }
        Ok(location)
    }

    fn location(&self) -> Result<Location> {
        let branch = self.run.certs.branch.clone();
        let token = environment::secret(environment::TOKEN).map(Token::new);
        if let Some(url) = &self.run.certs.repo {
            return self.remote(url, branch, token).map(Location::Remote);
        }
        let path = self.run.certs.here();
        if !path.is_dir() {
            return Err(anyhow!("`{}` is not a folder", path.display()))
                .hint(|| "`--dir` names the folder of the cert repository; `--repo` clones one");
        }
        Ok(Location::Folder {
            path,
            branch,
            access: self.access(token),
        })
    }

    /// Where the DNS repository is: `--dns-repo`, or else where the cert repository is.
    pub(super) fn dns(&self, settings: &Settings) -> Result<Location> {
        let branch = settings.dns_branch.clone();
        let Some(place) = &settings.dns_repo else {
            return match self.location()? {
                remote @ Location::Remote(_) => Ok(remote),
                Location::Folder { .. } => Ok(self.folder(Path::new("."))),
            };
        };
        // A folder with files is read as it is; a bare repository has to be cloned.
        let path = Path::new(place);
        let is_bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
        if path.is_dir() && !is_bare && branch.is_none() {
            return Ok(self.folder(path));
        }
        let own = environment::secret(environment::DNS_TOKEN).map(Token::new);
        let host = Address::parse(place)?.host();
        let beside = match &self.run.certs.repo {
            Some(certs) => Address::parse(certs)?.host() == host,
            None => false,
        };
        // A pull request can change the file, and must not get to choose who is sent a login.
        let is_chosen = self.run.settings.dns_repo.is_some() || beside || host.is_none();
        if own.is_some() && !is_chosen {
            return Err(anyhow!(
                "GIT_CERTS_DNS_TOKEN is not sent to a host that only `{FILE}` names"
            ))
            .hint(|| "name the repository with `--dns-repo` or GIT_CERTS_DNS_REPO");
        }
        let token = match own {
            None if beside => environment::secret(environment::TOKEN).map(Token::new),
            own => own,
        };
        let mut remote = self.remote(place, branch, token)?;
        remote.access.configured.may_ask = is_chosen;
        Ok(Location::Remote(remote))
    }

    /// A repository to clone, with `token` or else the one that CI made for its host.
    fn remote(&self, url: &str, branch: Option<String>, token: Option<Token>) -> Result<Remote> {
        let address = Address::parse(url)?;
        let token = token.or_else(|| address.host().and_then(|host| environment::ci_token(&host)));
        Ok(Remote {
            address: Arc::new(address),
            branch,
            access: self.access(token),
        })
    }

    fn access(&self, token: Option<Token>) -> Access {
        Access {
            token: token.map(Arc::new),
            http: self.http.clone(),
            ssh: self.ssh.clone(),
            configured: Configured::new(environment::git_config()),
        }
    }

    fn folder(&self, path: &Path) -> Location {
        Location::Folder {
            path: path.to_owned(),
            branch: None,
            access: self.access(None),
        }
    }
}
