//! Handing snapshots to raft.
//!
//! Making a snapshot means reading the group's applied state, which this crate knows nothing of. raft asks, the log
//! remembers that it did, the owner makes one when it has time, and raft gets it when it asks again.

use raft::eraftpb::Snapshot;
use raft::{Error, StorageError};

use super::RaftLog;
use crate::ids::RaftIndex;

/// The snapshot that was prepared, and whether one is wanted.
#[derive(Debug, Default)]
pub(super) struct SnapshotSlot {
    wanted: bool,
    prepared: Option<Snapshot>,
}

impl SnapshotSlot {
    /// Drops the prepared snapshot if the log begins after it: a follower that has it could not be sent what follows.
    pub(super) fn drop_older_than(&mut self, truncated: RaftIndex) {
        self.prepared = self.prepared.take().filter(|snapshot| snapshot.get_metadata().index >= truncated.0);
    }

    /// The prepared snapshot if it reaches `index`. Otherwise one is wanted from now on.
    pub(super) fn get(&mut self, index: u64) -> raft::Result<Snapshot> {
        match &self.prepared {
            Some(snapshot) if snapshot.get_metadata().index >= index => Ok(snapshot.clone()),
            _ => {
                self.wanted = true;
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

impl RaftLog {
    /// Whether raft has asked for a snapshot that was not there, since this was last called.
    pub fn take_snapshot_wanted(&mut self) -> bool {
        std::mem::take(&mut self.snapshot.get_mut().wanted)
    }

    /// Gives up the snapshot that was prepared, which may be long: nobody waits for it.
    pub fn forget_snapshot(&mut self) {
        self.snapshot.get_mut().prepared = None;
    }

    /// Gives raft a snapshot, for when it asks again. It replaces an earlier one; one that the log begins after is of
    /// no use and is dropped.
    pub fn provide_snapshot(&mut self, snapshot: Snapshot) {
        let truncated = self.state.truncated.index;
        let slot = self.snapshot.get_mut();
        slot.prepared = Some(snapshot);
        slot.drop_older_than(truncated);
    }
}
