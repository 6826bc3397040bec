//! Everything that can be said of the two repositories without a secret and without the CA: for pull requests, and
//! before a commit.

mod certs;
mod recipients;
mod zones;

use anyhow::Result;

use crate::model::diagnostic::{Diagnostic, Place, Rule, Severity};
use crate::model::finding::{Finding, Level};
use crate::model::home::Home;
use crate::nightly::job::Override;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::repo::certs_json::Defaults;

pub(crate) use crate::nightly::check::zones::{Dns, Shown};

/// What is compared with what.
pub(crate) struct Check {
    /// Folder of the cert repository as people see it, with a final `/`, or empty.
    pub(crate) shown: String,
    pub(crate) defaults: Defaults,
    /// certs.json from elsewhere than the root of the cert repository.
    pub(crate) certs_json: Option<Override>,
    pub(crate) recipients: Option<Override>,
    /// Where certificates are.
    pub(crate) home: Home,
    pub(crate) dns: Option<Dns>,
}

/// Looks at everything, and says all of it in the order of the files. An error means that something could not be read.
pub(crate) async fn check(workspaces: &Workspaces, check: Check) -> Result<Vec<Diagnostic>> {
    let Check {
        shown,
        defaults,
        certs_json,
        recipients,
        home,
        dns,
    } = check;
    let (list, mut all) = workspaces
        .with(move |workspace| {
            let (list, mut all) = certs::look(workspace, certs_json.as_ref(), &defaults, &shown);
            let recipients = recipients.as_ref();
            all.extend(recipients::look(
                workspace,
                &list,
                (recipients, home),
                &shown,
            )?);
            let exposed = workspace.exposed()?.into_iter();
            all.extend(exposed.map(|finding| exposed_key(finding, &shown)));
            Ok((list, all))
        })
        .await?;
    if let Some(dns) = dns {
        all.extend(blocking(move || Ok(dns.compare(&list))).await?);
    }
    Ok(all)
}

fn exposed_key(finding: Finding, shown: &str) -> Diagnostic {
    let Finding {
        level,
        place,
        what,
        hint,
        ..
    } = finding;
    let path = place.path().map(|path| format!("{shown}{path}"));
    Diagnostic {
        severity: match level {
            Level::Fault => Severity::Error,
            Level::Note => Severity::Warning,
        },
        rule: Rule::PrivateKeys,
        place: Place { path, spot: None },
        what,
        hints: vec![hint],
    }
}
