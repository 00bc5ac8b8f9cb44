//! A node that is about to end: whom it hands its leaderships to, and when it may go.
//!
//! Each leadership goes to a living follower with everything, which stands at once, so that clients wait for one election
//! and for no timeout. The node stays until it knows who leads instead, as its clients are told so by it.
//!
//! It says with each heartbeat that it leaves, and is given no leadership meanwhile: neither those for which it is
//! preferred, nor those of others that leave, too. Where all that are alive leave there is nobody to hand over to, and
//! nobody waits. Peers believe it for a moment after the last time, so that nothing has to be taken back.
//!
//! A node whose disk stands still, or did so lately, does the same and does not end. It is slow and no worse: it takes records in
//! where nobody else can lead, it is sent all entries, and it counts towards a majority. If it did not, a disk that was
//! slow for two seconds would end the service of a cluster that has just lost another node.
//!
//! Where such a node is needed for a majority, everything takes as long as its disk: votes, entries, and at times even its
//! heartbeats, as its driver waits for the disk, too. By their usual timeouts its fellows would begin one election after the
//! other and finish none. So they count time more slowly in these groups ([`Leaving::hardship`]).
//!
//! A sync of a second is no stall, and its node says nothing of it. But it is longer than these timeouts. So a peer also counts as
//! slow once it has answered a heartbeat late: it answers Raft as late. The reason makes no difference.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peers::{LOST_AFTER, Peers};
use super::{Group, Shard};
use crate::ids::{NodeId, RaftGroupId};
use crate::transport::Frame;

/// How long a node counts as slow after it last said that it leaves, or answered late, unless its process is gone.
const SLOW_FOR: Duration = Duration::from_secs(10);

/// How often a quick node halves the time of a group that needs a slow one: to election timeouts of four seconds.
pub(super) const NEEDS_SLOW: u32 = 3;

/// The nodes that give up their leaderships, and the peers that are slow.
#[derive(Default)]
pub(super) struct Leaving {
    /// Whether this node is about to end.
    ends: bool,
    /// Whether its disk stands still, or is not trusted yet.
    is_stalled: bool,
    /// The peers that said so.
    peers: BTreeMap<NodeId, Said>,
    /// The peers whose processes answered a heartbeat late, and when they last did.
    late: BTreeMap<NodeId, Duration>,
}

/// What a peer said of itself.
struct Said {
    /// The last time.
    at: Duration,
    /// Its process may be another one since then, which has not said so.
    is_past: bool,
}

impl Leaving {
    /// Whether this node does.
    pub(super) const fn own(&self) -> bool {
        self.ends || self.is_stalled
    }

    /// Whether a peer does.
    pub(super) fn of_peer(&self, peer: NodeId, now: Duration) -> bool {
        self.peers.get(&peer).is_some_and(|said| now < said.at + LOST_AFTER)
    }

    /// Whether a peer's process said so, or answered late, a while ago: its disk may be slow still.
    fn is_slow(&self, peer: NodeId, now: Duration) -> bool {
        let said = self.peers.get(&peer).filter(|said| !said.is_past).map(|said| said.at);
        said.max(self.late.get(&peer).copied()).is_some_and(|at| now < at + SLOW_FOR)
    }

    /// How often the time of a group with these voters is halved, as a node that is slow is needed for its majority. A node with
    /// a stalled disk halves it once more. Other nodes then start an election before it does.
    pub(super) fn hardship(&self, node: NodeId, voters: &[NodeId], peers: &Peers, now: Duration) -> u32 {
        let own = self.is_stalled;
        if !own && self.peers.is_empty() && self.late.is_empty() {
            return 0;
        }
        let is_slow = |voter: NodeId| if voter == node { own } else { self.is_slow(voter, now) };
        let is_quick = |voter: &NodeId| (*voter == node || peers.is_alive(*voter)) && !is_slow(*voter);
        let quick = voters.iter().filter(|voter| is_quick(voter)).count();
        let needs_slow = quick <= voters.len() / 2 && voters.iter().any(|voter| is_slow(*voter));
        if needs_slow { NEEDS_SLOW + u32::from(own) } else { 0 }
    }

    /// A peer answered a heartbeat late.
    fn answered_late(&mut self, peer: NodeId, now: Duration) {
        self.late.insert(peer, now);
    }

    #[cfg(test)]
    pub(super) fn forget_late_answers(&mut self) {
        self.late.clear();
    }

    /// A peer's process is gone, or may be another one.
    pub(super) fn process_changed(&mut self, peer: NodeId) {
        if let Some(said) = self.peers.get_mut(&peer) {
            said.is_past = true;
        }
        self.late.remove(&peer);
    }
}

impl Shard {
    /// This node is about to end, and hands every leadership to a living follower. [`Self::leads_any`] tells when it is
    /// done.
    pub(crate) fn hand_over(&mut self, now: Duration) {
        self.advance(now);
        self.leaving.ends = true;
        self.tell_leaving();
        self.leave_to_heirs();
    }

