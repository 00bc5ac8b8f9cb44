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
    use crate::fixture::{Node, entry, open};
    use crate::ids::{RaftGroupId, RaftIndex};
    use crate::keys::raft_entry;
    use crate::raft_log::RaftLog;
    use crate::store::OpenError;
    use crate::write_batch::WriteBatch;

    /// What stands in the entries that are damaged, and nowhere else.
    const MARKER: &[u8] = b"these bytes are not what they were";

    /// Changes every place in the data file that holds the marker.
    fn damage(data_dir: &Path) {
        let data = data_dir.join(files::STORE).join(files::DATA);
        let mut bytes = fs::read(&data).unwrap();
        let places: Vec<usize> = bytes
            .windows(MARKER.len())
            .enumerate()
            .filter(|(_, at)| *at == MARKER)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty(), "the entries are in the file");
        for at in places {
            bytes[at] ^= 0x10;
        }
        fs::write(&data, bytes).unwrap();
    }

    #[test]
    #[ignore = "not verified on this machine yet"]
    fn a_batch_that_meets_a_damaged_leaf_makes_the_store_unusable_for_ever() {
        let group = RaftGroupId(7);
        let node = Node::new();
        let mut log = node.apply(|batch| RaftLog::create(&node.store, &node.tail, group, &[1], batch));
        let entries: Vec<_> = (1..=4)
            .map(|index| raft::eraftpb::Entry { data: MARKER.to_vec().into(), ..entry(index, 1, 0) })
            .collect();
        node.apply(|batch| log.append(&entries, batch).unwrap());
        drop(log);
        let Node { dir, store, .. } = node;
        store.close().unwrap();
        // From here on sled begins behind all of that when it opens the store.
        open(dir.path()).unwrap().close().unwrap();
        damage(dir.path());

        let store = open(dir.path()).expect("what is damaged is not looked at");
        let mut batch = WriteBatch::new();
        for record in 0..20_u8 {
            batch.put_record(RaftGroupId(8), &[record], b"sound");
        }
        batch.put(&raft_entry::key(group, RaftIndex(5)), b"next".into());
        let refused = store.apply(batch).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        assert!(matches!(store.sync(), Err(StoreError::Failed { .. })));
        drop(store);
        for _ in 0..2 {
            let refused = open(dir.path()).unwrap_err();
            assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
            assert!(refused.to_string().contains("unusable"), "{refused}");
        }
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
