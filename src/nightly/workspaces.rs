//! Step one: the cert repository and the DNS repository, open.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::nightly::job::Location;
use crate::repo::git::{People, Workspace, checkout};
use crate::report::progress::Progress;

/// The folder in which dnsconfig.js is read.
#[derive(Clone, Debug)]
pub(crate) struct DnsFolder {
    pub(crate) path: PathBuf,
    /// A clone that is gone after the run.
    pub(crate) is_temporary: bool,
}

/// Both repositories. git is blocking: it works on threads of its own.
pub(crate) struct Workspaces {
    cert_repo: Arc<Mutex<Workspace>>,
    dns: Option<DnsFolder>,
    temporary: PathBuf,
}

impl Workspaces {
    /// Opens the cert repository and, if it is known already, the DNS repository beside it.
    ///
    /// Clones go into `temporary`.
    pub(crate) async fn open(
        cert_repo: Location,
        dns: Option<Location>,
        people: People,
        temporary: &Path,
        progress: &Progress,
    ) -> Result<Self> {
        let open_dns = async {
            match dns {
                Some(location) => open_dns(location, temporary, progress).await.map(Some),
                None => Ok(None),
            }
        };
        let (workspace, dns) = tokio::try_join!(
            open_cert_repo(cert_repo, people, temporary, progress),
            open_dns
        )?;
        Ok(Self {
            cert_repo: Arc::new(Mutex::new(workspace)),
            dns,
            temporary: temporary.to_owned(),
        })
    }

    /// Opens the cert repository to be looked at: a clone, or the files of a folder as they are.
    pub(crate) async fn look(
        cert_repo: Location,
        people: People,
        temporary: &Path,
        progress: &Progress,
    ) -> Result<Self> {
        let workspace = match cert_repo {
            Location::Folder { path, .. } => Workspace::files(&path, people),
            remote @ Location::Remote(_) => {
                open_cert_repo(remote, people, temporary, progress).await?
            }
        };
        Ok(Self {
            cert_repo: Arc::new(Mutex::new(workspace)),
            dns: None,
            temporary: temporary.to_owned(),
        })
    }

    /// Opens the DNS repository where only the cert repository's settings say where it is.
    pub(crate) async fn open_dns(&mut self, location: Location, progress: &Progress) -> Result<()> {
        self.dns = Some(open_dns(location, &self.temporary, progress).await?);
        Ok(())
    }

    /// Where dnsconfig.js is.
    pub(crate) fn dns(&self) -> Result<&DnsFolder> {
        self.dns.as_ref().context("the DNS repository is not open")
    }

    /// A folder of this run alone, gone after it.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// A file of the cert repository; none if it is not there.
    pub(crate) async fn read_cert_repo(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = path.to_owned();
        self.with(move |workspace| workspace.read(&path)).await
    }

    /// Works on the cert repository on a thread for blocking calls.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Workspace) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let workspace = Arc::clone(&self.cert_repo);
        blocking(move || work(&mut workspace.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

async fn open_cert_repo(
    location: Location,
    people: People,
    temporary: &Path,
    progress: &Progress,
) -> Result<Workspace> {
    match location {
        Location::Folder {
            path,
            branch,
            access,
        } => blocking(move || Workspace::here(&path, branch.as_deref(), &access, people)).await,
        Location::Remote(remote) => {
            let step = progress.step(format!("cloning `{remote}`"));
            let done = format!("cloned `{remote}`");
            let into = temporary.join("certs");
            let workspace = blocking(move || Workspace::clone(&remote, &into, people)).await?;
            step.done(&done);
            Ok(workspace)
        }
    }
}

async fn open_dns(location: Location, temporary: &Path, progress: &Progress) -> Result<DnsFolder> {
    match location {
        Location::Folder { path, .. } => Ok(DnsFolder {
            path: std::path::absolute(&path)
                .with_context(|| format!("cannot use `{}`", path.display()))?,
            is_temporary: false,
        }),
        Location::Remote(remote) => {
            let step = progress.step(format!("cloning `{remote}`"));
            let done = format!("cloned `{remote}`");
            let path = temporary.join("dns");
            let into = path.clone();
            blocking(move || checkout(&remote, &into)).await?;
            step.done(&done);
            Ok(DnsFolder {
                path,
                is_temporary: true,
            })
        }
    }
}

/// Runs blocking work aside.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a thread of ours ended early")?
}
