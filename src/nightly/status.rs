//! How the certificates of a repository are. Asks no CA and needs no secret and no DNS repository.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use time::OffsetDateTime;

use crate::acme::presets::Directory;
use crate::model::certificate::{CertificateName, Held, KeySource, Wanted};
use crate::model::endpoint::Endpoint;
use crate::model::hint::with_hint;
use crate::model::home::Home;
use crate::model::outcome::Planned;
use crate::model::shard::Scope;
use crate::model::status::{CertificateStatus, Next, State, Status};
use crate::model::wording::first_of;
use crate::nightly::found::{Found, JournalSettings};
use crate::nightly::job::{LimitsOf, Override};
use crate::nightly::plan::{self, Holdings, Timing};
use crate::nightly::vaulting::Vaulting;
use crate::nightly::workspaces::Workspaces;
use crate::repo::certs_json::{self, Defaults, Listed};
use crate::repo::commits::{self, Runs};
use crate::repo::git::Workspace;
use crate::repo::inventory::{self, Stock};
use crate::repo::keys::{self, Lists};
use crate::repo::layout;
use crate::report::progress::Progress;

/// What a look at a repository needs to know.
#[derive(Debug)]
pub(crate) struct StatusJob {
    /// certs.json from elsewhere than the root of the cert repository.
    pub(crate) certs_json: Option<Override>,
    pub(crate) recipients: Option<Override>,
    pub(crate) defaults: Defaults,
    /// Renew with fewer days left; none: by lifetime.
    pub(crate) renew_days: Option<u32>,
    /// The CA of certificates that name none.
    pub(crate) directory: Directory,
    pub(crate) limits: LimitsOf,
    /// Recursive resolvers; none: the system's.
    pub(crate) resolvers: Vec<SocketAddr>,
    pub(crate) journal: JournalSettings,
    /// Where certificates are instead of in the repository.
    pub(crate) vault: Option<Vaulting>,
}

/// What is looked at.
pub(crate) struct Look<'a> {
    pub(crate) workspaces: &'a Workspaces,
    pub(crate) progress: &'a Progress,
    pub(crate) job: Arc<StatusJob>,
    pub(crate) now: OffsetDateTime,
}

/// What was read, and what is decided by it.
pub(super) struct Read {
    pub(super) status: Status,
    pub(super) plan: Vec<Planned>,
    pub(super) held: Holdings,
    /// Where servers show certificates, for those that say so.
    pub(super) endpoints: BTreeMap<CertificateName, Vec<Endpoint>>,
}

impl StatusJob {
    pub(super) fn home(&self) -> Home {
        match self.vault {
            Some(_) => Home::Vault,
            None => Home::Repository,
        }
    }

    /// The plan, with what CAs said last: a newer answer is not asked for.
    fn planned(&self, wanted: &[Wanted], held: &Holdings, now: OffsetDateTime) -> Vec<Planned> {
        let windows = held
            .iter()
            .filter_map(|(name, held)| Some((name.clone(), held.as_ref().ok()?.renewal.clone()?)));
        let timing = Timing {
            renew_days: self.renew_days,
            windows: &windows.collect(),
            now,
            home: self.home(),
        };
        plan::plan(wanted, held, &timing)
    }
}

impl Look<'_> {
    /// All certificates, or those that are named.
    pub(crate) async fn status(&self, names: &BTreeSet<CertificateName>) -> Result<Status> {
        Ok(self.read(names).await?.status)
    }

    pub(super) async fn read(&self, names: &BTreeSet<CertificateName>) -> Result<Read> {
        let job = Arc::clone(&self.job);
        let (listed, stock, runs) = match &self.job.vault {
            None => {
                let read = move |workspace: &mut Workspace| in_git(workspace, &job);
                self.workspaces.with(read).await?
            }
            Some(vaulting) => {
                let read = move |workspace: &mut Workspace| listed(workspace, &job);
                let listed = self.workspaces.with(read).await?;
                let stock = vaulting.stock(&listed.wanted, self.progress).await?;
                (listed, stock, Runs::default())
            }
        };
        for warning in &listed.warnings {
            self.progress.warn(warning);
        }
        let held = held(&stock);
        let plan = self.job.planned(&listed.wanted, &held, self.now);
        let mut status = assess(&plan, stock, runs, (self.job.home(), self.now));
        select(&mut status, names)?;
        status.journal = self.journal().await;
        Ok(Read {
            status,
            plan,
            held,
            endpoints: listed.endpoints,
        })
    }

    /// Who runs now, or was cut short. In a checkout that would be a question to the server, which nobody has
    /// asked for.
    async fn journal(&self) -> Option<String> {
        let is_known = |workspace: &mut Workspace| {
            Ok(!workspace.keeps_commits() && workspace.may_have_journal())
        };
        let settings = &self.job.journal;
        let found = match self.workspaces.with(is_known).await {
            Ok(true) => Found::look(self.workspaces, settings, true, &Scope::All).await,
            Ok(false) => return None,
            Err(error) => Err(error),
        };
        let told = |found: &Found| {
            let who = found.describe();
            if found.is_running(settings) {
                format!("a run is at work: {who}")
            } else {
                format!(
                    "an earlier run was cut short: {who}; the next `renew` takes over what it left"
                )
            }
        };
        match found {
            Ok(found) if found.is_empty() => None,
            Ok(found) => Some(found.iter().map(told).collect::<Vec<_>>().join("; ")),
            Err(error) => {
                self.progress
                    .warn(&format!("the journal of a run cannot be read: {error:#}"));
                None
            }
        }
    }
}

