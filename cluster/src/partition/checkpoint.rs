//! The bytes of a [`PartitionState`], on disk and in a Raft snapshot.
//!
//! A version byte, then the fields in postcard's encoding. The structs here mirror the state on purpose: what is written
//! must stay readable when the state in memory changes, so they change only together with the version. Equal states have
//! equal bytes, on whichever replica.
//!
//! Their size is bounded by the producers that a partition may remember and by
//! [`MAX_EPOCHS`](super::leader_epochs::MAX_EPOCHS): a few MiB.
//!
//! Decoding takes nothing on trust. Bytes that no state encodes to are an error, never a panic and never a state that
//! breaks an invariant.

use serde::{Deserialize, Serialize};

use super::leader_epochs::{EpochStart, LeaderEpochs};
use super::producers::{AGE_STEPS, ProducedBatch, Producer, Producers, WINDOW};
use super::state::PartitionState;
use super::time_index::{Block, TimeIndex};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// The version that is written. Version 3, which is read as well, knew nothing of producers' age.
const VERSION: u8 = 4;

/// Why bytes are not a partition's state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There is nothing, not even a version.
    #[error("the partition state is empty")]
    Empty,
    /// Another Trilog wrote it.
    #[error("partition state has version {0}, and this program reads 3 and {VERSION}")]
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

/// As version 3, and behind it how producers age.
#[derive(Serialize, Deserialize)]
struct StateV4 {
    state: StateV3,
    /// How many steps of time were counted for producers.
    producer_age: u64,
    /// The log's end at the last of them.
    producer_age_ends: Vec<i64>,
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
        let state = StateV4 {
            state,
            producer_age: self.producers.age,
            producer_age_ends: self.producers.ends.iter().map(|end| end.0).collect(),
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
        let (state, rest) = match version {
            3 => {
                let (state, rest) = postcard::take_from_bytes(fields)?;
                (StateV4 { state, producer_age: 0, producer_age_ends: Vec::new() }, rest)
            }
            VERSION => postcard::take_from_bytes(fields)?,
            other => return Err(DecodeError::UnknownVersion(other)),
        };
        if !rest.is_empty() {
            return Err(DecodeError::Inconsistent("length"));
        }
        state.into_state()
    }
}

impl StateV4 {
    fn into_state(self) -> Result<PartitionState, DecodeError> {
        let mut state = self.state.into_state()?;
        let ends = self.producer_age_ends;
        let within = ends.iter().all(|end| (0..=state.log_end_offset.0).contains(end));
        let has_too_many = ends.len() > AGE_STEPS as usize || state.producers.is_empty() && !ends.is_empty();
        // One more step is to come.
        if !within || !ends.is_sorted() || has_too_many || self.producer_age == u64::MAX {
            return Err(DecodeError::Inconsistent("producers' age"));
        }
        state.producers.age = self.producer_age;
        state.producers.ends = ends.into_iter().map(Offset).collect();
        Ok(state)
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
    use crate::partition::Command;
    use crate::partition::testing::BatchBuilder;

    /// Batches of some producers, in some epochs, applied one by one.
    fn any_state() -> impl Strategy<Value = PartitionState> {
        let batch = (1..4_u32, -1..6_i64, 0..2_i32, -1..1000_i64);
        (prop::collection::vec(batch, 0..40), 0..40_i64).prop_map(|(batches, start)| {
            let mut age = 0;
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
                if timestamp % 3 == 0 {
                    age += 1;
                    state.apply(&Command::AgeProducers(age).encode().into());
                }
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

    /// The three batches of [`written`], by two producers, as version 3 and as version 4 wrote them.
    const V3: [u8; 41] = [
        3, 2, 6, 3, 2, 210, 15, 2, 212, 15, 4, 1, 6, 2, 2, 18, 4, 1, 0, 0, 2, 2, 210, 15, 14, 4, 2, 0, 0, 0,
        0, 208, 15, 2, 2, 4, 4, 212, 15, 234, 1,
    ];
    const V4: [u8; 46] = [
        4, 2, 6, 3, 2, 210, 15, 2, 212, 15, 4, 1, 6, 2, 2, 18, 4, 1, 0, 0, 2, 2, 210, 15, 14, 4, 2, 0, 0, 0,
        0, 208, 15, 2, 2, 4, 4, 212, 15, 234, 1, 3, 3, 2, 4, 6,
    ];

    fn written() -> PartitionState {
        let mut state = PartitionState::default();
        for (offset, producer, sequence) in [(0, 7, 0), (1, 9, 0), (2, 7, 1)] {
            let batch =
                BatchBuilder::of_count(1).base_offset(offset).leader_epoch(3).timestamp(1_000 + offset);
            state.apply(&batch.producer(producer, 2, sequence).build().into());
            state.apply(&Command::AgeProducers(state.producers.next_age()).encode().into());
        }
        state.raise_log_start(Offset(1));
        state
    }

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        let mut state = written();
        assert_eq!(PartitionState::decode(&V4).as_ref(), Ok(&state));
        assert_eq!(state.encode(), V4);
        state.producers.age = 0;
        state.producers.ends.clear();
        assert_eq!(PartitionState::decode(&V3), Ok(state), "nobody was older than anybody");
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
