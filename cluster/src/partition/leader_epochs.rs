//! Which leader epoch began at which offset (KIP-101, KIP-279).
//!
//! Clients ask for the end of an epoch to find out whether the log they read from was cut and rewritten under them. With
//! Raft below, what a consumer may read is never rewritten; the answer still has to be right, as consumers stop without it.
//!
//! The list is derived from the batches: an epoch begins at the first batch that bears it. An epoch in which nothing was
//! written is not in it. Kafka's leaders note their epoch before they write, at the log's end; where they write nothing, the
//! next leader's note takes the place of theirs. So both give the same answers to those who ask a leader for an epoch before
//! its own.

use crate::ids::{LeaderEpoch, Offset};

/// How many epochs are kept; the oldest go. It takes thousands of elections, each with a write, to get there.
pub const MAX_EPOCHS: usize = 4096;

/// An epoch and its first offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The offset of the first record written in it.
    pub start_offset: Offset,
}

/// The leader epochs of a partition. Invariant: both epochs and start offsets rise from entry to entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    starts: Vec<EpochStart>,
}

impl LeaderEpochs {
    /// The list with these entries, or `None` if they do not rise or are too many.
    #[must_use]
    pub(super) fn from_starts(starts: Vec<EpochStart>) -> Option<Self> {
        let rises = starts
            .windows(2)
            .all(|two| two[0].epoch < two[1].epoch && two[0].start_offset < two[1].start_offset);
        (rises && starts.len() <= MAX_EPOCHS).then_some(Self { starts })
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    /// The epoch of the last batch written.
    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.starts.last().map(|last| last.epoch)
    }

    /// The epoch in which `offset` was written, unless it is older than the list.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.starts.partition_point(|start| start.start_offset <= offset);
        after.checked_sub(1).map(|at| self.starts[at].epoch)
    }

    /// Notes a batch of `epoch` at `start_offset`. Only the first batch of an epoch changes anything.
    ///
    /// # Panics
    ///
    /// When the epoch is below that of an earlier batch. Terms never go down in a Raft log.
    pub(super) fn record(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        if let Some(last) = self.starts.last() {
            assert!(epoch >= last.epoch, "leader epoch {} follows {}", epoch.0, last.epoch.0);
            if epoch == last.epoch {
                return;
            }
            assert!(start_offset >= last.start_offset, "an epoch starts before an earlier one");
            if start_offset == last.start_offset {
                // The log was truncated to its end, so the earlier epoch has no record left.
                self.starts.pop();
            }
        }
        if self.starts.len() == MAX_EPOCHS {
            self.starts.remove(0);
        }
        self.starts.push(EpochStart { epoch, start_offset });
    }

    /// The answer to `OffsetForLeaderEpoch` about an epoch before the leader's own: the greatest epoch not above `requested`,
    /// and the offset at which it ends, which for the latest is the log's end. `None` is Kafka's undefined, -1 and -1: no epoch
    /// was asked for.
    ///
    /// Of an epoch older than the list only its end is known, the beginning of the list, and it is answered as Kafka does. Where
    /// nothing is written the list begins, with the leader's own epoch, at the log's end.
    #[must_use]
    pub fn end_offset_for(
        &self,
        requested: LeaderEpoch,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if requested.0 < 0 {
            return None;
        }
        let above = self.starts.partition_point(|start| start.epoch <= requested);
        let end = self.starts.get(above).map_or(log_end_offset, |next| next.start_offset);
        let found = above.checked_sub(1).map_or(requested, |at| self.starts[at].epoch);
        Some((found, end))
    }

    /// Forgets what lies wholly below `log_start_offset`. The epoch in force there now starts there.
    pub(super) fn truncate_before(&mut self, log_start_offset: Offset) {
        let after = self.starts.partition_point(|start| start.start_offset <= log_start_offset);
        if let Some(in_force) = after.checked_sub(1) {
            self.starts.drain(..in_force);
            self.starts[0].start_offset = log_start_offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(starts: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for &(epoch, offset) in starts {
            epochs.record(LeaderEpoch(epoch), Offset(offset));
        }
        epochs
    }

    fn end(epochs: &LeaderEpochs, requested: i32) -> Option<(i32, i64)> {
        epochs.end_offset_for(LeaderEpoch(requested), Offset(100)).map(|(epoch, offset)| (epoch.0, offset.0))
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(2, 0), (2, 10), (5, 30), (6, 50)]);
        assert_eq!(end(&epochs, 2), Some((2, 30)));
        assert_eq!(end(&epochs, 3), Some((2, 30)));
        assert_eq!(end(&epochs, 5), Some((5, 50)));
        assert_eq!(end(&epochs, 6), Some((6, 100)));
        assert_eq!(end(&epochs, 9), Some((6, 100)));
    }

    #[test]
    fn what_is_older_than_the_list_ends_where_it_begins() {
        assert_eq!(end(&epochs(&[(2, 7)]), 1), Some((1, 7)));
        assert_eq!(
            end(&LeaderEpochs::default(), 3),
            Some((3, 100)),
            "the leader's own epoch begins at the end"
        );
        assert_eq!(end(&LeaderEpochs::default(), 0), Some((0, 100)));
        assert_eq!(end(&epochs(&[(2, 7)]), -1), None);
        assert_eq!(end(&LeaderEpochs::default(), -1), None);
    }

    #[test]
    fn an_offset_belongs_to_the_epoch_that_began_before_it() {
        let epochs = epochs(&[(2, 5), (4, 9)]);
        assert_eq!(epochs.epoch_at(Offset(4)), None);
        assert_eq!(epochs.epoch_at(Offset(8)), Some(LeaderEpoch(2)));
        assert_eq!(epochs.epoch_at(Offset(9)), Some(LeaderEpoch(4)));
    }

    #[test]
    fn truncation_keeps_the_epoch_in_force() {
        let mut epochs = epochs(&[(1, 0), (2, 10), (3, 20)]);
        epochs.truncate_before(Offset(15));
        assert_eq!(epochs.starts().len(), 2);
        assert_eq!(epochs.starts()[0], EpochStart { epoch: LeaderEpoch(2), start_offset: Offset(15) });
        epochs.truncate_before(Offset(20));
        assert_eq!(epochs.starts(), [EpochStart { epoch: LeaderEpoch(3), start_offset: Offset(20) }]);
    }

    #[test]
    fn an_epoch_without_any_record_left_gives_way() {
        let mut epochs = epochs(&[(1, 0)]);
        epochs.truncate_before(Offset(8));
        epochs.record(LeaderEpoch(2), Offset(8));
        assert_eq!(epochs.starts(), [EpochStart { epoch: LeaderEpoch(2), start_offset: Offset(8) }]);
    }

    #[test]
    fn the_oldest_epochs_go() {
        let all: Vec<_> =
            (0..=i32::try_from(MAX_EPOCHS).unwrap()).map(|epoch| (epoch, i64::from(epoch))).collect();
        let epochs = epochs(&all);
        assert_eq!(epochs.starts().len(), MAX_EPOCHS);
        assert_eq!(epochs.starts()[0].epoch, LeaderEpoch(1));
    }

    #[test]
    #[should_panic(expected = "leader epoch 1 follows 2")]
    fn epochs_never_go_down() {
        epochs(&[(2, 0), (1, 5)]);
    }
}
