//! Contents of files, unless they are far too large: what is packed small can be huge.

use anyhow::{Result, anyhow};
use git2::{Oid, Repository};

use crate::model::file::LARGEST;
use crate::model::hint::with_hint;

/// The content of a blob; its size is known before it is unpacked.
pub(super) fn read(repository: &Repository, id: Oid, path: &str) -> Result<Vec<u8>> {
    let (size, _) = repository.odb()?.read_header(id)?;
    check(size as u64, path)?;
    Ok(repository.find_blob(id)?.content().to_vec())
}

/// An error if a file is too large.
pub(super) fn check(size: u64, path: &str) -> Result<()> {
    if size <= LARGEST {
        return Ok(());
    }
    let [size, most] = [size.div_ceil(1 << 20), LARGEST >> 20];
    Err(with_hint(
        anyhow!("`{path}` has {size} MiB, and {most} MiB are read of a file at most"),
        "`git log --stat` says who has put it there",
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
        let [small, huge] = [0_usize, 1].map(|more| {
            let bytes = vec![0; usize::try_from(LARGEST).unwrap() + more];
            repository.blob(&bytes).unwrap()
        });
        assert!(read(&repository, small, "certs.json").is_ok());
        assert_eq!(
            read(&repository, huge, "certs.json")
                .unwrap_err()
                .to_string(),
            "`certs.json` has 65 MiB, and 64 MiB are read of a file at most"
        );
    }
}
