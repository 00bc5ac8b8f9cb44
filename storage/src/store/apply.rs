//! Making a batch visible.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use sled::IVec;

use super::memory::give_memory_back;
use super::progress::{LogStart, Progress};
use super::{Store, lock};
use crate::error::StoreError;
use crate::keys::meta::PROGRESS_KEY;
use crate::keys::{raft_state, record, slot, tombstone};
use crate::write_batch::WriteBatch;

impl Store {
    /// Makes a batch visible, whole and at once. It is durable after the next [`Store::sync`].
    ///
    /// # Errors
    ///
    /// When sled refuses. The batch may then be visible in part, and nothing more is written.
    pub fn apply(&self, mut batch: WriteBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.shared.check_not_failed()?;
        self.shared.written_bytes.fetch_add(batch.len_bytes() as u64, Ordering::Relaxed);
        let large = mem::take(&mut batch.large_slots);
        let mut progress = lock(&self.shared.progress);
        let rows = self.reserve_slots(&batch).and_then(|()| self.rows_of(batch, &mut progress));
        let applied = rows.and_then(|rows| {
            // sled reads the leaves that it changes, and checks some of what it reads with assertions.
            match catch_unwind(AssertUnwindSafe(|| self.shared.db.apply_batch(rows))) {
                Ok(applied) => applied.map_err(|error| StoreError::from_sled("write a batch", error)),
                Err(_) => Err(StoreError::damaged("sled cannot make sense of what a write has to change")),
            }
        });
        let applied =
            applied.and_then(|()| large.into_iter().try_for_each(|(group, slot)| self.note_use(group, slot)));
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

    /// Does what [`Self::apply`] does ahead of the batch, and nothing of the batch: what a crash between the two leaves. For
    /// simulations.
    ///
    /// # Errors
    ///
    /// When sled refuses.
    #[doc(hidden)]
    pub fn reserve_ahead(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.reserve_slots(batch)
    }

    /// Makes the keys of slots that will be filled, by this batch or later. A batch would take them in no order, and with
    /// the values; and keys that were made in vain are blank.
    fn reserve_slots(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        for (group, slots) in &batch.reserved_slots {
            for slot in slots.clone() {
                let key = self.shared.db.insert(slot::key(*group, slot), IVec::default());
                let spacer = self.shared.db.insert(slot::spacer(*group, slot), IVec::default());
                key.and(spacer).map_err(|error| StoreError::from_sled("reserve a slot", error))?;
            }
        }
        Ok(())
    }

    /// Everything a batch writes, as sled takes it: versions given, records cut into chunks, the batch counted.
    fn rows_of(&self, batch: WriteBatch, progress: &mut Progress) -> Result<sled::Batch, StoreError> {
        let mut rows = batch.rows;
        for group in &batch.deleted_groups {
            progress.delete(*group);
            rows.remove(&raft_state::key(*group));
            rows.insert(&tombstone::key(*group), IVec::default());
        }
        for ((group, record), value) in batch.records {
            // What is left of a deleted group is on its way out, and counts for nothing.
            if progress.is_deleted(group) {
                continue;
            }
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
            if progress.is_deleted(group) {
                continue;
            }
            let version = progress.next_version(group, LogStart::of(&state));
            rows.insert(&raft_state::key(group), state.encode(version));
        }
        for group in batch.forgotten_groups {
            if progress.forget_deleted(group) {
                rows.remove(&tombstone::key(group));
            }
        }
        progress.next_batch();
        rows.insert(&PROGRESS_KEY, &progress.row().encode());
        Ok(rows)
    }
}
