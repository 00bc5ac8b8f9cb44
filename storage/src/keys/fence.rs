//! Small keys that keep small and large values off one leaf.
//!
//! sled rewrites a leaf as a whole: on every tenth change of it, and when it has more than 16 keys and is split
//! in the middle. A row of a hundred bytes that is changed with every batch must not share its leaf with
//! values a hundred times as long, nor the growing end of one group's log with the first entries of the next group.
//!
//! A fence is a run of empty values at the start of such a region, longer than half a leaf, so that a split falls
//! inside it and leaves the two sides on leaves of their own. A region is fenced once, when it is made.

use super::{Family, raft_entry};
use crate::ids::{RaftGroupId, RaftIndex};

/// The length of a fence: half of the 16 keys that sled 0.34 puts on a leaf before it splits it.
const FENCE_KEYS: u16 = 8;

/// The keys at the start of the families whose values are large: cut-off keys of group 0, which sort before whole ones.
pub(crate) fn between_families() -> impl Iterator<Item = Vec<u8>> {
    let run = |family: Family| {
        let first = family.group_prefix(RaftGroupId(0));
        (1..=usize::from(FENCE_KEYS)).map(move |len| first[..len].to_vec())
    };
    run(Family::Record).chain(run(Family::RaftEntry)).chain(run(Family::Slot))
}

/// The key in a fence that may have a value now and then, without harm to what is on either side.
pub(crate) fn filler() -> Vec<u8> {
    Family::Record.group_prefix(RaftGroupId(0))[..usize::from(FENCE_KEYS / 2)].to_vec()
}

/// The keys at the start of a group's log: that of index 0, which no entry has, and longer ones that begin with it.
pub(crate) fn before_log(group: RaftGroupId) -> impl Iterator<Item = Vec<u8>> {
    let first = raft_entry::key(group, RaftIndex(0));
    (0..usize::from(FENCE_KEYS)).map(move |longer| [&first[..], &vec![0; longer]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{record, slot};

    #[test]
    fn fences_stand_before_what_they_fence_and_decode_to_nothing() {
        let first_record = record::key(RaftGroupId(0), &[], 0);
        let first_entry = raft_entry::key(RaftGroupId(0), RaftIndex(1));
        let first_slot = slot::key(RaftGroupId(0), 0);
        for key in between_families() {
            let stands = |first: &[u8]| key[..] < *first && first.starts_with(&key[..1]);
            assert!(stands(&first_record) || stands(&first_entry) || stands(&first_slot));
            assert_eq!(record::decode_key(&key), None);
            assert_eq!(raft_entry::decode_key(&key), None);
        }
        for key in before_log(RaftGroupId(0)) {
            assert!(key[..] < first_entry[..]);
        }
    }
}
