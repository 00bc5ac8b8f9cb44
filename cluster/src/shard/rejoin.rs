//! A node that comes back without its disk: what it finds out about itself, whom it asks, and what it is told.
//!
//! What its replicas may do meanwhile, and why that is safe, stands in [`admission`](super::group).
//!
//! ```text
//!   empty disk ──► unrecognized ──► every other node knows only this store ──────────────► new: as any node
//!                        └────────► one knew another store before ──► controller's group barred ──► on probation
//!                                                                                                        │ each group
//!   full in every group ◄── on probation ◄── readmitted by its leader ◄── barred ◄───────────────────────┘ found there
//! ```
//!
//! **A new cluster begins when all of its nodes have met.** A majority would do for an election, but not for this: of three
//! nodes of which two lost their disks, the two are a majority that remembers nothing. They would begin anew, in silence,
//! while the third one has everything.
//!
//! A node that has its disk and may have forgotten the last that it acknowledged comes back by itself as well. Its replicas are
//! [forgetful](super::group), ask the leader to count them anew, and are full soon after.
//!
//! Groups that are made after the loss have nothing to lose, and their replicas here are as any. The controller's barrier
//! tells them apart: the group numbers that were allotted before it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trilog_storage::StoreError;

use super::group::Admission;
use super::peers::HEARTBEAT_INTERVAL;
use super::{Group, Shard};
use crate::ids::{NodeId, RaftGroupId, StoreId};
use crate::transport::{Frame, ReadmitRow, Recognition};

/// How long a node waits for the others to recognize it before it says so.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many partitions a line of the log names at most.
const NAMED: usize = 20;

/// What a node without memory knows of its way back.
pub(super) struct Rejoin {
    store: StoreId,
    /// The peers that have yet to say as what they recognize this node, while that is open.
    unheard: BTreeSet<NodeId>,
    waits_since: Duration,
    has_warned: bool,
    /// The groups in which this node is barred, forgetful or on probation.
    pending: BTreeSet<RaftGroupId>,
    /// How many groups there were on the way, and how many of them had arrived when that was last told.
    total: usize,
    told: usize,
    /// Who else is barred in a group in which this node is.
    fellows: BTreeMap<RaftGroupId, BTreeSet<NodeId>>,
    /// The groups of which it was told that they are lost.
    mourned: BTreeSet<RaftGroupId>,
    /// The groups that everybody elected this node in since that was last told: something may be lost there.
    recovered: BTreeSet<RaftGroupId>,
    next_ask: Duration,
}

impl Rejoin {
    pub(super) fn new(store: StoreId, peers: &[NodeId], now: Duration) -> Self {
        Self {
            store,
            unheard: peers.iter().copied().collect(),
            waits_since: now,
            has_warned: false,
            pending: BTreeSet::new(),
            total: 0,
            told: 0,
            fellows: BTreeMap::new(),
            mourned: BTreeSet::new(),
            recovered: BTreeSet::new(),
            next_ask: now,
        }
    }

    fn add(&mut self, group: RaftGroupId, now: Duration) {
        self.total += usize::from(self.pending.insert(group));
        self.next_ask = now;
    }

    /// This node was elected by all replicas of a group, too many of which have forgotten something for less.
    pub(super) fn recovered(&mut self, group: RaftGroupId) {
        self.recovered.insert(group);
    }

    /// How many groups are still on their way.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The group is no longer here.
    pub(super) fn forget(&mut self, group: RaftGroupId) {
        if self.pending.remove(&group) {
            self.total -= 1;
        }
        self.fellows.remove(&group);
        self.mourned.remove(&group);
        self.recovered.remove(&group);
    }
}

impl Shard {
    /// What the replica of a group may do that is being opened. `is_new` says that this node had none, `is_blank` that
    /// nothing ever happened in it.
    pub(super) fn admission_of(
        &mut self,
        id: RaftGroupId,
        is_new: bool,
        is_blank: bool,
    ) -> Result<Admission, StoreError> {
        let lost = self.groups.get(&RaftGroupId::CONTROLLER).and_then(Group::lost_groups);
        let admission = match Admission::load(&self.store, id)? {
            Some(admission) => admission,
            None if id == RaftGroupId::CONTROLLER && is_blank && !self.rejoin.unheard.is_empty() => {
                Admission::Unrecognized { early: Vec::new() }
            }
            None if is_new && lost.is_some_and(|lost| id < lost) => {
                Admission::Barred.save(id, &mut self.batch);
                Admission::Barred
            }
            None => Admission::Full,
        };
        if matches!(admission, Admission::Barred | Admission::Forgetful(_) | Admission::Probation(_)) {
            self.rejoin.add(id, self.now);
        }
        Ok(admission)
    }

