//! The mark of a store that is not to be opened again: the file `<data_dir>/unusable`, which says why.
//!
//! sled applies a batch key by key. A leaf that cannot be read stops it in the middle; what it did up to there is in sled's
//! buffers, becomes durable with the next thing that is written, and passes for a whole batch. Neither the number of batches
//! nor the sums that are part of each ([`progress`](super::progress)) need to show it. So the first failure of a write that is
//! not the device's is written down where sled has no part in it, and every later open is refused.
//!
//! A failure of the device, or whatever fails on a full one, leaves no mark: what was left unwritten is the end of sled's log,
//! which recovery leaves out.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::files;

/// The file of the mark in a data directory.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(files::UNUSABLE)
}

/// Marks the store in `data_dir`, durably. The reason stays as it was first given.
pub(super) fn mark(data_dir: &Path, reason: &str) -> io::Result<()> {
    let mut file = match File::create_new(path(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        created => created?,
    };
    file.write_all(reason.as_bytes())?;
    file.sync_all()?;
    files::sync_dir(data_dir)
}

/// Why the store in `data_dir` is not to be opened, if it is marked. A mark whose writing was cut short counts.
pub(super) fn reason(data_dir: &Path) -> io::Result<Option<String>> {
    match fs::read(path(data_dir)) {
        Ok(reason) => Ok(Some(String::from_utf8_lossy(&reason).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StoreError;
    use crate::fixture::{Node, open};
    use crate::store::OpenError;

    /// What opening says after a write failed for this reason.
    fn opened_after(reason: &StoreError) -> Result<(), OpenError> {
        let Node { dir, store, .. } = Node::new();
        store.shared.fail(reason);
        assert!(matches!(store.sync(), Err(StoreError::Failed { .. })));
        drop(store);
        open(dir.path())?;
        open(dir.path()).map(drop)
    }

    #[test]
    fn a_write_that_met_damage_makes_the_store_unusable_for_ever() {
        let refused = opened_after(&StoreError::damaged("a page is not what was written")).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        let said = refused.to_string();
        assert!(said.contains("unusable") && said.contains("a page is not what was written"), "{said}");
    }

    #[test]
    fn a_failure_of_the_device_does_not() {
        let source = io::ErrorKind::StorageFull.into();
        opened_after(&StoreError::Io { action: "write a batch", source }).unwrap();
    }

    #[test]
    fn the_first_reason_stays() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(reason(dir.path()).unwrap(), None);
        mark(dir.path(), "a damaged leaf").unwrap();
        mark(dir.path(), "another").unwrap();
        assert_eq!(reason(dir.path()).unwrap().unwrap(), "a damaged leaf");
    }
}
