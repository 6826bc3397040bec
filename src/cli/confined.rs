//! The process gives up the right to write outside of its workspace.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cli::arguments::Command;
use crate::cli::places::CertRepo;
use crate::model::confinement::{Confinement, write_only};
use crate::model::outside;
use crate::repo::git;

/// Where passphrases are asked for.
const TERMINAL: &str = "/dev/tty";

/// Confines this thread, and so all that it starts from then on, to `temporary` and the folder that the command works in.
///
/// What the user wants to happen elsewhere is done by [`outside`].
pub(super) fn confine(command: &Command, temporary: &Path) -> Result<()> {
    outside::open().context("cannot start a thread")?;
    let mut places = vec![temporary.to_owned()];
    if let Command::Init(init) = command {
        places.extend(git::writable(&init.here()));
    }
    if let Some(certs) = command.certs().filter(|certs| certs.repo.is_none()) {
        places.extend(git::writable(&certs.here()));
    }
    let terminal = PathBuf::from(TERMINAL);
    let confinement = write_only(&[&places[..], &[terminal]].concat());
    tracing::debug!("{}", told(confinement, &places));
    Ok(())
}

fn told(confinement: io::Result<Confinement>, places: &[PathBuf]) -> String {
    let shown = places.iter().map(|place| format!("`{}`", place.display()));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match confinement {
        Ok(Confinement::Full) => format!("git-certs itself can write only in {shown} (Landlock)"),
        Ok(Confinement::Partial) => format!(
            "git-certs itself can write only in {shown}, but empty other files (Landlock of an old kernel)"
        ),
        Ok(Confinement::None) => {
            "the system has no Landlock, or that of before Linux 5.19: git-certs can write wherever its user can"
                .to_owned()
        }
        // Some sandboxes forbid it.
        Err(error) => format!("git-certs can write wherever its user can: {error}"),
    }
}

impl Command {
    /// Where its cert repository is; none for what needs none.
    fn certs(&self) -> Option<&CertRepo> {
        Some(match self {
            Self::Renew(renew) => &renew.run.certs,
            Self::Plan(plan) => &plan.run.certs,
            Self::Doctor(doctor) => &doctor.run.certs,
            Self::Account { command } => &command.place().certs,
            Self::Unlock(unlock) => &unlock.run.certs,
            Self::Revoke(revoke) => &revoke.run.certs,
            Self::Recipients { command } => &command.place().certs,
            Self::Rekey(rekey) => &rekey.place.keys.certs,
            Self::Export(export) => &export.place.certs,
            Self::Import(import) => &import.place.keys.certs,
            Self::Verify(verify) => &verify.place.keys.certs,
            Self::Status(status) => &status.place.certs,
            Self::Why(why) => &why.place.certs,
            Self::Log(log) => &log.place.keys.certs,
            Self::Rollback(rollback) => &rollback.place.keys.certs,
            // Their folder is no cert repository yet, or they read alone.
            Self::Init(_)
            | Self::Check(_)
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Providers(_)
            | Self::PrintIr(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_came_of_it_is_said() {
        let places = ["/tmp/git-certs-a".into(), "/repo".into()];
        let said = |confinement| told(Ok(confinement), &places);
        assert_eq!(
            said(Confinement::Full),
            "git-certs itself can write only in `/tmp/git-certs-a`, `/repo` (Landlock)"
        );
        assert_eq!(
            said(Confinement::Partial),
            "git-certs itself can write only in `/tmp/git-certs-a`, `/repo`, but empty other files (Landlock of an old kernel)"
        );
        assert_eq!(
            said(Confinement::None),
            "the system has no Landlock, or that of before Linux 5.19: git-certs can write wherever its user can"
        );
    }
}
