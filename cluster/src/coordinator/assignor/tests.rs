use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const BOTH: [AssignorName; 2] = [AssignorName::Range, AssignorName::Uniform];

/// Members and topics that a test changes and assigns again.
#[derive(Clone, Debug, Default)]
struct Group {
    members: BTreeMap<MemberId, Wish>,
    counts: PartitionCounts,
}

#[derive(Clone, Debug, Default)]
struct Wish {
    instance: Option<InstanceId>,
    topics: BTreeSet<TopicId>,
    assigned: Assignment,
}

type Assignments = BTreeMap<MemberId, Assignment>;

fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn member(number: usize) -> MemberId {
    MemberId::from(format!("m{number:04}").as_str())
}

fn partitions(indexes: impl IntoIterator<Item = i32>) -> BTreeSet<PartitionIndex> {
    indexes.into_iter().map(PartitionIndex).collect()
}

impl Group {
    fn new(counts: &[i32]) -> Self {
        let counts = (1..).map(topic).zip(counts.iter().copied()).collect();
        Self { members: BTreeMap::new(), counts }
    }

    /// A group of `members` that all want all topics.
    fn of_equals(members: usize, counts: &[i32]) -> Self {
        let mut group = Self::new(counts);
        (0..members).for_each(|number| group.join(number, 1..=counts.len()));
        group
    }

    fn join(&mut self, number: usize, topics: impl IntoIterator<Item = usize>) {
        let topics = topics.into_iter().map(|number| topic(number as u128)).collect();
        self.members.insert(member(number), Wish { topics, ..Wish::default() });
    }

    fn assign(&self, assignor: AssignorName) -> Assignments {
        let subscriber = |(member, wish): (&'_ MemberId, &'_ Wish)| (member.clone(), wish.clone());
        let members: Vec<_> = self.members.iter().map(subscriber).collect();
        // Not in the order of their ids: that must not matter.
        let subscribers: Vec<_> = members
            .iter()
            .rev()
            .map(|(member, wish)| Subscriber {
                member,
                instance: wish.instance.as_ref(),
                topics: &wish.topics,
                assigned: &wish.assigned,
            })
            .collect();
        assign(assignor, &subscribers, &self.counts)
    }

    /// Assigns, and lets the result be what members have from now on.
    fn settle(&mut self, assignor: AssignorName) -> Assignments {
        let assignments = self.assign(assignor);
        for (member, wish) in &mut self.members {
            wish.assigned = assignments[member].clone();
        }
        assignments
    }

    /// Exactly what must have an owner has one, and it is a subscriber.
    fn check_complete(&self, assignments: &Assignments) {
        assert!(assignments.keys().eq(self.members.keys()), "every member has an entry");
        let mut owned = BTreeSet::new();
        for (member, assignment) in assignments {
            for (topic, partitions) in assignment {
                assert!(self.members[member].topics.contains(topic), "{member} did not subscribe to it");
                assert!(!partitions.is_empty(), "{member} has a topic without partitions");
                for partition in partitions {
                    assert!(owned.insert((*topic, *partition)), "{topic:?} {partition} has two owners");
                }
            }
        }
        let wanted: BTreeSet<_> = self.members.values().flat_map(|wish| &wish.topics).collect();
        let existing = self.counts.iter().filter(|(topic, _)| wanted.contains(topic));
        let expected: BTreeSet<_> = existing
            .flat_map(|(topic, count)| (0..*count).map(|index| (*topic, PartitionIndex(index))))
            .collect();
        assert_eq!(owned, expected);
    }
}

fn load(assignment: &Assignment) -> usize {
    assignment.values().map(BTreeSet::len).sum()
}

fn spread(assignments: &Assignments) -> usize {
    let loads = || assignments.values().map(load);
    loads().max().unwrap_or(0) - loads().min().unwrap_or(0)
}

fn sum_of_squares(assignments: &Assignments) -> usize {
    assignments.values().map(|assignment| load(assignment).pow(2)).sum()
}

fn owners(assignments: &Assignments) -> BTreeMap<(TopicId, PartitionIndex), MemberId> {
    let mut owners = BTreeMap::new();
    for (member, assignment) in assignments {
        for (topic, partitions) in assignment {
            owners.extend(partitions.iter().map(|partition| ((*topic, *partition), member.clone())));
        }
    }
    owners
}

/// The partitions whose owner is another one than before, or new.
fn moved(before: &Assignments, after: &Assignments) -> Vec<(Option<MemberId>, MemberId)> {
    let before = owners(before);
    let changed =
        owners(after).into_iter().map(|(partition, owner)| (before.get(&partition).cloned(), owner));
    changed.filter(|(before, after)| before.as_ref() != Some(after)).collect()
}

