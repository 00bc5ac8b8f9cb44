//! A node whose disk is slow, and which is needed for a majority.
//!
//! One node of three is down, and another one waits for its disk at each sync: its driver does nothing meanwhile. What the two have
//! together takes as long as that disk. But the quick one knows why, and goes on leading: a slow disk causes no election
//! after the other (`Leaving::hardship`). That is held against the terms of all groups with three replicas, which count
//! elections.
//!
//! Half of these disks stall at times, and their nodes report it. The other disks never stall, but a sync may exceed the default
//! election timeout. Their nodes report nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::disk::{Disk, Space};
use super::event::Event;
use super::invariants::Violation;
use super::node::Node;
use super::random::Random;
use super::world::World;
use crate::ids::{NodeId, RaftGroupId};
use crate::shard::GroupView;

/// How many seeds there are for one that has this.
const SEEDS: u64 = 20;

/// The shortest and the longest sync of a slow disk, in microseconds.
pub(super) type Lag = (u64, u64);

/// This disk stalls at times, and its node reports the stall.
pub(super) const STANDS_STILL: Lag = (100_000, 3_000_000);

/// This disk never stalls, by any node's clock. Only late answers to heartbeats show that it is slow.
const SLOW: Lag = (300_000, 1_800_000);

/// How long all nodes are well before: a disk that was slow before is trusted again.
const WELL: Duration = Duration::from_secs(15);

/// How long it takes until everybody knows, and has a leader.
const KNOWN_WITHIN: Duration = Duration::from_secs(20);

/// How long no elections are expected, but for those that time brings about all the same.
const QUIET: Duration = Duration::from_secs(30);

/// How many elections there may be in that time in each group.
const MAX_ELECTIONS: u64 = 1;

/// The slow disk of this seed, if it has one.
pub(super) const fn hardship(seed: u64) -> Option<Lag> {
    if seed % SEEDS != 7 {
        return None;
    }
    Some(if (seed / SEEDS).is_multiple_of(2) { SLOW } else { STANDS_STILL })
}

/// Whether drivers wait for slow disks in this seed. It is drawn apart from everything else, so that a seed's faults stay what they
/// were.
pub(super) fn drivers_wait(seed: u64) -> bool {
    seed.is_multiple_of(2) && Random::new(seed.rotate_left(8)).chance(300)
}

impl World {
    /// Lets the cluster live with a dead node and a slow one, and puts both right.
    pub(super) fn live_in_hardship(&mut self, lag: Lag) -> Result<(), Violation> {
        self.calm_down()?;
        self.run_until(self.now + WELL)?;
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let dead = nodes[self.random.place(nodes.len())];
        let slow = self.peers_of(dead)[self.random.place(nodes.len() - 1)];
        let waits = format_args!("{dead} is down, and {slow} waits for its disk, {lag:?} us");
        self.trace.tell(self.now, waits);
        if let Some(node) = self.nodes.get_mut(&dead) {
            node.disk.space = Space::Nothing;
        }
        self.crash(dead, true);
        self.hold_driver(slow, lag);
        self.run_until(self.now + KNOWN_WITHIN)?;
        let before = self.terms();
        self.run_until(self.now + QUIET)?;
        let after = self.terms();
        for (group, term) in after {
            let elections = before.get(&group).map_or(0, |before| term - before);
            if elections > MAX_ELECTIONS {
                let detail = format!("{group} has {elections} elections in {QUIET:?} as {slow} is slow");
                return Err(Violation { rule: "a slow disk causes no elections", detail });
            }
        }
        self.trace.tell(self.now, "both are well again");
        if let Some(node) = self.nodes.get_mut(&slow) {
            node.disk.lag = Disk::QUICK;
            node.disk.holds_driver = false;
        }
        if let Some(node) = self.nodes.get_mut(&dead) {
            node.disk.space = Space::Enough;
        }
        self.schedule.at(self.now, Event::Start { node: dead });
        Ok(())
    }

    /// A node's driver waits for its disk from now on, whose syncs take so long.
    pub(super) fn hold_driver(&mut self, id: NodeId, lag: Lag) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.disk.lag = lag;
            node.disk.holds_driver = true;
        }
    }

    /// The term of each group that all nodes have a replica of.
    fn terms(&self) -> BTreeMap<RaftGroupId, u64> {
        let mut terms = BTreeMap::new();
        let views =
            self.nodes.values().filter_map(Node::process).flat_map(|process| process.shard.group_views());
        for view in views.filter(|view: &GroupView<'_>| view.voters().len() == self.nodes.len()) {
            let term: &mut u64 = terms.entry(view.id()).or_default();
            *term = view.term().max(*term);
        }
        terms
    }
}
