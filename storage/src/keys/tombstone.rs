//! The mark of a group that was deleted.
//!
//! It is written in the batch that deletes the group. While its value is empty, keys of the group may be left, so that
//! their removal resumes after a restart wherever it had come to. Then the value becomes [`EMPTIED`].
//!
//! The mark outlives the group's last key, because the metadata on disk may be older than the deletion: a checkpoint
//! still places the group on this node, and replaying the log would make it anew. Nobody opens a group that has a
//! tombstone. It goes in the batch that writes metadata which no longer name the group
//! ([`WriteBatch::forget_deleted_group`](crate::WriteBatch::forget_deleted_group)).

use super::Family;
use crate::ids::RaftGroupId;

/// The value of the tombstone of a group that has no keys left.
pub(crate) const EMPTIED: &[u8] = &[1];

/// The key of a group's tombstone.
pub(crate) fn key(group: RaftGroupId) -> [u8; 9] {
    Family::Tombstone.group_prefix(group)
}

/// The group of a tombstone's key; `None` for any other key.
pub(crate) fn group_of(key: &[u8]) -> Option<RaftGroupId> {
    Family::Tombstone.group_of(key).filter(|_| key.len() == 9)
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
    }
}
