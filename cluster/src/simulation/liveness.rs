//! What must come true once nothing breaks any more: the cluster heals by itself within a bounded time, every request is
//! answered, and every acknowledged record that was not deleted can be read to the end from every replica.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::aim::Aim;
use super::call::ReadBatch;
use super::invariants::Violation;
use super::node::{Node, Process};
use super::world::World;
use crate::coordinator::GroupId;
use crate::ids::{NodeId, Offset, PartitionIndex, RaftGroupId, TopicId};

/// How long faults occur, in milliseconds.
const FAULTS_MS: (u64, u64) = (3_000, 9_000);

/// How long clients go on as before after the last fault.
const CALM: Duration = Duration::from_millis(1_000);

/// How long it may take until all clients have their answers. That includes an election among nodes that have just been
/// switched on, snapshots, clients that go about with old metadata, and members of groups that have died and whose sessions,
/// and then a rebalance, have to run out.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

/// How long until leaders are where they are preferred, and the last follower has heard of the last commit.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// How long until requests are answered whose clients have ended meanwhile: a member that joins waits for the others of its group, until
/// its session, and then the rebalance, is over.
const ANSWERED_WITHIN: Duration = Duration::from_secs(35);

/// How long until each group has shared out its partitions: sessions of members that are gone have to run out, and a
/// rebalance.
const SHARED_OUT_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked whether the clients are done.
const LOOK: Duration = Duration::from_millis(100);

/// What the members of a group want, and what they consume.
type Consumption<'a> = (BTreeSet<&'a str>, Vec<(TopicId, PartitionIndex)>);

impl World {
    /// The whole of it: faults, then none, then everything is read.
    pub(super) fn play(&mut self) -> Result<(), Violation> {
        let faults = self.random.millis(FAULTS_MS.0, FAULTS_MS.1);
        self.run_until(faults)?;
        if let Some(lag) = self.hardship {
            self.live_in_hardship(lag)?;
        }
        if self.aim == Aim::Assignments {
            self.end_with_assignment()?;
        }
        self.calm_down()?;
        self.run_until(self.now + CALM)?;
        self.ending = true;
        let deadline = self.now + HEALED_WITHIN;
        while !self.clients_are_done() {
            if self.now >= deadline {
                let waiting = self.clients_that_wait();
                return Err(stuck(format!(
                    "clients {waiting:?} still wait {HEALED_WITHIN:?} after the faults"
                )));
            }
            self.run_until(self.now + LOOK)?;
        }
        let deadline = self.now + SHARED_OUT_WITHIN;
        while let Err(violation) = self.check_shares() {
            if self.now >= deadline {
                return Err(violation);
            }
            self.run_until(self.now + LOOK)?;
        }
        let deadline = self.now + SETTLED_WITHIN;
        loop {
            self.run_until(self.now + LOOK)?;
            let settled = self.check_settled();
            if self.now >= deadline {
                settled?;
            } else if settled.is_err() {
                continue;
            }
            break;
        }
        let deadline = self.now + ANSWERED_WITHIN;
        while let Err(violation) = self.check_answered() {
            if self.now >= deadline {
                return Err(violation);
            }
            self.run_until(self.now + LOOK)?;
        }
        Ok(())
    }

    /// All partitions that members of a group want are consumed, each by one of them.
    fn check_shares(&self) -> Result<(), Violation> {
        let Some(process) = self.nodes.values().find_map(Node::process) else {
            return Err(stuck("all nodes are down".into()));
        };
        let mut groups: BTreeMap<&GroupId, Consumption<'_>> = BTreeMap::new();
        for share in self.clients.iter().filter_map(|client| client.share()) {
            let (topics, owned) = groups.entry(share.group).or_default();
            topics.extend(share.topics.iter().map(String::as_str));
            owned.extend(share.owned);
        }
        for (group, (topics, owned)) in groups {
            let wanted = topics.iter().filter_map(|topic| process.image().topic(topic));
            let wanted: BTreeSet<_> = wanted
                .flat_map(|topic| topic.indexed_partitions().map(|(index, _)| (topic.id, index)))
                .collect();
            let count = owned.len();
            if count != wanted.len() || owned.into_iter().collect::<BTreeSet<_>>() != wanted {
                let partitions = wanted.len();
                return Err(stuck(format!("members of {group} consume {count} of {partitions} partitions")));
            }
        }
        Ok(())
    }

