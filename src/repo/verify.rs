//! Looks through a tree, or a whole history, for keys that leaked and files that do not belong together.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use git2::{Oid, Repository};

use crate::model::finding::{self, Finding, Findings, Level};
use crate::repo::allowed_signers::{ALLOWED_SIGNERS, AllowedSigners};
use crate::repo::bindings::{self, Fault};
use crate::repo::layout::RECIPIENTS;
use crate::repo::leaks::{self, Leak, State};
use crate::repo::objects::Objects;
use crate::repo::recipients::Recipients;
use crate::repo::signed::{Signatures, UNSIGNED, short};
use crate::repo::sizes;
use crate::repo::today::Today;
use crate::repo::walk::{self, Change, Place, Scope, Walked, What};

/// Largest file that is looked into, bytes: each thread has one in memory.
pub(super) const LARGEST: u64 = 256 << 20;

/// What to do where an older commit, or one of another branch, has files that do not belong together.
const MENDED: &str =
    "the last commit has others there, which belong together; `git log` says who changed them";

const CERTIFICATES: &str = "certificates/";
const ACCOUNTS: &str = ".letsencrypt/";

/// Looks at everything in a scope: each content once at each path.
///
/// Signers of `instead` count instead of those that the repository allows itself.
pub(crate) fn verify(
    place: &Place,
    scope: Scope,
    instead: Option<&AllowedSigners>,
) -> Result<Findings> {
    let walked = place.walk(scope)?;
    let today = today(place, scope)?;
    let parts = place.in_parts(&walked.changes, |place, part| {
        let repository = place.open()?;
        let mut checker = Checker::new(&repository, &walked, &today)?;
        part.iter().try_for_each(|change| checker.check(change))?;
        Ok(checker.found)
    })?;
    let commits = commits(place, scope, &walked, instead)?;
    let mut found: Vec<_> = parts.into_iter().flatten().chain(commits).collect();
    found.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.place.cmp(&b.place)));
    let files = walked.changes.iter();
    Ok(Findings {
        commits: walked.commits.len(),
        files: files.filter(|change| change.what == What::File).count(),
        all: found.into_iter().map(|(_, finding)| finding).collect(),
    })
}

/// What older commits are compared with: nothing where there are none.
fn today(place: &Place, scope: Scope) -> Result<Today> {
    if scope == Scope::Tip {
        return Ok(Today::default());
    }
    let repository = place.open()?;
    let tree = sizes::files_of(&repository, place.tip)?.id();
    let objects = Objects::of(&repository)?;
    Today::of(&objects, tree, &place.prefix, &[CERTIFICATES, ACCOUNTS])
}

/// Looks at messages and signatures.
///
/// What is on other branches alone may still be signed by who merges it.
fn commits(
    place: &Place,
    scope: Scope,
    walked: &Walked,
    instead: Option<&AllowedSigners>,
) -> Result<Vec<(usize, Finding)>> {
    let line: HashSet<_> = place.line(scope)?.into_iter().collect();
    let numbered: Vec<_> = walked.commits.iter().enumerate().collect();
    let parts = place.in_parts(&numbered, |place, part| {
        let repository = place.open()?;
        let odb = repository.odb()?;
        let mut signatures = Signatures::new(&repository, &place.prefix, instead);
        let mut found = Vec::new();
        for (number, id) in part {
            let commit = sizes::commit(&repository, **id)?;
            // The whole object: a message may have a NUL, where it ends for some programs.
            if let Some(leak) = leaks::find(odb.read(**id)?.data()) {
                found.push((*number, leaked(finding::Place::Message, &leak, short(**id))));
            }
            if line.contains(*id)
                && let Some(what) = signatures.fault(&commit)?
            {
                let finding = Finding {
                    level: Level::Fault,
                    place: finding::Place::Signature,
                    commit: short(**id),
                    what,
                    hint: UNSIGNED.to_owned(),
                };
                found.push((*number, finding));
            }
        }
        Ok(found)
    })?;
    Ok(parts.into_iter().flatten().collect())
}

