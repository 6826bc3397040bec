//! Files saved beside the repository when it cannot take them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::model::outside::outside;
use crate::repo::git::{File, read};

/// Writes files below a folder, which only this user can enter if it is made here. Symbolic links in it are not followed.
pub(crate) fn save(folder: &Path, files: &[File]) -> Result<()> {
    let (folder, files) = (folder.to_owned(), files.to_vec());
    outside(move || {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&folder);
        made.with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        files
            .iter()
            .try_for_each(|file| read::exists(&folder, &file.path).map(drop))?;
        files.iter().try_for_each(|file| file.write_in(&folder))
    })?
}
