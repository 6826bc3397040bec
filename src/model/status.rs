//! How certificates are: held, wanted, served, and what becomes of them next.

use std::fmt;
use std::net::IpAddr;

use time::{Duration, OffsetDateTime};

use crate::model::certificate::{CertificateName, KeyType};
use crate::model::chain::Leaf;
use crate::model::endpoint::Endpoint;
use crate::model::history::Commit;
use crate::model::home::Home;
use crate::model::name::Identifier;
use crate::model::outcome::Action;
use crate::model::recipients::Fit;
use crate::model::renewal::RenewalInfo;

/// A look at a cert repository, or at what Vault has for it.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// When it was looked at.
    pub(crate) at: OffsetDateTime,
    /// Where the certificates are.
    pub(crate) home: Home,
    /// Those of certs.json in its order, then those that it does not list, by name.
    pub(crate) certificates: Vec<CertificateStatus>,
    /// The newest commit that a run made; none where there is none, or where it is not known.
    pub(crate) last_run: Option<Commit>,
    /// Older commits are not here, so that what they would say is not known.
    pub(crate) is_cut_off: bool,
    /// Who runs now, or was cut short: lower case, no final stop.
    pub(crate) journal: Option<String>,
}

/// One certificate.
#[derive(Clone, Debug)]
pub(crate) struct CertificateStatus {
    pub(crate) name: CertificateName,
    /// Those of certs.json, or else those of the certificate.
    pub(crate) names: Vec<Identifier>,
    /// Whether certs.json lists it.
    pub(crate) is_wanted: bool,
    /// Whether the next certificate is to have the key of this one (`reuse_key`).
    pub(crate) keeps_key: bool,
    pub(crate) state: State,
    /// What the certificate says; none where there is none, or none that can be read.
    pub(crate) leaf: Option<Leaf>,
    /// Directory URL of the CA, where it is known.
    pub(crate) directory: Option<String>,
    /// What `renew` would do; none where certs.json does not list it.
    pub(crate) next: Option<Next>,
    /// What the CA said last of when to renew.
    pub(crate) window: Option<RenewalInfo>,
    /// Who can open the key; none where there is no encrypted key.
    pub(crate) readers: Option<Result<KeyReaders, String>>,
    /// The commit that brought it, where it is known.
    pub(crate) brought_by: Option<Commit>,
    /// What servers show; empty unless they were asked.
    pub(crate) served: Vec<Served>,
}

/// Whether a certificate can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Valid,
    /// Its time has not come.
    NotYetValid,
    Expired,
    /// `revoked on 2026-11-25: superseded`.
    Revoked(String),
    /// Why it cannot be used, or what is wrong with its files.
    Broken(String),
    Missing,
}

/// What `renew` would do, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) action: Action,
    pub(crate) reason: String,
    pub(crate) due_from: Option<OffsetDateTime>,
}

/// Why what `renew` would do next is what it is.
#[derive(Clone, Debug)]
pub(crate) struct Why {
    pub(crate) at: OffsetDateTime,
    /// Where the certificates are.
    pub(crate) home: Home,
    pub(crate) certificate: CertificateStatus,
    /// Host of the CA that would be asked.
    pub(crate) authority: String,
    pub(crate) allowance: Allowance,
}

/// Whether a CA's rate limits leave room for one more order, by what the repository knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// They are not known, or not kept.
    Unlimited,
    Fits,
    UsedUp {
        /// Which limit: lower case, no final stop.
        reason: String,
        until: OffsetDateTime,
    },
}

/// Who can open a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyReaders {
    /// How many recipients the list of today has.
    pub(crate) count: usize,
    /// The file that this list is in.
    pub(crate) source: String,
    /// Whether the key is encrypted for that list.
    pub(crate) fit: Fit,
}

/// What a server shows, at one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// A name that is not connected to is there as well.
    pub(crate) at: Place,
    pub(crate) address: Option<IpAddr>,
    pub(crate) finding: Finding,
    /// What the certificate says that was shown.
    pub(crate) leaf: Option<Leaf>,
}

/// Where a server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Endpoint(Endpoint),
    /// A wildcard is the name of no server.
    Wildcard(Identifier),
}

