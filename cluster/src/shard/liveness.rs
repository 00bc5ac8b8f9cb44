//! Ticks, heartbeats, and what a peer's loss or return means: who stands for election, and when.
//!
//! A group's followers do not all stand at once. In the order of preference, and leaving out replicas that are not
//! alive, each waits a heartbeat longer than the one before it, so that votes are not split.

use std::collections::BTreeSet;
use std::time::Duration;

use super::effects::Effect;
use super::group::{Campaign, Group};
use super::peers::{HEARTBEAT_INTERVAL, PeerChange};
use super::{Shard, TICK};
use crate::ids::{NodeId, RaftGroupId};
use crate::transport::{Frame, PeerEvent};

/// On a start, the preferred replica of a group waits this long for its peers before it stands.
const FIRST_CAMPAIGN_AFTER: Duration = Duration::from_millis(100);

/// A gap between inputs that says that this process stood still (a pause, a stalled disk), and not its peers.
const STOOD_STILL: Duration = Duration::from_millis(400);

impl Shard {
    /// Time has come to `now`, with a tick or with any other input. Inputs that came while this process stood still are
    /// yet to be read: until then silence is nobody's fault.
    pub(super) fn advance(&mut self, now: Duration) {
        let gap = now.saturating_sub(self.now);
        self.now = now;
        if gap > STOOD_STILL {
            self.peers.forgive(now);
            self.behind.forgive();
            self.each_coordinator(|machine| machine.stood_still(gap));
        } else {
            self.known_producers.passed(gap);
        }
    }

    /// Time has come to `now`. Called every [`TICK`].
    pub(crate) fn tick(&mut self, now: Duration) {
        self.advance(now);
        if let Some(sequence) = self.peers.heartbeat_due(now) {
            for peer in self.peers.ids().collect::<Vec<_>>() {
                self.sends.frame(peer, Frame::Heartbeat { sequence });
            }
            self.tell_room();
            self.tell_leaving();
        }
        for change in self.peers.newly_lost(now) {
            self.peer_changed(change, Evidence::Silence);
        }
        let awake: Vec<RaftGroupId> = self.awake.iter().copied().collect();
        for id in awake {
            self.tick_group(id);
        }
        self.tick_coordinators();
        self.age_producers();
        self.pursue_rejoin();
        self.pursue_leaving();
        self.report_succession();
        self.tick_confirmations();
        self.watch_quorum();
        self.pursue_snapshots();
        if now >= self.next_housekeeping {
            self.next_housekeeping = now + super::housekeeping::INTERVAL;
            self.keep_house();
        }
    }

    fn tick_group(&mut self, id: RaftGroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.tick(self.leaving.hardship(self.node, group.voters(), &self.peers, self.now));
        if let Some(due) = group.planned.take_if(|planned| planned.at <= self.now)
            && group.leader().is_none_or(|leader| leader != self.node && !self.peers.is_alive(leader))
            && !(due.is_first && self.leaderships.is_led(id, |node| self.peers.is_alive(node)))
        {
            if due.is_first { group.campaign_first() } else { group.campaign() }
        }
        self.dirty.insert(id);
        self.consider_sleep(id);
    }

    /// Something of `from` arrived. Told at its arrival: what it says may have to wait for its turn.
    pub(crate) fn heard(&mut self, now: Duration, from: NodeId) {
        self.advance(now);
        if let Some(change) = self.peers.heard(from, self.now) {
            self.peer_changed(change, Evidence::Silence);
        }
    }

    /// The transport's view of a peer has changed.
    pub(crate) fn peer_event(&mut self, now: Duration, peer: NodeId, event: PeerEvent) {
        self.advance(now);
        match event {
            PeerEvent::Recognized(recognition) => self.recognized(peer, recognition),
            // A process that has just connected may be a new one that has forgotten what it led and followed.
            PeerEvent::Connected => {
                self.leaving.process_changed(peer);
                self.ask_for_snapshots(peer);
                self.sends.frame(peer, Frame::Leadership(self.leaderships.own_rows()));
                self.peer_changed(PeerChange::Returned(peer), Evidence::Silence);
            }
            PeerEvent::Disconnected => {}
            PeerEvent::Refused => {
                self.leaving.process_changed(peer);
                if let Some(change) = self.peers.gone(peer) {
                    self.peer_changed(change, Evidence::ProcessGone);
                }
            }
        }
    }

    /// Frames for `peer` had to be dropped: Raft probes again from what the peer last acknowledged.
    pub(crate) fn frames_dropped(&mut self, peer: NodeId) {
        for group in self.groups.values_mut().filter(|group| group.is_leader() && !group.asleep) {
            group.unreachable(peer);
        }
        self.leaderships.owe(peer);
    }

    fn peer_changed(&mut self, change: PeerChange, evidence: Evidence) {
        let ids: Vec<RaftGroupId> = self.groups.keys().copied().collect();
        match change {
            PeerChange::Lost(peer) => {
                tracing::info!(peer = peer.number(), ?evidence, "peer lost");
                self.note_loss(peer);
                for id in ids {
                    self.peer_lost(id, peer, evidence);
                }
            }
            PeerChange::Returned(peer) => {
                tracing::debug!(peer = peer.number(), "peer heard");
                self.note_return(peer);
                for id in ids {
                    self.peer_returned(id, peer);
                }
            }
        }
        self.publish_peers();
    }

