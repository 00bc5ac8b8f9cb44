//! The applied state of a partition's replica: a pure function of the committed entries.
//!
//! Only committed entries are applied, so the end of the applied log *is* the high watermark, and every replica that has
//! applied the same entries has an equal state. That makes a change of leader free: the new leader has all it needs.
//!
//! What a payload may hold, [`payload`](super::payload) tells.

use bytes::Bytes;

use super::leader_epochs::LeaderEpochs;
use super::payload::{Command, batches_of_entry};
use super::producers::Producers;
use super::time_index::{TimeIndex, TimeSpan};
use crate::ids::{Offset, TimestampMs};
use trilog_protocol::batch::BatchHeader;

/// What applying a payload added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The first new offset.
    pub first_offset: Offset,
    /// The last new offset.
    pub last_offset: Offset,
    /// How many payloads with records there were up to here, those that were given up included.
    pub number: u64,
    /// The greatest timestamps in it and in blocks of payloads that end with it.
    pub spans: Vec<TimeSpan>,
    /// The bytes of all batches up to here, from the first one ever: those that were given up count, too.
    pub bytes_so_far: u64,
}

/// The applied state. Invariants, asserted by [`apply`](Self::apply):
/// * offsets are dense: each new batch begins at the log end offset;
/// * leader epochs do not go down;
/// * `log_start_offset` ≤ `log_end_offset`, and neither goes down;
/// * `bytes_so_far` counts what was ever applied, so that the difference of two of its values is what lies between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionState {
    pub(super) log_start_offset: Offset,
    pub(super) log_end_offset: Offset,
    pub(super) leader_epochs: LeaderEpochs,
    pub(super) producers: Producers,
    pub(super) time_index: TimeIndex,
    pub(super) bytes_so_far: u64,
}

impl PartitionState {
    /// The first offset that may be read.
    #[must_use]
    pub const fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// The offset after the last applied record. As only committed entries are applied, this is the high watermark.
    #[must_use]
    pub const fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// Where each leader epoch began.
    #[must_use]
    pub const fn leader_epochs(&self) -> &LeaderEpochs {
        &self.leader_epochs
    }

    /// The idempotent producers that wrote here.
    #[must_use]
    pub const fn producers(&self) -> &Producers {
        &self.producers
    }

    /// The bytes of all batches ever applied, those below the log start included.
    #[must_use]
    pub const fn bytes_so_far(&self) -> u64 {
        self.bytes_so_far
    }

    /// Applies a committed payload. `None` if it holds no new records: it is empty, a command, or applied already.
    ///
    /// # Panics
    ///
    /// When the payload is neither a command nor batches that continue the log. A leader checks before it proposes, so this is damage or a
    /// fault of ours, and a replica that went on would serve something else than the others.
    pub fn apply(&mut self, payload: &Bytes) -> Option<Applied> {
        match Command::decode(payload).unwrap_or_else(|error| panic!("{error}")) {
            Some(Command::RaiseLogStart(offset)) => {
                self.raise_log_start(offset);
                return None;
            }
            Some(Command::AgeProducers(age)) => {
                self.producers.grow_older(age, self.log_end_offset);
                return None;
            }
            None => {}
        }
        let first_offset = self.log_end_offset;
        let mut max_timestamp = TimestampMs(-1);
        for batch in batches_of_entry(payload) {
            let (header, _) = batch.unwrap_or_else(|error| panic!("a committed payload is damaged: {error}"));
            if header.last_offset() >= self.log_end_offset {
                self.apply_batch(&header);
                max_timestamp = max_timestamp.max(header.max_timestamp);
            }
        }
        (self.log_end_offset > first_offset).then(|| Applied {
            first_offset,
            last_offset: self.log_end_offset.plus(-1),
            spans: self.time_index.add(first_offset, max_timestamp),
            number: self.time_index.entries(),
            bytes_so_far: self.bytes_so_far,
        })
    }

    fn apply_batch(&mut self, header: &BatchHeader) {
        assert_eq!(header.base_offset, self.log_end_offset, "a committed batch does not continue the log");
        self.leader_epochs.record(header.partition_leader_epoch, header.base_offset);
        self.producers.record(header);
        self.log_end_offset = header.next_offset();
        self.bytes_so_far += header.total_len() as u64;
    }

