//! Decides what becomes of everything that another program keeps.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Error, Result, anyhow};
use serde_json::{Map, Value, json};

use crate::acme::presets::Directory;
use crate::model::certificate::{CertificateName, Wanted};
use crate::model::chain::{self, Leaf};
use crate::model::hint::{Hint, with_hint};
use crate::model::import::{Imported, Importing, Tool};
use crate::model::name::Identifier;
use crate::nightly::exposed::AccountKeys;
use crate::nightly::import::ImportJob;
use crate::nightly::import_keys::{Fitting, fitting_key};
use crate::nightly::job::Override;
use crate::repo::certs_json::{self, CERTS_JSON, Defaults};
use crate::repo::git::{Content, File, Workspace};
use crate::repo::import::files::{self, Import, There};
use crate::repo::import::names::fitting;
use crate::repo::import::seen::Seen;
use crate::repo::import::{Found, FoundCertificate, list};
use crate::repo::layout;
use crate::repo::recipients::Recipients;

/// What is to be stored and removed.
pub(crate) struct Decided {
    /// For one commit.
    pub(super) files: Vec<File>,
    /// Files that no commit has, which go once theirs is stored.
    pub(super) uncommitted: Vec<String>,
    /// What all these files were when they were read.
    pub(super) seen: Seen,
    /// Public keys of accounts that come over.
    pub(super) account_keys: AccountKeys,
    /// What certs.json has, or gets.
    pub(super) listed: Vec<CertificateName>,
}

/// Decides, and encrypts keys.
pub(super) fn decide(
    workspace: &Workspace,
    job: &ImportJob,
    (tool, found, seen): (Tool, Found, Seen),
) -> Result<(Importing, Decided)> {
    let text = list_text(workspace, job)?;
    let mut decider = Decider {
        workspace,
        job,
        is_here: job.folder.is_none(),
        wanted: wanted(workspace, job, text.as_deref())?,
        has_list: text.is_some(),
        entries: Vec::new(),
        no_recipients: None,
        taken: BTreeMap::new(),
        files: Vec::new(),
        removed: Vec::new(),
        seen,
        account_keys: AccountKeys::new(),
        importing: Importing {
            tool,
            left: found.left,
            ..Importing::default()
        },
    };
    for certificate in found.certificates {
        let about = format!("cannot import `{}`", certificate.label);
        if let Err(error) = decider.certificate(certificate) {
            decider.importing.left.push(error.context(about));
        }
    }
    decider.accounts(found.accounts);
    if let Some(error) = decider.no_recipients {
        return Err(error);
    }
    decider.done(text.as_deref())
}

/// certs.json of the repository, or the file that takes its place; none where there is none.
fn list_text(workspace: &Workspace, job: &ImportJob) -> Result<Option<String>> {
    if let Some(Override { text, .. }) = &job.certs_json {
        return Ok(Some(text.clone()));
    }
    let bytes = workspace.read(CERTS_JSON)?;
    let text = bytes.map(String::from_utf8).transpose();
    text.with_context(|| format!("`{CERTS_JSON}` is not UTF-8"))
}

fn wanted(workspace: &Workspace, job: &ImportJob, text: Option<&str>) -> Result<Vec<Wanted>> {
    // A list that is yet to be filled.
    let Some(text) = text.filter(|text| text.split_whitespace().collect::<String>() != "[]") else {
        return Ok(Vec::new());
    };
    let origin = job.certs_json.as_ref();
    let origin = origin.map_or(CERTS_JSON, |list| list.origin.as_str());
    let read = |path: &str| workspace.read(path);
    let listed = certs_json::parse(text.as_bytes(), origin, &Defaults::default(), &read)?;
    Ok(listed.wanted)
}

pub(super) struct Decider<'d> {
    pub(super) workspace: &'d Workspace,
    pub(super) job: &'d ImportJob,
    /// The files are those of the cert repository itself.
    pub(super) is_here: bool,
    pub(super) wanted: Vec<Wanted>,
    pub(super) has_list: bool,
    /// What certs.json gets.
    pub(super) entries: Vec<Value>,
    /// Why keys cannot be encrypted, which is the same for all of them.
    pub(super) no_recipients: Option<Error>,
    /// Names that are given, and whose they are.
    pub(super) taken: BTreeMap<CertificateName, String>,
    pub(super) files: Vec<File>,
    pub(super) removed: Vec<String>,
    pub(super) seen: Seen,
    pub(super) account_keys: AccountKeys,
    pub(super) importing: Importing,
}

