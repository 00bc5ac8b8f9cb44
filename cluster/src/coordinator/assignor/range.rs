//! The range assignor: topic by topic, each subscriber gets a run of consecutive partitions.
//!
//! Topics with the same subscribers and the same number of partitions are thus divided alike, and the same partition
//! number of each goes to the same member: what was produced with one key, in however many topics, is consumed in one
//! place.
//!
//! Members are served in a fixed order: static ones by their names, then the others by their ids. A static member that
//! comes back under a new id therefore gets what it had. Beyond that nothing is kept from the last assignment, as keeping
//! a partition here and not there is what would take topics apart. Where the partitions of a topic cannot be divided
//! evenly, the members that come first have one more, in each topic anew.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assignment, PartitionCounts, Subscriber};
use crate::coordinator::ids::MemberId;
use crate::ids::{PartitionIndex, TopicId};

pub(super) fn assign(
    subscribers: &[Subscriber<'_>],
    topics: &PartitionCounts,
) -> BTreeMap<MemberId, Assignment> {
    let mut order: Vec<_> = subscribers.iter().collect();
    order.sort_by_key(|subscriber| (subscriber.instance.is_none(), subscriber.instance, subscriber.member));
    let mut by_topic: BTreeMap<TopicId, Vec<&MemberId>> = BTreeMap::new();
    for subscriber in &order {
        for topic in subscriber.topics {
            by_topic.entry(*topic).or_default().push(subscriber.member);
        }
    }
    let nothing = |subscriber: &Subscriber<'_>| (subscriber.member.clone(), Assignment::new());
    let mut assignments: BTreeMap<_, _> = subscribers.iter().map(nothing).collect();
    for (topic, members) in by_topic {
        let mut left = topics.get(&topic).map_or(0..0, |count| 0..*count);
        for (served, member) in members.iter().enumerate() {
            // Rounded up: whoever comes first gets what cannot be divided.
            let share = left.len().div_ceil(members.len() - served);
            let part: BTreeSet<_> = left.by_ref().take(share).map(PartitionIndex).collect();
            if let Some(assignment) = assignments.get_mut(*member).filter(|_| !part.is_empty()) {
                assignment.insert(topic, part);
            }
        }
    }
    assignments
}
