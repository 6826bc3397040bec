//! The history of one certificate, and its files as an older commit has them.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow};
use git2::{Oid, Repository, Sort, Tree};

use crate::model::certificate::{CertificateName, Held};
use crate::model::chain::Leaf;
use crate::model::finding::Level;
use crate::model::hint::Hint;
use crate::model::history::{Change, Commit, Step};
use crate::model::secret::Sealed;
use crate::repo::bindings;
use crate::repo::commits::described;
use crate::repo::git::{Content, File};
use crate::repo::held::{self, Key};
use crate::repo::keys;
use crate::repo::layout::certificate_file;
use crate::repo::revoked;
use crate::repo::sizes;
use crate::repo::walk::{self, FOLDER, Place};

/// A certificate as a commit has it.
pub(crate) struct Version {
    pub(crate) commit: Commit,
    pub(crate) chain: Vec<u8>,
    pub(crate) leaf: Leaf,
    /// NAME.json.
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) key: Option<Sealed>,
    /// get-certs left the key in plain text.
    pub(crate) has_plain_key: bool,
    /// Why its files do not belong together.
    pub(crate) faults: Vec<String>,
}

impl Version {
    /// As a plan takes it. `key_is_elsewhere`: somebody else has its key.
    pub(crate) fn held(&self, key_is_elsewhere: bool) -> Result<Held, String> {
        let key = match &self.key {
            Some(key) => Key::Sealed(key.as_str().as_bytes()),
            None if key_is_elsewhere => Key::Other,
            None => Key::Missing,
        };
        held::held_of(Ok(self.leaf.clone()), key, self.description.as_deref())
    }

    /// Files that put it in the place of another.
    pub(crate) fn files(&self, name: &CertificateName) -> Vec<File> {
        let public =
            |bytes: &Option<Vec<u8>>| bytes.clone().map_or(Content::Removed, Content::Public);
        let key = self.key.clone().map_or(Content::Removed, Content::Sealed);
        // As a run orders them: a key without its certificate does less harm than the reverse.
        let files = [
            ("key.age", key),
            ("crt", Content::Public(self.chain.clone())),
            ("json", public(&self.description)),
        ];
        let files = files.map(|(end, content)| File {
            path: certificate_file(name, end),
            content,
        });
        files.into()
    }
}

/// The commits that changed files of a certificate, the newest first. An error where older ones are missing.
pub(crate) fn of(place: &Place, name: &CertificateName) -> Result<Vec<Step>> {
    place.must_be_whole()?;
    let repository = place.open()?;
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    walk.push(place.tip)?;
    let path = format!("{}certificates/{name}", place.prefix);
    let mut folders = Folders {
        repository: &repository,
        path: &path,
        known: HashMap::new(),
    };
    let mut steps = Vec::new();
    for id in walk {
        let id = id?;
        let commit = sizes::commit(&repository, id)?;
        let after = folders.of(id)?;
        let before = commit.parent_ids().map(|parent| folders.of(parent));
        let before: Vec<_> = before.collect::<Result<_>>()?;
        // A merge that took one side as it was has changed nothing.
        if before.contains(&after) || before.is_empty() && after.is_none() {
            continue;
        }
        let before = before.first().copied().flatten();
        steps.push(step(&repository, &commit, name, (before, after))?);
    }
    Ok(steps)
}

