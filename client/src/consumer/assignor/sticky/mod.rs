//! The sticky assignor: as balanced as the subscriptions allow, and then as few moves as possible (KIP-54).
//!
//! Three steps. *Keep*: every member keeps what it owns and still may. *Fill*: partitions without an owner go to the
//! least loaded member that wants them, those first that few members want. *Balance*: while some member has at least two
//! more than another that could relieve it, directly or through others in between, one partition moves along that path.
//!
//! When no such path is left, the loads are as even as they can be: the assignment is an optimal semi-matching (Harvey, Ladner,
//! Lovász and Tamir, 2006). Java's assignor looks at single moves only, and may stop earlier. Where all members want the same
//! topics, a path is one move, and no assignment that is as balanced keeps more partitions in their places.

mod balance;

use std::collections::{BTreeMap, BTreeSet};

use self::balance::Loads;
use super::{Assignment, Member, TopicPartition, Topics, partitions};

/// Assigns every partition that somebody wants.
pub(super) fn assign(members: &[Member], topics: &Topics) -> Assignment {
    // In the order of their ids, so that ties fall the same way whatever order the coordinator lists them in.
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let mut loads = Loads::new(&sorted, topics);
    let owners = owners(&sorted, topics);
    for (partition, owner) in &owners {
        loads.give(*owner, (*partition).clone(), true);
    }
    let mut free: Vec<_> = topics
        .iter()
        .flat_map(|(topic, &count)| partitions(topic, count))
        .filter(|partition| !owners.contains_key(partition))
        .collect();
    free.sort_by_cached_key(|partition| (loads.wanted_by(&partition.topic), partition.clone()));
    for partition in free {
        loads.give_to_least(partition);
    }
    loads.balance();
    loads.into_assignment()
}

/// Who keeps what: the member that claims a partition and may have it. Of several claims the one of the latest generation
/// holds; two of the same generation are both worth nothing.
fn owners<'a>(members: &[&'a Member], topics: &Topics) -> BTreeMap<&'a TopicPartition, usize> {
    let mut claims = BTreeMap::<&TopicPartition, (Option<i32>, BTreeSet<usize>)>::new();
    for (index, member) in members.iter().enumerate() {
        for partition in &member.owned {
            let exists =
                topics.get(&partition.topic).is_some_and(|count| (0..*count).contains(&partition.partition));
            if !exists {
                continue;
            }
            let (generation, claimants) = claims.entry(partition).or_default();
            if claimants.is_empty() || member.generation > *generation {
                *generation = member.generation;
                claimants.clear();
            }
            if member.generation == *generation {
                claimants.insert(index);
            }
        }
    }
    let sole = |(partition, (_, claimants)): (&'a TopicPartition, (_, BTreeSet<usize>))| {
        let owner = claimants.first().copied().filter(|_| claimants.len() == 1)?;
        members[owner].wants(&partition.topic).then_some((partition, owner))
    };
    claims.into_iter().filter_map(sole).collect()
}
