//! Who is alive. Liveness belongs to nodes, not to groups: one heartbeat a peer stands for all the groups that
//! two nodes share, so that a thousand idle groups cost nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::NodeId;

/// How often a node tells each peer that it lives.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(150);

/// A peer that has been silent this long is lost. Four heartbeats, so that one late write does not cost a leader.
pub(super) const LOST_AFTER: Duration = Duration::from_millis(600);

/// An answer is late that comes after so many further heartbeats, that is after 300 ms. Raft's own heartbeats leave as often. If they
/// are answered sooner than 350 ms later, no election timeout of half a second passes without an answer.
const LATE_AFTER: u64 = 2;

/// A broker stays in the metadata this long after it was last heard (Kafka's `broker.session.timeout.ms`), so that a
/// restart does not make clients forget its address. A node that has just started gives every peer as long to be heard:
/// it does not know who is away, and clients take their leave of whoever is not named to them.
pub(super) const FENCED_AFTER: Duration = Duration::from_secs(9);

/// What a peer's silence or voice means for the groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerChange {
    /// Heard for the first time, or again after it was lost.
    Returned(NodeId),
    /// Silent for [`LOST_AFTER`], or refusing connections.
    Lost(NodeId),
}

#[derive(Default)]
struct Peer {
    heard_at: Option<Duration>,
    alive_since: Option<Duration>,
}

/// The other nodes, as this one hears them.
pub(super) struct Peers {
    peers: BTreeMap<NodeId, Peer>,
    next_heartbeat: Duration,
    sequence: u64,
}

impl Peers {
    pub(super) fn new(peers: impl IntoIterator<Item = NodeId>) -> Self {
        Self {
            peers: peers.into_iter().map(|peer| (peer, Peer::default())).collect(),
            next_heartbeat: Duration::ZERO,
            sequence: 0,
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.keys().copied()
    }

    /// Whether `node` has been heard within [`LOST_AFTER`].
    pub(super) fn is_alive(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.alive_since.is_some())
    }

    /// When `node` was last heard.
    pub(super) fn heard_at(&self, node: NodeId) -> Option<Duration> {
        self.peers.get(&node)?.heard_at
    }

    /// Whether `node` has been alive without a break for `span`.
    pub(super) fn is_steady(&self, node: NodeId, now: Duration, span: Duration) -> bool {
        self.peers.get(&node).and_then(|peer| peer.alive_since).is_some_and(|since| now >= since + span)
    }

    /// Peers that clients may still be told of.
    pub(super) fn unfenced(&self, now: Duration) -> BTreeSet<NodeId> {
        // Time begins with the process.
        let is_unfenced = |peer: &Peer| now < peer.heard_at.unwrap_or_default() + FENCED_AFTER;
        self.peers.iter().filter(|(_, peer)| is_unfenced(peer)).map(|(id, _)| *id).collect()
    }

    /// Anything at all arrived from `from`.
    pub(super) fn heard(&mut self, from: NodeId, now: Duration) -> Option<PeerChange> {
        let peer = self.peers.get_mut(&from)?;
        peer.heard_at = Some(now);
        if peer.alive_since.is_some() {
            return None;
        }
        peer.alive_since = Some(now);
        Some(PeerChange::Returned(from))
    }

    /// The peer's process is known to be gone.
    pub(super) fn gone(&mut self, node: NodeId) -> Option<PeerChange> {
        let was_alive = self.peers.get_mut(&node)?.alive_since.take().is_some();
        was_alive.then_some(PeerChange::Lost(node))
    }

    /// The peers that have fallen silent by `now`.
    pub(super) fn newly_lost(&mut self, now: Duration) -> Vec<PeerChange> {
        let mut lost = Vec::new();
        for (id, peer) in &mut self.peers {
            let silent = peer.heard_at.is_none_or(|at| now >= at + LOST_AFTER);
            if silent && peer.alive_since.take().is_some() {
                lost.push(PeerChange::Lost(*id));
            }
        }
        lost
    }

