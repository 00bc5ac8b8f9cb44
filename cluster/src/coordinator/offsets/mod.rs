//! Committed offsets: how far each group has consumed each partition.
//!
//! | file | what it tells |
//! | --- | --- |
//! | [`committed`] | what is replicated, and how it changes |
//! | [`commit`] | OffsetCommit: who may, and what is kept |
//! | [`fetch`] | OffsetFetch |
//! | [`delete`] | OffsetDelete (KIP-496), and topics that were deleted |
//! | [`expiry`] | offsets and groups that nobody uses any more (KIP-211) |
//!
//! An offset belongs to a partition, not to a name: with each is kept the Raft group that the partition had when it was
//! committed, and Raft groups are never allotted twice. So a topic that was deleted and made anew starts without
//! offsets, however late its coordinator hears of it; and an offset goes only when the metadata say that its partition
//! is gone for good, never because this node has not heard of the partition yet.
//!
//! What differs from Kafka, on purpose:
//! * Offsets of a consumer group that nobody is in any more expire as those of a classic one do: counted from when it was
//!   left, not from their commit.
//! * An offset that is set while nobody is in the group is kept for the whole retention, and not only for what is left
//!   of it.
//! * Time counts only while there is a coordinator: a cluster that was off for a month still knows its offsets.
//! * There is no transactional commit yet (KIP-98), so that no offset is ever unstable.

mod commit;
mod committed;
mod delete;
mod expiry;
mod fetch;
mod flat_map;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub(super) use self::committed::{GroupOffsets, OffsetsRecord};
