//! In one generation, or epoch, of a group a partition has one owner: two consumers never both get its records (KIP-848,
//! and the classic protocol as far as the members' leader keeps it). A group that was empty may begin anew.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::coordinator::properties::{Assigned, assigned, has_members, left, owned_twice};
use crate::coordinator::{CoordinatorState, GroupId, MemberId};
use crate::ids::{RaftGroupId, RaftIndex};
use crate::simulation::call::{Answer, Call};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct OneOwner {
    owners: BTreeMap<RaftGroupId, Groups>,
    /// The newest state that was seen of each coordinator.
    newest: BTreeMap<RaftGroupId, RaftIndex>,
}

/// Who owns what, by generation, of one coordinator's groups.
type Groups = BTreeMap<GroupId, BTreeMap<(i32, String), MemberId>>;

impl Invariant for OneOwner {
    fn name(&self) -> &'static str {
        "a partition has one owner"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Answered {
                call: Call::Coordinate { coordinator, request },
                answer: Answer::Coordinated(Ok(response)),
                ..
            } => {
                // The last one may leave, and the group go and begin anew, between two states that are seen.
                if let Some((group, members)) = left(request, response)
                    && let Some(owners) =
                        self.owners.get_mut(coordinator).and_then(|groups| groups.get_mut(&group))
                {
                    owners.retain(|_, owner| !members.contains(owner));
                }
                assigned(request, response).map_or(Ok(()), |assigned| self.assign(*coordinator, assigned))
            }
            Observation::State { group, index, state, is_coordinator: true, .. } => {
                let newest = self.newest.entry(*group).or_default();
                if index <= newest {
                    return Ok(());
                }
                *newest = *index;
                let state = CoordinatorState::decode(state).map_err(|error| error.to_string())?;
                if let Some(groups) = self.owners.get_mut(group) {
                    groups.retain(|group, _| has_members(&state, group));
                }
                owned_twice(&state).map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }

    fn lose(&mut self, lost: Lost) {
        self.owners.remove(&lost.group);
        self.newest.remove(&lost.group);
    }
}

impl OneOwner {
    fn assign(&mut self, coordinator: RaftGroupId, assigned: Assigned) -> Result<(), String> {
        let Assigned { group, epoch, member, partitions } = assigned;
        let owners = self.owners.entry(coordinator).or_default().entry(group.clone()).or_default();
        for partition in partitions {
            let owner = owners.entry((epoch, partition.clone())).or_insert_with(|| member.clone());
            if *owner != member {
                return Err(format!(
                    "in generation {epoch} of {group}, {partition} was given to {owner} and to {member}"
                ));
            }
        }
        Ok(())
    }
}
