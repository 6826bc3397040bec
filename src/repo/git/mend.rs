//! What a command has left in a checkout that was killed between its commit and the files: these follow the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};
use git2::{
    Commit, DiffDelta, DiffOptions, FileMode, Index, IndexEntry, IndexEntryExtendedFlag, IndexTime,
    Oid, Repository, Tree,
};

use crate::repo::files::{self, PRIVATE, READABLE};
use crate::repo::git::behind::{Changed, Found, State, Steps, decide};
use crate::repo::git::checkout::{discover, prefix};
use crate::repo::git::read;
use crate::repo::git::unfinished::{self, Mark, Noted};
use crate::repo::sizes;

/// Ending of files that only their owner may read.
const SEALED: &str = "age";

/// What an earlier command has left, and what became of it. Paths are relative to the folder.
#[derive(Debug)]
pub(crate) enum Mended {
    /// Nothing that matters.
    Nothing,
    /// Files have followed the last commit; those that the user has changed meanwhile are kept.
    Done { files: usize, kept: Vec<String> },
    /// HEAD is elsewhere meanwhile, so that nothing was touched; some files are as they were before this commit.
    Overtaken { commit: String, files: Vec<String> },
    /// The mark at this path says nothing, and is gone.
    Strange { mark: PathBuf, why: Error },
    /// What is at the path of the mark is not a file, and stays.
    InTheWay { mark: PathBuf },
}

/// Brings work tree and index to a commit that they have not followed, as the command would have that made it.
///
/// Nothing is done where no command has left its mark. Of a file that is neither as the commit has it nor as it was before, what the
/// user has made of it stays. The caller has the lock of the folder.
pub(crate) fn mend(folder: &Path) -> Result<Mended> {
    // What cannot be opened, or has no commit, is told by who opens it.
    let Some((repository, top, prefix)) = place(folder) else {
        return Ok(Mended::Nothing);
    };
    let mark = Mark::of(&repository, &prefix)?;
    if !mark.is_usable() {
        let mark = mark.path().to_owned();
        return Ok(Mended::InTheWay { mark });
    }
    let strange = |why| {
        mark.remove()?;
        let mark = mark.path().to_owned();
        Ok(Mended::Strange { mark, why })
    };
    let noted = match mark.read() {
        Ok(None) => return Ok(Mended::Nothing),
        Ok(Some(noted)) => noted,
        Err(error) => return strange(error.into()),
    };
    let carry_out = |left: &mut Left<'_>, plan: &Plan| left.carry_out(plan);
    let Some(mended) = see(&repository, (&top, &prefix), noted, carry_out)? else {
        return strange(anyhow!("it names no commits of git-certs that are here"));
    };
    mark.remove()?;
    Ok(mended)
}

/// What [`mend`] would find; nothing is changed.
pub(crate) fn look(folder: &Path) -> Result<Mended> {
    let Some((repository, top, prefix)) = place(folder) else {
        return Ok(Mended::Nothing);
    };
    // A mark that says nothing is told by who removes it.
    let Ok(Some(noted)) = Mark::of(&repository, &prefix)?.read() else {
        return Ok(Mended::Nothing);
    };
    let found = see(&repository, (&top, &prefix), noted, |_, _| Ok(()))?;
    Ok(found.unwrap_or(Mended::Nothing))
}

/// None if these commits are not here, or not ours.
fn see(
    repository: &Repository,
    (top, prefix): (&Path, &str),
    mut noted: Noted,
    carry_out: impl FnOnce(&mut Left<'_>, &Plan) -> Result<()>,
) -> Result<Option<Mended>> {
    let Ok(head) = sizes::head(repository) else {
        return Ok(Some(Mended::Nothing));
    };
    // HEAD has not moved, or the user has taken the commit back.
    if head.id() == noted.span.old {
        return Ok(Some(Mended::Nothing));
    }
    let Some(line) = noted.span.line(repository) else {
        return Ok(None);
    };
    let mut checkout = Left::new(repository, (top, prefix))?;
    let Some(at) = line.iter().position(|commit| commit.id() == head.id()) else {
        return checkout.overtaken(&head, &noted, &line).map(Some);
    };
    // A commit that has been taken back has the keys of its loose files, encrypted.
    noted.loose.retain(|_, _| at == 0);
    let before = line.get(at + 1..).unwrap_or_default();
    let plan = checkout.plan(&head, before, &noted.loose)?;
    carry_out(&mut checkout, &plan)?;
    Ok(Some(plan.told()))
}

/// The repository with a work tree that contains a folder, the top of the tree, and the folder's path in it.
fn place(folder: &Path) -> Option<(Repository, PathBuf, String)> {
    let repository = discover(folder).ok()??;
    let top = repository.workdir()?.canonicalize().ok()?;
    let prefix = prefix(&top, &folder.canonicalize().ok()?).ok()?;
    Some((repository, top, prefix))
}

/// Files that no commit has and that go, with the content that they had.
type Loose = BTreeMap<String, Oid>;

/// A checkout that an earlier command has left.
struct Left<'r> {
    repository: &'r Repository,
    top: &'r Path,
    prefix: &'r str,
    index: Index,
}

