//! What the commits of a repository brought, each thing once: for checks of a whole history.
//!
//! Trees are compared byte by byte with those of the commit before, so that a commit that changes one of
//! thousands of folders costs no look at the others. Threads share the commits among themselves.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use git2::{ObjectType, Odb, Oid, Repository, Sort};

use crate::model::hint::with_hint;
use crate::repo::sizes;

/// Kinds of entries that are no files: a folder, a symbolic link, a submodule.
pub(super) const FOLDER: u32 = 0o040_000;
pub(super) const LINK: u32 = 0o120_000;
pub(super) const SUBMODULE: u32 = 0o160_000;

/// The bits of a mode that say the kind.
pub(super) const KIND: u32 = 0o170_000;

/// Trees that a thread remembers: those of the last commits, at any depth.
const REMEMBERED: usize = 32;

/// Length of an object's id in a tree.
const ID: usize = 20;

/// Which commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The last one that is checked out.
    Tip,
    /// All that a branch, a tag or another reference leads to.
    History,
}

/// A repository to walk through, and the folder in it that counts.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(super) repository: PathBuf,
    /// The folder's path with a final `/`, or empty.
    pub(super) prefix: String,
    pub(super) tip: Oid,
}

/// Something that a commit brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// From the folder that counts.
    pub(crate) path: String,
    pub(crate) what: What,
    pub(super) id: Oid,
    /// Position of the commit.
    pub(crate) commit: usize,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    File,
    Folder,
    /// A folder in which programs find different files at one name.
    Disorder,
    Link,
}

/// All commits of a scope, oldest first, and what they brought.
pub(crate) struct Walked {
    pub(crate) commits: Vec<Oid>,
    /// In the order of the commits; each content once at each path.
    pub(crate) changes: Vec<Change>,
}

impl Place {
    /// Walks through the commits.
    pub(crate) fn walk(&self, scope: Scope) -> Result<Walked> {
        let commits = self.commits(scope)?;
        let numbered: Vec<_> = commits.iter().copied().enumerate().collect();
        let parts = self.in_parts(&numbered, |place, part| {
            let repository = place.open()?;
            let mut differ = Differ::new(&repository, &place.prefix)?;
            for (number, id) in part {
                let commit = sizes::commit(&repository, *id)?;
                let parent = match (scope, commit.parent(0)) {
                    (Scope::History, Ok(parent)) => Some(parent.tree_id()),
                    _ => None,
                };
                differ.commit = *number;
                differ.compare(parent, commit.tree_id(), "")?;
            }
            Ok(differ.changes)
        })?;
        let mut seen = HashSet::new();
        let mut changes: Vec<_> = parts.into_iter().flatten().collect();
        changes.retain(|change| seen.insert((change.path.clone(), change.id, change.what)));
        Ok(Walked { commits, changes })
    }

    fn commits(&self, scope: Scope) -> Result<Vec<Oid>> {
        if scope == Scope::Tip {
            return Ok(vec![self.tip]);
        }
        self.must_be_whole()?;
        let repository = self.open()?;
        let mut walk = repository.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME | Sort::REVERSE)?;
        walk.push(self.tip)?;
        for reference in repository.references()? {
            // A tag may name something that is no commit.
            let named = reference?.resolve().ok().and_then(|found| found.target());
            if let Some(id) = named
                && let Some(commit) = sizes::peeled(&repository, id)?
            {
                walk.push(commit.id())?;
            }
        }
        walk.map(|id| Ok(id?)).collect()
    }

    /// The commits of a scope that the tip leads to.
    pub(super) fn line(&self, scope: Scope) -> Result<Vec<Oid>> {
        if scope == Scope::Tip {
            return Ok(vec![self.tip]);
        }
        let repository = self.open()?;
        let mut walk = repository.revwalk()?;
        walk.push(self.tip)?;
        walk.map(|id| Ok(id?)).collect()
    }

    /// Fails where commits are missing that others build on.
    pub(super) fn must_be_whole(&self) -> Result<()> {
        if self.is_cut_off()? {
            return Err(with_hint(
                anyhow!("the history is cut off: this is a shallow clone"),
                "`git fetch --unshallow` brings the rest; `actions/checkout` does with `fetch-depth: 0`",
            ));
        }
        Ok(())
    }

    /// Whether commits are missing that others build on.
    pub(crate) fn is_cut_off(&self) -> Result<bool> {
        Ok(self.open()?.is_shallow())
    }

    pub(super) fn open(&self) -> Result<Repository> {
        Repository::open(&self.repository).context("cannot open the repository once more")
    }

    /// Lets threads work on parts of equal size; results are in the order of the parts.
    pub(super) fn in_parts<T: Sync, R: Send>(
        &self,
        all: &[T],
        work: impl Fn(&Self, &[T]) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let size = all.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let work = &work;
            let started: Vec<_> = all
                .chunks(size)
                .map(|part| scope.spawn(move || work(self, part)))
                .collect();
            started
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .map_err(|_| anyhow!("a thread of ours ended early"))?
                })
                .collect()
        })
    }
}