/// certs.json of the repository, or what takes its place.
pub(super) fn listed(workspace: &Workspace, job: &StatusJob) -> Result<Listed> {
    match &job.certs_json {
        Some(Override { origin, text }) => {
            let read = |path: &str| workspace.read(path);
            certs_json::parse(text.as_bytes(), origin, &job.defaults, &read)
        }
        None => layout::wanted(workspace, &job.defaults),
    }
}

/// What the repository lists and has, and who brought it.
fn in_git(
    workspace: &Workspace,
    job: &StatusJob,
) -> Result<(Listed, BTreeMap<CertificateName, Stock>, Runs)> {
    let listed = listed(workspace, job)?;
    let lists = Lists {
        listed: keys::listed(&listed.wanted),
        instead: job.recipients.as_ref().map(Override::as_pair),
    };
    let stock = inventory::stock(workspace, &listed.wanted, &lists)?;
    let serials = stock.values().filter_map(|one| one.leaf.as_ref());
    let serials = serials.map(|leaf| leaf.serial.clone()).collect();
    let runs = match workspace.place() {
        Some(place) => commits::runs(&place, serials)?,
        None => Runs::default(),
    };
    Ok((listed, stock, runs))
}

fn held(stock: &BTreeMap<CertificateName, Stock>) -> Holdings {
    let held = stock.iter();
    held.filter_map(|(name, one)| Some((name.clone(), one.held.clone()?)))
        .collect()
}

/// What is said of each certificate: those of the plan, then those that nobody wants.
fn assess(
    plan: &[Planned],
    mut stock: BTreeMap<CertificateName, Stock>,
    mut runs: Runs,
    (home, now): (Home, OffsetDateTime),
) -> Status {
    let mut certificates = Vec::new();
    for planned in plan {
        let one = stock.remove(&planned.wanted.name);
        certificates.push(certificate(planned, one, &mut runs, now));
    }
    for (name, one) in stock {
        let state = state(&one, now);
        let leaf = one.leaf;
        certificates.push(CertificateStatus {
            names: leaf
                .iter()
                .flat_map(|leaf| leaf.identifiers.clone())
                .collect(),
            is_wanted: false,
            keeps_key: false,
            state,
            directory: None,
            next: None,
            window: None,
            readers: one.readers,
            brought_by: leaf
                .as_ref()
                .and_then(|leaf| runs.by_serial.remove(&leaf.serial)),
            served: Vec::new(),
            leaf,
            name,
        });
    }
    Status {
        at: now,
        home,
        certificates,
        last_run: runs.last,
        is_cut_off: runs.is_cut_off,
        journal: None,
    }
}

fn certificate(
    planned: &Planned,
    stock: Option<Stock>,
    runs: &mut Runs,
    now: OffsetDateTime,
) -> CertificateStatus {
    let state = stock.as_ref().map_or(State::Missing, |one| state(one, now));
    let (held, leaf, readers) = match stock {
        Some(one) => (one.held, one.leaf, one.readers),
        None => (None, None, None),
    };
    let held: Option<Held> = held.and_then(Result::ok);
    let serial = leaf.as_ref().map(|leaf| &leaf.serial);
    CertificateStatus {
        name: planned.wanted.name.clone(),
        names: planned.wanted.identifiers.clone(),
        is_wanted: true,
        keeps_key: planned.wanted.key_source == KeySource::Kept,
        state,
        brought_by: serial.and_then(|serial| runs.by_serial.remove(serial)),
        leaf,
        next: Some(Next {
            action: planned.action,
            reason: planned.reason.clone(),
            due_from: planned.due_from,
        }),
        directory: held.as_ref().and_then(|held| held.ca.clone()),
        window: held.and_then(|held| held.renewal),
        readers,
        served: Vec::new(),
    }
}

fn state(stock: &Stock, now: OffsetDateTime) -> State {
    match (&stock.held, &stock.revoked) {
        (None, _) => State::Missing,
        (Some(Err(_)), Some(revoked)) => State::Revoked(revoked.clone()),
        (Some(Err(reason)), None) => State::Broken(reason.clone()),
        (Some(Ok(held)), _) if now < held.leaf.not_before => State::NotYetValid,
        (Some(Ok(held)), _) if held.leaf.not_after <= now => State::Expired,
        (Some(Ok(_)), _) => State::Valid,
    }
}

/// Those that are named; all if none is.
fn select(status: &mut Status, names: &BTreeSet<CertificateName>) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let known: Vec<_> = status
        .certificates
        .iter()
        .map(|one| one.name.clone())
        .collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(with_hint(
            anyhow!(
                "there is no certificate `{unknown}`, in certs.json or in {}",
                status.home
            ),
            format!("there is {}", first_of(&known)),
        ));
    }
    status.certificates.retain(|one| names.contains(&one.name));
    Ok(())
}
