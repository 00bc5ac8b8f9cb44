//! What a coordinator writes down: every change of its groups and the time that has passed, as entries of its
//! partition's Raft group.
//!
//! A record states an outcome, never an instruction, and holds the whole new value of what it sets, so that the last one
//! wins however often it is replayed.

use serde::{Deserialize, Serialize};

use super::classic::ClassicRecord;
use super::consumer::ConsumerRecord;
use super::ids::GroupId;
use super::offsets::OffsetsRecord;
use super::service_time::ServiceTime;
use crate::encoding::{self, DecodeError};

/// What was written down. Variants are numbered by their order on disk: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CoordinatorRecord {
    /// A group has changed.
    Group(GroupRecord),
    /// The time has come to this, though no group has changed.
    Time(ServiceTime),
}

/// One change of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(super) group: GroupId,
    pub(super) change: GroupChange,
}

/// What has changed. Variants are numbered by their order on disk: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum GroupChange {
    /// Offsets were committed or removed.
    Offsets(OffsetsRecord),
    /// A classic group was rebalanced.
    Classic(ClassicRecord),
    /// Something about a consumer group.
    Consumer(ConsumerRecord),
    /// The group is gone, offsets and all.
    Removed,
}

impl CoordinatorRecord {
    /// Whether it may be committed and the other lost: what changes of one group belongs together, and no request
    /// changes two.
    pub(crate) fn is_independent_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Group(one), Self::Group(other)) => one.group != other.group,
            _ => true,
        }
    }
}

/// How the payload of a Raft entry begins. Records follow, one after the other, and happen together.
pub(crate) fn entry_header() -> Vec<u8> {
    encoding::header()
}

/// Adds a record to an entry's payload.
pub(crate) fn encode_record(record: &CoordinatorRecord, payload: &mut Vec<u8>) {
    encoding::extend(record, payload);
}

/// The records of an entry. Fails on damaged bytes and on those of a release that knows more; never panics.
pub(crate) fn decode_entry(payload: &[u8]) -> Result<Vec<CoordinatorRecord>, DecodeError> {
    encoding::decode_all(payload)
}