struct Checker<'c> {
    objects: Objects<'c>,
    today: &'c Today,
    walked: &'c Walked,
    /// What was found in contents that may be at several paths.
    leaks: HashMap<Oid, Option<Leak>>,
    /// With the positions of their commits.
    found: Vec<(usize, Finding)>,
}

impl<'c> Checker<'c> {
    fn new(repository: &'c Repository, walked: &'c Walked, today: &'c Today) -> Result<Self> {
        Ok(Self {
            objects: Objects::of(repository)?,
            today,
            walked,
            leaks: HashMap::new(),
            found: Vec::new(),
        })
    }

    fn check(&mut self, change: &Change) -> Result<()> {
        match change.what {
            What::File => self.file(change),
            What::Folder => self.folder(change),
            What::Disorder => {
                let what = "two entries have the same name, or they are in disorder: programs see different files there";
                let hint = "git makes no such folder: somebody hides something; `git fsck` says more, and `git log` who it was";
                self.fault(change, what.to_owned(), hint);
                Ok(())
            }
            What::Link => {
                let path = &change.path;
                if path.starts_with(CERTIFICATES) || path.starts_with(ACCOUNTS) {
                    let what = "it is a symbolic link, which is not followed".to_owned();
                    self.fault(change, what, "put the file itself there");
                }
                Ok(())
            }
        }
    }

    fn file(&mut self, change: &Change) -> Result<()> {
        let size = self.objects.size(change.id)?;
        if let Some(Finding { what, hint, .. }) = too_large(&change.path, size) {
            self.fault(change, what, &hint);
            return Ok(());
        }
        let is_list = change.path.rsplit('/').next() == Some(RECIPIENTS);
        let leak = match self.leaks.get(&change.id) {
            Some(leak) if !is_list => leak.clone(),
            _ => {
                let bytes = self.objects.read(change.id)?.data().to_vec();
                let leak = leaks::find(&bytes);
                self.leaks.insert(change.id, leak.clone());
                if is_list && leak.is_none() {
                    self.list(change, &String::from_utf8_lossy(&bytes));
                }
                if change.path == ALLOWED_SIGNERS
                    && let Err(error) =
                        AllowedSigners::parse(&String::from_utf8_lossy(&bytes), ALLOWED_SIGNERS)
                {
                    self.fault(change, format!("{error:#}"), "take it from an older commit");
                }
                leak
            }
        };
        match leak {
            Some(leak) => {
                let place = finding::Place::File(change.path.clone());
                let finding = leaked(place, &leak, self.commit(change));
                self.found.push((change.commit, finding));
            }
            None if is_key(&change.path) => {
                let Finding { what, hint, .. } = unencrypted(&change.path);
                self.fault(change, what, &hint);
            }
            None => {}
        }
        Ok(())
    }

    fn list(&mut self, change: &Change, text: &str) {
        if let Err(error) = Recipients::parse(text, &change.path) {
            let hint = "`git-certs recipients list` shows what counts; `age-keygen -y FILE` prints a recipient";
            self.fault(change, format!("{error:#}"), hint);
        }
    }

    fn folder(&mut self, change: &Change) -> Result<()> {
        let faults = self.faults(&change.path, change.id)?;
        let is_mended = !faults.is_empty() && self.is_mended(change)?;
        for fault in faults {
            let Fault {
                level,
                file,
                what,
                hint,
            } = fault;
            let finding = Finding {
                level,
                place: finding::Place::File(format!("{}/{file}", change.path)),
                commit: self.commit(change),
                what,
                hint: if is_mended { MENDED.to_owned() } else { hint },
            };
            self.found.push((change.commit, finding));
        }
        Ok(())
    }

    /// Whether the last commit has other files in a folder, and those belong together.
    fn is_mended(&self, change: &Change) -> Result<bool> {
        match self.today.instead_of(&change.path, change.id) {
            Some(folder) => Ok(self.faults(&change.path, folder)?.is_empty()),
            None => Ok(false),
        }
    }

