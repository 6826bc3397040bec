//! Objects of a repository, read one by one. Tests count them.

#[cfg(test)]
use std::cell::Cell;

use anyhow::Result;
use git2::{Odb, OdbObject, Oid, Repository};

pub(super) struct Objects<'r> {
    odb: Odb<'r>,
    #[cfg(test)]
    pub(super) count: Cell<usize>,
    #[cfg(test)]
    pub(super) bytes: Cell<usize>,
}

impl<'r> Objects<'r> {
    pub(super) fn of(repository: &'r Repository) -> Result<Self> {
        Ok(Self {
            odb: repository.odb()?,
            #[cfg(test)]
            count: Cell::default(),
            #[cfg(test)]
            bytes: Cell::default(),
        })
    }

    pub(super) fn read(&self, id: Oid) -> Result<OdbObject<'_>> {
        let object = self.odb.read(id)?;
        #[cfg(test)]
        {
            self.count.set(self.count.get() + 1);
            self.bytes.set(self.bytes.get() + object.len());
        }
        Ok(object)
    }

    /// Bytes that it has, without reading it.
    pub(super) fn size(&self, id: Oid) -> Result<u64> {
        let (size, _) = self.odb.read_header(id)?;
        Ok(size as u64)
    }
}