/// What a server shows, compared with what the repository has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The certificate of the repository.
    Current,
    /// The certificate of the repository, from a server that did not prove that it has its key.
    Unproven,
    /// One that came before it: renewed, but not deployed.
    Older,
    /// One of the same CA that came after it: this copy of the repository is behind.
    Newer,
    SelfSigned,
    /// One that has nothing to do with the repository's.
    Other,
    /// The reason.
    Unreachable(String),
    /// The reason.
    Skipped(&'static str),
}

impl Status {
    /// What somebody should look at, and why: certificates that cannot be used or end within so many days, if
    /// days are given, and servers that do not show the certificate of the repository.
    pub(crate) fn failures(&self, within: Option<u32>) -> Vec<(&str, String)> {
        let mut all = Vec::new();
        for one in self.certificates.iter().filter(|one| one.is_wanted) {
            let here = within.and_then(|_| one.unusable(within, self.at));
            let served = one.undeployed(within, self.at);
            let reasons = here.into_iter().chain(served);
            all.extend(reasons.map(|reason| (one.name.as_str(), reason)));
        }
        all
    }
}

impl CertificateStatus {
    /// Its end; none where there is none that can be read.
    pub(crate) fn not_after(&self) -> Option<OffsetDateTime> {
        self.leaf.as_ref().map(|leaf| leaf.not_after)
    }

    pub(crate) fn key_type(&self) -> Option<KeyType> {
        self.leaf.as_ref()?.key_type
    }

    /// What is wrong that somebody should look at, here or where servers show it. What certs.json does not list is
    /// not waited for.
    pub(crate) fn failure(&self, within: Option<u32>, now: OffsetDateTime) -> Option<String> {
        if !self.is_wanted {
            return None;
        }
        let here = self.unusable(within, now).into_iter();
        let all: Vec<_> = here.chain(self.undeployed(within, now)).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Why it cannot be used, or that it ends within so many days.
    pub(crate) fn unusable(&self, within: Option<u32>, now: OffsetDateTime) -> Option<String> {
        let end = self.not_after();
        match (&self.state, end) {
            (State::Missing, _) => self.next.as_ref().map(|next| next.reason.clone()),
            (State::Broken(reason) | State::Revoked(reason), _) => Some(reason.clone()),
            (State::Expired, Some(end)) => Some(format!("expired on {}", end.date())),
            (_, end) => end.and_then(|end| soon(end, within, now)),
        }
    }

    /// Servers that should show the certificate, and do not.
    fn undeployed(&self, within: Option<u32>, now: OffsetDateTime) -> Vec<String> {
        let served = self.served.iter();
        let reasons = served.filter_map(|served| {
            let end = served.leaf.as_ref().map(|leaf| leaf.not_after);
            let soon = || end.and_then(|end| soon(end, within, now));
            let what = match (&served.finding, soon()) {
                (Finding::Current | Finding::Skipped(_), _) | (Finding::Newer, None) => None,
                (Finding::Unreachable(reason), _) => Some(format!("is not reached: {reason}")),
                (Finding::Unproven, _) => {
                    Some("shows the certificate, and does not prove that it has its key".to_owned())
                }
                (_, Some(soon)) => Some(format!("shows one that {soon}")),
                (Finding::Older, None) => {
                    Some("still shows an older one: renewed, but not deployed".to_owned())
                }
                (Finding::SelfSigned, None) => {
                    Some("shows a certificate that signs itself".to_owned())
                }
                (Finding::Other, None) => Some("shows one that is not from here".to_owned()),
            };
            Some(format!("`{served}` {}", what?))
        });
        reasons.collect()
    }
}

/// That something ends within so many days.
fn soon(end: OffsetDateTime, within: Option<u32>, now: OffsetDateTime) -> Option<String> {
    let days = within.filter(|days| end <= now + Duration::days((*days).into()))?;
    Some(format!("expires on {}, within {days} days", end.date()))
}

impl Served {
    /// Host and port, or the wildcard.
    pub(crate) fn place(&self) -> String {
        match &self.at {
            Place::Wildcard(name) => name.to_string(),
            Place::Endpoint(endpoint) => endpoint.to_string(),
        }
    }
}

impl fmt::Display for Served {
    /// With the address, where the place is a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        match self.address.map(|address| address.to_string()) {
            Some(address) if !place.contains(&address) => write!(f, "{place} ({address})"),
            _ => f.write_str(&place),
        }
    }
}
