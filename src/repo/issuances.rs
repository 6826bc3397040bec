//! Certificates of the last days: as the repository has them, and as far as its history goes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::model::certificate::{CertificateName, Issuance};
use crate::model::name::Identifier;
use crate::model::outcome::Action;
use crate::repo::git::Workspace;
use crate::repo::layout::certificate_file;

/// NAME.json, as far as limits are concerned.
#[derive(Deserialize)]
struct Description {
    names: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    serial: String,
    directory: String,
    /// What a run did; earlier versions did not say it.
    action: Option<String>,
}

/// Certificates that were issued since a moment: of those that are held, named in `held`, and of the
/// commits in which runs kept others before them.
///
/// A clone has one commit only, and an older NAME.json may not say all: what cannot be read is left
/// out, so this is the least that was issued.
pub(crate) fn since(
    workspace: &Workspace,
    held: &[CertificateName],
    moment: OffsetDateTime,
) -> Result<Vec<Issuance>> {
    let mut texts = workspace.past(moment.unix_timestamp(), &description_of)?;
    for name in held {
        texts.extend(workspace.read(&certificate_file(name, "json"))?);
    }
    let all = texts.iter().filter_map(|text| issuance(text));
    let recent = all.filter(|issuance| issuance.not_before >= moment);
    // A certificate that is held is in the history as well.
    let by_serial = recent.map(|issuance| {
        let key = (issuance.directory.clone(), issuance.serial.clone());
        (key, issuance)
    });
    let by_serial: BTreeMap<_, _> = by_serial.collect();
    Ok(by_serial.into_values().collect())
}

/// The file that describes the certificate of a commit, by the commit's subject: `Renew NAME: why`.
fn description_of(subject: &str) -> Option<String> {
    let (verb, rest) = subject.split_once(' ')?;
    let name: CertificateName = rest.split_once(':')?.0.parse().ok()?;
    let is_ours = ["Issue", "Reissue", "Renew"].contains(&verb);
    is_ours.then(|| certificate_file(&name, "json"))
}

fn issuance(text: &[u8]) -> Option<Issuance> {
    let Description {
        names,
        not_before,
        serial,
        directory,
        action,
    } = serde_json::from_slice(text).ok()?;
    let names = names.iter().map(|name| name.parse().ok());
    let identifiers: Option<BTreeSet<Identifier>> = names.collect();
    Some(Issuance {
        identifiers: identifiers?,
        not_before,
        serial,
        directory,
        // What changes names can take the place of another certificate, which costs nothing.
        is_renewal: action.map(|action| action != Action::Issue.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn subjects_of_runs_name_a_description() {
        let path = |subject| description_of(subject);
        let www = Some("certificates/www/www.json".to_owned());
        for subject in [
            "Issue www: not in",
            "Reissue www: names differ: + x",
            "Renew www: 3 days",
        ] {
            assert_eq!(path(subject), www);
        }
        for subject in [
            "Issue www",
            "Register an ACME account at x",
            "Renew a/b: x",
            "Revert www: x",
            "",
        ] {
            assert_eq!(path(subject), None, "{subject}");
        }
    }

    #[test]
    fn descriptions_are_read_as_far_as_they_go() {
        let text = |action: &str| {
            format!(
                r#"{{"names": ["b.test", "*.a.test"], "not_before": "2026-11-25T10:00:00Z",
                    "serial": "0A", "directory": "https://ca.test/dir"{action}}}"#
            )
        };
        let known = |action, is_renewal| {
            let found = issuance(text(action).as_bytes()).unwrap();
            assert_eq!(
                found,
                Issuance {
                    identifiers: ["*.a.test", "b.test"]
                        .map(|name| name.parse().unwrap())
                        .into(),
                    not_before: datetime!(2026-11-25 10:00:00 UTC),
                    serial: "0A".to_owned(),
                    directory: "https://ca.test/dir".to_owned(),
                    is_renewal,
                }
            );
        };
        known("", None);
        known(r#", "action": "renew""#, Some(true));
        known(r#", "action": "reissue""#, Some(true));
        known(r#", "action": "issue""#, Some(false));
        // As get-certs wrote it.
        assert_eq!(issuance(br#"{"domain": "b.test", "certUrl": "x"}"#), None);
    }
}
