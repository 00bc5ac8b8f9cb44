//! The round-robin assignor: all partitions in order of topic and number, each to the next member that wants its topic.

use super::{Assignment, Member, Topics, nothing, partitions, ranked};

/// Equal subscriptions are balanced to one partition. Others may be far from it: the sticky assignor does better.
pub(super) fn assign(members: &[Member], topics: &Topics) -> Assignment {
    let ranked = ranked(members);
    let mut assignment = nothing(members);
    let mut turn = ranked.iter().cycle().peekable();
    for (topic, &count) in topics {
        if !members.iter().any(|member| member.wants(topic)) {
            continue;
        }
        for partition in partitions(topic, count) {
            // Somebody wants it, so that the turn comes to that one.
            while turn.next_if(|member| !member.wants(topic)).is_some() {}
            if let Some(member) = turn.next() {
                assignment.entry(member.id.clone()).or_default().push(partition);
            }
        }
    }
    assignment
}
