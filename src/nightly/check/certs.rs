//! certs.json: all that is wrong with it, and all that is likely not what was meant.

use anyhow::{Error, Result};
use serde_json::Value;

use crate::model::diagnostic::{Diagnostic, Place, Rule, Spot};
use crate::model::hint::find;
use crate::nightly::fits;
use crate::nightly::job::Override;
use crate::nightly::names;
use crate::nightly::overlaps;
use crate::repo::certs_json::{self, At, CERTS_JSON, Certificate, Defaults, Examined, Places};
use crate::repo::git::Workspace;
use crate::repo::layout;

/// What certs.json asks for, as far as it is right.
#[derive(Default)]
pub(super) struct List {
    /// As people see it.
    path: String,
    places: Places,
    examined: Examined,
}

impl List {
    pub(super) fn certificates(&self) -> &[Certificate] {
        &self.examined.certificates
    }

    pub(super) fn place(&self, at: &At) -> Place {
        Place::at(&self.path, Some(self.places.spot(at)))
    }

    /// Where a certificate has one of its identifiers.
    pub(super) fn place_of(&self, found: &Certificate, position: usize) -> Place {
        self.place(&match found.items.get(position) {
            Some(item) => At {
                item: Some(*item),
                ..At::field(found.entry, "names")
            },
            None => At::field(found.entry, "csr"),
        })
    }
}

/// Reads certs.json, or the list that takes its place. `shown` is the folder of the cert repository as people see it.
pub(super) fn look(
    workspace: &Workspace,
    instead: Option<&Override>,
    defaults: &Defaults,
    shown: &str,
) -> (List, Vec<Diagnostic>) {
    let (origin, path) = match instead {
        Some(other) => (other.origin.as_str(), other.origin.clone()),
        None => (CERTS_JSON, format!("{shown}{CERTS_JSON}")),
    };
    let bytes = match instead {
        Some(other) => Ok(other.text.clone().into_bytes()),
        None => workspace
            .read(CERTS_JSON)
            .and_then(|bytes| bytes.ok_or_else(|| layout::no_list(workspace))),
    };
    let (entries, places) = match bytes.and_then(|bytes| read(&bytes, origin)) {
        Ok(read) => read,
        Err(error) => {
            let place = Place::at(&path, spot(&error));
            let said = Diagnostic::error(Rule::CertsJson, place, &error);
            return (List::default(), vec![said]);
        }
    };
    let examined = certs_json::examine(&entries, defaults, &|path| workspace.read(path));
    let list = List {
        path,
        places,
        examined,
    };
    let mut all = repetitions(&list, &entries);
    all.extend(problems(&list));
    all.extend(
        list.certificates()
            .iter()
            .flat_map(|found| one(&list, found)),
    );
    all.extend(several(&list));
    (list, all)
}

fn read(bytes: &[u8], origin: &str) -> Result<(Vec<Value>, Places)> {
    let entries = certs_json::entries(bytes, origin)?;
    let text = String::from_utf8_lossy(certs_json::without_mark(bytes));
    Ok((entries, Places::of(&text)))
}

/// Where JSON ends to be JSON.
fn spot(error: &Error) -> Option<Spot> {
    let json: &serde_json::Error = find(error)?;
    Some(Spot {
        line: json.line(),
        column: Some(json.column().max(1)),
    })
}

fn repetitions(list: &List, entries: &[Value]) -> Vec<Diagnostic> {
    let fields = list.places.repeated().map(|(entry, field, spot)| {
        let what = format!("entry {} has the field `{field}` twice", entry + 1);
        let place = Place::at(&list.path, Some(spot));
        let hint = "one of them counts, the other does not: leave one out";
        Diagnostic::warning(Rule::CertsJson, place, what, hint)
    });
    let doubled = certs_json::doubled(entries).into_iter();
    let names = doubled.map(|(at, name)| {
        let what = format!("`{name}` is in the list already");
        Diagnostic::warning(Rule::Names, list.place(&at), what, "leave it out")
    });
    fields.chain(names).collect()
}

fn problems(list: &List) -> Vec<Diagnostic> {
    let problems = list.examined.problems.iter().map(|problem| {
        let rule = match problem.at.field.as_deref() {
            Some("names") => Rule::Names,
            Some("recipients") => Rule::Recipients,
            _ => Rule::CertsJson,
        };
        let place = list.place(&problem.at);
        Diagnostic::error(rule, place, &problem.error).of(&problem.subject())
    });
    let remarks = list.examined.remarks.iter().map(|remark| {
        let what = format!("{} {}", remark.subject(), remark.what);
        Diagnostic::warning(Rule::CertsJson, list.place(&remark.at), what, remark.hint)
    });
    problems.chain(remarks).collect()
}

/// What no CA certifies, or not together, and a CA that is none.
fn one(list: &List, found: &Certificate) -> Vec<Diagnostic> {
    let (identifiers, subject) = (&found.wanted.identifiers, found.subject());
    let mut all = Vec::new();
    if let Err(error) = fits::ca_of(&subject, &found.wanted) {
        let place = list.place(&At::field(found.entry, "acme"));
        all.push(Diagnostic::error(Rule::CertsJson, place, &error));
    }
    for (position, identifier) in identifiers.iter().enumerate() {
        let place = || list.place_of(found, position);
        if let Some(error) = names::refused(identifier) {
            let said = Diagnostic::error(Rule::Names, place(), &error);
            all.push(said.of(&subject));
        }
        if let Some(what) = names::overlap(identifier, identifiers) {
            let what = format!("{subject}: {what}");
            all.push(Diagnostic::warning(
                Rule::Names,
                place(),
                what,
                names::REDUNDANT,
            ));
        }
    }
    all
}

/// Certificates that are in each other's way.
fn several(list: &List) -> Vec<Diagnostic> {
    let right = list.certificates().iter().filter(|found| found.is_right);
    let right: Vec<_> = right.collect();
    let wanted: Vec<_> = right.iter().map(|found| &found.wanted).collect();
    let duplicates = overlaps::duplicates(&wanted).into_iter();
    let duplicates = duplicates.map(|(position, first)| {
        let what = format!("asks for the same names and kind of key as `{first}`");
        let hint = "one of them is enough: Let's Encrypt issues five a week for the same names";
        (position, what, hint)
    });
    let same_folder = overlaps::same_folder(&wanted).into_iter();
    let same_folder = same_folder.map(|(position, first)| {
        let what = format!("differs in case alone from `{first}`");
        let hint = "choose another name: where a file system does not tell case apart, both have one folder";
        (position, what, hint)
    });
    let all = duplicates
        .chain(same_folder)
        .filter_map(|(position, what, hint)| {
            let found = right.get(position)?;
            let place = list.place(&At::field(found.entry, "cert_name"));
            let what = format!("{} {what}", found.subject());
            Some(Diagnostic::warning(Rule::Names, place, what, hint))
        });
    all.collect()
}