    /// This node's disk stands still, or is trusted again.
    pub(crate) fn set_stalled(&mut self, now: Duration, is_stalled: bool) {
        self.advance(now);
        self.leaving.is_stalled = is_stalled;
        if is_stalled {
            self.tell_leaving();
            self.leave_to_heirs();
        }
    }

    /// Whether this node leads a group that somebody else could lead, or does not know yet who leads it instead: its
    /// clients are told of the new leader here.
    pub(crate) fn leads_any(&self) -> bool {
        let ours = |(id, group): (&RaftGroupId, &Group)| {
            (group.is_leader() || self.leaderships.lacks_successor(*id)) && self.heir(group).is_some()
        };
        self.groups.iter().any(ours)
    }

    /// The groups that this node leads, each with who is to lead it next.
    pub(super) fn heirs(&self) -> Vec<(RaftGroupId, NodeId)> {
        let led = self.groups.iter().filter(|(_, group)| group.is_leader());
        led.filter_map(|(id, group)| Some((*id, self.heir(group)?))).collect()
    }

    /// Of the living followers that stay one with room, if there is any, and of those the most advanced.
    fn heir(&self, group: &Group) -> Option<NodeId> {
        let stays = |voter: &NodeId| self.peers.is_alive(*voter) && !self.is_leaving(*voter);
        let staying = group.voters().iter().rev().copied().filter(stays);
        // Of equals the last is taken, which is the first in order of preference.
        staying
            .max_by_key(|voter| (self.has_room(*voter), group.progress(*voter).map(|(matched, _)| matched)))
    }

    /// Goes on with leaving. Called at every tick: a leadership may still come that somebody handed over before he heard.
    pub(super) fn pursue_leaving(&mut self) {
        if self.leaving.own() {
            self.leave_to_heirs();
        }
    }

    /// While a leadership is on its way, its group takes nothing in. A node that goes on leading until then waits for an heir that
    /// can take over at once.
    fn leave_to_heirs(&mut self) {
        for (id, heir) in self.heirs() {
            if self.leaving.ends || self.has_caught_up(id, heir) {
                self.transfer(id, heir);
            }
        }
    }

    fn has_caught_up(&self, id: RaftGroupId, heir: NodeId) -> bool {
        let group = self.groups.get(&id);
        let missing =
            |group: &Group| group.progress(heir).is_none_or(|(matched, _)| matched < group.commit());
        group.is_some_and(|group| !missing(group))
    }

    /// Tells the peers, with every heartbeat, that this node leaves, if it does.
    pub(super) fn tell_leaving(&mut self) {
        if !self.leaving.own() {
            return;
        }
        for peer in self.peers.ids().collect::<Vec<_>>() {
            self.sends.frame(peer, Frame::Leaving);
        }
    }

    /// A peer leaves.
    pub(super) fn learn_leaving(&mut self, peer: NodeId) {
        self.leaving.peers.insert(peer, Said { at: self.now, is_past: false });
    }

    /// A peer answers the heartbeat of this number.
    pub(super) fn learn_answer(&mut self, peer: NodeId, sequence: u64) {
        if self.peers.is_late(sequence) {
            self.leaving.answered_late(peer, self.now);
        }
    }

    /// Whether a peer wants to lead nothing, as it is about to end or its disk stands still.
    pub(super) fn is_leaving(&self, peer: NodeId) -> bool {
        self.leaving.of_peer(peer, self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What the first of three nodes makes of the second, as the third is down.
    fn hardship(leaving: &Leaving, now: Duration) -> u32 {
        let mut peers = Peers::new([VOTERS[1], VOTERS[2]]);
        peers.heard(VOTERS[1], now);
        leaving.hardship(VOTERS[0], &VOTERS, &peers, now)
    }

    #[test]
    fn a_peer_that_answers_late_is_slow_for_a_while() {
        let mut leaving = Leaving::default();
        assert_eq!(hardship(&leaving, seconds(1)), 0);
        leaving.answered_late(VOTERS[1], seconds(1));
        leaving.answered_late(VOTERS[1], seconds(3));
        assert_eq!(hardship(&leaving, seconds(12)), NEEDS_SLOW);
        assert!(!leaving.of_peer(VOTERS[1], seconds(3)), "it may lead");
        assert_eq!(hardship(&leaving, seconds(13)), 0);
    }

    #[test]
    fn another_process_need_not_be_slow() {
        let mut leaving = Leaving::default();
        leaving.answered_late(VOTERS[1], seconds(1));
        leaving.process_changed(VOTERS[1]);
        assert_eq!(hardship(&leaving, seconds(1)), 0);
    }

    #[test]
    fn a_slow_peer_that_is_not_needed_changes_nothing() {
        let mut leaving = Leaving::default();
        leaving.answered_late(VOTERS[1], seconds(1));
        let mut peers = Peers::new([VOTERS[1], VOTERS[2]]);
        peers.heard(VOTERS[1], seconds(1));
        peers.heard(VOTERS[2], seconds(1));
        assert_eq!(leaving.hardship(VOTERS[0], &VOTERS, &peers, seconds(1)), 0);
    }
}