/// The least sum of squares of loads that any assignment has, by trying all.
fn best_sum_of_squares(group: &Group) -> usize {
    fn place(units: &[Vec<usize>], loads: &mut Vec<usize>, sum: usize, best: &mut usize) {
        let Some((owners, rest)) = units.split_first() else {
            *best = (*best).min(sum);
            return;
        };
        for &owner in owners {
            let more = 2 * loads[owner] + 1;
            if sum + more < *best {
                loads[owner] += 1;
                place(rest, loads, sum + more, best);
                loads[owner] -= 1;
            }
        }
    }
    let subscribers = |topic: &TopicId| -> Vec<usize> {
        let wishes = group.members.values().enumerate();
        wishes.filter(|(_, wish)| wish.topics.contains(topic)).map(|(position, _)| position).collect()
    };
    let units: Vec<_> = group
        .counts
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(|_| subscribers(topic)))
        .filter(|subscribers| !subscribers.is_empty())
        .collect();
    let mut best = usize::MAX;
    place(&units, &mut vec![0; group.members.len()], 0, &mut best);
    best
}

fn any_assignment() -> impl Strategy<Value = Assignment> {
    let indexes = btree_set((-1..8).prop_map(PartitionIndex), 1..5);
    btree_map((1..8_u128).prop_map(topic), indexes, 0..5)
}

fn any_counts() -> impl Strategy<Value = PartitionCounts> {
    btree_map((1..7_u128).prop_map(topic), 0..7, 0..6)
}

/// Members that had whatever, so that what they had may no longer exist, be wanted, or be theirs alone.
fn any_group() -> impl Strategy<Value = Group> {
    let instance = proptest::option::of((0..1000).prop_map(|n| InstanceId::from(format!("i{n}").as_str())));
    let topics = btree_set((1..8_u128).prop_map(topic), 0..6);
    let wish = (instance, topics, any_assignment()).prop_map(|(instance, topics, assigned)| Wish {
        instance,
        topics,
        assigned,
    });
    (btree_map((0..20_usize).prop_map(member), wish, 0..8), any_counts())
        .prop_map(|(members, counts)| Group { members, counts })
}

fn group_of_equals() -> impl Strategy<Value = Group> {
    (any_group(), btree_set((1..8_u128).prop_map(topic), 0..6)).prop_map(|(mut group, topics)| {
        group.members.values_mut().for_each(|wish| wish.topics.clone_from(&topics));
        group
    })
}

proptest! {
    #[test]
    fn every_partition_has_one_owner_who_wants_it(group in any_group()) {
        for assignor in BOTH {
            group.check_complete(&group.assign(assignor));
        }
    }

    #[test]
    fn nothing_moves_without_a_reason(mut group in any_group()) {
        for assignor in BOTH {
            let before = group.settle(assignor);
            prop_assert_eq!(group.assign(assignor), before);
        }
    }

    #[test]
    fn range_gives_runs_that_differ_by_one_and_not_by_history(mut group in any_group()) {
        let assignments = group.assign(AssignorName::Range);
        for (topic, count) in &group.counts {
            let subscribers = group.members.iter().filter(|(_, wish)| wish.topics.contains(topic));
            let parts: Vec<_> = subscribers.map(|(member, _)| assignments[member].get(topic)).collect();
            for part in parts.iter().flatten() {
                let (first, last) = (part.first().unwrap().0, part.last().unwrap().0);
                prop_assert_eq!((first..last + 1).len(), part.len(), "a run without gaps");
            }
            let sizes = || parts.iter().map(|part| part.map_or(0, BTreeSet::len));
            let (most, least) = (sizes().max().unwrap_or(0), sizes().min().unwrap_or(0));
            prop_assert!(most - least <= 1, "{count} partitions are divided evenly");
        }
        group.members.values_mut().for_each(|wish| wish.assigned.clear());
        prop_assert_eq!(group.assign(AssignorName::Range), assignments);
    }

    #[test]
    fn range_divides_equal_topics_alike(group in group_of_equals()) {
        for assignment in group.assign(AssignorName::Range).values() {
            let mut part_by_count = BTreeMap::new();
            for (topic, part) in assignment {
                prop_assert_eq!(part_by_count.entry(group.counts[topic]).or_insert(part), &part);
            }
        }
    }

    #[test]
    fn uniform_is_even_where_subscriptions_are_equal(group in group_of_equals()) {
        prop_assert!(spread(&group.assign(AssignorName::Uniform)) <= 1);
    }

    #[test]
    fn uniform_keeps_all_that_evenness_allows(mut group in group_of_equals()) {
        // What each may keep: nothing that is gone, and nothing that somebody else claims too.
        let mut taken = BTreeSet::new();
        let (counts, mut kept) = (&group.counts, BTreeMap::new());
        for (member, wish) in &mut group.members {
            for (topic, part) in &mut wish.assigned {
                let count = if wish.topics.contains(topic) { counts.get(topic).copied() } else { None };
                part.retain(|index| (0..count.unwrap_or(0)).contains(&index.0) && taken.insert((*topic, *index)));
            }
            kept.insert(member.clone(), wish.assigned.clone());
        }
        let assignments = group.assign(AssignorName::Uniform);
        let total: usize = assignments.values().map(load).sum();
        let members = group.members.len().max(1);
        let (quota, extra) = (total / members, total % members);
        let fit: usize = kept.values().map(|had| load(had).min(quota)).sum();
        let above = kept.values().filter(|had| load(had) > quota).count();
        prop_assert_eq!(moved(&kept, &assignments).len(), total - fit - above.min(extra));
    }

    #[test]
    fn uniform_is_as_even_as_any_assignment(mut group in any_group()) {
        group.counts.values_mut().for_each(|count| *count = (*count).min(3));
        while group.members.len() > 5 {
            group.members.pop_last();
        }
        let assignments = group.assign(AssignorName::Uniform);
        prop_assert_eq!(sum_of_squares(&assignments), best_sum_of_squares(&group));
    }

    #[test]
    fn uniform_gives_a_newcomer_its_share_and_moves_nothing_else(
        counts in vec(1..9, 1..5),
        members in 1..9_usize,
        newcomer in 0..9_usize,
    ) {
        let mut group = Group::of_equals(members + 1, &counts);
        let newcomer = member(newcomer % (members + 1));
        let wish = group.members.remove(&newcomer).unwrap();
        let before = group.settle(AssignorName::Uniform);
        group.members.insert(newcomer.clone(), wish);
        let joined = group.settle(AssignorName::Uniform);
        prop_assert!(moved(&before, &joined).iter().all(|(_, to)| *to == newcomer));
        group.members.remove(&newcomer);
        let left = group.assign(AssignorName::Uniform);
        prop_assert!(moved(&joined, &left).iter().all(|(from, _)| *from == Some(newcomer.clone())));
    }
}

