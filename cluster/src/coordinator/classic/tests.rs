//! What scripts do not reach: bounds, and what other rooms ask of this one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::group::MAX_GROUP_BYTES;
use super::{ClassicGroup, ClassicMember};
use crate::coordinator::request::{JoinGroup, JoinProtocol, JoinedGroup, SyncGroup};
use crate::coordinator::timers::Timer;
use crate::coordinator::{
    CoordinatorState, Generation, GroupCoordinator, GroupErrorCode, GroupRequest, GroupResponse,
    GroupSettings, Heartbeat, Limits, MemberId,
};
use crate::ids::Ticket;

fn coordinator() -> GroupCoordinator {
    let settings = GroupSettings { initial_rebalance_delay: Duration::ZERO, ..GroupSettings::default() };
    GroupCoordinator::new(CoordinatorState::default(), Arc::new(settings), Arc::default(), Duration::ZERO)
}

/// A first join of the client of that number, to be given an id only.
fn join(group: &str, client: u128, metadata: usize) -> JoinGroup {
    let metadata = Bytes::from(vec![b'm'; metadata]);
    JoinGroup {
        group: group.into(),
        member: "".into(),
        instance: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinProtocol { name: "range".into(), metadata }],
        requires_member_id: false,
        supports_skip_assignment: false,
        fresh: Uuid::from_u128(client),
    }
}

/// Everything that is answered to a request, and to those that waited for it.
fn ask(coordinator: &mut GroupCoordinator, request: GroupRequest) -> Vec<GroupResponse> {
    coordinator.handle(Duration::ZERO, Ticket(0), request);
    coordinator.take_actions().answers.into_iter().map(|(_, response)| response).collect()
}

/// The answer to the one join that is answered.
fn joined(answers: Vec<GroupResponse>) -> JoinedGroup {
    match <[_; 1]>::try_from(answers) {
        Ok([GroupResponse::Join(joined)]) => joined,
        other => panic!("not one answer to a join: {other:?}"),
    }
}

fn join_alone(coordinator: &mut GroupCoordinator, request: JoinGroup) -> JoinedGroup {
    joined(ask(coordinator, GroupRequest::Join(request)))
}

#[test]
fn names_of_groups_take_no_more_room_than_there_is() {
    const MAX_GROUPS: usize = 100;
    let mut coordinator = coordinator();
    coordinator.limits.groups = MAX_GROUPS;
    let pending = |group: usize| JoinGroup { requires_member_id: true, ..join(&format!("g{group}"), 1, 1) };
    for group in 0..MAX_GROUPS {
        let answer = join_alone(&mut coordinator, pending(group));
        assert_eq!(answer.error, Some(GroupErrorCode::MemberIdRequired));
    }
    let refused = join_alone(&mut coordinator, pending(MAX_GROUPS));
    assert_eq!(refused.error, Some(GroupErrorCode::GroupMaxSizeReached));
    coordinator.handle_timeout(Duration::from_secs(10));
    assert!(coordinator.classic.is_empty() && coordinator.next_deadline().is_none());
    let admitted = join_alone(&mut coordinator, pending(MAX_GROUPS));
    assert_eq!(admitted.error, Some(GroupErrorCode::MemberIdRequired));
}

#[test]
fn neither_do_members() {
    let mut coordinator = coordinator();
    coordinator.limits = Limits { deadlines: 1, ..Limits::DEFAULT };
    coordinator.timers.set(Timer::Join("other".into()), Duration::from_secs(10));
    let refused = join_alone(&mut coordinator, join("g", 1, 1));
    assert_eq!(refused.error, Some(GroupErrorCode::GroupMaxSizeReached));
    assert!(coordinator.classic.is_empty());
}

#[test]
fn what_is_refused_leaves_no_group_behind() {
    let mut coordinator = coordinator();
    let no_protocols = JoinGroup { protocols: Vec::new(), ..join("g", 1, 0) };
    let refused = join_alone(&mut coordinator, no_protocols);
    assert_eq!(refused.error, Some(GroupErrorCode::InconsistentGroupProtocol));
    assert!(coordinator.classic.is_empty() && coordinator.next_deadline().is_none());
}

