//! What a run needs to know of journals.

use std::time::Duration;

use crate::cli::environment;
use crate::cli::settings::Settings;
use crate::nightly::found::JournalSettings;

/// How long a run may give no sign of life before the next one takes over.
const LOCK_TIMEOUT: Duration = Duration::from_hours(2);

/// Where the journal is kept, and who keeps it.
pub(super) fn journal(settings: &Settings) -> JournalSettings {
    JournalSettings {
        keeping: settings.journal.unwrap_or_default(),
        lock_timeout: settings.lock_timeout.map_or(LOCK_TIMEOUT, |seconds| {
            Duration::from_secs(seconds.get().into())
        }),
        run: environment::this_run(),
    }
}
