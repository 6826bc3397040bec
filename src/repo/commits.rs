//! Commits that renewing runs made: the newest one, and those that brought the certificates that are held.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use git2::Sort;
use time::OffsetDateTime;

use crate::model::history::Commit;
use crate::repo::git::{RUN, SERIAL, trailer};
use crate::repo::sizes;
use crate::repo::walk::Place;

/// First words of commits that a run makes which renews. Other commands note the same trailer.
const RENEWS: [&str; 4] = ["Issue ", "Reissue ", "Renew ", "Renewal windows of "];

/// First words of commits that bring a certificate.
const BRINGS: [&str; 4] = ["Issue ", "Reissue ", "Renew ", "Roll back "];

/// What the commits say.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) last: Option<Commit>,
    /// By serial number: the newest commit that brought the certificate.
    pub(crate) by_serial: BTreeMap<String, Commit>,
    /// Something was not found, and commits are missing that others build on.
    pub(crate) is_cut_off: bool,
}

/// Goes back from the tip until the newest run and everything in `serials` is found.
pub(crate) fn runs(place: &Place, mut serials: BTreeSet<String>) -> Result<Runs> {
    let repository = place.open()?;
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TIME)?;
    walk.push(place.tip)?;
    let mut runs = Runs::default();
    for id in walk {
        if runs.last.is_some() && serials.is_empty() {
            return Ok(runs);
        }
        let commit = sizes::commit(&repository, id?)?;
        let message = String::from_utf8_lossy(commit.message_bytes());
        let begins = |words: &[&str]| words.iter().any(|verb| message.starts_with(verb));
        if runs.last.is_none() && trailer(&message, RUN).is_some() && begins(&RENEWS) {
            runs.last = Some(described(&commit));
        }
        let serial = trailer(&message, SERIAL).filter(|serial| serials.contains(*serial));
        if let Some(serial) = serial
            && begins(&BRINGS)
        {
            serials.remove(serial);
            runs.by_serial.insert(serial.to_owned(), described(&commit));
        }
    }
    runs.is_cut_off = repository.is_shallow();
    Ok(runs)
}

/// What is told of a commit.
pub(super) fn described(commit: &git2::Commit<'_>) -> Commit {
    let message = String::from_utf8_lossy(commit.message_bytes());
    let at = OffsetDateTime::from_unix_timestamp(commit.time().seconds());
    Commit {
        id: commit.id().to_string(),
        at: at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        subject: message.lines().next().unwrap_or_default().to_owned(),
        author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
        run: trailer(&message, RUN).map(str::to_owned),
    }
}
