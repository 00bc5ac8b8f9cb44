//! How members go: by their own wish, or because they were not heard of for too long.

use super::admission::{fenced, unknown_instance, unknown_member};
use super::group::ConsumerGroup;
use super::member::{CurrentAssignment, MemberState};
use super::partitions::OwnedPartitions;
use super::records::ConsumerRecord;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupError;
use crate::coordinator::ids::{GroupId, MemberEpoch, MemberId};
use crate::coordinator::request::{ConsumerHeartbeat, ConsumerHeartbeatAnswer};
use crate::coordinator::timers::Timer;

impl GroupCoordinator {
    /// A heartbeat that says goodbye, for good or for a while.
    pub(super) fn consumer_leave(
        &mut self,
        request: ConsumerHeartbeat,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let ConsumerHeartbeat { group: id, member, epoch, instance, .. } = request;
        let group = self.consumer_group(&id).ok_or_else(|| self.not_a_consumer_group(&id))?;
        match &instance {
            None if group.member(&member).is_none() => return Err(unknown_member(&member, &id)),
            None => {}
            Some(instance) => match group.static_member(instance) {
                None => return Err(unknown_instance(instance)),
                Some((holder, _)) if *holder != member => return Err(fenced(&member, instance, holder)),
                Some(_) => {}
            },
        }
        if epoch == MemberEpoch::LEAVE_FOR_A_WHILE {
            self.leave_for_a_while(&id, &member);
        } else {
            self.remove_members(&id, std::slice::from_ref(&member));
        }
        Ok(ConsumerHeartbeatAnswer { member, epoch, heartbeat_interval_ms: 0, assignment: None })
    }

    /// A static member goes and means to be back: it keeps its place until its session is over. What it had yet to give
    /// up is free, as it consumes nothing; so nobody waits for it, and it waits for nobody.
    fn leave_for_a_while(&mut self, id: &GroupId, member: &MemberId) {
        let known = self.consumer_group(id).and_then(|group| group.member(member));
        let Some(current) = known.map(|known| known.current.clone()) else { return };
        let epoch = MemberEpoch::LEAVE_FOR_A_WHILE;
        let (state, revoking) = (MemberState::Stable, OwnedPartitions::default());
        let current = CurrentAssignment { epoch, state, revoking, ..current };
        self.record_consumer(id, ConsumerRecord::Current(member.clone(), current));
        self.timers.cancel(&Timer::Revocation(id.clone(), member.clone()));
    }

    /// Members are gone, and what they owned is free. The next heartbeat of any other makes the new target. If only
    /// classic members are left, the group may become a classic one.
    pub(super) fn remove_members(&mut self, id: &GroupId, members: &[MemberId]) {
        let Some(epoch) = self.consumer_group(id).map(ConsumerGroup::epoch) else { return };
        if members.is_empty() {
            return;
        }
        for member in members {
            self.record_consumer(id, ConsumerRecord::MemberRemoved(member.clone()));
            self.cancel_member_timers(id, member);
        }
        if self.downgrade_if_all_classic(id) {
            return;
        }
        self.resolve_patterns(id, false);
        self.update_topics(id);
        self.record_consumer(id, ConsumerRecord::Epoch(epoch.next()));
    }

    /// A member was not heard of for its whole session.
    pub(in crate::coordinator) fn consumer_session_expired(&mut self, group: &GroupId, member: &MemberId) {
        self.fence(group, member);
    }

    /// A member has not given up in time what was taken from it.
    pub(in crate::coordinator) fn revocation_overdue(&mut self, group: &GroupId, member: &MemberId) {
        let known = self.consumer_group(group).and_then(|group| group.member(member));
        if known.is_some_and(|known| known.current.state == MemberState::UnrevokedPartitions) {
            self.fence(group, member);
        }
    }

    /// A classic member has not joined again, or not asked for its assignment, in time.
    pub(in crate::coordinator) fn classic_member_overdue(&mut self, group: &GroupId, member: &MemberId) {
        self.fence(group, member);
    }

    fn fence(&mut self, group: &GroupId, member: &MemberId) {
        if self.consumer_group(group).is_some_and(|known| known.member(member).is_some()) {
            self.remove_members(group, std::slice::from_ref(member));
        }
    }

    pub(super) fn cancel_member_timers(&mut self, group: &GroupId, member: &MemberId) {
        for timer in [Timer::Session, Timer::Revocation, Timer::ClassicMember] {
            self.timers.cancel(&timer(group.clone(), member.clone()));
        }
    }
}
