//! Everything about a group's log that is not an entry: one row a group, written whole.
//!
//! The row also says where the log ends. It could be derived from the entries' keys; kept here, a log whose last
//! entries are missing is found out at open instead of passing for a shorter one.

use std::sync::Arc;

use super::{Family, RowReader};
use crate::ids::{RaftGroupId, RaftIndex};

/// A place in a Raft log: the index of an entry and the term it was proposed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPosition {
    /// The entry's index; 0 stands before the first one.
    pub(crate) index: RaftIndex,
    /// Its term.
    pub(crate) term: u64,
}

/// One group's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupState {
    /// The highest term the replica has seen.
    pub(crate) term: u64,
    /// Whom it voted for in that term; 0 for nobody.
    pub(crate) vote: u64,
    /// The highest index it knows to be committed.
    pub(crate) commit: RaftIndex,
    /// The highest index whose effects are in the stored state.
    pub(crate) applied: RaftIndex,
    /// The last entry that was compacted away or is covered by a snapshot.
    pub(crate) truncated: LogPosition,
    /// The last entry of the log; `truncated` when the log is empty.
    pub(crate) last: LogPosition,
    /// The first slot that the log may still need; those below are given up.
    pub(crate) first_slot: u64,
    /// The slot that the next entry's body goes to. Never lower than it was.
    pub(crate) next_slot: u64,
    /// The group's voting members.
    pub(crate) voters: Arc<[u64]>,
}

/// The key of a group's row.
pub(crate) fn key(group: RaftGroupId) -> [u8; 9] {
    Family::RaftState.group_prefix(group)
}

/// The group of a row's key; `None` for any other key.
pub(crate) fn group_of(key: &[u8]) -> Option<RaftGroupId> {
    Family::RaftState.group_of(key).filter(|_| key.len() == 9)
}

impl GroupState {
    /// The row's length without voters.
    const FIXED_BYTES: usize = 11 * 8;

    /// The length of the encoded row.
    pub(crate) fn encoded_len(&self) -> usize {
        Self::FIXED_BYTES + 8 * self.voters.len()
    }

    /// The row's bytes. `version` counts how often the group's row was written.
    pub(crate) fn encode(&self, version: u64) -> Vec<u8> {
        let fixed = [
            version,
            self.term,
            self.vote,
            self.commit.0,
            self.applied.0,
            self.truncated.index.0,
            self.truncated.term,
            self.last.index.0,
            self.last.term,
            self.first_slot,
            self.next_slot,
        ];
        let mut row = Vec::with_capacity(self.encoded_len());
        for number in fixed.iter().chain(self.voters.iter()) {
            row.extend_from_slice(&number.to_be_bytes());
        }
        row
    }

    /// The row and its version, or `None` when the bytes are none.
    pub(crate) fn decode(row: &[u8]) -> Option<(u64, Self)> {
        let mut row = RowReader::new(row);
        let version = row.u64()?;
        let mut state = Self {
            term: row.u64()?,
            vote: row.u64()?,
            commit: RaftIndex(row.u64()?),
            applied: RaftIndex(row.u64()?),
            truncated: LogPosition { index: RaftIndex(row.u64()?), term: row.u64()? },
            last: LogPosition { index: RaftIndex(row.u64()?), term: row.u64()? },
            first_slot: row.u64()?,
            next_slot: row.u64()?,
            voters: Arc::default(),
        };
        let (voters, rest) = row.rest().as_chunks::<8>();
        if !rest.is_empty() {
            return None;
        }
        state.voters = voters.iter().map(|voter| u64::from_be_bytes(*voter)).collect();
        Some((version, state))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_round_trip_and_keep_order(a: u64, b: u64) {
            let (a, b) = (RaftGroupId(a), RaftGroupId(b));
            prop_assert_eq!(group_of(&key(a)), Some(a));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn rows_round_trip(version: u64, fixed: [u64; 10], voters: Vec<u64>) {
            let state = GroupState {
                term: fixed[0],
                vote: fixed[1],
                commit: RaftIndex(fixed[2]),
                applied: RaftIndex(fixed[3]),
                truncated: LogPosition { index: RaftIndex(fixed[4]), term: fixed[5] },
                last: LogPosition { index: RaftIndex(fixed[6]), term: fixed[7] },
                first_slot: fixed[8],
                next_slot: fixed[9],
                voters: voters.into(),
            };
            let row = state.encode(version);
            prop_assert_eq!(row.len(), state.encoded_len());
            prop_assert_eq!(GroupState::decode(&row), Some((version, state)));
        }

        #[test]
        fn any_bytes_decode_or_not(bytes: Vec<u8>) {
            let _ = GroupState::decode(&bytes);
        }
    }
}
