//! Making a batch visible.

use std::sync::atomic::Ordering;

use sled::IVec;

use super::progress::Progress;
use super::{Store, lock};
use crate::error::StoreError;
use crate::keys::meta::PROGRESS_KEY;
use crate::keys::{raft_state, record, tombstone};
use crate::write_batch::WriteBatch;

impl Store {
    /// Makes a batch visible, whole and at once. It is durable after the next [`Store::sync`].
    ///
    /// # Errors
    ///
    /// When sled refuses. The batch may then be visible in part, and nothing more is written.
    pub fn apply(&self, batch: WriteBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.shared.check_not_failed()?;
        self.shared.written_bytes.fetch_add(batch.len_bytes() as u64, Ordering::Relaxed);
        let mut progress = lock(&self.shared.progress);
        let applied = self.rows_of(batch, &mut progress).and_then(|rows| {
            let applied = self.shared.db.apply_batch(rows);
            applied.map_err(|error| StoreError::from_sled("write a batch", error))
        });
        match applied {
            Ok(()) => {
                give_memory_back();
                self.shared.visible_batches.store(progress.row().batches, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                self.shared.fail(&error);
                Err(error)
            }
        }
    }

    /// Everything a batch writes, as sled takes it: versions given, values cut into chunks, the batch counted.
    fn rows_of(&self, batch: WriteBatch, progress: &mut Progress) -> Result<sled::Batch, StoreError> {
        let mut rows = batch.rows;
        for ((group, record), value) in batch.records {
            let (old, old_checksum) = self.record_extent(group, &record)?;
            let new = value.as_ref().map_or(0, |value| record::chunk_count(value.len()));
            let checksum = value.as_ref().map_or(0, |value| record::checksum(group, &record, value));
            progress.count_record(group, old_checksum, checksum);
            for chunk in new..old {
                rows.remove(record::key(group, &record, chunk));
            }
            for (chunk, value) in value.iter().flat_map(|value| record::chunks(checksum, value)) {
                rows.insert(record::key(group, &record, chunk), value);
            }
        }
        for (group, state) in batch.states {
            let version = progress.next_version(group, state.truncated.index);
            rows.insert(&raft_state::key(group), state.encode(version));
        }
        for group in batch.deleted_groups {
            progress.forget(group);
            rows.remove(&raft_state::key(group));
            rows.insert(&tombstone::key(group), IVec::default());
        }
        progress.next_batch();
        rows.insert(&PROGRESS_KEY, &progress.row().encode());
        Ok(rows)
    }
}

/// Frees what sled has replaced. It defers each free until no reader can hold the value, in a bag a thread that is only
/// looked at when it has 64 entries; one entry may be a write buffer of a whole segment, so full bags would be hundreds
/// of megabytes.
fn give_memory_back() {
    crossbeam_epoch::pin().flush();
}