impl Decider<'_> {
    fn certificate(&mut self, found: FoundCertificate) -> Result<()> {
        let leaf = Leaf::from_pem(&found.chain).context("its certificate cannot be read")?;
        let name = self.name(&found.label, &leaf)?;
        let there = files::there(self.workspace, &name)?;
        let encrypted = layout::certificate_file(&name, "key.age");
        let encrypted = (self.is_here && there.is_bound).then_some(encrypted.as_str());
        let public = Some(leaf.public_key.as_slice());
        let Fitting { key, paths, others } =
            fitting_key(public, "certificate", found.keys, encrypted)?;
        self.importing.left.extend(others);
        self.taken.insert(name.clone(), found.label.clone());
        self.refuse_losses(&name, &there)?;
        // A key in plain text is encrypted before it is removed, whatever is said to be there.
        if !self.is_here && !is_newer(&leaf, &there)? {
            self.importing.there.push(format!("certificate `{name}`"));
            return Ok(());
        }
        let names = ordered(&found.names, &leaf);
        let directory = self.directory(found.ca.as_deref());
        self.note_unknown_ca(&name, found.ca.as_deref(), directory.as_ref());
        let listed = self.wanted.iter().find(|wanted| wanted.name == name);
        let recipients = listed.and_then(|wanted| wanted.recipients.as_deref());
        let instead = self.job.recipients.as_ref().map(Override::as_pair);
        let recipients =
            layout::recipients(&mut self.workspace.reader()?, &name, recipients, instead);
        let Some(recipients) = self.readers(recipients) else {
            return Ok(());
        };
        let import = Import {
            name: name.clone(),
            chain: chain::certificates(&found.chain)?,
            domain: names.first().map(ToString::to_string),
            url: found.url,
            directory: directory
                .as_ref()
                .map(|directory| directory.url().to_owned()),
            leaf: leaf.clone(),
        };
        self.files
            .extend(files::files(self.workspace, &import, &key, &recipients)?);
        if self.is_here {
            self.removed
                .extend(paths.iter().cloned().chain(found.copies));
        }
        let texts: Vec<_> = names.iter().map(ToString::to_string).collect();
        self.list(
            &import,
            &texts,
            found.settings,
            chain::must_staple(&found.chain),
        );
        self.importing.certificates.push(Imported {
            label: Some(found.label).filter(|label| label != name.as_str()),
            name,
            names: texts,
            key_type: leaf.key_type,
            not_after: leaf.not_after,
            key_path: paths.into_iter().next().unwrap_or_default(),
        });
        Ok(())
    }

    /// The name in certs.json: of an entry with these names, or one that fits.
    fn name(&self, label: &str, leaf: &Leaf) -> Result<CertificateName> {
        let fits = fitting(label).context("no name of certs.json can be made of its name")?;
        if self.is_here {
            return label.parse().map_err(|_| {
                with_hint(
                    anyhow!("its folder is not named as certs.json names certificates"),
                    "a name is a letter, then letters, digits, `-` and `_`: rename the folder and the files in it",
                )
            });
        }
        let names: BTreeSet<_> = leaf.identifiers.iter().collect();
        let mut same = self
            .wanted
            .iter()
            .filter(|wanted| wanted.identifier_set() == names);
        let is_listed = self.wanted.iter().any(|wanted| wanted.name == fits);
        let name = match (is_listed, same.next(), same.next()) {
            (false, Some(only), None) if !self.taken.contains_key(&only.name) => only.name.clone(),
            _ => fits,
        };
        match self.taken.get(&name) {
            Some(other) => Err(anyhow!(
                "`{other}` would have the same name in certs.json: `{name}`"
            )),
            None => Ok(name),
        }
    }

    /// Those who can open a key; without them nothing can be imported.
    pub(super) fn readers(&mut self, recipients: Result<Recipients>) -> Option<Recipients> {
        recipients
            .map_err(|error| self.no_recipients.get_or_insert(error))
            .ok()
    }

    /// The CA that a program names by its directory, or by its host alone.
    pub(super) fn directory(&self, ca: Option<&str>) -> Option<Directory> {
        let own = &self.job.directory;
        match ca {
            None => None,
            Some(ca) if own.url() == ca || own.host() == ca => Some(own.clone()),
            Some(ca) => ca.parse().ok().or_else(|| Directory::at_host(ca)),
        }
    }

    fn note_unknown_ca(
        &mut self,
        name: &CertificateName,
        ca: Option<&str>,
        directory: Option<&Directory>,
    ) {
        let (Some(ca), None, false) = (ca, directory, self.is_here) else {
            return;
        };
        let own = self.job.directory.host();
        self.importing.notes.push(format!(
            "the CA of `{name}` is at `{ca}`; where its directory is, is told nowhere: `{own}` renews it, as `--acme` says"
        ));
    }

    /// Adds a certificate to certs.json, unless it is there. get-certs' list says what is to be renewed, and is complete.
    fn list(
        &mut self,
        import: &Import,
        names: &[String],
        settings: Map<String, Value>,
        must_staple: bool,
    ) {
        let name = &import.name;
        if self.wanted.iter().any(|wanted| wanted.name == *name) {
            return;
        }
        if self.is_here && self.has_list {
            self.importing.notes.push(format!(
                "`{name}` is not in {CERTS_JSON}: its key is encrypted, but nothing renews it"
            ));
            return;
        }
        let mut entry = Map::new();
        entry.insert("cert_name".to_owned(), name.as_str().into());
        entry.insert("names".to_owned(), json!(names));
        if let Some(key_type) = import.leaf.key_type {
            entry.insert("key_type".to_owned(), json!(key_type));
        }
        if must_staple {
            entry.insert("must_staple".to_owned(), true.into());
        }
        let own = self.job.directory.url();
        if let Some(directory) = import.directory.as_ref().filter(|url| *url != own) {
            entry.insert("acme".to_owned(), directory.as_str().into());
        }
        entry.extend(settings);
        self.entries.push(entry.into());
        self.importing.listed.push(name.clone());
    }

    /// Everything together.
    fn done(mut self, text: Option<&str>) -> Result<(Importing, Decided)> {
        self.add_to_list(text)?;
        let uncommitted = self.remove()?;
        let listed = self.wanted.iter().map(|wanted| wanted.name.clone());
        let listed = listed
            .chain(self.importing.listed.iter().cloned())
            .collect();
        let written = self.files.iter().map(|file| file.path.clone());
        let lists = [layout::RECIPIENTS, layout::ACCOUNT_RECIPIENTS].map(str::to_owned);
        let lists = lists
            .into_iter()
            .chain(self.taken.keys().map(layout::own_recipients));
        let paths = written.chain(uncommitted.iter().cloned()).chain(lists);
        let seen = self.seen.of(self.workspace, &paths.collect())?;
        let decided = Decided {
            files: self.files,
            uncommitted,
            seen,
            account_keys: self.account_keys,
            listed,
        };
        Ok((self.importing, decided))
    }

    fn add_to_list(&mut self, text: Option<&str>) -> Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        if let Some(list) = &self.job.certs_json {
            let entries: Vec<_> = self.entries.iter().map(ToString::to_string).collect();
            self.importing.notes.push(format!(
                "`{}` takes the place of {CERTS_JSON} and is not changed: add {}",
                list.origin,
                entries.join(", ")
            ));
            self.importing.listed.clear();
            return Ok(());
        }
        let new = list::with(text, &self.entries)
            .with_context(|| format!("cannot add to `{CERTS_JSON}`"))?;
        let read = |path: &str| self.workspace.read(path);
        certs_json::parse(new.as_bytes(), CERTS_JSON, &Defaults::default(), &read)?;
        self.files.push(File {
            path: CERTS_JSON.to_owned(),
            content: Content::Public(new.into_bytes()),
        });
        Ok(())
    }
}

