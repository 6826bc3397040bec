//! What an import does, for people.

use crate::model::import::{Exposed, Imported, Importing};
use crate::model::wording::count;
use crate::report::tame::tame;

const CUT_OFF: &str = "the history is not here: `git-certs verify --history` in a full clone says which keys it gives away";

const BY_PGP: &str =
    "older commits have keys encrypted with PGP: who was an admin of blackbox then can open them";

/// Everything, before it is done.
pub(crate) fn text(importing: &Importing) -> String {
    let place = match &importing.folder {
        Some(folder) => format!("in `{}`", tame(folder)),
        None => "in this repository".to_owned(),
    };
    let mut parts = vec![format!("{}, {place}\n", importing.tool), lines(importing)];
    if let Some(exposed) = &importing.exposed {
        parts.push(given_away(exposed));
    }
    parts.push(if importing.is_nothing() {
        "nothing to import\n".to_owned()
    } else {
        format!(
            "{} and {} to import, {} to remove\n",
            count(importing.certificates.len(), "certificate"),
            count(importing.accounts.len(), "account"),
            count(importing.removed.len(), "file"),
        )
    });
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// A line for each thing.
fn lines(importing: &Importing) -> String {
    let mut text = String::new();
    let mut line = |verb: &str, what: &str| text += &format!("{verb:<8} {}\n", tame(what));
    for certificate in &importing.certificates {
        line("import", &described(certificate));
    }
    for (host, kind) in &importing.accounts {
        line("import", &format!("account at `{host}`: {kind}"));
    }
    for what in &importing.there {
        line("there", what);
    }
    for name in &importing.listed {
        line("list", &format!("`{name}` in certs.json"));
    }
    for path in &importing.removed {
        line("remove", path);
    }
    for path in &importing.edited {
        line("edit", path);
    }
    for note in &importing.notes {
        line("note", note);
    }
    match &importing.exposed {
        None => line("note", CUT_OFF),
        Some(exposed) if exposed.by_pgp => line("note", BY_PGP),
        Some(_) => {}
    }
    text
}

/// What was done.
pub(crate) fn done(importing: &Importing, pushed: Option<&str>) -> String {
    let mut text = format!(
        "imported {} and {}\n",
        count(importing.certificates.len(), "certificate"),
        count(importing.accounts.len(), "account"),
    );
    if let Some(pushed) = pushed {
        text += &format!("{}\n", tame(pushed));
    }
    text
}

fn described(certificate: &Imported) -> String {
    let Imported {
        name,
        label,
        names,
        key_type,
        not_after,
        key_path,
    } = certificate;
    let label = label.as_ref().map(|label| format!(", there `{label}`"));
    let kind = key_type.map(|kind| format!("{kind}, "));
    format!(
        "`{name}`{}: {}; {}until {}; key in {key_path}",
        label.unwrap_or_default(),
        names.join(", "),
        kind.unwrap_or_default(),
        not_after.date(),
    )
}

fn given_away(exposed: &Exposed) -> String {
    if exposed.files.is_empty() {
        return String::new();
    }
    let mut text = "older commits have keys of today in plain text, for everybody who could ever read the repository:\n".to_owned();
    for (path, commit) in &exposed.files {
        text += &format!("  {} in {commit}\n", tame(path));
    }
    text += "\nonce all is pushed, replace them:\n";
    for (name, is_listed) in &exposed.certificates {
        let renew = if *is_listed { " --renew-now" } else { "" };
        text += &format!("  git-certs revoke {name} --reason keyCompromise{renew}\n");
    }
    for host in &exposed.accounts {
        text += &format!("  git-certs account rollover    for `{}`\n", tame(host));
    }
    text
}