#[test]
fn members_say_no_more_about_themselves_than_a_record_holds() {
    let mut coordinator = coordinator();
    let refused = join_alone(&mut coordinator, join("g", 1, MAX_GROUP_BYTES));
    assert_eq!(refused.error, Some(GroupErrorCode::GroupMaxSizeReached));
    let leader = join_alone(&mut coordinator, join("g", 1, MAX_GROUP_BYTES / 2));
    assert_eq!(leader.error, None);

    let sync = |generation, size| {
        GroupRequest::Sync(SyncGroup {
            group: "g".into(),
            member: leader.member.clone(),
            instance: None,
            generation,
            protocol_type: None,
            protocol: None,
            assignments: vec![(leader.member.clone(), Bytes::from(vec![b'a'; size]))],
        })
    };
    let too_much = ask(&mut coordinator, sync(leader.generation, MAX_GROUP_BYTES / 2 + 1));
    assert_eq!(too_much, [GroupResponse::Sync(Err(GroupErrorCode::UnknownServerError))]);
    assert_eq!(coordinator.classic[&"g".into()].state_name(), "PreparingRebalance");
    assert!(coordinator.state.group(&"g".into()).is_none());

    let stranger = join_alone(&mut coordinator, join("g", 2, MAX_GROUP_BYTES / 2));
    assert_eq!(stranger.error, Some(GroupErrorCode::GroupMaxSizeReached));
    let again = JoinGroup { member: leader.member.clone(), ..join("g", 1, MAX_GROUP_BYTES - 100) };
    let next = join_alone(&mut coordinator, again);
    assert!(matches!(
        ask(&mut coordinator, sync(next.generation, 50)).as_slice(),
        [GroupResponse::Sync(Ok(_))]
    ));
}

#[test]
fn what_is_due_happens_before_a_request_of_the_same_moment() {
    let mut coordinator = coordinator();
    join_alone(&mut coordinator, join("g", 1, 1));
    let delete = || GroupRequest::Delete("g".into());
    coordinator.handle(Duration::from_millis(9_999), Ticket(1), delete());
    coordinator.handle(Duration::from_secs(10), Ticket(2), delete());
    let refused = GroupResponse::Delete(Err(GroupErrorCode::NonEmptyGroup));
    // The group's one member never synced, so that nothing is left of it to be deleted.
    let gone = GroupResponse::Delete(Err(GroupErrorCode::GroupIdNotFound));
    assert_eq!(coordinator.take_actions().answers, [(Ticket(1), refused), (Ticket(2), gone)]);
}

#[test]
fn nobody_is_late_for_a_word_that_lay_unread_while_the_process_stood_still() {
    let mut coordinator = coordinator();
    let JoinedGroup { member, generation, .. } = join_alone(&mut coordinator, join("g", 1, 1));
    let heartbeat = Heartbeat { group: "g".into(), member, instance: None, generation };
    coordinator.stood_still(Duration::from_secs(30));
    coordinator.handle(Duration::from_secs(39), Ticket(0), GroupRequest::Heartbeat(heartbeat));
    assert_eq!(coordinator.take_actions().answers, [(Ticket(0), GroupResponse::Heartbeat(Ok(())))]);
    coordinator.handle_timeout(Duration::from_secs(48));
    assert_eq!(coordinator.next_deadline(), Some(Duration::from_secs(49)), "the session counts anew");
}

#[test]
fn a_heartbeat_writes_nothing() {
    let mut coordinator = coordinator();
    let leader = join_alone(&mut coordinator, join("g", 1, 1));
    let heartbeat =
        Heartbeat { group: "g".into(), member: leader.member, instance: None, generation: leader.generation };
    coordinator.handle(Duration::from_secs(1), Ticket(0), GroupRequest::Heartbeat(heartbeat));
    let actions = coordinator.take_actions();
    assert!(actions.records.is_empty());
    assert_eq!(actions.answers, [(Ticket(0), GroupResponse::Heartbeat(Ok(())))]);
}

#[test]
fn a_group_that_is_removed_leaves_nothing_waiting() {
    let mut coordinator = coordinator();
    let leader = join_alone(&mut coordinator, join("g", 1, 1));
    let pending = JoinGroup { requires_member_id: true, ..join("g", 2, 1) };
    join_alone(&mut coordinator, pending);
    assert_eq!(ask(&mut coordinator, GroupRequest::Join(join("g", 3, 1))), []);
    coordinator.remove_classic_group(&"g".into());
    let answers = coordinator.take_actions().answers.into_iter().map(|(_, response)| response);
    let told = joined(answers.collect());
    assert_eq!(told.error, Some(GroupErrorCode::RebalanceInProgress));
    assert_ne!(told.member, leader.member);
    assert!(coordinator.classic.is_empty() && coordinator.next_deadline().is_none());
}

#[test]
fn a_group_that_comes_from_elsewhere_is_rebalanced() {
    let mut coordinator = coordinator();
    let member = ClassicMember {
        instance: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocols: Vec::new(),
        assignment: Bytes::from_static(b"assigned"),
    };
    let members = ["a", "b"].map(|id| (MemberId::from(id), Arc::new(member.clone())));
    let group = ClassicGroup {
        generation: Generation(7),
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        leader: Some("a".into()),
        members: members.into(),
    };
    coordinator.install_classic_group(&"g".into(), group.clone());
    assert_eq!(coordinator.recorded(&"g".into()), group);
    assert_eq!(coordinator.classic[&"g".into()].state_name(), "PreparingRebalance");
    assert_eq!(coordinator.timers.len(), 3, "two sessions and the join phase");
}
