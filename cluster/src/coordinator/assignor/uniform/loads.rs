//! How many partitions of each topic each member has, and how that is made as even as can be.
//!
//! The problem is known as an optimal semi-matching (Harvey, Ladner, Lovász, Tamir: "Semi-matchings for bipartite graphs
//! and load balancing"). A member may pass a partition on to another subscriber of its topic, that one another
//! partition to a third, and so on; if the last of the chain has at least two partitions less than the first, the chain
//! makes the loads more even. Where there is no such chain, they are as even as can be: the heaviest load is the smallest
//! possible, then the second, and so on.
//!
//! Chains are looked for breadth first, so that as few partitions move as the choice allows, from the heaviest member
//! downwards. Each one found lowers the sum of the squares of the loads, which bounds their number.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::subscriptions::{Class, Member, Subscriptions, Topic};

/// The counts of one assignment in the making.
pub(super) struct Loads<'a> {
    group: &'a Subscriptions<'a>,
    held: Vec<Held>,
    /// The members of each class, the least loaded first.
    by_load: Vec<BTreeSet<(usize, Member)>>,
}

/// What one member has.
#[derive(Clone, Default)]
struct Held {
    partitions: usize,
    by_topic: BTreeMap<Topic, usize>,
    /// The same, by the number of partitions.
    by_count: BTreeSet<(usize, Topic)>,
}

impl Held {
    fn set(&mut self, topic: Topic, change: impl FnOnce(usize) -> usize) {
        let before = self.by_topic.remove(&topic).unwrap_or(0);
        self.by_count.remove(&(before, topic));
        let after = change(before);
        self.partitions = self.partitions - before + after;
        if after > 0 {
            self.by_topic.insert(topic, after);
            self.by_count.insert((after, topic));
        }
    }

    /// The topics that it has partitions of, those first of which it has most.
    fn topics(&self) -> impl Iterator<Item = Topic> {
        self.by_count.iter().rev().map(|(_, topic)| *topic)
    }
}

impl<'a> Loads<'a> {
    /// Nobody has anything.
    pub(super) fn new(group: &'a Subscriptions<'a>) -> Self {
        let nothing = |members: &Vec<Member>| members.iter().map(|member| (0, *member)).collect();
        Self {
            group,
            held: vec![Held::default(); group.members.len()],
            by_load: group.classes.iter().map(nothing).collect(),
        }
    }

    /// One more partition of `topic` for `member`.
    pub(super) fn give(&mut self, member: Member, topic: Topic) {
        self.set(member, topic, |count| count + 1);
    }

    fn take(&mut self, member: Member, topic: Topic) {
        self.set(member, topic, |count| count.checked_sub(1).expect("nobody gives what it does not have"));
    }

    fn set(&mut self, member: Member, topic: Topic, change: impl FnOnce(usize) -> usize) {
        let held = &mut self.held[member];
        let by_load = &mut self.by_load[self.group.class_of[member]];
        by_load.remove(&(held.partitions, member));
        held.set(topic, change);
        by_load.insert((held.partitions, member));
    }

    /// The subscriber of `topic` that has least.
    pub(super) fn least_loaded(&self, topic: Topic) -> Member {
        let (_, member) =
            self.lowest(&self.group.topics[topic].subscribers).expect("a topic has subscribers");
        member
    }

    /// The least load in `classes`, and whose it is.
    fn lowest(&self, classes: &[Class]) -> Option<(usize, Member)> {
        classes.iter().filter_map(|class| self.by_load[*class].first()).min().copied()
    }

    /// Makes the loads as even as can be.
    pub(super) fn level(&mut self) {
        // The last round finds nothing. It looks again at members that a chain has made heavier after their turn.
        while self.level_once() {}
    }

