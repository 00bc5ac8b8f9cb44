//! What operators watch of all groups at once: in which states they are, and what they have committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::GroupCoordinator;
use super::ids::GroupId;
use super::state::{CoordinatorState, Group};
use crate::ids::{Offset, PartitionIndex, TopicName};

/// The offsets that one group has committed, as of one moment. Shared with the coordinator until the group commits again.
#[derive(Clone, Debug)]
pub struct CommittedOffsets {
    id: GroupId,
    group: Arc<Group>,
}

impl CommittedOffsets {
    /// The group's name.
    #[must_use]
    pub const fn group(&self) -> &GroupId {
        &self.id
    }

    /// Each partition with a committed offset, by topic name and index: where the group goes on.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicName, PartitionIndex, Offset)> {
        self.group.offsets.topics().flat_map(|(topic, partitions)| {
            partitions.map(move |(partition, committed)| (topic, partition, committed.offset))
        })
    }
}

impl CoordinatorState {
    /// What all groups have committed, by group name.
    pub(crate) fn committed_offsets(&self) -> impl Iterator<Item = CommittedOffsets> {
        self.shared_groups()
            .filter(|(_, group)| !group.offsets.is_empty())
            .map(|(id, group)| CommittedOffsets { id: id.clone(), group: Arc::clone(group) })
    }
}

impl GroupCoordinator {
    /// Adds to `counts` how many groups there are of each type and state.
    pub(crate) fn count_states(&self, counts: &mut BTreeMap<(&'static str, &'static str), usize>) {
        for (_, view) in self.views() {
            *counts.entry((view.group_type(), view.state_name())).or_default() += 1;
        }
    }
}