/// An entry of a tree.
#[derive(Clone, Copy)]
pub(super) struct Entry<'t> {
    pub(super) kind: u32,
    pub(super) name: &'t [u8],
    pub(super) id: Oid,
}

impl Entry<'_> {
    /// As git sorts: a folder's name counts with a final `/`.
    fn order(&self, other: &Self) -> Ordering {
        let key = |entry: &Self| (entry.kind == FOLDER).then_some(b'/');
        let (ours, theirs) = (self.name.iter(), other.name.iter());
        let ours = ours.copied().chain(key(self));
        ours.cmp(theirs.copied().chain(key(other)))
    }
}

/// The entries of a tree, in its order.
pub(super) fn entries(mut tree: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let end = tree.iter().position(|byte| *byte == 0)?;
        let (head, rest) = tree.split_at_checked(end)?;
        let (id, rest) = rest.get(1..)?.split_at_checked(ID)?;
        let blank = head.iter().position(|byte| *byte == b' ')?;
        tree = rest;
        // As git reads it: with zeros before it, and with permissions, a folder is one as well.
        let digits = head.get(..blank)?.iter();
        let mode = digits.fold(0_u32, |mode, digit| mode << 3 | u32::from(digit & 7));
        Some(Entry {
            kind: mode & KIND,
            name: head.get(blank + 1..)?,
            id: Oid::from_bytes(id).ok()?,
        })
    })
}

/// Whether the entries of a tree are in git's order, with no name twice: not as a file and as a folder either.
fn is_sound(tree: &[u8]) -> bool {
    let mut last: Option<Entry<'_>> = None;
    // Files whose names the next one may begin with: a folder of the same name need not be the next.
    let mut files: Vec<&[u8]> = Vec::new();
    for entry in entries(tree) {
        if last.is_some_and(|last| last.order(&entry) != Ordering::Less) {
            return false;
        }
        while files.pop_if(|file| !entry.name.starts_with(file)).is_some() {}
        if entry.kind != FOLDER {
            files.push(entry.name);
        } else if files.last() == Some(&entry.name) {
            return false;
        }
        last = Some(entry);
    }
    true
}

/// Compares trees of one commit after another.
struct Differ<'r> {
    odb: Odb<'r>,
    prefix: &'r str,
    trees: HashMap<Oid, Rc<[u8]>>,
    commit: usize,
    /// What was found at a path before.
    seen: HashSet<(String, Oid)>,
    changes: Vec<Change>,
}

impl<'r> Differ<'r> {
    fn new(repository: &'r Repository, prefix: &'r str) -> Result<Self> {
        Ok(Self {
            odb: repository.odb()?,
            prefix,
            trees: HashMap::new(),
            commit: 0,
            seen: HashSet::new(),
            changes: Vec::new(),
        })
    }