    pub(super) fn publish_peers(&mut self) {
        let mut alive: BTreeSet<NodeId> =
            self.peers.ids().filter(|peer| self.peers.is_alive(*peer)).collect();
        alive.insert(self.node);
        let mut unfenced = self.peers.unfenced(self.now);
        unfenced.insert(self.node);
        self.inputs.alive.clone_from(&alive);
        self.effects.push(Effect::Peers { alive, unfenced });
    }

    fn peer_lost(&mut self, id: RaftGroupId, peer: NodeId, evidence: Evidence) {
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.voters().contains(&peer)) else {
            return;
        };
        if group.is_leader() {
            group.keep_from(peer);
            // Whether a majority is left, Raft's own quorum check finds out.
            self.wake(id);
            self.review_in_sync(id);
            return;
        }
        if group.leader() != Some(peer) {
            return;
        }
        group.forget_leader();
        let hardship = self.leaving.hardship(self.node, group.voters(), &self.peers, self.now);
        let (peers, room, leaving, now) = (&self.peers, &self.room, &self.leaving, self.now);
        // Who has no room or leaves stands last, lest it has to hand over what it has just won.
        let is_last = !room.own() || leaving.own();
        let behind = if is_last { u32::try_from(group.voters().len()).unwrap_or(u32::MAX) } else { 0 };
        let is_better = |node| room.of_peer(node, now) && !leaving.of_peer(node, now);
        let stands = |node| node == self.node || peers.is_alive(node) && is_better(node);
        let rank = rank(group, self.node, stands).map(|rank| rank + behind);
        match rank {
            Some(0) if evidence == Evidence::ProcessGone => group.campaign_now(),
            Some(0) => group.campaign(),
            Some(rank) => group.planned = Some(Campaign::at(self.now + turn(rank, hardship))),
            None => {}
        }
        self.wake(id);
        self.dirty.insert(id);
    }

    /// A candidate lacks something that this replica's log has, and cannot win. If its attempt has cost the group its
    /// leader, or there was none, this replica stands instead, before long timeouts have run out on both: the first in
    /// order of preference at once, each further one a heartbeat later.
    pub(super) fn stand_instead(&mut self, id: RaftGroupId, candidate: NodeId, deposed: Option<NodeId>) {
        let leaderless = |group: &&mut Group| group.leader().is_none() && group.is_follower();
        let Some(group) = self.groups.get_mut(&id).filter(leaderless) else { return };
        let may_stand = |node| {
            node == self.node || node != candidate && Some(node) != deposed && self.peers.is_alive(node)
        };
        let hardship = self.leaving.hardship(self.node, group.voters(), &self.peers, self.now);
        match rank(group, self.node, may_stand) {
            Some(0) => group.campaign(),
            Some(rank) => {
                let at = self.now + turn(rank, hardship);
                group.planned = Some(Campaign::at(group.planned.map_or(at, |planned| planned.at.min(at))));
            }
            None => {}
        }
    }

    /// A leader greets a returning follower, which may have forgotten it, and catches it up.
    fn peer_returned(&mut self, id: RaftGroupId, peer: NodeId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.is_leader() && group.voters().contains(&peer) {
            // Waking greets the followers as well.
            if !group.asleep {
                group.ping();
            }
            self.wake(id);
            self.dirty.insert(id);
        } else if group.leader() == Some(peer) {
            // It may have come back without its leadership: if it has, its word will reset the election timer.
            self.wake(id);
        }
    }

    /// This node stands in a group from now on, in which it could not at first: in the order of preference, as its fellows
    /// may be in the same position.
    pub(super) fn plan_delayed_campaign(&mut self, id: RaftGroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if let Some(rank) = rank(group, self.node, |_| true) {
            let at = self.now + HEARTBEAT_INTERVAL * rank;
            if group.planned.is_none_or(|planned| planned.at < at) {
                group.planned = Some(Campaign::at(at));
            }
        }
    }

    /// Plans the first election of a group that was opened. A new group's preferred leader begins it at once; a group that was there
    /// before waits a moment for its peers. It begins none if a living node has said that it leads: after a start, leaders' messages
    /// to a thousand groups wait behind what is replayed, while one frame lists all that a node leads. If the leader has gone by
    /// then, the election timer finds out.
    pub(super) fn plan_first_campaign(&self, group: &mut Group, fresh: bool) {
        let Some(rank) = rank(group, self.node, |_| true) else { return };
        if rank == 0 && fresh && group.id() != RaftGroupId::CONTROLLER || group.voters().len() == 1 {
            group.campaign_now();
        } else {
            let at = self.now + FIRST_CAMPAIGN_AFTER + 2 * TICK + HEARTBEAT_INTERVAL * rank;
            group.planned = Some(Campaign { at, is_first: true });
        }
    }
}

/// How a peer's loss was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// Nothing was heard of it for a while: it may be cut off, paused or slow, and still think that it leads.
    Silence,
    /// Its connections were reset and new ones refused: the process is gone.
    ProcessGone,
}

/// How long the replica of this rank waits for those before it.
fn turn(rank: u32, hardship: u32) -> Duration {
    HEARTBEAT_INTERVAL * (rank << hardship)
}

/// The place of `node` among a group's voters that `counts`, in order of preference.
fn rank(group: &Group, node: NodeId, counts: impl Fn(NodeId) -> bool) -> Option<u32> {
    let mut rank = 0;
    for voter in group.voters() {
        if *voter == node {
            return Some(rank);
        }
        rank += u32::from(counts(*voter));
    }
    None
}