    /// Relieves the heaviest member, again and again, until none can be. Gives whether any could.
    fn level_once(&mut self) -> bool {
        let by_load = |(member, held): (Member, &Held)| (held.partitions, Reverse(member));
        let mut heaviest: BinaryHeap<_> = self.held.iter().enumerate().map(by_load).collect();
        let mut settled = vec![false; self.group.classes.len()];
        let mut found = false;
        while let Some((load, Reverse(heavy))) = heaviest.pop() {
            if settled[self.group.class_of[heavy]] || load != self.held[heavy].partitions {
                continue;
            }
            match self.relieve(heavy) {
                Ok(light) => {
                    found = true;
                    heaviest.extend([heavy, light].map(|member| by_load((member, &self.held[member]))));
                }
                // Nobody that is no heavier and can be reached from here can be relieved either.
                Err(reached) => reached.into_iter().for_each(|class| settled[class] = true),
            }
        }
        found
    }

    /// Passes one partition on from `heavy`, along the shortest chain to a member that has at least two less, and gives
    /// that member. If there is no such chain, gives the classes that any chain reaches.
    fn relieve(&mut self, heavy: Member) -> Result<Member, Vec<Class>> {
        let mut chains = Chains::new(self.group);
        let mut givers = vec![heavy];
        loop {
            let reached = chains.extend(&givers, &self.held);
            let Some((load, light)) = self.lowest(&reached) else { return Err(chains.reached()) };
            if load + 2 <= self.held[heavy].partitions {
                for (giver, topic, taker) in chains.between(heavy, light) {
                    self.take(giver, topic);
                    self.give(taker, topic);
                }
                return Ok(light);
            }
            givers = reached.iter().flat_map(|class| &self.group.classes[*class]).copied().collect();
        }
    }

    /// How many partitions of each topic each member has, by topic.
    pub(super) fn shares(&self) -> Vec<BTreeMap<Member, usize>> {
        let mut shares = vec![BTreeMap::new(); self.group.topics.len()];
        for (member, held) in self.held.iter().enumerate() {
            for (topic, count) in &held.by_topic {
                shares[*topic].insert(member, *count);
            }
        }
        shares
    }
}

/// A search for chains of members that pass partitions on. It goes by classes: who may take a partition from somebody,
/// so may everybody with the same subscriptions.
struct Chains<'a> {
    group: &'a Subscriptions<'a>,
    /// Who gives to the members of each class, and a partition of which topic.
    givers: Vec<Option<(Member, Topic)>>,
    unreached: usize,
    seen: Vec<bool>,
}

impl<'a> Chains<'a> {
    fn new(group: &'a Subscriptions<'a>) -> Self {
        let (classes, topics) = (group.classes.len(), group.topics.len());
        Self { group, givers: vec![None; classes], unreached: classes, seen: vec![false; topics] }
    }

    /// The classes that are reached for the first time if `givers` pass on what they have.
    fn extend(&mut self, givers: &[Member], held: &[Held]) -> Vec<Class> {
        let mut reached = Vec::new();
        for giver in givers {
            for topic in held[*giver].topics() {
                if self.unreached == 0 {
                    return reached;
                }
                if std::mem::replace(&mut self.seen[topic], true) {
                    continue;
                }
                for class in &self.group.topics[topic].subscribers {
                    if self.givers[*class].is_none() {
                        self.givers[*class] = Some((*giver, topic));
                        self.unreached -= 1;
                        reached.push(*class);
                    }
                }
            }
        }
        reached
    }

    /// The links of the chain from `first` to `last`, which is of a class that was reached: giver, topic, taker.
    fn between(&self, first: Member, last: Member) -> Vec<(Member, Topic, Member)> {
        let mut links = Vec::new();
        let mut taker = last;
        while taker != first {
            let (giver, topic) = self.givers[self.group.class_of[taker]].expect("the class was reached");
            links.push((giver, topic, taker));
            taker = giver;
        }
        links
    }

    fn reached(&self) -> Vec<Class> {
        (0..self.givers.len()).filter(|class| self.givers[*class].is_some()).collect()
    }
}