/// Whether the repository gets a certificate that it does not have, or an encrypted key.
///
/// An error where what it has is for other names: then it is another certificate, whatever it is called.
fn is_newer(leaf: &Leaf, there: &There) -> Result<bool> {
    let Some(held) = &there.leaf else {
        return Ok(true);
    };
    if held.identifiers != leaf.identifiers {
        let names = chain::list(&held.identifiers);
        return Err(anyhow!("the repository has one of that name, for {names}")).hint(
            || "where this one shall take its place, remove that folder from the repository first",
        );
    }
    Ok(if held == leaf {
        !there.is_bound
    } else {
        !there.has_key || held.not_after < leaf.not_after
    })
}

/// Names of a certificate: as the program has them, as far as it tells.
fn ordered(told: &[String], leaf: &Leaf) -> Vec<Identifier> {
    let told = told.iter().filter_map(|name| name.parse().ok());
    let told = told.filter(|name| leaf.identifiers.contains(name));
    // A wildcard after the name that it is of, as people write it.
    let mut others: Vec<_> = leaf.identifiers.iter().cloned().collect();
    others.sort_by_key(|name| {
        let bare = name.as_str().strip_prefix("*.").map(str::to_owned);
        (
            bare.clone().unwrap_or_else(|| name.to_string()),
            bare.is_some(),
        )
    });
    let mut all: Vec<Identifier> = Vec::new();
    for name in told.chain(others) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}
