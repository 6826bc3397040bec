//! What was issued and could not be stored where it belongs: where it is, and what is to be done.

use std::collections::BTreeSet;
use std::path::Path;

use crate::model::wording::count;
use crate::nightly::logbook::Logbook;
use crate::nightly::run::Nightly;
use crate::nightly::workspaces::blocking;
use crate::repo::git::{self, File, Workspace};

impl Nightly {
    /// Saves files that the repository did not take in the folder that is for it, and says who has them else.
    pub(super) async fn rescue(&self, files: Vec<File>, (is_committed, logbook): (bool, &Logbook)) {
        if files.is_empty() {
            return;
        }
        let folders = files.iter().map(|file| Path::new(&file.path).parent());
        let certificates = count(folders.collect::<BTreeSet<_>>().len(), "certificate");
        let mut is_saved = false;
        if let Some(folder) = self.job.rescue_dir.clone() {
            let shown = folder.display().to_string();
            let saved = blocking(move || git::save(&folder, &files)).await;
            is_saved = saved.is_ok();
            match saved {
                Ok(()) => self.progress.say(&format!(
                    "saved {certificates} in `{shown}`, keys encrypted: copied into the cert repository, it is as if this run had pushed"
                )),
                Err(error) => self.progress.warn(&format!(
                    "{certificates} cannot be saved in `{shown}`: {error:#}"
                )),
            }
        }
        let here = |workspace: &mut Workspace| Ok(workspace.keeps_commits());
        if is_committed && self.workspaces.with(here).await.unwrap_or(false) {
            self.progress
                .say(&format!("{certificates} not pushed: see `git log` here; `git push` brings what is committed to the server"));
        } else if logbook.is_kept() {
            self.progress.say(&format!(
                "{certificates} not pushed, but in the journal: the next run fetches what the CA has issued, and pushes it"
            ));
        } else if !is_saved {
            self.progress.warn(&format!(
                "{certificates} lost: there is no journal; `--rescue-dir` saves what cannot be pushed"
            ));
        }
    }
}