/// What is to be done in a checkout.
#[derive(Default)]
struct Plan {
    /// Each with how it is in the work tree.
    files: Vec<(Changed, State, Steps)>,
    kept: Vec<String>,
}

impl Plan {
    fn told(self) -> Mended {
        let steps = self.files.iter().map(|(_, _, steps)| steps);
        let files = steps.filter(|steps| steps.file || steps.entry).count();
        if files == 0 && self.kept.is_empty() {
            return Mended::Nothing;
        }
        let kept = self.kept;
        Mended::Done { files, kept }
    }
}

impl<'r> Left<'r> {
    fn new(repository: &'r Repository, (top, prefix): (&'r Path, &'r str)) -> Result<Self> {
        let index = repository.index()?;
        Ok(Self {
            repository,
            top,
            prefix,
            index,
        })
    }

    /// How what is as it was `before` is brought to what the last commit has.
    fn plan(&self, head: &Commit<'_>, before: &[Commit<'_>], loose: &Loose) -> Result<Plan> {
        let mut plan = Plan::default();
        for changed in self.changed(&head.tree()?, before, loose)? {
            let file = changed.state(self.file(&changed.path));
            let entry = self.entry_state(&changed);
            let steps = decide(file, entry, changed.after == Found::Nothing);
            if steps.is_kept {
                plan.kept.push(self.shown(&changed.path));
            }
            plan.files.push((changed, file, steps));
        }
        Ok(plan)
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<()> {
        for (changed, file, steps) in &plan.files {
            if steps.file {
                self.write(changed)?;
            }
            if steps.entry {
                let cannot = || format!("cannot enter `{}` in the index", changed.path);
                self.enter(changed, *file).with_context(cannot)?;
            }
        }
        if plan.files.iter().any(|(_, _, steps)| steps.entry) {
            self.index.write().context("cannot write the index")?;
        }
        self.sweep(&plan.files)
    }

    /// Says which files are as they were before the commits of a line, though HEAD has moved on from there.
    fn overtaken(&self, head: &Commit<'_>, noted: &Noted, line: &[Commit<'_>]) -> Result<Mended> {
        let Some((new, before)) = line.split_first() else {
            return Ok(Mended::Nothing);
        };
        let is_on_top = self
            .repository
            .graph_descendant_of(head.id(), noted.span.new)?;
        let tree = head.tree()?;
        let is_behind = |changed: &Changed| {
            let committed = entry_of(&tree, &changed.path);
            let is_undone = is_on_top && changed.state(committed) == State::Behind;
            let is_here = |found| found != committed && changed.state(found) == State::Behind;
            is_undone || is_here(self.file(&changed.path)) || is_here(self.entry(&changed.path))
        };
        let all = self.changed(&new.tree()?, before, &noted.loose)?;
        let behind = all.iter().filter(|changed| is_behind(changed));
        let files: Vec<_> = behind.map(|changed| self.shown(&changed.path)).collect();
        let short = new.as_object().short_id()?;
        Ok(if files.is_empty() {
            Mended::Nothing
        } else {
            let commit = String::from_utf8_lossy(&short).into_owned();
            Mended::Overtaken { commit, files }
        })
    }

    /// Files below the folder that are others after the commits, and those that no commit has and that go.
    fn changed(
        &self,
        after: &Tree<'_>,
        before: &[Commit<'_>],
        loose: &Loose,
    ) -> Result<Vec<Changed>> {
        let before = before.iter().map(Commit::tree);
        let before = before.collect::<Result<Vec<_>, _>>()?;
        let mut options = DiffOptions::new();
        options.disable_pathspec_match(true);
        if !self.prefix.is_empty() {
            options.pathspec(self.prefix.trim_end_matches('/'));
        }
        let diff =
            self.repository
                .diff_tree_to_tree(before.last(), Some(after), Some(&mut options))?;
        let between = before.split_last().map_or(&[][..], |(_, between)| between);
        let changed = |delta: DiffDelta<'_>| {
            let (old, new) = (delta.old_file(), delta.new_file());
            let path = new.path()?.to_str()?.to_owned();
            let then = between.iter().map(|tree| entry_of(tree, &path));
            Some(Changed {
                before: then.chain([Found::of(old.id())]).collect(),
                after: Found::of(new.id()),
                path,
            })
        };
        let nowhere = |path: &str| {
            let mut trees = before.last().into_iter().chain([after]);
            trees.all(|tree| entry_of(tree, path) == Found::Nothing)
        };
        let loose = loose.iter().filter(|(path, _)| nowhere(path));
        let loose = loose.map(|(path, content)| Changed {
            path: path.clone(),
            before: [Found::Content(*content)].into(),
            after: Found::Nothing,
        });
        Ok(diff.deltas().filter_map(changed).chain(loose).collect())
    }

    fn file(&self, path: &str) -> Found {
        match unfinished::content(self.top, path) {
            Ok(content) => content.map_or(Found::Nothing, Found::Content),
            Err(_) => Found::Other,
        }
    }

    fn entry_state(&self, changed: &Changed) -> State {
        let entry = self.index.get_path(Path::new(&changed.path), 0);
        let flags = entry.map_or(0, |entry| entry.flags_extended);
        // `git add -N` gives no content.
        if flags & IndexEntryExtendedFlag::INTENT_TO_ADD.bits() != 0 {
            return State::Behind;
        }
        changed.state(self.entry(&changed.path))
    }

    fn entry(&self, path: &str) -> Found {
        let at = |stage| self.index.get_path(Path::new(path), stage);
        if (1..=3).any(|stage| at(stage).is_some()) {
            return Found::Other;
        }
        at(0).map_or(Found::Nothing, |entry| Found::Content(entry.id))
    }

    fn write(&self, changed: &Changed) -> Result<()> {
        let whole = self.top.join(&changed.path);
        let Found::Content(id) = changed.after else {
            return files::remove(&whole);
        };
        let is_sealed = whole.extension().is_some_and(|end| end == SEALED);
        let mode = if is_sealed { PRIVATE } else { READABLE };
        let bytes = sizes::blob(self.repository, id, &changed.path)?;
        files::replace(&whole, &bytes, mode)
    }

    fn enter(&mut self, changed: &Changed, file: State) -> Result<(), git2::Error> {
        let path = Path::new(&changed.path);
        match changed.after {
            Found::Content(id) if file == State::Own => self.index.add(&entry(&changed.path, id)),
            Found::Content(_) => self.index.add_path(path),
            Found::Nothing | Found::Other => self.index.remove_path(path),
        }
    }

    /// Removes what was half written.
    fn sweep(&self, all: &[(Changed, State, Steps)]) -> Result<()> {
        let paths = all.iter().map(|(changed, _, _)| Path::new(&changed.path));
        let folders: BTreeSet<_> = paths.filter_map(|path| path.parent()?.to_str()).collect();
        let is_here = |folder: &str| {
            folder.is_empty() || read::exists(self.top, folder).is_ok_and(|is_here| is_here)
        };
        let mut folders = folders.into_iter().filter(|folder| is_here(folder));
        folders.try_for_each(|folder| files::sweep(&self.top.join(folder)))
    }

    fn shown(&self, path: &str) -> String {
        path.strip_prefix(self.prefix).unwrap_or(path).to_owned()
    }
}

fn entry_of(tree: &Tree<'_>, path: &str) -> Found {
    let entry = tree.get_path(Path::new(path));
    entry.map_or(Found::Nothing, |entry| Found::Content(entry.id()))
}

/// An entry for what is not in the work tree: git looks at the file there when it is asked.
fn entry(path: &str, id: Oid) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: FileMode::Blob.into(),
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}