    fn compare(&mut self, old: Option<Oid>, new: Oid, path: &str) -> Result<()> {
        if old == Some(new) {
            return Ok(());
        }
        let old_tree = match old {
            Some(old) => self.tree(old)?,
            None => Rc::from([].as_slice()),
        };
        let new_tree = self.tree(new)?;
        if !is_sound(&new_tree) {
            let below = path.strip_prefix(self.prefix).unwrap_or(path);
            let shown = Some(below.trim_end_matches('/')).filter(|path| !path.is_empty());
            self.changes.push(Change {
                path: shown.unwrap_or(".").to_owned(),
                what: What::Disorder,
                id: new,
                commit: self.commit,
            });
        }
        let mut old_entries = entries(&old_tree).peekable();
        for entry in entries(&new_tree) {
            let mut before = None;
            while let Some(old) = old_entries.peek() {
                match old.order(&entry) {
                    Ordering::Less => drop(old_entries.next()),
                    Ordering::Equal => {
                        before = old_entries.next();
                        break;
                    }
                    Ordering::Greater => break,
                }
            }
            if before.is_none_or(|old| old.id != entry.id || old.kind != entry.kind) {
                self.take(before, entry, path)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, before: Option<Entry<'_>>, entry: Entry<'_>, path: &str) -> Result<()> {
        let path = format!("{path}{}", String::from_utf8_lossy(entry.name));
        let is_folder = entry.kind == FOLDER;
        if entry.kind == SUBMODULE || !self.counts(&path, is_folder) {
            return Ok(());
        }
        let what = match entry.kind {
            FOLDER => What::Folder,
            LINK => What::Link,
            _ => What::File,
        };
        if !self.seen.insert((path.clone(), entry.id)) {
            return Ok(());
        }
        if let Some(path) = path
            .strip_prefix(self.prefix)
            .filter(|path| !path.is_empty())
        {
            self.changes.push(Change {
                path: path.to_owned(),
                what,
                id: entry.id,
                commit: self.commit,
            });
        }
        if is_folder {
            self.compare(before.map(|old| old.id), entry.id, &format!("{path}/"))?;
        }
        Ok(())
    }

    /// Whether a path is below the folder that counts, or leads there.
    fn counts(&self, path: &str, is_folder: bool) -> bool {
        path.starts_with(self.prefix) || is_folder && self.prefix.starts_with(&format!("{path}/"))
    }

    fn tree(&mut self, id: Oid) -> Result<Rc<[u8]>> {
        if let Some(tree) = self.trees.get(&id) {
            return Ok(Rc::clone(tree));
        }
        let object = self.odb.read(id)?;
        if object.kind() != ObjectType::Tree {
            bail!("`{id}` is not a tree");
        }
        let tree: Rc<[u8]> = Rc::from(object.data());
        if self.trees.len() >= REMEMBERED {
            self.trees.clear();
        }
        self.trees.insert(id, Rc::clone(&tree));
        Ok(tree)
    }
}

/// Where a repository is that is opened again by threads.
pub(super) fn place(repository: &Repository, prefix: &str, tip: Oid) -> Place {
    Place {
        repository: Path::to_owned(repository.path()),
        prefix: prefix.to_owned(),
        tip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disorder_in_a_tree_is_seen() {
        let tree = |entries: &[(&str, &str)]| {
            let entry = |(mode, name): &(&str, &str)| {
                [format!("{mode} {name}\0").as_bytes(), &[1; ID]].concat()
            };
            entries.iter().flat_map(entry).collect::<Vec<u8>>()
        };
        let sound = |entries: &[(&str, &str)]| is_sound(&tree(entries));
        let (file, folder) = ("100644", "40000");
        assert!(sound(&[]));
        assert!(sound(&[
            (file, "a"),
            (file, "a-b"),
            (folder, "b"),
            (file, "b0")
        ]));
        // As a folder it comes after `a.b`, as a file before.
        assert!(sound(&[(file, "a.b"), (folder, "a"), (file, "ab")]));
        assert!(!sound(&[(file, "b"), (file, "a")]));
        assert!(!sound(&[(file, "a"), (file, "a")]));
        assert!(!sound(&[(folder, "a"), ("040000", "a")]));
        assert!(!sound(&[(file, "a"), (folder, "a")]));
        assert!(!sound(&[
            (file, "a"),
            (file, "a-b"),
            (file, "a.b"),
            (folder, "a")
        ]));
    }
}
