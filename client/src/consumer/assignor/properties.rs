//! What holds of every assignment, whatever the members want and claim.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

fn any_topics() -> impl Strategy<Value = Topics> {
    vec(0..9_i32, TOPICS.len())
        .prop_map(|counts| TOPICS.iter().map(|topic| Arc::from(*topic)).zip(counts).collect())
}

fn wanted() -> impl Strategy<Value = BTreeSet<Arc<str>>> {
    // One topic more than there are.
    btree_set(prop::sample::select(vec!["a", "b", "c", "d", "none"]).prop_map(Arc::from), 0..5)
}

fn claims() -> impl Strategy<Value = Vec<TopicPartition>> {
    let place = (prop::sample::select(TOPICS.to_vec()), -1..10_i32);
    btree_set(place.prop_map(|(topic, partition)| TopicPartition::new(topic, partition)), 0..12)
        .prop_map(|places| places.into_iter().collect())
}

/// Members with ids of their own.
fn any_members() -> impl Strategy<Value = Vec<Member>> {
    let member = (wanted(), claims(), prop::option::of(0..4_i32), prop::option::of(0..1000_u16));
    vec(member, 1..9).prop_map(|members| {
        let member = |(index, (topics, owned, generation, instance))| Member {
            id: format!("m{index}"),
            instance: Option::<u16>::map(instance, |instance| format!("{instance}-{index}")),
            topics,
            owned,
            generation,
        };
        (0..).zip(members).map(member).collect()
    })
}

/// Members that all want the same.
fn equal_members() -> impl Strategy<Value = Vec<Member>> {
    (any_members(), wanted()).prop_map(|(mut members, topics)| {
        for member in &mut members {
            member.topics.clone_from(&topics);
        }
        members
    })
}

fn counts(assignment: &Assignment) -> Vec<usize> {
    assignment.values().map(Vec::len).collect()
}

/// Takes the assignment for what the members own, in the next generation.
fn taken_over(members: &[Member], assignment: &Assignment, generation: i32) -> Vec<Member> {
    let member = |member: &Member| Member {
        owned: assignment[&member.id].clone(),
        generation: Some(generation),
        ..member.clone()
    };
    members.iter().map(member).collect()
}

/// How many partitions are with the member that had them.
fn kept(before: &Assignment, after: &Assignment) -> usize {
    let kept = |(member, partitions): (&String, &Vec<TopicPartition>)| {
        before
            .get(member)
            .map_or(0, |before| partitions.iter().filter(|place| before.contains(place)).count())
    };
    after.iter().map(kept).sum()
}

/// Whether some member could be relieved by another that has at least two less, through any number in between.
fn could_be_evener(members: &[Member], assignment: &Assignment) -> bool {
    let load = |member: &Member| assignment[&member.id].len();
    members.iter().any(|start| {
        let mut reached = BTreeSet::from([start.id.as_str()]);
        loop {
            let more = members.iter().filter(|other| !reached.contains(other.id.as_str())).find(|other| {
                let from = members.iter().filter(|member| reached.contains(member.id.as_str()));
                let held = from.flat_map(|member| &assignment[&member.id]);
                held.into_iter().any(|place| other.topics.contains(&place.topic))
            });
            let Some(more) = more else { return false };
            if load(more) + 2 <= load(start) {
                return true;
            }
            reached.insert(&more.id);
        }
    })
}

