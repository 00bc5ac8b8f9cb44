//! What a test takes from a coordinator on purpose, to show that somebody would notice.

use std::time::Duration;

use super::consumer::ConsumerRecord;
use super::offsets::OffsetsRecord;
use super::records::{GroupChange, GroupRecord};
use super::service_time::ServiceClock;
use super::state::Membership;
use super::{CoordinatorRecord, CoordinatorState, GroupCoordinator};

impl GroupCoordinator {
    /// Takes back a record of a group's use that it has made since `committed`. Returns whether `record` is one.
    pub(crate) fn take_back_use(&mut self, committed: &CoordinatorState, record: &CoordinatorRecord) -> bool {
        let CoordinatorRecord::Group(GroupRecord { group, change }) = record else { return false };
        let GroupChange::Offsets(OffsetsRecord::Unused { .. }) = change else { return false };
        let since = committed.group(group).and_then(|group| group.offsets.unused_since());
        let change = GroupChange::Offsets(OffsetsRecord::Unused { since });
        self.state.replay(&CoordinatorRecord::Group(GroupRecord { group: group.clone(), change }));
        true
    }

    /// Reads the time from a clock that is so far ahead.
    pub(crate) fn be_ahead(&mut self, by: Duration) {
        self.clock = ServiceClock::new(self.clock.read(self.now).after(by), self.now);
    }

    /// Takes all members that have reached their targets for confirmed.
    pub(crate) fn confirm_members(&mut self) {
        self.state.confirm_members();
    }
}

impl CoordinatorState {
    /// Takes all members that have reached their targets for confirmed.
    pub(crate) fn confirm_members(&mut self) {
        let mut records = Vec::new();
        for (id, group) in self.groups() {
            let Membership::Consumer(group) = &group.membership else { continue };
            for (member, current) in group.assignments().filter(|(_, now)| now.is_reconciled_to(now.epoch)) {
                let mut current = current.clone();
                current.confirmed = true;
                let change = GroupChange::Consumer(ConsumerRecord::Current(member.clone(), current));
                records.push(CoordinatorRecord::Group(GroupRecord { group: id.clone(), change }));
            }
        }
        for record in &records {
            self.replay(record);
        }
    }
}
