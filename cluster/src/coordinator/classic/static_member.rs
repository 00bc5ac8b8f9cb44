//! Static members (KIP-345): one that comes back under a new member id, because its process was restarted, takes over
//! what it had before, and nobody else notices.

use super::group::{LiveGroup, State};
use super::join::described_by;
use super::record::ClassicMember;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::MemberId;
use crate::coordinator::request::{GroupResponse, JoinGroup, JoinedGroup};
use crate::coordinator::timers::Timer;
use crate::ids::Ticket;

impl GroupCoordinator {
    /// The holder of an instance id is replaced by another member, and fenced: should it still live, it is told so
    /// whatever it asks.
    pub(super) fn replace_static_member(
        &mut self,
        group: &mut LiveGroup,
        ticket: Ticket,
        request: &JoinGroup,
        old: &MemberId,
        new: &MemberId,
    ) {
        let before = group.members()[old].clone();
        let leader_before = group.group().leader.clone();
        let member = described_by(request, before.assignment.clone());
        self.timers.cancel(&Timer::Session(group.id.clone(), old.clone()));
        let waiting = group.replace(old, new, member);
        self.refuse_waiting(waiting, old, GroupErrorCode::FencedInstanceId);
        self.await_heartbeat(group, new);
        if group.state == State::Stable && !changes_the_group(group, &before, new) {
            self.record_classic(group);
            let joined = welcome_back(group, new, leader_before, request.supports_skip_assignment);
            self.answer(ticket, GroupResponse::Join(joined));
        } else {
            // In the sync phase the leader may be assigning to the old id at this moment, which would come to nothing.
            self.await_next_generation(group, new.clone(), ticket);
            self.rebalance_or_complete(group);
        }
    }
}

/// Whether a member that has come back needs the group to be rebalanced: because another protocol is elected, or it
/// subscribes to other topics than `before`.
///
/// Its metadata as such says too little. It holds what the member owned and in which generation, and that differs at each
/// restart. Kafka looks at the protocol alone, and leaves a member that subscribes to other topics without them.
fn changes_the_group(group: &LiveGroup, before: &ClassicMember, now: &MemberId) -> bool {
    let elected = group.elected_protocol().unwrap_or_default();
    group.group().protocol.as_deref() != Some(elected)
        || before.topics(elected) != group.members()[now].topics(elected)
}

/// The answer to a member that has come back into the generation that it was in.
fn welcome_back(
    group: &LiveGroup,
    member: &MemberId,
    leader_before: Option<MemberId>,
    supports_skip_assignment: bool,
) -> JoinedGroup {
    let mut joined = group.joined(member);
    if supports_skip_assignment {
        // A leader gets everybody's subscriptions, to watch their topics, and is told not to assign (KIP-814).
        joined.skip_assignment = group.is_leader(member);
    } else {
        // To an older client the leader is still called by the id it had, so that a leader that has come back takes
        // itself for a follower and does not assign.
        joined.leader = leader_before.unwrap_or(joined.leader);
        joined.members.clear();
    }
    joined
}
