//! The range assignor: each topic's partitions are cut into as many contiguous ranges as the topic has consumers.

use super::{Assignment, Member, Topics, nothing, partitions, ranked};

/// The first members in rank get one partition more where the division leaves a rest.
pub(super) fn assign(members: &[Member], topics: &Topics) -> Assignment {
    let ranked = ranked(members);
    let mut assignment = nothing(members);
    for (topic, &count) in topics {
        let consumers: Vec<_> = ranked.iter().filter(|member| member.wants(topic)).collect();
        if consumers.is_empty() {
            continue;
        }
        let share = usize::try_from(count).unwrap_or(0) / consumers.len();
        let rest = usize::try_from(count).unwrap_or(0) % consumers.len();
        let mut partitions = partitions(topic, count);
        for (place, member) in consumers.into_iter().enumerate() {
            let length = share + usize::from(place < rest);
            assignment.entry(member.id.clone()).or_default().extend(partitions.by_ref().take(length));
        }
    }
    assignment
}
