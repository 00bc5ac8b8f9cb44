//! Where the bodies of entries are that do not fit beside their headers: in slots, numbered along each group's log.
//!
//! sled rewrites a leaf whole on every tenth change of it, and when it has more than 16 keys and is split. Values that
//! are put at the growing end of a log are in the way of both: each was written three to four times. So the keys are
//! there before the values. A log *reserves* slots ahead of what it writes, as keys with blank values, which cost little to
//! split. A leaf that a split leaves behind has nine keys and is never split again, and a value that is put under one of them
//! is one change.
//!
//! Every other key is a *spacer*, which stays blank. So a leaf has five values at most: five changes until they are written,
//! and four more until all but one are blanked when they are given up. The tenth change finds nothing to rewrite. Without
//! spacers a log would be written once more on its way out.
//!
//! That sled does so is measured by the storage benchmark, whose column `written` would tell if it did not.
//!
//! **Invariants:** a slot is filled at most once, whoever comes after: a log that was cut, or replaced by a snapshot, goes
//! on with higher numbers. And a slot at or above the group's next one never holds anything, so that reserving it again
//! overwrites nothing.

use std::ops::Range;

use super::Family;
use crate::ids::RaftGroupId;

/// The first slot that is used. Those below are reserved and stay blank: a fence, as in [`fence`](super::fence), before the
/// group's first values.
pub(crate) const FIRST_SLOT: u64 = 4;

/// How many slots have to be reserved ahead of the last one that is filled, so that none of the filled ones is on a leaf
/// that will be split: with their spacers more than the 16 keys of a full leaf.
const AHEAD: u64 = 9;

/// How many more are reserved at once when there is need.
const STEP: u64 = 8;

/// The longest part of a body, in bytes: the longer, the fewer keys, which take more of the processors than bytes do. A leaf has five parts, and nine if ever one were full of them, which stays below a quarter of a segment.
pub(crate) const MAX_PART_BYTES: usize = 56 * 1024;

/// The key of a slot.
pub(crate) fn key(group: RaftGroupId, slot: u64) -> [u8; 17] {
    let mut key = [0; 17];
    key[..9].copy_from_slice(&Family::Slot.group_prefix(group));
    key[9..].copy_from_slice(&slot.to_be_bytes());
    key
}

/// The key that stays blank behind a slot.
pub(crate) fn spacer(group: RaftGroupId, slot: u64) -> [u8; 18] {
    let mut spacer = [0; 18];
    spacer[..17].copy_from_slice(&key(group, slot));
    spacer
}

/// Which of a group's slots are reserved. Lives in memory: what was reserved before a restart is reserved again, which
/// writes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    /// The first slot that may not be reserved.
    end: u64,
}

impl Reserved {
    /// What is certain of a log whose next slot is `next`.
    pub(crate) const fn of_log(next: u64) -> Self {
        Self { end: if next == FIRST_SLOT { 0 } else { next } }
    }

    /// The slots that have to be reserved before those up to but not including `filled` are; none if enough are.
    pub(crate) fn extend(&mut self, filled: u64) -> Range<u64> {
        let start = self.end;
        if self.end < filled + AHEAD {
            self.end = filled + AHEAD + STEP;
        }
        start..self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_spacers_stand_in_turn() {
        let group = RaftGroupId(1);
        let keys: Vec<_> =
            [0, 7, 256].map(|slot| [key(group, slot).to_vec(), spacer(group, slot).to_vec()]).concat();
        assert!(keys.is_sorted());
        assert!(keys.iter().all(|below| below[..] < key(RaftGroupId(2), 0)[..]));
    }

    #[test]
    fn enough_is_reserved_ahead_of_what_is_filled() {
        let mut reserved = Reserved::of_log(FIRST_SLOT);
        assert_eq!(reserved.extend(5), 0..22, "with the fence");
        assert!(reserved.extend(13).is_empty());
        assert_eq!(reserved.extend(14), 22..31);
        assert_eq!(reserved.extend(1000), 31..1017);
        let mut reserved = Reserved::of_log(26);
        assert_eq!(reserved.extend(27), 26..44, "after a restart nothing is certain");
    }
}