    fn check_settled(&self) -> Result<(), Violation> {
        let processes: BTreeMap<NodeId, &Process> =
            self.nodes.iter().filter_map(|(id, node)| node.process().map(|process| (*id, process))).collect();
        if processes.len() < self.nodes.len() {
            return Err(stuck("a node is down".into()));
        }
        if let Some((id, _)) = processes.iter().find(|(_, process)| !process.shard.has_rejoined()) {
            return Err(stuck(format!("node {id} has not got back what its disk held")));
        }
        let image = processes[&NodeId(1)].image();
        if let Some((id, _)) = processes.iter().find(|(_, process)| process.image() != image) {
            return Err(stuck(format!("nodes 1 and {id} have different metadata")));
        }
        let groups = image.partitions().map(|view| (view.partition.group, view.partition.replicas.clone()));
        let controller = (RaftGroupId::CONTROLLER, processes.keys().copied().collect());
        for (group, voters) in groups.chain([controller]) {
            let replicas: Vec<&Process> = voters.iter().map(|voter| processes[voter]).collect();
            check_replicas(group, &replicas)?;
            let acknowledged = self.invariants.acknowledged.not_deleted(group);
            for (id, process) in voters.iter().zip(&replicas) {
                let batches = read_all(process, group);
                let missing = acknowledged.iter().find(|(base, name)| {
                    !batches.iter().any(|batch| batch.base_offset == **base && batch.name == **name)
                });
                if let Some((base, name)) = missing {
                    let detail = format!("node {id} has not batch {} at {base} of {group}", name.0);
                    return Err(Violation { rule: "what is acknowledged stays", detail });
                }
            }
        }
        Ok(())
    }
}

/// One replica leads and serves, and all hold and have applied the same.
fn check_replicas(group: RaftGroupId, replicas: &[&Process]) -> Result<(), Violation> {
    let views: Option<Vec<_>> = replicas.iter().map(|process| process.shard.group_view(group)).collect();
    let Some(views) = views else { return Err(stuck(format!("{group} lacks a replica"))) };
    if views.iter().any(|view| view.is_lost()) {
        return Ok(());
    }
    let serving = views.iter().filter(|view| view.serving().is_some()).count();
    if serving != 1 {
        return Err(stuck(format!("{group} has {serving} leaders")));
    }
    let ends: Vec<_> = views.iter().map(|view| (view.last(), view.applied())).collect();
    if ends.iter().any(|end| *end != ends[0] || end.0 != end.1) {
        return Err(stuck(format!("the replicas of {group} end, and are applied, differently: {ends:?}")));
    }
    if views.iter().any(|view| view.state() != views[0].state()) {
        return Err(stuck(format!("the replicas of {group} have different states")));
    }
    Ok(())
}

/// Everything that a replica shows of a partition.
fn read_all(process: &Process, group: RaftGroupId) -> Vec<ReadBatch> {
    let mut batches: Vec<ReadBatch> = Vec::new();
    let start = process.read(group, Offset(0)).map_or(Offset(0), |fetched| fetched.log_start);
    let mut next = start;
    while let Some(fetched) = process.read(group, next)
        && let Some(last) = fetched.batches.last()
    {
        next = last.last_offset.plus(1);
        batches.extend(fetched.batches);
    }
    batches
}

fn stuck(detail: String) -> Violation {
    Violation { rule: "the cluster heals", detail }
}
