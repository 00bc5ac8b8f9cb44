//! The vocabulary of consumer groups.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A consumer group's name, Kafka's `group.id`. Not to be mixed up with the Raft group that replicates it.
    GroupId
}

name! {
    /// A member's id within its group. Empty in the request of a member that has none yet.
    MemberId
}

name! {
    /// A static member's name, Kafka's `group.instance.id`: it stays when the member comes back under a new member id
    /// (KIP-345).
    InstanceId
}

/// How often a classic group has been rebalanced. -1 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub i32);

/// An epoch of the consumer protocol (KIP-848): of a group, of its target assignment, or the one that a member has
/// reached. In requests 0 joins, -1 leaves, and -2 leaves for a while (a static member).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemberEpoch(pub i32);

impl MemberEpoch {
    /// Of a member that joins, or joins again after it was fenced.
    pub const JOIN: Self = Self(0);
    /// Of a member that leaves.
    pub const LEAVE: Self = Self(-1);
    /// Of a static member that leaves and means to be back before its session is over.
    pub const LEAVE_FOR_A_WHILE: Self = Self(-2);

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl GroupId {
    /// Which of `partitions` partitions of `__consumer_offsets` this group belongs to, as Kafka computes it: Java's
    /// hash of the name, without its sign, modulo their number. None of none.
    #[must_use]
    pub fn partition_of(&self, partitions: usize) -> Option<usize> {
        let hash = self
            .0
            .encode_utf16()
            .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
        // Kafka's `Utils.abs`: the one number without a positive counterpart becomes 0.
        let positive = usize::try_from(hash.checked_abs().unwrap_or(0)).unwrap_or(0);
        positive.checked_rem(partitions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_partition_that_java_gives_it() {
        let of_50 = |name: &str| GroupId::from(name).partition_of(50);
        // "group".hashCode() is 98629247, "a".hashCode() is 97.
        assert_eq!(of_50("group"), Some(47));
        assert_eq!(of_50("a"), Some(47));
        assert_eq!(of_50(""), Some(0));
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE.
        assert_eq!(of_50("polygenelubricants"), Some(0));
        assert_eq!(GroupId::from("group").partition_of(0), None);
    }
}
