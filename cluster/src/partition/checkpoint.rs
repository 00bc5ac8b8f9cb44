//! The bytes of a [`PartitionState`], on disk and in a Raft snapshot.
//!
//! A version byte, then the fields in postcard's encoding. The structs here mirror the state on purpose: what is written
//! must stay readable when the state in memory changes, so they change only together with the version. Equal states have
//! equal bytes, on whichever replica.
//!
//! Their size is bounded by [`MAX_PRODUCERS`] and [`MAX_EPOCHS`](super::leader_epochs::MAX_EPOCHS): below one MiB.
//!
//! Decoding takes nothing on trust. Bytes that no state encodes to are an error, never a panic and never a state that
//! breaks an invariant.

use serde::{Deserialize, Serialize};

use super::leader_epochs::{EpochStart, LeaderEpochs};
use super::producers::{MAX_PRODUCERS, ProducedBatch, Producer, Producers, WINDOW};
use super::state::PartitionState;
use super::time_index::{Block, TimeIndex};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// The only version that is read. The one before it kept one greatest timestamp, for ever.
const VERSION: u8 = 3;

/// Why bytes are not a partition's state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There is nothing, not even a version.
    #[error("the partition state is empty")]
    Empty,
    /// Another Trilog wrote it.
    #[error("partition state has version {0}, and this program reads {VERSION}")]
    UnknownVersion(u8),
    /// The fields cannot be read.
    #[error("partition state is malformed: {0}")]
    Malformed(#[from] postcard::Error),
    /// The fields can be read and contradict each other.
    #[error("partition state is inconsistent in its {0}")]
    Inconsistent(&'static str),
}

#[derive(Serialize, Deserialize)]
struct StateV3 {
    log_start_offset: i64,
    log_end_offset: i64,
    /// How many entries with records there were.
    entries: u64,
    /// Blocks of them: the greatest timestamp, and the first offset of the last entry.
    time_blocks: Vec<(i64, i64)>,
    /// Epochs and their start offsets.
    leader_epochs: Vec<(i32, i64)>,
    /// By rising last offset.
    producers: Vec<ProducerV1>,
    bytes_so_far: u64,
}

#[derive(Serialize, Deserialize)]
struct ProducerV1 {
    id: i64,
    epoch: i16,
    batches: Vec<ProducedBatchV1>,
}

#[derive(Serialize, Deserialize)]
struct ProducedBatchV1 {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    last_offset: i64,
    max_timestamp: i64,
}

impl PartitionState {
    /// The state as bytes, for a checkpoint or a snapshot.
    ///
    /// # Panics
    ///
    /// Never: plain numbers and lists always encode.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let blocks = self.time_index.blocks.iter();
        let state = StateV3 {
            log_start_offset: self.log_start_offset.0,
            log_end_offset: self.log_end_offset.0,
            entries: self.time_index.entries,
            time_blocks: blocks.map(|block| (block.max_timestamp.0, block.last.0)).collect(),
            leader_epochs: self
                .leader_epochs
                .starts()
                .iter()
                .map(|at| (at.epoch.0, at.start_offset.0))
                .collect(),
            producers: self.producers.iter().map(|(id, producer)| ProducerV1::of(id, producer)).collect(),
            bytes_so_far: self.bytes_so_far,
        };
        postcard::to_extend(&state, vec![VERSION]).expect("numbers and lists always encode")
    }

    /// The state that [`encode`](Self::encode) made these bytes of.
    ///
    /// # Errors
    ///
    /// As [`DecodeError`] says.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&version, fields) = bytes.split_first().ok_or(DecodeError::Empty)?;
        if version != VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        let (state, rest) = postcard::take_from_bytes::<StateV3>(fields)?;
        if !rest.is_empty() {
            return Err(DecodeError::Inconsistent("length"));
        }
        state.into_state()
    }
}

impl StateV3 {
    fn into_state(self) -> Result<PartitionState, DecodeError> {
        let (start, end) = (self.log_start_offset, self.log_end_offset);
        if start < 0 || start > end {
            return Err(DecodeError::Inconsistent("offsets"));
        }
        if i64::try_from(self.bytes_so_far).is_err() {
            return Err(DecodeError::Inconsistent("number of bytes"));
        }
        let block = |(max, last)| Block { max_timestamp: TimestampMs(max), last: Offset(last) };
        let blocks = self.time_blocks.into_iter().map(block).collect();
        let time_index = TimeIndex::from_blocks(self.entries, blocks, Offset(end));
        Ok(PartitionState {
            log_start_offset: Offset(start),
            log_end_offset: Offset(end),
            leader_epochs: leader_epochs(&self.leader_epochs, end)?,
            producers: producers(&self.producers, end)?,
            time_index: time_index.ok_or(DecodeError::Inconsistent("greatest timestamps"))?,
            bytes_so_far: self.bytes_so_far,
        })
    }
}

