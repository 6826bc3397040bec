//! How much a server may send of one zone.

use anyhow::{Result, ensure};

/// Most that is read of a zone, bytes, over all pages and messages: about a million records. They are
/// all held in memory, several zones at once.
pub(super) const MOST: usize = 64 << 20;

/// What was read so far.
#[derive(Default)]
pub(super) struct Volume(usize);

impl Volume {
    /// Counts `bytes` more; fails where that is too much. `whose` begins the message.
    pub(super) fn add(&mut self, whose: &str, bytes: usize) -> Result<()> {
        self.0 = self.0.saturating_add(bytes);
        ensure!(self.0 <= MOST, "{whose} is larger than {} MiB", MOST >> 20);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_at_some_point() {
        let mut volume = Volume::default();
        assert!(volume.add("the list", MOST - 1).is_ok());
        assert!(volume.add("the list", 1).is_ok());
        assert_eq!(
            volume.add("the list", 1).unwrap_err().to_string(),
            "the list is larger than 64 MiB"
        );
        assert!(volume.add("the list", usize::MAX).is_err());
    }
}
