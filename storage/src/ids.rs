//! The names of what is stored. Each is a newtype, so that one kind of number never passes for another.

use std::fmt;

pub use trilog_protocol::ids::Offset;
use uuid::Uuid;

/// A Raft group: one partition's replicas, or the controller. Allotted once by the controller, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RaftGroupId(pub u64);

impl RaftGroupId {
    /// The controller's own group, which every node is a member of.
    pub const CONTROLLER: Self = Self(0);
}

impl fmt::Display for RaftGroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}

/// A position in a Raft log, counted in entries from 1. Not a Kafka [`Offset`]: there is no conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RaftIndex(pub u64);

impl RaftIndex {
    /// The index after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for RaftIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A store, told from every other: drawn at random when the store is made, and kept in it for good (what KIP-858 calls a
/// directory id). A node that comes back under another one has lost its disk, and with it all that it had promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    /// An id that no other store has.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().into_bytes())
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).fmt(f)
    }
}