#[test]
fn range_hands_out_runs_in_the_order_of_names() {
    let mut group = Group::of_equals(3, &[7, 7, 2]);
    group.members.get_mut(&member(2)).unwrap().instance = Some("static".into());
    let assignments = group.assign(AssignorName::Range);
    let part = |number: usize, of: u128| assignments[&member(number)].get(&topic(of)).cloned();
    // The static member comes first, and with it the partition too many.
    assert_eq!((part(2, 1), part(2, 3)), (Some(partitions([0, 1, 2])), Some(partitions([0]))));
    assert_eq!((part(0, 1), part(0, 3)), (Some(partitions([3, 4])), Some(partitions([1]))));
    assert_eq!((part(1, 1), part(1, 3)), (Some(partitions([5, 6])), None));
    for number in 0..3 {
        assert_eq!(part(number, 1), part(number, 2));
    }
}

#[test]
fn range_moves_nothing_when_static_members_come_back_under_other_ids() {
    let mut group = Group::of_equals(4, &[6, 6]);
    for (wish, name) in group.members.values_mut().zip(["d", "b", "c", "a"]) {
        wish.instance = Some(name.into());
    }
    let by_name = |group: &Group| -> BTreeMap<_, _> {
        let assignments = group.assign(AssignorName::Range);
        group
            .members
            .iter()
            .map(|(member, wish)| (wish.instance.clone(), assignments[member].clone()))
            .collect()
    };
    let before = by_name(&group);
    let wish = group.members.remove(&member(3)).unwrap();
    group.members.insert(member(0).as_str().replace('m', "a").as_str().into(), wish);
    assert_eq!(by_name(&group), before);
}

#[test]
fn uniform_spreads_each_topic_too() {
    let mut group = Group::of_equals(1, &[4, 4]);
    group.settle(AssignorName::Uniform);
    group.join(1, [1, 2]);
    for assignment in group.assign(AssignorName::Uniform).values() {
        assert_eq!(assignment.values().map(BTreeSet::len).collect::<Vec<_>>(), [2, 2]);
    }
}

#[test]
fn uniform_finds_a_chain_where_no_single_move_helps() {
    // 0 may pass something on to 1 only, and 1 to 2 only: 2 gets its share through 1.
    let mut group = Group::new(&[4, 2]);
    group.join(0, [1]);
    group.join(1, [1, 2]);
    group.settle(AssignorName::Uniform);
    group.join(2, [2]);
    let assignments = group.settle(AssignorName::Uniform);
    assert_eq!(assignments.values().map(load).collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn nobody_and_nothing() {
    for assignor in BOTH {
        assert!(assign(assignor, &[], &PartitionCounts::new()).is_empty());
        let mut group = Group::new(&[0]);
        group.join(1, []);
        group.join(2, [1, 9]);
        assert!(group.assign(assignor).values().all(BTreeMap::is_empty));
    }
}
