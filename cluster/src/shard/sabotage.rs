//! What a test takes from a shard on purpose, to show that somebody would notice.

use std::time::Duration;

use super::Shard;
use super::machine::{CoordinatorMachine, Machine};
use crate::ids::RaftGroupId;

impl Shard {
    /// Nobody counts as slow.
    pub(crate) fn forget_slow_peers(&mut self) {
        for peer in self.nodes.clone() {
            self.leaving.process_changed(peer);
        }
    }

    /// Nobody has answered late.
    pub(crate) fn forget_late_answers(&mut self) {
        self.leaving.forget_late_answers();
    }

    /// Coordinators take back what they have decided on the use of groups and not proposed yet.
    pub(crate) fn take_back_use(&mut self) {
        self.each_coordinator(CoordinatorMachine::take_back_use);
    }

    /// A leader forgets what it has refused.
    pub(crate) fn forget_refusals(&mut self, id: RaftGroupId) {
        if let Some(Machine::Partition(machine)) = self.groups.get_mut(&id).map(super::Group::machine_mut) {
            machine.forget_refusals();
        }
    }

    /// A coordinator takes all members that have reached their targets for confirmed.
    pub(crate) fn confirm_members(&mut self, id: RaftGroupId) {
        if let Some(Machine::Coordinator(machine)) = self.groups.get_mut(&id).map(super::Group::machine_mut) {
            machine.confirm_members();
        }
    }

    /// A coordinator reads the time from a clock that is so far ahead.
    pub(crate) fn be_ahead(&mut self, id: RaftGroupId, by: Duration) {
        if let Some(Machine::Coordinator(machine)) = self.groups.get_mut(&id).map(super::Group::machine_mut) {
            machine.be_ahead(by);
        }
    }
}
