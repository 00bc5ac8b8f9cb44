//! Members that are not heard from in time, and what becomes of a group when somebody is gone.

use super::group::{LiveGroup, State};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::ids::{GroupId, MemberId};

impl GroupCoordinator {
    /// A member was silent for its session timeout.
    ///
    /// One that waits for an answer has been heard from: its session begins anew when it gets it.
    pub(in crate::coordinator) fn classic_session_expired(&mut self, id: &GroupId, member: &MemberId) {
        self.with_classic_group(id, |coordinator, group| {
            if group.has_member(member) && !group.may_be_silent(member) {
                coordinator.drop_member(group, member);
                coordinator.go_on_without(group);
            }
        });
    }

    /// A member was given an id and has not come back with it.
    pub(in crate::coordinator) fn pending_member_expired(&mut self, id: &GroupId, member: &MemberId) {
        self.with_classic_group(id, |coordinator, group| {
            group.pending.remove(member);
            coordinator.complete_join_if_all_joined(group);
        });
    }

    /// Somebody is gone: the others share what was theirs. A join phase may have waited for nobody else.
    pub(super) fn go_on_without(&mut self, group: &mut LiveGroup) {
        if group.state != State::Empty {
            self.rebalance_or_complete(group);
        }
    }
}
