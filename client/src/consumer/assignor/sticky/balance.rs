//! Who has how much, and the moves that even it out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::consumer::assignor::{Assignment, Member, TopicPartition, Topics};

/// A topic, by its place in [`Loads::topics`].
type TopicIndex = usize;
/// A member, by its place among the sorted members.
type MemberIndex = usize;

/// The members with what they have so far.
pub(super) struct Loads<'a> {
    members: Vec<Load<'a>>,
    topics: Vec<Wanted>,
    indexes: BTreeMap<Arc<str>, TopicIndex>,
}

/// A member.
struct Load<'a> {
    id: &'a str,
    /// What it has, by topic.
    has: BTreeMap<TopicIndex, Holding>,
    count: usize,
}

/// What a member has of one topic. What it had before is given away last.
#[derive(Default)]
struct Holding {
    kept: Vec<TopicPartition>,
    new: Vec<TopicPartition>,
}

/// A topic and the members that want it.
struct Wanted {
    by: Vec<MemberIndex>,
}

/// One step of a path: a member gives a partition of this topic to the next.
#[derive(Clone, Copy)]
struct Step {
    from: MemberIndex,
    topic: TopicIndex,
}

impl<'a> Loads<'a> {
    pub(super) fn new(members: &[&'a Member], topics: &Topics) -> Self {
        let wanted = |topic: &Arc<str>| {
            let by = members.iter().enumerate().filter(|(_, member)| member.topics.contains(topic));
            Wanted { by: by.map(|(index, _)| index).collect() }
        };
        Self {
            members: members
                .iter()
                .map(|member| Load { id: &member.id, has: BTreeMap::new(), count: 0 })
                .collect(),
            topics: topics.keys().map(wanted).collect(),
            indexes: topics.keys().cloned().zip(0..).collect(),
        }
    }

    /// How many members want a topic.
    pub(super) fn wanted_by(&self, topic: &str) -> usize {
        self.indexes.get(topic).map_or(0, |&topic| self.topics[topic].by.len())
    }

    /// Gives a partition of a known topic to a member, which had it before or not.
    pub(super) fn give(&mut self, member: MemberIndex, partition: TopicPartition, kept: bool) {
        let Some(&topic) = self.indexes.get(&partition.topic) else { return };
        let load = &mut self.members[member];
        let holding = load.has.entry(topic).or_default();
        if kept {
            holding.kept.push(partition)
        } else {
            holding.new.push(partition)
        }
        load.count += 1;
    }

    /// Gives a partition to the least loaded member that wants its topic, if any does.
    pub(super) fn give_to_least(&mut self, partition: TopicPartition) {
        let Some(&topic) = self.indexes.get(&partition.topic) else { return };
        let least = self.topics[topic].by.iter().copied().min_by_key(|&member| self.members[member].count);
        if let Some(member) = least {
            self.give(member, partition, false);
        }
    }

    /// Moves partitions until no path from a member leads to one that has at least two less. Each path makes the sum of
    /// the squares of the loads smaller, so that this ends.
    pub(super) fn balance(&mut self) {
        let mut heaviest: Vec<_> = (0..self.members.len()).collect();
        loop {
            heaviest.sort_by_key(|&member| std::cmp::Reverse(self.members[member].count));
            let Some(path) = heaviest.iter().find_map(|&member| self.path_from(member)) else { return };
            for (step, to) in path {
                self.shift(step, to);
            }
        }
    }

    /// The shortest way to relieve `start` by one partition, to the lightest member that can be reached. The steps come in the
    /// order in which they are to be taken: the last member of the path receives first.
    fn path_from(&self, start: MemberIndex) -> Option<Vec<(Step, MemberIndex)>> {
        let lightest = self.members.iter().map(|load| load.count).min()?;
        if self.members[start].count < lightest + 2 {
            return None;
        }
        let reached = self.reach(start);
        let (&end, _) = reached
            .iter()
            .filter(|&(&member, _)| self.members[member].count + 2 <= self.members[start].count)
            .min_by_key(|&(&member, (distance, _))| (self.members[member].count, *distance, member))?;
        let mut path = Vec::new();
        let mut to = end;
        while let Some(&(_, Some(step))) = reached.get(&to) {
            path.push((step, to));
            to = step.from;
        }
        Some(path)
    }

    /// Every member that `start` can reach, with its distance and the step that leads to it.
    fn reach(&self, start: MemberIndex) -> BTreeMap<MemberIndex, (usize, Option<Step>)> {
        let mut reached = BTreeMap::from([(start, (0, None))]);
        let mut seen_topics = vec![false; self.topics.len()];
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((from, distance)) = queue.pop_front() {
            for &topic in self.members[from].has.keys() {
                if std::mem::replace(&mut seen_topics[topic], true) {
                    continue;
                }
                for &to in &self.topics[topic].by {
                    reached.entry(to).or_insert_with(|| {
                        queue.push_back((to, distance + 1));
                        (distance + 1, Some(Step { from, topic }))
                    });
                }
            }
        }
        reached
    }

    fn shift(&mut self, step: Step, to: MemberIndex) {
        let giver = &mut self.members[step.from];
        let Some(holding) = giver.has.get_mut(&step.topic) else { return };
        let Some(partition) = holding.new.pop().or_else(|| holding.kept.pop()) else { return };
        if holding.new.is_empty() && holding.kept.is_empty() {
            giver.has.remove(&step.topic);
        }
        giver.count -= 1;
        self.give(to, partition, false);
    }

    pub(super) fn into_assignment(self) -> Assignment {
        let assigned = |load: Load<'_>| {
            let holdings = load.has.into_values();
            let mut partitions: Vec<_> =
                holdings.flat_map(|holding| holding.kept.into_iter().chain(holding.new)).collect();
            partitions.sort();
            (load.id.to_owned(), partitions)
        };
        self.members.into_iter().map(assigned).collect()
    }
}
