//! The greatest timestamps of a partition's entries, as its offset index has them: from the first entry that was ever written on,
//! as a binary counter of blocks.
//!
//! After 13 entries there are three blocks: of the first eight, the next four, and the last one. The next entry makes a block of
//! two with that one, and a sixteenth would make one block of all. Each block that ends with an entry is told in the entry's row
//! (see [`OffsetIndexRow`](trilog_storage::OffsetIndexRow)); a reader who knows where the log begins leaves out what is before.

use crate::ids::{Offset, TimestampMs};

/// The entries of a partition, in blocks. Invariant: as many blocks as `entries` has binary digits that are 1, one for each,
/// the largest first; their last entries rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeIndex {
    pub(super) entries: u64,
    pub(super) blocks: Vec<Block>,
}

/// Entries in a row, as many as a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The greatest timestamp in it, -1 without one.
    pub(super) max_timestamp: TimestampMs,
    /// The first offset of its last entry.
    pub(super) last: Offset,
}

/// A block that ends with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The greatest timestamp in it, -1 without one.
    pub max_timestamp: TimestampMs,
    /// The first offset of the entry before it, -1 if it begins with the first.
    pub before: Offset,
}

impl TimeIndex {
    /// How many entries there ever were.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Adds an entry that begins at `first_offset`. Returns the blocks that end with it: of 1, 2, 4, … entries.
    pub(super) fn add(&mut self, first_offset: Offset, max_timestamp: TimestampMs) -> Vec<TimeSpan> {
        self.entries += 1;
        let mut block = Block { max_timestamp, last: first_offset };
        let spans = (0..=self.entries.trailing_zeros()).map(|level| {
            if level > 0
                && let Some(before) = self.blocks.pop()
            {
                block.max_timestamp = block.max_timestamp.max(before.max_timestamp);
            }
            let before = self.blocks.last().map_or(Offset(-1), |before| before.last);
            TimeSpan { max_timestamp: block.max_timestamp, before }
        });
        let spans = spans.collect();
        self.blocks.push(block);
        spans
    }

    /// The index with these blocks, unless they are not such as entries below `end` make.
    pub(super) fn from_blocks(entries: u64, blocks: Vec<Block>, end: Offset) -> Option<Self> {
        let rises = blocks.windows(2).all(|two| two[0].last < two[1].last);
        let within = blocks
            .iter()
            .all(|block| block.max_timestamp.0 >= -1 && block.last >= Offset(0) && block.last < end);
        let has_records = i64::try_from(entries).is_ok_and(|entries| entries <= end.0);
        let is_whole = blocks.len() == entries.count_ones() as usize && has_records;
        (rises && within && is_whole).then_some(Self { entries, blocks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_blocks_that_end_with_an_entry_are_told(times in prop::collection::vec(-1..100_i64, 1..200)) {
            let mut index = TimeIndex::default();
            for (at, time) in times.iter().enumerate() {
                let offset = |at: usize| Offset(i64::try_from(at).unwrap() * 10);
                let spans = index.add(offset(at), TimestampMs(*time));
                prop_assert_eq!(spans.len(), (at + 1).trailing_zeros() as usize + 1);
                for (level, span) in spans.iter().enumerate() {
                    let first = at + 1 - (1 << level);
                    let greatest = times[first..=at].iter().max().copied();
                    prop_assert_eq!(Some(span.max_timestamp.0), greatest);
                    prop_assert_eq!(span.before, first.checked_sub(1).map_or(Offset(-1), offset));
                }
                let blocks = index.blocks.clone();
                prop_assert_eq!(blocks.len(), (at + 1).count_ones() as usize);
                let again = TimeIndex::from_blocks(index.entries(), blocks, offset(at + 1));
                prop_assert_eq!(again.as_ref(), Some(&index));
            }
        }
    }

    #[test]
    fn blocks_that_contradict_each_other_are_none() {
        let block = |time, last| Block { max_timestamp: TimestampMs(time), last: Offset(last) };
        let of = |entries, blocks: &[Block]| TimeIndex::from_blocks(entries, blocks.to_vec(), Offset(9));
        assert!(of(3, &[block(5, 1), block(-1, 8)]).is_some());
        assert_eq!(of(4, &[block(5, 1), block(-1, 8)]), None, "that is one block");
        assert_eq!(of(3, &[block(5, 8), block(-1, 8)]), None);
        assert_eq!(of(3, &[block(5, 1), block(-1, 9)]), None);
        assert_eq!(of(3, &[block(-2, 1), block(-1, 8)]), None);
        assert_eq!(of(3, &[block(5, -1), block(-1, 8)]), None);
    }
}
