//! Counting what is written, so that what is missing is noticed.
//!
//! Three numbers are part of every batch (see [`ProgressRow`]). The number of batches finds a store that lost its end;
//! [`durable`](super::durable) tells how.
//!
//! The sum of the versions of all raft state rows finds a store that lost a piece in the middle. sled skips a broken
//! piece of its log and goes on behind it, so whatever was not written again later falls back to what it was before:
//! the log of a group that has been idle since would be shorter, and everything in it consistent. But the row of that
//! group would have an older version than the sum accounts for.
//!
//! The checksums of all state records do the same for what the state machines keep. An older checkpoint behind a log
//! that says it is applied would be a state that no replica was ever in.
//!
//! Entries and index rows are too many to be counted. They are never rewritten while they count, so that one which is
//! lost is simply not there, where the log's ends say that it has to be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::StoreError;
use crate::ids::{RaftGroupId, RaftIndex};
use crate::keys::meta::ProgressRow;
use crate::keys::raft_state::GroupState;

/// The counts, in memory, and what they are counted from.
#[derive(Debug, Default)]
pub(super) struct Progress {
    row: ProgressRow,
    groups: HashMap<RaftGroupId, GroupProgress>,
    /// The groups whose logs were compacted, and may have keys left before their beginnings.
    compacted: BTreeSet<RaftGroupId>,
    /// The groups that have a tombstone, and what is left of each.
    deleted: BTreeMap<RaftGroupId, Remains>,
    /// The checksums of each group's records, combined.
    records: HashMap<RaftGroupId, u32>,
    /// The number of the last batch that may have given up entries or a group.
    given_up_in: u64,
}

/// What is left of a deleted group on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// Keys, perhaps, and the tombstone.
    Keys,
    /// The tombstone alone.
    Nothing,
}

/// What is known of one group's raft state row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupProgress {
    /// How often the row was written.
    pub(super) version: u64,
    /// Where the log begins.
    pub(super) start: LogStart,
}

/// Where a log begins: what is before it is to be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogStart {
    /// The last index that is compacted away.
    pub(super) truncated: RaftIndex,
    /// The first slot that may be needed.
    pub(super) slot: u64,
}

impl LogStart {
    /// Where the log of a group in this state begins.
    pub(super) const fn of(state: &GroupState) -> Self {
        Self { truncated: state.truncated.index, slot: state.first_slot }
    }
}

impl Progress {
    /// The counts of a store that has `row`, raft state rows of these groups, tombstones of those that are `deleted`, and
    /// records with these checksums.
    ///
    /// # Errors
    ///
    /// When they do not add up.
    pub(super) fn recover(
        row: ProgressRow,
        groups: HashMap<RaftGroupId, GroupProgress>,
        deleted: BTreeMap<RaftGroupId, Remains>,
        records: HashMap<RaftGroupId, u32>,
    ) -> Result<Self, StoreError> {
        let sum = groups.values().fold(0_u64, |sum, group| sum.wrapping_add(group.version));
        if sum != row.row_versions {
            return Err(StoreError::damaged(format!(
                "raft state was written {} times and {sum} of them are accounted for",
                row.row_versions
            )));
        }
        let checksums = records.values().fold(0, |sum, checksums| sum ^ checksums);
        if checksums != row.record_checksums {
            return Err(StoreError::damaged("not all state records are those that were written last"));
        }
        let truncated = groups.iter().filter(|(_, group)| group.start.truncated > RaftIndex(0));
        let compacted = truncated.map(|(group, _)| *group).collect();
        Ok(Self { row, groups, compacted, deleted, records, given_up_in: row.batches })
    }

    /// The numbers as of the last batch.
    pub(super) const fn row(&self) -> ProgressRow {
        self.row
    }

    /// The groups that have a row.
    pub(super) fn groups(&self) -> impl Iterator<Item = RaftGroupId> {
        self.groups.keys().copied()
    }

    /// Counts a batch.
    pub(super) const fn next_batch(&mut self) {
        self.row.batches += 1;
    }

    /// Counts one more write of a group's row, which says where the log begins, and returns its version.
    pub(super) fn next_version(&mut self, group: RaftGroupId, start: LogStart) -> u64 {
        let progress = self.groups.entry(group).or_default();
        progress.version += 1;
        if start.truncated > progress.start.truncated {
            progress.start = start;
            self.compacted.insert(group);
            self.given_up_in = self.row.batches + 1;
        }
        self.row.row_versions = self.row.row_versions.wrapping_add(1);
        progress.version
    }

    /// Counts a record of `group`, whose checksum was `old` and is `new`; 0 stands for no record.
    pub(super) fn count_record(&mut self, group: RaftGroupId, old: u32, new: u32) {
        *self.records.entry(group).or_default() ^= old ^ new;
        self.row.record_checksums ^= old ^ new;
    }

    /// Counts the row and records of a group out that is deleted.
    pub(super) fn delete(&mut self, group: RaftGroupId) {
        self.deleted.insert(group, Remains::Keys);
        self.compacted.remove(&group);
        self.row.record_checksums ^= self.records.remove(&group).unwrap_or_default();
        self.given_up_in = self.row.batches + 1;
        if let Some(progress) = self.groups.remove(&group) {
            self.row.row_versions = self.row.row_versions.wrapping_sub(progress.version);
        }
    }

    /// Whether the group has a tombstone.
    pub(super) fn is_deleted(&self, group: RaftGroupId) -> bool {
        self.deleted.contains_key(&group)
    }

