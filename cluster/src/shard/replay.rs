//! What a restart would replay, bounded for the node as a whole.
//!
//! A partition's state is derived from its log, and a restart applies again what came after the last checkpoint. Each group
//! writes a checkpoint when that has become much for one group; but a node has thousands of them, and reads all of it before
//! it is of use to anybody. So the node counts the sum, too. When it exceeds [`CheckpointPolicy::node_bytes`], the
//! partition that would replay most writes a checkpoint.
//!
//! A long state (many producers) is not written again for less log than it is long. The sum may exceed the bound by that.
//!
//! [`CheckpointPolicy::node_bytes`]: super::CheckpointPolicy::node_bytes

use std::collections::{BTreeMap, BTreeSet};

use trilog_storage::WriteBatch;

use super::machine::Replay;
use super::{Group, MAX_ROUND_BYTES, Shard};
use crate::ids::RaftGroupId;

/// The groups' shares in what a restart would replay.
#[derive(Debug, Default)]
pub(super) struct Replays {
    shares: BTreeMap<RaftGroupId, Replay>,
    /// Those that a checkpoint is worth its writing for, by their bytes.
    worthwhile: BTreeSet<(u64, RaftGroupId)>,
    sum: u64,
}

impl Replays {
    /// A group's share is this from now on.
    pub(super) fn note(&mut self, group: RaftGroupId, share: Replay) {
        let before = self.shares.get(&group).copied().unwrap_or_default();
        if before == share {
            return;
        }
        self.sum = self.sum - before.bytes + share.bytes;
        if is_worthwhile(before) {
            self.worthwhile.remove(&(before.bytes, group));
        }
        if is_worthwhile(share) {
            self.worthwhile.insert((share.bytes, group));
        }
        self.shares.insert(group, share);
    }

    /// The group is gone.
    pub(super) fn forget(&mut self, group: RaftGroupId) {
        self.note(group, Replay::default());
        self.shares.remove(&group);
    }

    /// The group that is to write a checkpoint, if the sum is above `bound`.
    fn heaviest_above(&self, bound: u64) -> Option<RaftGroupId> {
        self.worthwhile.last().filter(|_| self.sum > bound).map(|(_, group)| *group)
    }
}

/// Whether a checkpoint is worth its writing.
const fn is_worthwhile(share: Replay) -> bool {
    share.bytes > share.least
}

impl Shard {
    /// Has partitions write checkpoints until the sum is below its bound again, or the batch is full.
    pub(super) fn bound_replay(&mut self, batch: &mut WriteBatch) {
        while batch.len_bytes() < MAX_ROUND_BYTES
            && let Some(id) = self.replays.heaviest_above(self.checkpoints.node_bytes)
        {
            let Some(group) = self.groups.get_mut(&id) else {
                self.replays.forget(id);
                continue;
            };
            group.checkpoint_early(batch);
            // One that installs a snapshot has nothing to replay once it has; it is counted again when it applies more.
            self.replays.note(id, Replay::default());
        }
    }

    /// How many committed entries are still to be applied.
    pub(crate) fn unapplied(&self) -> u64 {
        self.groups.values().map(Group::unapplied).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RaftGroupId = RaftGroupId(1);
    const B: RaftGroupId = RaftGroupId(2);

    const fn share(bytes: u64, least: u64) -> Replay {
        Replay { bytes, least }
    }

    #[test]
    fn the_heaviest_is_named_once_the_sum_is_above_the_bound() {
        let mut replays = Replays::default();
        replays.note(A, share(60, 0));
        replays.note(B, share(40, 0));
        assert_eq!(replays.heaviest_above(100), None);
        replays.note(B, share(70, 0));
        assert_eq!(replays.heaviest_above(100), Some(B));
        replays.note(B, share(0, 0));
        assert_eq!(replays.heaviest_above(59), Some(A));
        replays.forget(A);
        assert_eq!((replays.sum, replays.heaviest_above(0)), (0, None));
    }

    #[test]
    fn a_state_is_not_written_for_less_log_than_it_is_long() {
        let mut replays = Replays::default();
        replays.note(A, share(90, 100));
        replays.note(B, share(20, 10));
        assert_eq!(replays.heaviest_above(50), Some(B));
        replays.note(B, share(0, 10));
        assert_eq!(replays.heaviest_above(50), None);
        replays.note(A, share(101, 100));
        assert_eq!(replays.heaviest_above(50), Some(A));
    }
}
