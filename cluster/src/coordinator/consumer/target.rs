//! The target assignment: what each member is to own once everybody has got there.

use std::collections::{BTreeMap, BTreeSet};

use super::group::ConsumerGroup;
use crate::coordinator::assignor::{self, Assignment, Subscriber};
use crate::coordinator::ids::MemberId;
use crate::coordinator::settings::AssignorName;
use crate::ids::TopicId;

/// The assignor that most members vote for; the first of `available` where nobody votes for one of them, and the
/// earlier one where votes are equal.
pub(super) fn preferred_assignor(group: &ConsumerGroup, available: &[AssignorName]) -> AssignorName {
    let votes = |assignor: AssignorName| {
        group.members().values().filter(|member| member.metadata.assignor == Some(assignor)).count()
    };
    // `max_by_key` takes the last of equal ones.
    available.iter().rev().copied().max_by_key(|&assignor| votes(assignor)).unwrap_or(AssignorName::Uniform)
}

/// The target assignments that differ from those before.
pub(super) fn changed_targets(
    group: &ConsumerGroup,
    available: &[AssignorName],
) -> Vec<(MemberId, Assignment)> {
    let subscriptions: Vec<BTreeSet<TopicId>> =
        group.members().values().map(|member| group.subscription(&member.metadata)).collect();
    let subscribers: Vec<Subscriber<'_>> = group
        .members()
        .iter()
        .zip(&subscriptions)
        .map(|((id, member), topics)| Subscriber {
            member: id,
            instance: member.metadata.instance.as_ref(),
            topics,
            assigned: &member.target,
        })
        .collect();
    let assignor = preferred_assignor(group, available);
    let mut targets: BTreeMap<MemberId, Assignment> =
        assignor::assign(assignor, &subscribers, &group.topics().partition_counts());
    let changed = |(id, member): (&MemberId, &super::member::Member)| {
        let target = targets.remove(id).unwrap_or_default();
        (target != member.target).then(|| (id.clone(), target))
    };
    group.members().iter().filter_map(changed).collect()
}
