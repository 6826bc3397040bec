//! When CAs suggest to renew: asked for all certificates at once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use futures_util::StreamExt;
use futures_util::stream;
use time::OffsetDateTime;

use crate::acme::ari::Renewals;
use crate::acme::connections::Connections;
use crate::acme::presets::Directory;
use crate::model::certificate::{CertificateName, Wanted};
use crate::model::renewal::{CertificateId, RenewalInfo};
use crate::nightly::job::Job;
use crate::nightly::plan::Holdings;

/// Questions under way at once.
const AT_ONCE: usize = 64;

/// Longest wait for all answers: a plan that knows the lifetime only is better than none.
const PATIENCE: Duration = Duration::from_secs(30);

/// What CAs said in this run of when to renew.
pub(crate) type Answers = BTreeMap<CertificateName, RenewalInfo>;

/// What the CA suggests, of now or of an earlier run whose answer still holds.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    pub(crate) all: BTreeMap<CertificateName, RenewalInfo>,
    /// Of these, what the CA said now.
    pub(crate) answers: Answers,
    /// How often the CA was asked.
    pub(crate) asked: usize,
    /// Why some are not known.
    pub(crate) trouble: Option<Error>,
}

/// Certificates whose windows are to be asked for, by the directory URL of their CA.
type Stale<'a> = BTreeMap<String, (Directory, Vec<(&'a CertificateName, &'a CertificateId)>)>;

/// Asks for the windows of what the CAs of a run have issued and what it plans. What is not known is
/// not an error.
pub(crate) async fn windows(
    job: &Job,
    wanted: impl Iterator<Item = &Wanted>,
    held: &Holdings,
    now: OffsetDateTime,
) -> Windows {
    let mut windows = Windows::default();
    let mut stale = Stale::new();
    let is_planned = |wanted: &&Wanted| job.only.as_ref().is_none_or(|only| *only == wanted.name);
    for wanted in wanted.filter(is_planned) {
        let Some(Ok(held)) = held.get(&wanted.name) else {
            continue;
        };
        let Some(ca) = held.ca.as_ref().filter(|_| now < held.leaf.not_after) else {
            continue;
        };
        let mut authorities = job.authorities(wanted).into_iter();
        let directory = authorities.find(|directory| directory.is_of_same_ca(ca));
        match (directory, &held.leaf.id, &held.renewal) {
            (Some(_), _, Some(known)) if known.holds(now) => {
                windows.all.insert(wanted.name.clone(), known.clone());
            }
            (Some(directory), Some(id), _) => {
                let url = directory.url().to_owned();
                let group = stale.entry(url).or_insert((directory, Vec::new()));
                group.1.push((&wanted.name, id));
            }
            _ => {}
        }
    }
    for (directory, stale) in stale.values() {
        let asking = ask(stale, directory, &job.connections, now, &mut windows);
        let trouble = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(_) => anyhow!("the CA did not answer within {} s", PATIENCE.as_secs()),
        };
        windows.trouble = Some(trouble.context(format!("`{}`", directory.host())));
    }
    windows
}

async fn ask(
    stale: &[(&CertificateName, &CertificateId)],
    directory: &Directory,
    connections: &Connections,
    now: OffsetDateTime,
    windows: &mut Windows,
) -> Result<()> {
    let Some(renewals) = Renewals::of(directory, connections).await? else {
        return Ok(());
    };
    let questions = stale.iter().map(|(name, id)| {
        let renewals = renewals.clone();
        async move { (*name, renewals.info(id, now).await) }
    });
    let mut answers = stream::iter(questions).buffer_unordered(AT_ONCE);
    while let Some((name, answer)) = answers.next().await {
        windows.asked += 1;
        match answer {
            Ok(info) => {
                windows.answers.insert(name.clone(), info.clone());
                windows.all.insert(name.clone(), info);
            }
            Err(error) => windows.trouble = Some(error.context(format!("certificate `{name}`"))),
        }
    }
    Ok(())
}