    /// The groups that have a tombstone.
    pub(super) fn deleted(&self) -> impl Iterator<Item = RaftGroupId> {
        self.deleted.keys().copied()
    }

    /// A deleted group that may have keys left.
    pub(super) fn first_with_remains(&self) -> Option<RaftGroupId> {
        let mut remains = self.deleted.iter().filter(|(_, remains)| **remains == Remains::Keys);
        remains.next().map(|(group, _)| *group)
    }

    /// Takes note that a deleted group has no keys left.
    pub(super) fn emptied(&mut self, group: RaftGroupId) {
        self.deleted.insert(group, Remains::Nothing);
    }

    /// Forgets a deleted group, and returns whether that is so. One that has keys left stays deleted.
    pub(super) fn forget_deleted(&mut self, group: RaftGroupId) -> bool {
        let is_emptied = self.deleted.get(&group) == Some(&Remains::Nothing);
        is_emptied && self.deleted.remove(&group).is_some()
    }

    /// The number of the last batch that gave up entries or a group. What was found when the store was opened may all have
    /// been given up by the last batch of then.
    pub(super) const fn given_up_in(&self) -> u64 {
        self.given_up_in
    }

    /// A group whose log may have keys before its beginning, and where that is.
    pub(super) fn first_compacted(&self) -> Option<(RaftGroupId, LogStart)> {
        let group = *self.compacted.first()?;
        self.groups.get(&group).map(|progress| (group, progress.start))
    }

    /// Takes note that a group has no keys before `start`.
    pub(super) fn purged(&mut self, group: RaftGroupId, start: LogStart) {
        if self.groups.get(&group).is_none_or(|progress| progress.start == start) {
            self.compacted.remove(&group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RaftGroupId = RaftGroupId(1);
    const B: RaftGroupId = RaftGroupId(2);

    fn start(truncated: u64) -> LogStart {
        LogStart { truncated: RaftIndex(truncated), slot: 2 * truncated }
    }

    fn written(version: u64) -> GroupProgress {
        GroupProgress { version, ..GroupProgress::default() }
    }

    #[test]
    fn versions_add_up_whatever_is_written_and_forgotten() {
        let mut progress = Progress::default();
        assert_eq!(progress.next_version(A, start(0)), 1);
        assert_eq!(progress.next_version(A, start(0)), 2);
        assert_eq!(progress.next_version(B, start(0)), 1);
        progress.delete(A);
        progress.delete(A);
        assert_eq!(progress.row().row_versions, 1);
        assert!(
            Progress::recover(
                progress.row(),
                HashMap::from([(B, written(1))]),
                BTreeMap::new(),
                HashMap::new()
            )
            .is_ok()
        );
    }

    #[test]
    fn a_row_that_fell_back_is_noticed() {
        let row = ProgressRow { batches: 9, row_versions: 7, record_checksums: 0 };
        let groups = HashMap::from([(A, written(4)), (B, written(2))]);
        assert!(Progress::recover(row, groups, BTreeMap::new(), HashMap::new()).is_err());
    }

    #[test]
    fn a_record_that_fell_back_is_noticed() {
        let mut progress = Progress::default();
        progress.count_record(A, 0, 11);
        progress.count_record(B, 0, 22);
        progress.count_record(B, 22, 33);
        let recover = |a, b| {
            Progress::recover(
                progress.row(),
                HashMap::new(),
                BTreeMap::new(),
                HashMap::from([(A, a), (B, b)]),
            )
        };
        assert!(recover(11, 33).is_ok());
        assert!(recover(11, 22).is_err(), "it fell back");
        assert!(recover(11, 0).is_err(), "it is lost");
        let mut progress = recover(11, 33).unwrap();
        progress.delete(B);
        assert!(
            Progress::recover(progress.row(), HashMap::new(), BTreeMap::new(), HashMap::from([(A, 11)]))
                .is_ok()
        );
    }

    #[test]
    fn a_compacted_log_is_remembered_until_it_is_purged_to_its_beginning() {
        let mut progress = Progress::default();
        progress.next_version(A, start(5));
        assert_eq!(progress.first_compacted(), Some((A, start(5))));
        progress.next_version(A, start(8));
        progress.purged(A, start(5));
        assert_eq!(progress.first_compacted(), Some((A, start(8))), "it was compacted meanwhile");
        progress.purged(A, start(8));
        assert_eq!(progress.given_up_in(), progress.row().batches + 1, "the batch at hand");
        progress.next_version(A, start(8));
        assert_eq!(progress.first_compacted(), None);
        let mut progress =
            Progress::recover(progress.row(), progress.groups, BTreeMap::new(), HashMap::new()).unwrap();
        assert_eq!(progress.first_compacted(), Some((A, start(8))), "after a restart it is looked at again");
        progress.delete(A);
        assert_eq!(progress.first_compacted(), None);
    }

    #[test]
    fn a_deleted_group_is_remembered_until_it_is_emptied_and_forgotten() {
        let mut progress = Progress::default();
        progress.delete(A);
        assert!(!progress.forget_deleted(A), "keys are left");
        assert_eq!(progress.first_with_remains(), Some(A));
        progress.emptied(A);
        assert_eq!(progress.first_with_remains(), None);
        assert!(progress.is_deleted(A) && !progress.is_deleted(B));
        assert!(progress.forget_deleted(A));
        assert!(!progress.is_deleted(A) && !progress.forget_deleted(A));
    }
}
