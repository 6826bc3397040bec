//! What a run is to do: flags, environment and file have become one meaning.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::acme::account::Registration;
use crate::acme::connections::Connections;
use crate::acme::limits::Limits;
use crate::acme::presets::Directory;
use crate::dns::rules::Rules;
use crate::dnscontrol::Source;
use crate::model::certificate::{CertificateName, Wanted};
use crate::model::environment::Environment;
use crate::model::shard::Shard;
use crate::net::http::Http;
use crate::nightly::found::JournalSettings;
use crate::nightly::keyring::Keyring;
use crate::nightly::pending::Policy;
use crate::nightly::vaulting::Vaulting;
use crate::repo::certs_json::Defaults;
use crate::repo::transport::{Access, Remote};

/// Where a repository is.
#[derive(Debug)]
pub(crate) enum Location {
    /// To be cloned.
    Remote(Remote),
    /// To be worked on in place: a checkout, or a folder without git.
    Folder {
        path: PathBuf,
        /// Where to push when no branch is checked out.
        branch: Option<String>,
        access: Access,
    },
}

/// A text that replaces a file of the cert repository, and where it came from.
#[derive(Debug)]
pub(crate) struct Override {
    pub(crate) origin: String,
    pub(crate) text: String,
}

impl Override {
    /// Text and origin.
    pub(crate) fn as_pair(&self) -> (&str, &str) {
        (&self.text, &self.origin)
    }
}

/// What a command for the account itself needs to know.
#[derive(Debug)]
pub(crate) struct AccountJob {
    pub(crate) connections: Connections,
    pub(crate) directory: Directory,
    pub(crate) registration: Registration,
    pub(crate) keyring: Keyring,
    /// Where accounts are instead of in the repository.
    pub(crate) vault: Option<Vaulting>,
    pub(crate) push: bool,
}

/// What a command for the keys of the repository needs to know.
#[derive(Debug)]
pub(crate) struct KeysJob {
    pub(crate) keyring: Keyring,
    /// certs.json from elsewhere than the root of the cert repository.
    pub(crate) certs_json: Option<Override>,
    pub(crate) recipients: Option<Override>,
    pub(crate) push: bool,
}

/// Limits that orders are kept within.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LimitsOf {
    /// Where they are known.
    TheCa,
    Given(Limits),
    Nobody,
}

/// Everything a run needs to know besides the repositories' contents.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) http: Http,
    pub(crate) connections: Connections,
    /// For providers whose credentials are not in creds.json.
    pub(crate) environment: Environment,
    /// The CA.
    pub(crate) directory: Directory,
    /// CAs that stand in when the CA of a certificate fails, the best first.
    pub(crate) fallback: Vec<Directory>,
    pub(crate) limits: LimitsOf,
    /// Domains that stand for the CA in CAA records; empty: those that its directory names.
    pub(crate) caa_identities: Vec<String>,
    pub(crate) registration: Registration,
    /// Renew with fewer days left; none: by lifetime.
    pub(crate) renew_days: Option<u32>,
    /// For certificates that say nothing of it.
    pub(crate) defaults: Defaults,
    /// Only this certificate.
    pub(crate) only: Option<CertificateName>,
    /// Only this share of them; not together with `only`.
    pub(crate) shard: Option<Shard>,
    /// certs.json from elsewhere than the root of the cert repository.
    pub(crate) certs_json: Option<Override>,
    pub(crate) recipients: Option<Override>,
    pub(crate) keyring: Keyring,
    /// None: git alone.
    pub(crate) vault: Option<Vaulting>,
    pub(crate) dns: Source,
    /// The DNS repository is a clone that is gone after the run.
    pub(crate) dns_is_temporary: bool,
    /// Entries of creds.json that are left alone.
    pub(crate) skip: BTreeSet<String>,
    pub(crate) pending: Policy,
    /// Recursive resolvers; none: the system's.
    pub(crate) resolvers: Vec<SocketAddr>,
    pub(crate) dns_timeout: Duration,
    pub(crate) name_servers: Rules,
    pub(crate) push: bool,
    pub(crate) journal: JournalSettings,
    /// Where files go that the cert repository does not take.
    pub(crate) rescue_dir: Option<PathBuf>,
    /// People are told what the run did.
    pub(crate) notify: bool,
}

impl Job {
    /// Limits that orders at a CA are kept within.
    pub(crate) fn limits_of(&self, directory: &Directory) -> Option<Limits> {
        match self.limits {
            LimitsOf::TheCa => Limits::of(directory),
            LimitsOf::Given(limits) => Some(limits),
            LimitsOf::Nobody => None,
        }
    }

    /// CAs that may issue a certificate, the best first: its own or the run's, then those that stand in.
    pub(crate) fn authorities(&self, wanted: &Wanted) -> Vec<Directory> {
        // A bad one has been refused by `fits`.
        let own = wanted.acme.as_ref().and_then(|acme| acme.parse().ok());
        let first = own.unwrap_or_else(|| self.directory.clone());
        let others = self.fallback.iter().filter(|other| **other != first);
        std::iter::once(&first).chain(others).cloned().collect()
    }
}
