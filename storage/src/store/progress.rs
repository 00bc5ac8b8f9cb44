//! Counting what is written, so that what is missing is noticed.
//!
//! Two numbers are part of every batch (see [`ProgressRow`]). The number of batches finds a store that lost its end;
//! [`durable`](super::durable) tells how.
//!
//! The sum of the versions of all raft state rows finds a store that lost a piece in the middle. sled skips a broken
//! piece of its log and goes on behind it, so whatever was not written again later falls back to what it was before:
//! the log of a group that has been idle since would be shorter, and everything in it consistent. But the row of that
//! group would have an older version than the sum accounts for.

use std::collections::HashMap;

use crate::error::StoreError;
use crate::ids::RaftGroupId;
use crate::keys::meta::ProgressRow;

/// The counts, in memory.
#[derive(Debug, Default)]
pub(super) struct Progress {
    row: ProgressRow,
    /// The version of each group's raft state row.
    versions: HashMap<RaftGroupId, u64>,
}

impl Progress {
    /// The counts of a store that has `row` and these versions of raft state rows.
    ///
    /// # Errors
    ///
    /// When they do not add up.
    pub(super) fn recover(row: ProgressRow, versions: HashMap<RaftGroupId, u64>) -> Result<Self, StoreError> {
        let sum = versions.values().fold(0_u64, |sum, version| sum.wrapping_add(*version));
        if sum != row.row_versions {
            return Err(StoreError::damaged(format!(
                "raft state was written {} times and {sum} of them are accounted for",
                row.row_versions
            )));
        }
        Ok(Self { row, versions })
    }

    /// The numbers as of the last batch.
    pub(super) const fn row(&self) -> ProgressRow {
        self.row
    }

    /// The groups that have a row.
    pub(super) fn groups(&self) -> impl Iterator<Item = RaftGroupId> {
        self.versions.keys().copied()
    }

    /// Counts a batch.
    pub(super) const fn next_batch(&mut self) {
        self.row.batches += 1;
    }

    /// Counts one more write of a group's row and returns its version.
    pub(super) fn next_version(&mut self, group: RaftGroupId) -> u64 {
        let version = self.versions.entry(group).or_default();
        *version += 1;
        self.row.row_versions = self.row.row_versions.wrapping_add(1);
        *version
    }

    /// Counts a group's row out.
    pub(super) fn forget(&mut self, group: RaftGroupId) {
        if let Some(version) = self.versions.remove(&group) {
            self.row.row_versions = self.row.row_versions.wrapping_sub(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_add_up_whatever_is_written_and_forgotten() {
        let (a, b) = (RaftGroupId(1), RaftGroupId(2));
        let mut progress = Progress::default();
        assert_eq!(progress.next_version(a), 1);
        assert_eq!(progress.next_version(a), 2);
        assert_eq!(progress.next_version(b), 1);
        progress.forget(a);
        progress.forget(a);
        assert_eq!(progress.row().row_versions, 1);
        let versions = HashMap::from([(b, 1)]);
        assert!(Progress::recover(progress.row(), versions).is_ok());
    }

    #[test]
    fn a_row_that_fell_back_is_noticed() {
        let row = ProgressRow { batches: 9, row_versions: 7 };
        let versions = HashMap::from([(RaftGroupId(1), 4), (RaftGroupId(2), 2)]);
        assert!(Progress::recover(row, versions).is_err());
    }
}
