//! Who owns what: by what members are told, and by the replicated state.

use std::collections::BTreeMap;

use crate::coordinator::state::Membership;
use crate::coordinator::{CoordinatorState, GroupId, GroupRequest, GroupResponse, MemberEpoch, MemberId};
use trilog_protocol::consumer_protocol::parse_assignment;

/// A member of a group is told what it owns.
pub(crate) struct Assigned {
    pub(crate) group: GroupId,
    /// The generation, or the epoch.
    pub(crate) epoch: i32,
    pub(crate) member: MemberId,
    /// The partitions, in words.
    pub(crate) partitions: Vec<String>,
}

/// What an answer tells a member to own, if it does.
pub(crate) fn assigned(request: &GroupRequest, response: &GroupResponse) -> Option<Assigned> {
    match (request, response) {
        (GroupRequest::Sync(request), GroupResponse::Sync(Ok(answer))) => {
            let assignment = match &answer.assignment[..] {
                [] => Vec::new(),
                bytes => parse_assignment(bytes).expect("what a leader wrote can be read"),
            };
            let partitions = assignment
                .iter()
                .flat_map(|(topic, indexes)| indexes.iter().map(move |index| format!("{topic}-{index}")));
            Some(Assigned {
                group: request.group.clone(),
                epoch: request.generation.0,
                member: request.member.clone(),
                partitions: partitions.collect(),
            })
        }
        (GroupRequest::ConsumerHeartbeat(request), GroupResponse::ConsumerHeartbeat(Ok(answer))) => {
            let partitions = answer.assignment.iter().flatten().flat_map(|topic| {
                topic.partitions.iter().map(move |index| format!("{}-{index}", topic.topic.0))
            });
            Some(Assigned {
                group: request.group.clone(),
                epoch: answer.epoch.0,
                member: answer.member.clone(),
                partitions: partitions.collect(),
            })
        }
        _ => None,
    }
}

/// The members that have left a group, by an answer. They own nothing any more.
pub(crate) fn left(request: &GroupRequest, response: &GroupResponse) -> Option<(GroupId, Vec<MemberId>)> {
    match (request, response) {
        (GroupRequest::ConsumerHeartbeat(request), GroupResponse::ConsumerHeartbeat(Ok(answer)))
            if answer.epoch == MemberEpoch::LEAVE =>
        {
            Some((request.group.clone(), vec![request.member.clone()]))
        }
        (GroupRequest::Leave(request), GroupResponse::Leave(_)) => {
            let members = request.members.iter().map(|leaving| leaving.member.clone());
            Some((request.group.clone(), members.collect()))
        }
        _ => None,
    }
}

/// Whether an answer tells a member of the consumer protocol the last step to its target: something to own that it has not
/// confirmed, by the replicated `state`. A request that says all there is to say is answered with all there is to own whenever
/// it comes, and does not count.
pub(crate) fn is_last_step(
    request: &GroupRequest,
    response: &GroupResponse,
    state: &CoordinatorState,
) -> bool {
    let (GroupRequest::ConsumerHeartbeat(request), GroupResponse::ConsumerHeartbeat(Ok(answer))) =
        (request, response)
    else {
        return false;
    };
    let Some(Membership::Consumer(group)) = state.group(&request.group).map(|group| &group.membership) else {
        return false;
    };
    let mut assignments = group.assignments();
    let current = assignments.find(|(member, _)| **member == answer.member).map(|(_, current)| current);
    let is_news = request.topic_names.is_none() && answer.assignment.is_some();
    is_news && current.is_some_and(|now| now.is_reconciled_to(now.epoch) && !now.confirmed)
}

/// Whether a group has members. One that has none may begin anew, with its first generation.
pub(crate) fn has_members(state: &CoordinatorState, group: &GroupId) -> bool {
    match state.group(group).map(|group| &group.membership) {
        None | Some(Membership::None) => false,
        Some(Membership::Classic(group)) => !group.members.is_empty(),
        Some(Membership::Consumer(group)) => !group.is_empty(),
    }
}

/// A partition that two members of a consumer group own, by the replicated state: what is being given up included.
pub(crate) fn owned_twice(state: &CoordinatorState) -> Option<String> {
    for (id, group) in state.groups() {
        let Membership::Consumer(group) = &group.membership else { continue };
        let mut owners = BTreeMap::new();
        for (member, current) in group.assignments() {
            for owned in [&current.assigned, &current.revoking] {
                for (topic, partition, _) in owned.iter() {
                    if let Some(other) = owners.insert((topic, partition), member) {
                        return Some(format!("{member} and {other} of {id} own {partition} of {}", topic.0));
                    }
                }
            }
        }
    }
    None
}
