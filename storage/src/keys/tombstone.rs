//! The mark of a group that was deleted and whose keys are still being removed.
//!
//! It is written when the group goes and removed after the group's last key, so that the removal resumes after a
//! restart wherever it had come to.

use super::Family;
use crate::ids::RaftGroupId;

/// The key of a group's tombstone. The value is empty.
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