    /// Gives up everything below `offset`. Moving it down, or to where it is, changes nothing.
    ///
    /// Producers stay: they may write on (KIP-360).
    ///
    /// # Panics
    ///
    /// When `offset` lies beyond the log's end. A leader proposes no offset that it has not applied.
    pub(super) fn raise_log_start(&mut self, offset: Offset) {
        assert!(offset <= self.log_end_offset, "the log would start beyond its end");
        if offset > self.log_start_offset {
            self.log_start_offset = offset;
            self.leader_epochs.truncate_before(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeaderEpoch;
    use crate::partition::testing::BatchBuilder;

    fn payload(batches: &[BatchBuilder]) -> Bytes {
        batches.iter().flat_map(BatchBuilder::build).collect()
    }

    #[test]
    fn a_payload_moves_the_log_end_and_tells_what_is_new() {
        let mut state = PartitionState::default();
        let first = payload(&[
            BatchBuilder::of_count(3).leader_epoch(2).timestamp(500),
            BatchBuilder::of_count(2).base_offset(3).leader_epoch(2).timestamp(400),
        ]);
        let applied = state.apply(&first).unwrap();
        assert_eq!((applied.first_offset, applied.last_offset), (Offset(0), Offset(4)));
        assert_eq!((applied.number, applied.spans[0].max_timestamp), (1, TimestampMs(500)));
        assert_eq!(state.log_end_offset(), Offset(5));

        let second = payload(&[BatchBuilder::of_count(1).base_offset(5).leader_epoch(4).timestamp(600)]);
        let applied = state.apply(&second).unwrap();
        assert_eq!((applied.first_offset, applied.last_offset), (Offset(5), Offset(5)));
        let span = |max, before| TimeSpan { max_timestamp: TimestampMs(max), before: Offset(before) };
        assert_eq!((applied.number, applied.spans), (2, vec![span(600, 0), span(600, -1)]));
        assert_eq!(state.leader_epochs().latest(), Some(LeaderEpoch(4)));
        assert_eq!(state.leader_epochs().epoch_at(Offset(4)), Some(LeaderEpoch(2)));
    }

    #[test]
    fn applying_twice_changes_nothing() {
        let mut state = PartitionState::default();
        let one = payload(&[BatchBuilder::of_count(3).producer(1, 0, 0)]);
        let two = payload(&[BatchBuilder::of_count(3).base_offset(3).producer(1, 0, 3)]);
        state.apply(&one).unwrap();
        state.apply(&two).unwrap();
        let once = state.clone();
        assert_eq!(state.apply(&one), None);
        assert_eq!(state.apply(&two), None);
        assert_eq!(state, once);
    }

    #[test]
    fn an_empty_payload_is_nothing_new() {
        assert_eq!(PartitionState::default().apply(&Bytes::new()), None);
    }

    #[test]
    fn records_without_timestamp_leave_no_greatest_one() {
        let mut state = PartitionState::default();
        let applied = state.apply(&payload(&[BatchBuilder::of_count(2).timestamp(-1)])).unwrap();
        assert_eq!(applied.spans[0].max_timestamp, TimestampMs(-1));
    }

    #[test]
    fn the_log_start_only_rises() {
        let mut state = PartitionState::default();
        state.apply(&payload(&[BatchBuilder::of_count(10)])).unwrap();
        for offset in [4, 2] {
            assert_eq!(state.apply(&Command::RaiseLogStart(Offset(offset)).encode().into()), None);
        }
        assert_eq!(state.log_start_offset(), Offset(4));
        assert_eq!(state.leader_epochs().epoch_at(Offset(3)), None);
        assert_eq!(state.log_end_offset(), Offset(10));
    }

    #[test]
    fn bytes_are_counted_from_the_first_one_on() {
        let mut state = PartitionState::default();
        let one = payload(&[BatchBuilder::of_count(3)]);
        let two = payload(&[BatchBuilder::of_count(1).base_offset(3)]);
        assert_eq!(state.apply(&one).unwrap().bytes_so_far, one.len() as u64);
        state.raise_log_start(Offset(3));
        assert_eq!(state.apply(&two).unwrap().bytes_so_far, (one.len() + two.len()) as u64);
        state.apply(&two);
        assert_eq!(state.bytes_so_far(), (one.len() + two.len()) as u64);
    }

    #[test]
    #[should_panic(expected = "start beyond its end")]
    fn a_log_never_starts_beyond_its_end() {
        PartitionState::default().apply(&Command::RaiseLogStart(Offset(1)).encode().into());
    }

    #[test]
    #[should_panic(expected = "does not continue the log")]
    fn a_gap_is_a_fault() {
        PartitionState::default().apply(&payload(&[BatchBuilder::of_count(1).base_offset(1)]));
    }
}