    /// What is wrong with the files of a certificate's folder, or an account's.
    fn faults(&self, path: &str, folder: Oid) -> Result<Vec<Fault>> {
        let below = |start| {
            let name = path.strip_prefix(start)?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        let (certificate, account) = (below(CERTIFICATES), below(ACCOUNTS));
        if certificate.is_none() && account.is_none() {
            return Ok(Vec::new());
        }
        let tree = self.objects.read(folder)?;
        let files: BTreeMap<_, _> = walk::entries(tree.data())
            .filter(|entry| entry.kind != walk::FOLDER && entry.kind != walk::LINK)
            .map(|entry| (entry.name, entry.id))
            .collect();
        let objects = &self.objects;
        let mut read = |name: &str| match files.get(name.as_bytes()) {
            Some(id) => Ok(Some(objects.read(*id)?.data().to_vec())),
            None => Ok(None),
        };
        match certificate {
            Some(name) => bindings::certificate(&name, &mut read),
            None => bindings::account(&mut read),
        }
    }

    fn commit(&self, change: &Change) -> String {
        let id = self.walked.commits.get(change.commit);
        id.map(|id| short(*id)).unwrap_or_default()
    }

    fn fault(&mut self, change: &Change, what: String, hint: &str) {
        let finding = Finding {
            level: Level::Fault,
            place: finding::Place::File(change.path.clone()),
            commit: self.commit(change),
            what,
            hint: hint.to_owned(),
        };
        self.found.push((change.commit, finding));
    }
}

/// What to say of a private key.
pub(super) fn leaked(place: finding::Place, leak: &Leak, commit: String) -> Finding {
    let kind = &leak.kind;
    let (level, what) = match leak.state {
        State::Plain => (Level::Fault, format!("a private key in plain text: {kind}")),
        State::Stored => (Level::Fault, format!("a key store: {kind}")),
        State::Encrypted => (
            Level::Note,
            format!("a private key that a passphrase protects: {kind}"),
        ),
    };
    Finding {
        level,
        commit,
        what,
        hint: match leak.state {
            State::Encrypted => {
                "it is as safe as its passphrase, as long as the repository can be read".to_owned()
            }
            State::Plain | State::Stored => remedy(place.path()),
        },
        place,
    }
}

/// What to say of a file of so many bytes, which are too many to look into; none if they are not.
pub(super) fn too_large(path: &str, size: u64) -> Option<Finding> {
    let [shown, most] = [size.div_ceil(1 << 20), LARGEST >> 20];
    (size > LARGEST).then(|| Finding {
        level: Level::Fault,
        place: finding::Place::File(path.to_owned()),
        commit: String::new(),
        what: format!("it has {shown} MiB, and is not looked into: {most} MiB are the limit"),
        hint: "look into it yourself, and take it out of the history: a key may hide there"
            .to_owned(),
    })
}

/// What to say of a file that has the name of a key, and is none that is known.
pub(super) fn unencrypted(path: &str) -> Finding {
    Finding {
        level: Level::Fault,
        place: finding::Place::File(path.to_owned()),
        commit: String::new(),
        what: "a key that age has not encrypted".to_owned(),
        hint: remedy(Some(path)),
    }
}

/// Whether get-certs kept a key in plain text here.
pub(super) fn is_key(path: &str) -> bool {
    let account = path.strip_prefix(ACCOUNTS);
    account.is_some_and(|rest| rest.ends_with("/account.key"))
        || certificate_of(path).is_some_and(|name| path.ends_with(&format!("/{name}.key")))
}

/// The certificate in whose folder a file is.
fn certificate_of(path: &str) -> Option<&str> {
    let (name, _) = path.strip_prefix(CERTIFICATES)?.split_once('/')?;
    Some(name)
}

/// What to do about a key that everybody who reads the repository has.
fn remedy(path: Option<&str>) -> String {
    let path = path.unwrap_or_default();
    if let Some(name) = certificate_of(path) {
        let is_of_get_certs = is_key(path) || path.ends_with(&format!("/{name}.pem"));
        let first = if is_of_get_certs {
            "`git-certs import` encrypts it, if it is the certificate's"
        } else {
            "remove the file"
        };
        return format!(
            "whoever could read the repository has it: {first}, and `git-certs revoke {name} --reason keyCompromise \
             --renew-now` makes a new one"
        );
    }
    if path.starts_with(ACCOUNTS) {
        return "whoever could read the repository has it: `git-certs import` encrypts it, and `git-certs account rollover` \
                makes it void"
            .to_owned();
    }
    "whoever could read the repository has it: replace the key where it is used, then remove it here"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use git2::{FileMode, Signature};

    use super::*;
    use crate::repo::walk::place;

    /// Versions of each certificate.
    const VERSIONS: usize = 3;

    /// A history in which nothing says what belongs to a certificate, as get-certs left it: each folder has a note or a
    /// fault in each version.
    fn history(repository: &Repository, certificates: usize) -> Place {
        let mut last = None;
        for version in 0..VERSIONS {
            let mut all = repository.treebuilder(None).unwrap();
            for number in 0..certificates {
                let name = format!("c{number}");
                let mut one = repository.treebuilder(None).unwrap();
                let text = format!("{number} {version}");
                let blob = repository.blob(text.as_bytes()).unwrap();
                one.insert(format!("{name}.crt"), blob, FileMode::Blob.into())
                    .unwrap();
                all.insert(name, one.write().unwrap(), FileMode::Tree.into())
                    .unwrap();
            }
            let mut root = repository.treebuilder(None).unwrap();
            root.insert("certificates", all.write().unwrap(), FileMode::Tree.into())
                .unwrap();
            let tree = repository.find_tree(root.write().unwrap()).unwrap();
            let who = Signature::now("x", "x@x.test").unwrap();
            let parent = last.map(|id| repository.find_commit(id).unwrap());
            let parents: Vec<_> = parent.iter().collect();
            last = Some(
                repository
                    .commit(None, &who, &who, "x", &tree, &parents)
                    .unwrap(),
            );
        }
        place(repository, "", last.unwrap())
    }

    /// Objects and bytes that are read for a history of so many certificates.
    fn reads(certificates: usize, scope: Scope) -> [usize; 2] {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let place = history(&repository, certificates);
        let walked = place.walk(scope).unwrap();
        let objects = Objects::of(&repository).unwrap();
        let tree = repository.find_commit(place.tip).unwrap().tree_id();
        let today = Today::of(&objects, tree, "", &[CERTIFICATES, ACCOUNTS]).unwrap();
        let mut checker = Checker::new(&repository, &walked, &today).unwrap();
        for change in &walked.changes {
            checker.check(change).unwrap();
        }
        let versions = if scope == Scope::Tip { 1 } else { VERSIONS };
        assert_eq!(checker.found.len(), certificates * versions);
        let all = [&objects, &checker.objects];
        let sum = |counted: fn(&Objects<'_>) -> usize| all.map(|one| counted(one)).iter().sum();
        [
            sum(|objects| objects.count.get()),
            sum(|objects| objects.bytes.get()),
        ]
    }

    #[test]
    fn what_is_read_grows_with_the_number_of_certificates() {
        for scope in [Scope::Tip, Scope::History] {
            let [few, more, most] = [10, 20, 30].map(|count| reads(count, scope));
            for what in [0, 1] {
                assert_eq!(more[what] - few[what], most[what] - more[what], "{scope:?}");
            }
        }
        // The tree of the last commit twice, and what is in it.
        let [one, _] = reads(1, Scope::History);
        let (file, folder) = (1, 2);
        let mended = VERSIONS - 1;
        assert_eq!(one, 3 + VERSIONS * (file + folder) + mended * folder);
    }
}
