//! The group coordinators among a shard's groups: requests, time and news reach them from here.

use std::sync::Arc;
use std::time::Duration;

use super::Shard;
use super::effects::{Effect, NotCoordinator};
use super::machine::{CoordinatorMachine, Machine};
use crate::controller::ControllerRecord;
use crate::coordinator::GroupRequest;
use crate::ids::{RaftGroupId, Ticket};

impl Shard {
    /// A request for a coordinator. Its answer is an [`Effect::Coordinated`].
    pub(crate) fn coordinate(
        &mut self,
        now: Duration,
        id: RaftGroupId,
        ticket: Ticket,
        request: GroupRequest,
    ) {
        self.advance(now);
        match self.groups.get_mut(&id).map(super::Group::machine_mut) {
            Some(Machine::Coordinator(machine)) => {
                machine.request(now, ticket, request, &mut self.effects);
                if machine.has_queued() {
                    self.stir(id);
                }
            }
            _ => self.effects.push(Effect::Coordinated { ticket, result: Err(NotCoordinator) }),
        }
    }

    /// Removes offsets that are too old.
    pub(crate) fn expire_offsets(&mut self, now: Duration) {
        self.advance(now);
        self.each_coordinator(|machine| machine.expire(now));
    }

    /// Sessions run out and rebalances end, whether a group's log sleeps or not.
    pub(super) fn tick_coordinators(&mut self) {
        let now = self.now;
        self.each_coordinator(|machine| machine.tick(now));
    }

    /// The metadata has changed by `records`; by None, all of it.
    pub(super) fn tell_coordinators(&mut self, records: Option<&[ControllerRecord]>) {
        let image = self.image();
        self.inputs.image = Arc::clone(&image);
        let deletes = |record: &ControllerRecord| matches!(record, ControllerRecord::TopicDeleted { .. });
        let topics_deleted = records.is_none_or(|records| records.iter().any(deletes));
        let now = self.now;
        self.each_coordinator(|machine| machine.metadata_changed(now, &image, topics_deleted));
    }

    pub(super) fn each_coordinator(&mut self, mut tend: impl FnMut(&mut CoordinatorMachine)) {
        let mut stirred = Vec::new();
        for id in &self.coordinators {
            let Some(Machine::Coordinator(machine)) = self.groups.get_mut(id).map(super::Group::machine_mut)
            else {
                continue;
            };
            tend(machine);
            if machine.has_queued() {
                stirred.push(*id);
            }
        }
        for id in stirred {
            self.stir(id);
        }
    }

    fn stir(&mut self, id: RaftGroupId) {
        self.wake(id);
        self.dirty.hurry(id);
    }
}
