//! The idempotent producers of all partitions: how many this node remembers, and when those of the partitions that it leads age.
//!
//! A partition remembers a producer until it has written nothing for `producer.id.expiration.ms` (see
//! [`partition::producers`](crate::partition::producers)), and anybody may be a producer. So there is a bound for each partition
//! and one for the node, and beyond them a leader refuses new producers. Half of the node's bound is for whoever comes, the other
//! half is divided among its partitions: who fills one of them keeps nobody from the others.
//!
//! A replica takes in what its leader did, whatever that amounts to. A node that follows leaders on several other nodes may
//! therefore remember more than its own bound.
//!
//! The time by which producers age is that in which this process ran: a gap in it, as of a machine that was suspended, does not
//! count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Shard;
use super::group::Group;
use super::machine::Machine;
use crate::ids::RaftGroupId;
use crate::partition::{AGE_STEPS, ActiveProducer};

/// Partitions whose producers age in one tick: much is due at once after an election of all.
const AGE_PER_TICK: usize = 64;

/// How many idempotent producers may be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducerLimits {
    /// By a partition.
    pub(crate) partition: usize,
    /// By all replicas of a node. A producer takes 150 to 300 bytes, and as much again at its leader.
    pub(crate) node: usize,
}

impl ProducerLimits {
    /// What a node goes by.
    pub(crate) const DEFAULT: Self = Self { partition: 1 << 15, node: 1 << 17 };
}

/// The room for new producers that there is at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProducerRoom {
    /// What a partition may remember at most.
    partition: usize,
    /// What it may remember in any case.
    share: usize,
    /// What is left for whoever comes.
    left: usize,
}

impl ProducerRoom {
    /// How many producers a partition may remember that remembers so many.
    pub(super) fn limit(self, known: usize) -> usize {
        self.share.max(known.saturating_add(self.left)).min(self.partition)
    }
}

/// See the module's documentation.
pub(super) struct KnownProducers {
    limits: ProducerLimits,
    by_group: BTreeMap<RaftGroupId, usize>,
    sum: usize,
    /// The time that counts.
    clock: Duration,
    /// When the producers of each partition that is led here are a step older.
    due: BTreeSet<(Duration, RaftGroupId)>,
    due_of: BTreeMap<RaftGroupId, Duration>,
    /// How long a step of age was when the metadata was last looked at.
    step: Option<Duration>,
}

impl KnownProducers {
    pub(super) const fn new(limits: ProducerLimits) -> Self {
        Self {
            limits,
            by_group: BTreeMap::new(),
            sum: 0,
            clock: Duration::ZERO,
            due: BTreeSet::new(),
            due_of: BTreeMap::new(),
            step: None,
        }
    }

    /// A group's replica here remembers so many.
    pub(super) fn note(&mut self, group: RaftGroupId, known: usize) {
        let before = match known {
            0 => self.by_group.remove(&group),
            _ => self.by_group.insert(group, known),
        };
        self.sum = self.sum - before.unwrap_or_default() + known;
    }

    /// The group is gone.
    pub(super) fn forget(&mut self, group: RaftGroupId) {
        self.note(group, 0);
        self.wait(group, None);
    }

    /// The room that a node with so many groups has.
    pub(super) fn room(&self, groups: usize) -> ProducerRoom {
        let half = self.limits.node / 2;
        ProducerRoom {
            partition: self.limits.partition,
            share: (half / groups.max(1)).max(1),
            left: half.saturating_sub(self.sum),
        }
    }

    pub(super) fn passed(&mut self, time: Duration) {
        self.clock += time;
    }

    /// Has a group's producers age in a while, or no more.
    fn wait(&mut self, group: RaftGroupId, after: Option<Duration>) {
        if let Some(at) = self.due_of.remove(&group) {
            self.due.remove(&(at, group));
        }
        if let Some(after) = after {
            let at = self.clock + after;
            self.due.insert((at, group));
            self.due_of.insert(group, at);
        }
    }

    /// Takes note of how long a step is. Whether that differs from before.
    fn has_new_step(&mut self, step: Duration) -> bool {
        self.step.replace(step) != Some(step)
    }

