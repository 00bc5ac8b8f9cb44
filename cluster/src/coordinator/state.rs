//! The replicated state of a coordinator: what its records make, on all replicas alike.
//!
//! A leader has two of it: the one that is applied, which snapshots and the next leader come from, and its
//! [coordinator's](super::GroupCoordinator) own, which also holds what is proposed and not yet committed. Groups are
//! shared between the two until one of them changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::ids::GroupId;
use super::offsets::{GroupOffsets, OffsetsRecord};
use super::records::{CoordinatorRecord, GroupChange, GroupRecord};
use super::service_time::ServiceTime;
use crate::encoding::{self, DecodeError};

/// All groups of one coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CoordinatorState {
    groups: BTreeMap<GroupId, Arc<Group>>,
    /// The latest time that was written down.
    time: ServiceTime,
}

/// One group: who is in it, and what it has consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) offsets: GroupOffsets,
    pub(super) membership: Membership,
}

/// Who is in a group, as far as it is replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Membership {
    /// Nobody ever was: the offsets are those of consumers that assign themselves.
    #[default]
    None,
    /// A group of the classic protocol, as of its last rebalance.
    Classic(ClassicGroup),
    /// A group of the consumer protocol.
    Consumer(ConsumerGroup),
}

impl CoordinatorState {
    pub(super) fn group(&self, id: &GroupId) -> Option<&Group> {
        self.groups.get(id).map(Arc::as_ref)
    }

    /// As [`groups`](Self::groups), to be kept: a group that is shared is copied when it changes next.
    pub(super) fn shared_groups(&self) -> impl Iterator<Item = (&GroupId, &Arc<Group>)> {
        self.groups.iter()
    }

    pub(super) fn groups(&self) -> impl ExactSizeIterator<Item = (&GroupId, &Group)> {
        self.groups.iter().map(|(id, group)| (id, group.as_ref()))
    }

    /// The latest time that was written down, from which the next coordinator goes on.
    pub(super) const fn time(&self) -> ServiceTime {
        self.time
    }

    /// Applies a committed record, or one that is about to be. Replaying one twice changes nothing.
    pub(crate) fn replay(&mut self, record: &CoordinatorRecord) {
        match record {
            CoordinatorRecord::Group(record) => self.replay_group(record),
            CoordinatorRecord::Time(time) => self.time = self.time.max(*time),
        }
    }

    fn replay_group(&mut self, record: &GroupRecord) {
        let GroupRecord { group: id, change } = record;
        match change {
            GroupChange::Offsets(record) => self.replay_offsets(id, record),
            GroupChange::Classic(record) => {
                self.replay_membership(id, |membership| membership.replay_classic(record));
            }
            GroupChange::Consumer(record) => {
                self.replay_membership(id, |membership| membership.replay_consumer(record));
            }
            GroupChange::Removed => drop(self.groups.remove(id)),
        }
    }

    /// A commit makes the group if there is none. One that has lost its last offset stays until the next sweep, as in Kafka.
    fn replay_offsets(&mut self, id: &GroupId, record: &OffsetsRecord) {
        self.time = self.time.max(record.time().unwrap_or_default());
        let group = match record {
            OffsetsRecord::Committed(_) => self.groups.entry(id.clone()).or_default(),
            OffsetsRecord::Removed(_) | OffsetsRecord::Unused { .. } => match self.groups.get_mut(id) {
                Some(group) => group,
                None => return,
            },
        };
        Arc::make_mut(group).offsets.replay(record);
    }

    fn replay_membership(&mut self, id: &GroupId, replay: impl FnOnce(&mut Membership)) {
        let group = Arc::make_mut(self.groups.entry(id.clone()).or_default());
        replay(&mut group.membership);
        if group.is_nothing() {
            self.groups.remove(id);
        }
    }

    /// The whole state as bytes, for a checkpoint or a snapshot.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// The state that [`encode`](Self::encode) wrote. Never panics.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode(bytes)
    }
}

impl Group {
    /// Whether nothing is left of the group.
    fn is_nothing(&self) -> bool {
        matches!(self.membership, Membership::None) && self.offsets.is_empty()
    }
}