    /// This node itself stood still, so the silence it sees may be its own: every peer gets a fresh start.
    pub(super) fn forgive(&mut self, now: Duration) {
        for peer in self.peers.values_mut().filter(|peer| peer.alive_since.is_some()) {
            peer.heard_at = Some(now);
        }
    }

    /// Whether an answer that comes now to the heartbeat of this number is late. Time in which this node itself stood still does not
    /// count, as it sent none meanwhile.
    pub(super) const fn is_late(&self, sequence: u64) -> bool {
        self.sequence >= sequence.saturating_add(LATE_AFTER)
    }

    /// The sequence number of a heartbeat, when one is due.
    pub(super) fn heartbeat_due(&mut self, now: Duration) -> Option<u64> {
        if now < self.next_heartbeat {
            return None;
        }
        self.next_heartbeat = now + HEARTBEAT_INTERVAL;
        self.sequence += 1;
        Some(self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_peer_that_was_not_heard_yet_stays_known_to_clients_for_as_long() {
        let mut peers = Peers::new([ONE]);
        assert_eq!(peers.unfenced(ms(8_999)), BTreeSet::from([ONE]));
        assert_eq!(peers.unfenced(ms(9_000)), BTreeSet::new());
        peers.heard(ONE, ms(9_500));
        assert_eq!(peers.unfenced(ms(18_499)), BTreeSet::from([ONE]));
        assert!(!Peers::new([ONE]).is_alive(ONE), "nobody counts on it");
    }

    #[test]
    fn a_peer_is_alive_from_its_first_word_until_it_falls_silent() {
        let mut peers = Peers::new([ONE]);
        assert!(!peers.is_alive(ONE));
        assert_eq!(peers.heard(ONE, ms(10)), Some(PeerChange::Returned(ONE)));
        assert_eq!(peers.heard(ONE, ms(100)), None);
        assert_eq!(peers.newly_lost(ms(699)), []);
        assert_eq!(peers.newly_lost(ms(700)), [PeerChange::Lost(ONE)]);
        assert_eq!(peers.newly_lost(ms(900)), [], "a loss is told once");
        assert_eq!(peers.unfenced(ms(9_000)), BTreeSet::from([ONE]));
        assert_eq!(peers.unfenced(ms(9_100)), BTreeSet::new());
    }

    #[test]
    fn a_refused_connection_is_a_loss_at_once() {
        let mut peers = Peers::new([ONE]);
        assert_eq!(peers.gone(ONE), None, "never heard, so nothing is lost");
        peers.heard(ONE, ms(10));
        assert_eq!(peers.gone(ONE), Some(PeerChange::Lost(ONE)));
        assert_eq!(peers.gone(ONE), None);
        assert_eq!(peers.heard(ONE, ms(20)), Some(PeerChange::Returned(ONE)));
    }

    #[test]
    fn a_stranger_is_not_a_peer() {
        let mut peers = Peers::new([ONE]);
        assert_eq!(peers.heard(NodeId(9), ms(1)), None);
        assert!(!peers.is_alive(NodeId(9)));
    }

    #[test]
    fn heartbeats_keep_their_interval() {
        let mut peers = Peers::new([ONE]);
        assert_eq!(peers.heartbeat_due(ms(0)), Some(1));
        assert_eq!(peers.heartbeat_due(ms(149)), None);
        assert_eq!(peers.heartbeat_due(ms(150)), Some(2));
    }

    #[test]
    fn an_answer_is_late_after_two_further_heartbeats() {
        let mut peers = Peers::new([ONE]);
        peers.heartbeat_due(ms(0));
        peers.heartbeat_due(ms(150));
        assert!(!peers.is_late(1) && !peers.is_late(2));
        peers.heartbeat_due(ms(300));
        assert!(peers.is_late(1) && !peers.is_late(2));
        peers.heartbeat_due(ms(5_000));
        assert!(peers.is_late(2) && !peers.is_late(3), "this node stood still itself");
        assert!(!peers.is_late(u64::MAX), "it was sent by another process");
    }
}