    /// A peer says as what it recognizes this node.
    pub(super) fn recognized(&mut self, peer: NodeId, recognition: Recognition) {
        let id = RaftGroupId::CONTROLLER;
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.is_unrecognized()) else { return };
        match recognition {
            Recognition::Successor => {
                tracing::warn!(
                    peer = peer.number(),
                    "this node's data directory is new, and another node knew an older one: what was in that is lost, and \
                     will be had from the others again; until then this node does not vote"
                );
                group.bar(&mut self.batch);
                self.rejoin.add(id, self.now);
                (self.rejoin.waits_since, self.rejoin.has_warned) = (self.now, false);
            }
            Recognition::First => {
                self.rejoin.unheard.remove(&peer);
                if !self.rejoin.unheard.is_empty() {
                    return;
                }
                group.found();
                self.plan_delayed_campaign(id);
            }
        }
        self.dirty.insert(id);
    }

    /// Goes on with whatever is open. Called at every tick.
    pub(super) fn pursue_rejoin(&mut self) {
        self.tell_of_waiting();
        for id in self.rejoin.pending.iter().copied().collect::<Vec<_>>() {
            let over = self.groups.get_mut(&id).is_none_or(|group| group.end_probation(&mut self.batch));
            if over {
                self.rejoin.pending.remove(&id);
                self.rejoin.fellows.remove(&id);
            }
        }
        if self.now >= self.rejoin.next_ask {
            self.rejoin.next_ask = self.now + HEARTBEAT_INTERVAL;
            self.ask();
        }
    }

    /// Asks the other replicas of all groups in which this node is barred or forgetful: one of them leads, or will.
    fn ask(&mut self) {
        let store = self.rejoin.store;
        for (peer, groups) in self.questions(Group::is_barred) {
            self.sends.frame(peer, Frame::Rejoin { store, groups });
        }
        for (peer, groups) in self.questions(|group| group.is_forgetful() && !group.is_leader()) {
            self.sends.frame(peer, Frame::Recount { store, groups });
        }
    }

    /// The pending groups that are `such`, by the nodes that have replicas of them.
    fn questions(&self, such: impl Fn(&Group) -> bool) -> BTreeMap<NodeId, Vec<RaftGroupId>> {
        let mut questions: BTreeMap<NodeId, Vec<RaftGroupId>> = BTreeMap::new();
        for id in &self.rejoin.pending {
            let Some(group) = self.groups.get(id).filter(|group| such(group)) else { continue };
            for voter in group.voters().iter().filter(|voter| **voter != self.node) {
                questions.entry(*voter).or_default().push(*id);
            }
        }
        questions
    }

    /// A peer may have forgotten the last that it acknowledged, and asks to be counted anew.
    pub(super) fn recount_asked(&mut self, from: NodeId, store: StoreId, groups: &[RaftGroupId]) {
        let mut rows = Vec::new();
        for id in groups {
            let Some(group) = self.groups.get_mut(id).filter(|group| group.voters().contains(&from)) else {
                continue;
            };
            if let Some(row) = group.recount(from, store) {
                rows.push(row);
                group.ping();
                self.wake(*id);
                self.dirty.insert(*id);
            }
        }
        if !rows.is_empty() {
            self.sends.frame(from, Frame::Readmit { store, rows });
        }
    }

    /// A peer has lost its disk and asks to be readmitted.
    pub(super) fn rejoin_asked(&mut self, from: NodeId, store: StoreId, groups: &[RaftGroupId]) {
        let mut rows = Vec::new();
        for id in groups {
            let Some(group) = self.groups.get_mut(id).filter(|group| group.voters().contains(&from)) else {
                continue;
            };
            if group.is_barred() {
                self.rejoin.fellows.entry(*id).or_default().insert(from);
                continue;
            }
            group.disown(from);
            group.note_bereft(from);
            if !group.is_leader() {
                continue;
            }
            if let Some(row) = group.readmit(from, store) {
                rows.push(row);
                group.ping();
            }
            self.wake(*id);
            self.dirty.insert(*id);
        }
        if !rows.is_empty() {
            self.sends.frame(from, Frame::Readmit { store, rows });
        }
    }

    /// Leaders readmit this node.
    pub(super) fn readmitted(&mut self, from: NodeId, store: StoreId, rows: &[ReadmitRow]) {
        // An answer to a question of an earlier life is about promises that were forgotten since.
        if store != self.rejoin.store {
            return;
        }
        for row in rows {
            let Some(group) = self.groups.get_mut(&row.group) else { continue };
            if group.follow_again(from, row, &mut self.batch) {
                self.dirty.insert(row.group);
            }
        }
    }

    /// Tells how far it is, and what will never be. Called once a second.
    pub(super) fn report_rejoin(&mut self) {
        self.tell_of_recovered();
        let Rejoin { total, pending, told, .. } = &self.rejoin;
        let done = total - pending.len();
        if done != *told || (*total > 0 && pending.is_empty()) {
            tracing::info!("rejoining: {done} of {total} partitions caught up");
            self.rejoin.told = done;
            (self.rejoin.waits_since, self.rejoin.has_warned) = (self.now, false);
        }
        self.tell_of_absent();
        if self.rejoin.pending.is_empty() {
            (self.rejoin.total, self.rejoin.told) = (0, 0);
            return;
        }
        let is_lost = |id: &&RaftGroupId| self.groups.get(*id).is_some_and(|group| self.is_lost(group));
        let lost: BTreeSet<RaftGroupId> = self.rejoin.pending.iter().filter(is_lost).copied().collect();
        if lost.is_subset(&self.rejoin.mourned) {
            return;
        }
        let names = self.names(&lost);
        if lost.contains(&RaftGroupId::CONTROLLER) {
            tracing::error!(
                "most nodes of the cluster came up with new data directories, so nobody can tell what was acknowledged: \
                 bring the old ones back as they were (are they mounted?), or empty those of all nodes to begin anew, \
                 which gives up what is left"
            );
        } else {
            tracing::error!(
                "{names}: lost with the disks of most replicas; delete these topics and create them anew"
            );
        }
        self.rejoin.mourned = lost;
    }

    /// Says where something may be lost that was acknowledged.
    fn tell_of_recovered(&mut self) {
        let recovered = std::mem::take(&mut self.rejoin.recovered);
        if !recovered.is_empty() {
            let names = self.names(&recovered);
            tracing::warn!(
                "{names}: machines of most replicas went down at once, and with --durability relaxed what was acknowledged \
                 just before may be lost; all replicas go on with the longest log that is left"
            );
        }
    }

    /// Whether too few replicas of a group are left to readmit this one.
    fn is_lost(&self, group: &Group) -> bool {
        let barred = 1 + self.rejoin.fellows.get(&group.id()).map_or(0, BTreeSet::len);
        let voters = group.voters().len();
        let needed = if voters == 2 { 1 } else { voters / 2 + 1 };
        group.is_barred() && voters - barred < needed
    }

    pub(super) fn names(&self, groups: &BTreeSet<RaftGroupId>) -> String {
        let image = self.image();
        let name = |id: &RaftGroupId| match image.partition_of(*id) {
            Some(view) => format!("{}-{}", view.topic.name, view.index),
            None => id.to_string(),
        };
        let mut names: Vec<String> = groups.iter().take(NAMED).map(name).collect();
        if groups.len() > NAMED {
            names.push(format!("and {} more", groups.len() - NAMED));
        }
        names.join(", ")
    }

    /// Says whom this node waits for, if it gets no further.
    fn tell_of_absent(&mut self) {
        if self.rejoin.has_warned || self.now < self.rejoin.waits_since + PATIENCE {
            return;
        }
        let is_stuck = |group: &&Group| group.is_barred() || group.is_forgetful() && group.leader().is_none();
        let stuck = self.rejoin.pending.iter().filter_map(|id| self.groups.get(id)).filter(is_stuck);
        let voters: BTreeSet<NodeId> = stuck.flat_map(|group| group.voters().iter().copied()).collect();
        let is_away = |voter: &&NodeId| **voter != self.node && !self.peers.is_alive(**voter);
        let nodes: Vec<u32> = voters.iter().filter(is_away).map(|voter| voter.0).collect();
        if !nodes.is_empty() {
            self.rejoin.has_warned = true;
            tracing::warn!(
                ?nodes,
                "this node cannot get back what it lost without these nodes: are they up and reachable?"
            );
        }
    }

    fn tell_of_waiting(&mut self) {
        let rejoin = &mut self.rejoin;
        let waits = self.groups.get(&RaftGroupId::CONTROLLER).is_some_and(Group::is_unrecognized);
        if waits && !rejoin.has_warned && self.now >= rejoin.waits_since + PATIENCE {
            rejoin.has_warned = true;
            let nodes: Vec<u32> = rejoin.unheard.iter().map(|node| node.0).collect();
            tracing::warn!(
                ?nodes,
                "this node's data directory is new, and these nodes have yet to say whether its cluster is, too, or the \
                 directory was lost: are they up and reachable? A new cluster begins once all its nodes have met"
            );
        }
    }
}