    /// The group that has waited longest, if its time has come. It waits no more.
    fn next_due(&mut self) -> Option<RaftGroupId> {
        let (_, group) = *self.due.first().filter(|(at, _)| *at <= self.clock)?;
        self.wait(group, None);
        Some(group)
    }
}

impl Shard {
    /// The idempotent producers of these partitions, as far as this node has replicas of them.
    pub(crate) fn active_producers(
        &self,
        groups: &[RaftGroupId],
    ) -> BTreeMap<RaftGroupId, Vec<ActiveProducer>> {
        let of = |id: &RaftGroupId| match self.groups.get(id)?.machine() {
            Machine::Partition(machine) => Some((*id, machine.active_producers())),
            _ => Some((*id, Vec::new())),
        };
        groups.iter().filter_map(of).collect()
    }

    /// How long a step of producers' age is.
    fn age_step(&self) -> Duration {
        let image = self.image();
        image.broker_layers(self.node, &self.inputs.defaults).producer_id_expiration() / AGE_STEPS
    }

    /// This node leads the group from now on, or leads it no more.
    pub(super) fn plan_ageing(&mut self, id: RaftGroupId) {
        let leads = self.groups.get(&id).is_some_and(|group| {
            group.serving().is_some() && matches!(group.machine(), Machine::Partition(_))
        });
        let step = leads.then(|| self.age_step());
        self.known_producers.wait(id, step);
    }

    /// The settings of nodes may have changed. If a step is longer or shorter by them, the steps that were planned begin anew; any
    /// other change leaves them, or frequent changes would keep producers for ever.
    pub(super) fn follow_expiration(&mut self) {
        let step = self.age_step();
        if !self.known_producers.has_new_step(step) {
            return;
        }
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            self.plan_ageing(id);
        }
    }

    /// Puts the steps of time into the logs that are due.
    pub(super) fn age_producers(&mut self) {
        let step = self.age_step();
        for _ in 0..AGE_PER_TICK {
            let Some(id) = self.known_producers.next_due() else { return };
            self.known_producers.wait(id, Some(step));
            if let Some(Machine::Partition(machine)) = self.groups.get_mut(&id).map(Group::machine_mut)
                && machine.ask_to_age()
            {
                self.wake(id);
                self.dirty.insert(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RaftGroupId = RaftGroupId(1);
    const B: RaftGroupId = RaftGroupId(2);

    #[test]
    fn half_of_the_node_is_for_all_and_half_is_shared_out() {
        let mut known = KnownProducers::new(ProducerLimits { partition: 30, node: 80 });
        assert_eq!(known.room(4).limit(0), 30, "a partition's own bound");
        known.note(A, 25);
        assert_eq!([0, 10, 25].map(|of| known.room(4).limit(of)), [15, 25, 30]);
        known.note(B, 20);
        assert_eq!([0, 9, 20].map(|of| known.room(4).limit(of)), [10, 10, 20], "the shares are left");
        assert_eq!(known.room(1000).limit(0), 1, "be it ever so small");
        known.forget(A);
        assert_eq!(known.room(4).limit(0), 20);
        known.note(B, 0);
        assert_eq!((known.sum, known.by_group.len()), (0, 0));
    }

    #[test]
    fn only_another_length_of_the_step_is_news() {
        let mut known = KnownProducers::new(ProducerLimits::DEFAULT);
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(2));
        let news = [short, short, long, long, short].map(|step| known.has_new_step(step));
        assert_eq!(news, [true, false, true, false, true]);
    }

    #[test]
    fn a_groups_time_comes_once() {
        let mut known = KnownProducers::new(ProducerLimits::DEFAULT);
        let second = Duration::from_secs(1);
        known.wait(A, Some(second * 2));
        known.wait(B, Some(second));
        known.wait(B, Some(second * 3));
        known.passed(second * 2);
        assert_eq!([known.next_due(), known.next_due()], [Some(A), None]);
        known.forget(B);
        known.passed(second);
        assert_eq!(known.next_due(), None);
        assert!(known.due_of.is_empty());
    }
}
