//! Objects of a repository, unless they are far too large: what is packed small can be huge, and each is read whole.

use anyhow::{Result, anyhow};
use git2::{Commit, ObjectType, Odb, Oid, Repository, Tree};

use crate::model::file::LARGEST;
use crate::model::hint::with_hint;
use crate::repo::signed::short;

/// Largest commit or tag, bytes. A commit that names ten thousand certificates has about half a million.
const LARGEST_MESSAGE: u64 = 16 << 20;

/// Digits of an object's id.
const ID_DIGITS: usize = 40;

/// A commit; its size is known before it is unpacked.
pub(super) fn commit(repository: &Repository, id: Oid) -> Result<Commit<'_>> {
    check(&repository.odb()?, id)?;
    Ok(repository.find_commit(id)?)
}

/// The commit that is checked out.
pub(super) fn head(repository: &Repository) -> Result<Commit<'_>> {
    commit(repository, repository.refname_to_id("HEAD")?)
}

/// The commit that something is or that a tag names; none where that is something else, or not here.
pub(super) fn peeled(repository: &Repository, mut id: Oid) -> Result<Option<Commit<'_>>> {
    let odb = repository.odb()?;
    while odb.exists(id) {
        match check(&odb, id)? {
            ObjectType::Commit => return Ok(Some(repository.find_commit(id)?)),
            ObjectType::Tag => id = repository.find_tag(id)?.target_id(),
            _ => break,
        }
    }
    Ok(None)
}

/// The commit that a revision names; none where there is none. The start of an id, and what git looks for from another
/// commit on, are unpacked on the way.
pub(super) fn named<'r>(repository: &'r Repository, revision: &str) -> Result<Option<Commit<'r>>> {
    let id = whole_id(revision)
        .or_else(|| {
            let reference = repository.resolve_reference_from_short_name(revision);
            reference.ok()?.target()
        })
        .or_else(|| Some(repository.revparse_single(revision).ok()?.id()));
    match id {
        Some(id) => peeled(repository, id),
        None => Ok(None),
    }
}

/// All digits of an id; none where it is another name.
pub(super) fn whole_id(revision: &str) -> Option<Oid> {
    let id = Oid::from_str(revision).ok();
    id.filter(|_| revision.len() == ID_DIGITS)
}

/// The folder with this id; its size is known before it is unpacked.
pub(super) fn folder(repository: &Repository, id: Oid) -> Result<Tree<'_>> {
    check(&repository.odb()?, id)?;
    Ok(repository.find_tree(id)?)
}

/// The files of a commit.
pub(super) fn files_of(repository: &Repository, id: Oid) -> Result<Tree<'_>> {
    folder(repository, commit(repository, id)?.tree_id())
}

/// The content of a file in a commit; its size is known before it is unpacked.
pub(super) fn blob(repository: &Repository, id: Oid, path: &str) -> Result<Vec<u8>> {
    let (size, _) = repository.odb()?.read_header(id)?;
    file(size as u64, path)?;
    Ok(repository.find_blob(id)?.content().to_vec())
}

/// Fails if a file has too many bytes.
pub(super) fn file(size: u64, path: &str) -> Result<()> {
    let hint = "`git log --stat` says who has put it there";
    limit((size, LARGEST), "file", || format!("`{path}`"), hint)
}

/// Fails if anything in the repository is far too large. Contents of files are looked at when they are read.
pub(super) fn check_all(repository: &Repository) -> Result<()> {
    let odb = repository.odb()?;
    let mut ids = Vec::new();
    odb.foreach(|id| {
        ids.push(*id);
        true
    })?;
    ids.into_iter().try_for_each(|id| check(&odb, id).map(drop))
}

fn check(odb: &Odb<'_>, id: Oid) -> Result<ObjectType> {
    let (size, found) = odb.read_header(id)?;
    let (kind, most) = match found {
        ObjectType::Commit => ("commit", LARGEST_MESSAGE),
        ObjectType::Tag => ("tag", LARGEST_MESSAGE),
        ObjectType::Tree => ("folder", LARGEST),
        _ => return Ok(found),
    };
    let hint = "git writes none of that size by itself: whoever could push has put it there, and it has to leave the history";
    let shown = || format!("the {kind} `{}`", short(id));
    limit((size as u64, most), kind, shown, hint)?;
    Ok(found)
}

fn limit(
    (size, most): (u64, u64),
    kind: &str,
    shown: impl Fn() -> String,
    hint: &'static str,
) -> Result<()> {
    if size <= most {
        return Ok(());
    }
    let shown = shown();
    let [size, most] = [size.div_ceil(1 << 20), most >> 20];
    Err(with_hint(
        anyhow!("{shown} has {size} MiB, and {most} MiB are read of a {kind} at most"),
        hint,
    ))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_is_packed_small_and_is_huge_is_not_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let odb = repository.odb().unwrap();
        let tree = odb.write(ObjectType::Tree, b"").unwrap();
        let head =
            format!("tree {tree}\nauthor a <a@a.test> 1 +0000\ncommitter a <a@a.test> 1 +0000\n\n");
        let most = usize::try_from(LARGEST_MESSAGE).unwrap() - head.len();
        let [small, huge] = [0, 1].map(|more| {
            let text = format!("{head}{}", "x".repeat(most + more));
            odb.write(ObjectType::Commit, text.as_bytes()).unwrap()
        });
        assert_eq!(commit(&repository, small).unwrap().id(), small);
        let refused = format!(
            "the commit `{}` has 17 MiB, and 16 MiB are read of a commit at most",
            short(huge)
        );
        assert_eq!(commit(&repository, huge).unwrap_err().to_string(), refused);
        assert_eq!(check_all(&repository).unwrap_err().to_string(), refused);
    }

    #[test]
    fn a_file_that_is_packed_small_and_is_huge_is_not_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let [small, huge] = [0_usize, 1].map(|more| {
            let bytes = vec![0; usize::try_from(LARGEST).unwrap() + more];
            repository.blob(&bytes).unwrap()
        });
        assert!(blob(&repository, small, "certs.json").is_ok());
        assert_eq!(
            blob(&repository, huge, "certs.json")
                .unwrap_err()
                .to_string(),
            "`certs.json` has 65 MiB, and 64 MiB are read of a file at most"
        );
    }
}