proptest! {
    /// Nothing is assigned twice, to somebody who does not want it, or left over although somebody wants it.
    #[test]
    fn every_wanted_partition_has_one_owner(members in any_members(), topics in any_topics()) {
        for assignor in Assignor::ALL {
            let assignment = assignor.assign(&members, &topics);
            prop_assert_eq!(assignment.len(), members.len());
            let mut assigned = BTreeSet::new();
            for member in &members {
                for place in &assignment[&member.id] {
                    prop_assert!(member.wants(&place.topic), "{:?}: {} is not wanted", assignor, place);
                    prop_assert!(assigned.insert(place.clone()), "{:?}: {} twice", assignor, place);
                }
            }
            let wanted: BTreeSet<_> = topics
                .iter()
                .filter(|(topic, _)| members.iter().any(|member| member.wants(topic)))
                .flat_map(|(topic, count)| partitions(topic, *count))
                .collect();
            if assignor == Assignor::CooperativeSticky {
                prop_assert!(assigned.is_subset(&wanted));
            } else {
                prop_assert_eq!(&assigned, &wanted, "{:?}", assignor);
            }
        }
    }

    #[test]
    fn the_order_of_the_members_decides_nothing(members in any_members(), topics in any_topics(), turn in 0..8_usize) {
        let mut turned = members.clone();
        turned.rotate_left(turn % members.len());
        for assignor in Assignor::ALL {
            prop_assert_eq!(assignor.assign(&members, &topics), assignor.assign(&turned, &topics));
        }
    }

    #[test]
    fn sticky_is_as_even_as_can_be(members in any_members(), topics in any_topics()) {
        prop_assert!(!could_be_evener(&members, &Assignor::Sticky.assign(&members, &topics)));
    }

    #[test]
    fn equal_subscriptions_are_even_to_one(members in equal_members(), topics in any_topics()) {
        for assignor in [Assignor::RoundRobin, Assignor::Sticky] {
            let counts = counts(&assignor.assign(&members, &topics));
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
        }
    }

    #[test]
    fn nothing_moves_when_nothing_changes(members in any_members(), topics in any_topics()) {
        for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
            let first = Assignor::Sticky.assign(&members, &topics);
            let again = assignor.assign(&taken_over(&members, &first, 1), &topics);
            prop_assert_eq!(&first, &again);
        }
    }

    /// Of equal members, each keeps what it has up to its share: the most that any even assignment can leave in place.
    #[test]
    fn equal_members_keep_the_most_that_is_even(
        members in equal_members(),
        topics in any_topics(),
        left in any::<prop::sample::Index>(),
        joined in 0..3_usize,
    ) {
        let before = Assignor::Sticky.assign(&members, &topics);
        let mut members = taken_over(&members, &before, 1);
        let wanted = members[0].topics.clone();
        members.remove(left.index(members.len()));
        members.extend((0..joined).map(|index| Member {
            id: format!("new{index}"),
            topics: wanted.clone(),
            ..Member::default()
        }));
        prop_assume!(!members.is_empty());
        let after = Assignor::Sticky.assign(&members, &topics);
        let total: usize = counts(&after).iter().sum();
        let (floor, larger) = (total / members.len(), total % members.len());
        let mut owned: Vec<_> = members.iter().map(|member| member.owned.len()).collect();
        owned.sort_by_key(|owned| std::cmp::Reverse(*owned));
        let most: usize = owned
            .iter()
            .enumerate()
            .map(|(place, owned)| (*owned).min(floor + usize::from(place < larger)))
            .sum();
        prop_assert_eq!(kept(&before, &after), most);
    }

    /// No partition goes to one member while another still has it, and the rebalances that follow come to an end, where the
    /// assignment is that of the sticky assignor.
    #[test]
    fn cooperative_rebalances_end_and_never_overlap(members in any_members(), topics in any_topics()) {
        let mut members = members;
        let mut generation = 4;
        loop {
            let assignment = Assignor::CooperativeSticky.assign(&members, &topics);
            for member in &members {
                let added = assignment[&member.id].iter().filter(|place| !member.owned.contains(place));
                for place in added {
                    let others = members.iter().filter(|other| other.id != member.id);
                    let still = others.filter(|other| other.owned.contains(place)).collect::<Vec<_>>();
                    // Two claims of one partition are the exception: one of them holds, and the other is given up now.
                    prop_assert!(still.is_empty(), "{} goes to {} while {:?} has it", place, member.id, still);
                }
            }
            let settled = members.iter().all(|member| {
                member.owned.iter().collect::<BTreeSet<_>>() == assignment[&member.id].iter().collect()
            });
            if settled {
                prop_assert!(!could_be_evener(&members, &assignment));
                break;
            }
            members = taken_over(&members, &assignment, generation);
            generation += 1;
            prop_assert!(generation < 12, "the rebalances do not end");
        }
    }
}
