//! The cooperative sticky assignor: what `sticky` assigns, less what somebody else still consumes (KIP-429).
//!
//! A partition that changes its owner is nobody's for one generation. Its old owner, who finds it missing in the new
//! assignment, gives it up and joins again; that rebalance gives it to the new owner.

use std::collections::BTreeSet;

use super::{Assignment, Member, Topics, sticky};

/// Assigns every partition that somebody wants and nobody else has.
pub(super) fn assign(members: &[Member], topics: &Topics) -> Assignment {
    let mut assignment = sticky::assign(members, topics);
    let mut given_up = BTreeSet::new();
    for member in members {
        let assigned: BTreeSet<_> = assignment.get(&member.id).into_iter().flatten().collect();
        given_up.extend(member.owned.iter().filter(|partition| !assigned.contains(partition)).cloned());
    }
    for member in members {
        if let Some(assigned) = assignment.get_mut(&member.id) {
            let owned: BTreeSet<_> = member.owned.iter().collect();
            assigned.retain(|partition| owned.contains(partition) || !given_up.contains(partition));
        }
    }
    assignment
}