fn leader_epochs(starts: &[(i32, i64)], end: i64) -> Result<LeaderEpochs, DecodeError> {
    let within = starts.iter().all(|&(_, offset)| (0..=end).contains(&offset));
    let starts = starts
        .iter()
        .map(|&(epoch, offset)| EpochStart { epoch: LeaderEpoch(epoch), start_offset: Offset(offset) })
        .collect();
    LeaderEpochs::from_starts(starts).filter(|_| within).ok_or(DecodeError::Inconsistent("leader epochs"))
}

fn producers(encoded: &[ProducerV1], end: i64) -> Result<Producers, DecodeError> {
    if encoded.len() > MAX_PRODUCERS {
        return Err(DecodeError::Inconsistent("number of producers"));
    }
    let mut producers = Producers::default();
    let mut last_offset = -1;
    for producer in encoded {
        let id = ProducerId(producer.id);
        let newest = producer.newest_offset(end).filter(|newest| *newest > last_offset);
        last_offset = newest.ok_or(DecodeError::Inconsistent("producers"))?;
        if id.0 < 0 || producers.producer(id).is_some() {
            return Err(DecodeError::Inconsistent("producer ids"));
        }
        producers.restore(id, Some(producer.to_producer()));
    }
    Ok(producers)
}

impl ProducerV1 {
    fn of(id: ProducerId, producer: &Producer) -> Self {
        let batches = producer.batches.iter().map(|batch| ProducedBatchV1 {
            base_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence,
            base_offset: batch.base_offset.0,
            last_offset: batch.last_offset.0,
            max_timestamp: batch.max_timestamp.0,
        });
        Self { id: id.0, epoch: producer.epoch.0, batches: batches.collect() }
    }

    /// The last batch's last offset, provided that the batches are few enough, rise, and lie below `end`.
    fn newest_offset(&self, end: i64) -> Option<i64> {
        let mut next = 0;
        for batch in &self.batches {
            let valid = batch.base_offset >= next
                && batch.last_offset >= batch.base_offset
                && batch.last_offset < end
                && batch.base_sequence >= 0
                && batch.last_sequence >= 0;
            if !valid {
                return None;
            }
            next = batch.last_offset + 1;
        }
        (1..=WINDOW).contains(&self.batches.len()).then(|| next - 1)
    }

    fn to_producer(&self) -> Producer {
        let batches = self.batches.iter().map(|batch| ProducedBatch {
            base_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence,
            base_offset: Offset(batch.base_offset),
            last_offset: Offset(batch.last_offset),
            max_timestamp: TimestampMs(batch.max_timestamp),
        });
        Producer { epoch: ProducerEpoch(self.epoch), batches: batches.collect() }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::partition::testing::BatchBuilder;

    /// Batches of some producers, in some epochs, applied one by one.
    fn any_state() -> impl Strategy<Value = PartitionState> {
        let batch = (1..4_u32, -1..6_i64, 0..2_i32, -1..1000_i64);
        (prop::collection::vec(batch, 0..40), 0..40_i64).prop_map(|(batches, start)| {
            let mut state = PartitionState::default();
            let mut epoch = 1;
            for (count, producer, elections, timestamp) in batches {
                epoch += elections;
                let offset = state.log_end_offset().0;
                let sequence = i32::try_from(offset).unwrap();
                let mut batch = BatchBuilder::of_count(count).base_offset(offset).leader_epoch(epoch);
                if producer >= 0 {
                    batch = batch.producer(producer, 0, sequence);
                }
                state.apply(&Bytes::from(batch.timestamp(timestamp).build()));
            }
            state.raise_log_start(Offset(start.min(state.log_end_offset().0)));
            state
        })
    }

    proptest! {
        #[test]
        fn a_state_survives_encoding(state in any_state()) {
            let bytes = state.encode();
            prop_assert_eq!(PartitionState::decode(&bytes), Ok(state));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = PartitionState::decode(&bytes);
        }

        #[test]
        fn what_damaged_bytes_decode_to_is_a_valid_state(
            state in any_state(), at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = state.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(mut decoded) = PartitionState::decode(&bytes) {
                // The next batch applies, unless there is no room for it.
                let end = decoded.log_end_offset().0;
                let epoch = decoded.leader_epochs().latest().map_or(0, |epoch| epoch.0);
                prop_assert!(decoded.log_start_offset().0 <= end);
                if end < i64::from(i32::MAX) {
                    let batch = BatchBuilder::of_count(1).base_offset(end).leader_epoch(epoch).producer(3, 1, 0);
                    decoded.apply(&Bytes::from(batch.build()));
                    prop_assert_eq!(decoded.log_end_offset(), Offset(end + 1));
                }
            }
        }
    }

    #[test]
    fn other_versions_and_leftovers_are_refused() {
        let mut bytes = PartitionState::default().encode();
        bytes.push(0);
        assert_eq!(PartitionState::decode(&bytes), Err(DecodeError::Inconsistent("length")));
        bytes[0] = 2;
        assert_eq!(PartitionState::decode(&bytes), Err(DecodeError::UnknownVersion(2)));
        assert_eq!(PartitionState::decode(&[]), Err(DecodeError::Empty));
    }
}