/// The certificate as the commit has it that `revision` names.
pub(crate) fn at(place: &Place, name: &CertificateName, revision: &str) -> Result<Version> {
    let repository = place.open()?;
    let commit = sizes::named(&repository, revision)?
        .ok_or_else(|| anyhow!("there is no commit `{revision}`"))
        .hint(|| format!("`git-certs log {name}` shows the commits of this certificate"))?;
    if commit.id() != place.tip && !repository.graph_descendant_of(place.tip, commit.id())? {
        // What is known of it, such as that it was revoked, need not be known here.
        return Err(anyhow!(
            "commit {} is not in the history of this branch",
            described(&commit).short_id()
        ))
        .hint(|| {
            format!(
                "`git-certs log {name}` shows the commits of this certificate; to take one of elsewhere all the same, \
                 `git checkout COMMIT -- certificates/{name}` and look at it yourself"
            )
        });
    }
    let path = format!("{}certificates/{name}", place.prefix);
    let mut folders = Folders {
        repository: &repository,
        path: &path,
        known: HashMap::new(),
    };
    let folder = folders.of(commit.id())?;
    let folder = folder.map(|id| repository.find_tree(id)).transpose()?;
    let file = |end: &str| bytes(&repository, folder.as_ref(), &format!("{name}.{end}"));
    let shown = described(&commit);
    let chain = file("crt")?
        .ok_or_else(|| anyhow!("commit {} has no certificate `{name}`", shown.short_id()))
        .hint(|| format!("`git-certs log {name}` shows the commits of this certificate"))?;
    let unusable = |end: &str| {
        format!(
            "`{name}.{end}` of commit {} cannot be used",
            shown.short_id()
        )
    };
    // What is no text is no age file.
    let text = |bytes| String::from_utf8(bytes).unwrap_or_default();
    let key = file("key.age")?.map(|bytes| Sealed::new(text(bytes)));
    let named = |file: &str| bytes(&repository, folder.as_ref(), file);
    let faults = bindings::certificate(name.as_str(), &mut |file| named(file))?;
    let faults = faults
        .into_iter()
        .filter(|fault| fault.level == Level::Fault);
    Ok(Version {
        faults: faults
            .map(|fault| format!("`{}`: {}", fault.file, fault.what))
            .collect(),
        leaf: Leaf::from_pem(&chain).with_context(|| unusable("crt"))?,
        chain,
        description: file("json")?,
        key: key.transpose().with_context(|| unusable("key.age"))?,
        has_plain_key: file("key")?.is_some() || file("pem")?.is_some(),
        commit: shown,
    })
}

/// The folder of a certificate in commits, each looked up once: a folder of thousands is long.
struct Folders<'r> {
    repository: &'r Repository,
    path: &'r str,
    known: HashMap<Oid, Option<Oid>>,
}

impl Folders<'_> {
    fn of(&mut self, commit: Oid) -> Result<Option<Oid>> {
        if let Some(known) = self.known.get(&commit) {
            return Ok(*known);
        }
        let odb = self.repository.odb()?;
        let mut at = Some(sizes::commit(self.repository, commit)?.tree_id());
        for part in self.path.split('/') {
            let Some(tree) = at else { break };
            let tree = odb.read(tree)?;
            let mut entries = walk::entries(tree.data());
            let entry = entries.find(|entry| entry.name == part.as_bytes());
            at = entry
                .filter(|entry| entry.kind == FOLDER)
                .map(|entry| entry.id);
        }
        self.known.insert(commit, at);
        Ok(at)
    }
}

fn step(
    repository: &Repository,
    commit: &git2::Commit<'_>,
    name: &CertificateName,
    (before, after): (Option<Oid>, Option<Oid>),
) -> Result<Step> {
    let tree = |id: Option<Oid>| id.map(|id| repository.find_tree(id)).transpose();
    let (before, after) = (tree(before)?, tree(after)?);
    let id = |tree: &Option<Tree<'_>>, end: &str| {
        let entry = tree.as_ref()?.get_name(&format!("{name}.{end}"))?.id();
        Some(entry)
    };
    let differs = |end: &str| id(&before, end) != id(&after, end);
    let change = match () {
        () if differs("crt") && id(&after, "crt").is_none() => Change::Removed,
        () if differs("crt") => Change::Certificate,
        () if differs("key.age") => Change::Key,
        () if differs("json") => Change::Description,
        () => Change::Other,
    };
    let file = |end: &str| bytes(repository, after.as_ref(), &format!("{name}.{end}"));
    let (chain, description, key) = (file("crt")?, file("json")?, file("key.age")?);
    let description = description.as_deref();
    let mark = description.and_then(revoked::mark_in);
    Ok(Step {
        commit: described(commit),
        change,
        leaf: chain.and_then(|bytes| Leaf::from_pem(&bytes).ok()),
        revoked: mark.as_ref().map(ToString::to_string),
        key_is_swapped: description
            .zip(key)
            .is_some_and(|(description, key)| keys::names_another(description, &key)),
        is_compromised: mark.is_some_and(|mark| mark.is_compromised()),
    })
}

/// The file of this name in a folder; none if there is none.
fn bytes(
    repository: &Repository,
    folder: Option<&Tree<'_>>,
    name: &str,
) -> Result<Option<Vec<u8>>> {
    let Some(entry) = folder.and_then(|folder| folder.get_name(name)) else {
        return Ok(None);
    };
    let object = entry.to_object(repository)?;
    Ok(object.as_blob().map(|blob| blob.content().to_vec()))
}
