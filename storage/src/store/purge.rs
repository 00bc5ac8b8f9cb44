//! Removing what a deleted group has left, bit by bit.

use super::Store;
use crate::error::StoreError;
use crate::ids::RaftGroupId;
use crate::keys::{Family, tombstone};
use crate::write_batch::WriteBatch;

/// Whether a purge is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purge {
    /// There is more to remove: call again, after other work had its turn.
    pub more: bool,
}

/// The families a group has keys in, beside its raft state row, which goes when the group is deleted.
const FAMILIES: [Family; 3] = [Family::RaftEntry, Family::OffsetIndex, Family::Record];

impl Store {
    /// Removes up to `max_keys` keys of deleted groups, in one batch, which is not synced. The tombstone goes with the
    /// last of them, so that a restart in between only means that the rest is removed later.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    ///
    /// # Panics
    ///
    /// When `max_keys` is 0, with which nothing would ever be done.
    pub fn purge(&self, max_keys: usize) -> Result<Purge, StoreError> {
        assert!(max_keys > 0, "a purge of no keys never ends");
        let mut batch = WriteBatch::new();
        let mut left = max_keys;
        let mut after = [Family::Tombstone.ordinal()].to_vec();
        while let Some(group) = self.first_tombstone(&after)? {
            left -= self.remove_keys(group, left, &mut batch)?;
            if left == 0 {
                break;
            }
            batch.remove(&tombstone::key(group));
            after = tombstone::key(group).to_vec();
        }
        self.apply(batch)?;
        Ok(Purge { more: left == 0 })
    }

    /// The first group above the key `after` that has a tombstone.
    fn first_tombstone(&self, after: &[u8]) -> Result<Option<RaftGroupId>, StoreError> {
        Ok(self.first_after(after)?.and_then(|(key, _)| tombstone::group_of(&key)))
    }

    /// Puts the removal of up to `max_keys` keys of `group` into `batch` and says of how many.
    fn remove_keys(
        &self,
        group: RaftGroupId,
        max_keys: usize,
        batch: &mut WriteBatch,
    ) -> Result<usize, StoreError> {
        let mut removed = 0;
        for family in FAMILIES {
            for pair in self.scan(&family.group_prefix(group)).take(max_keys - removed) {
                batch.remove(&pair?.0);
                removed += 1;
            }
        }
        Ok(removed)
    }
}
