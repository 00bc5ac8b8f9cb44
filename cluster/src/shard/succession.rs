//! What the loss of a peer costs: the groups that it led elect another leader, and one line in the log says how many did
//! and how long that took, by what this node hears.
//!
//! The line is written when the last of them has a leader, or after [`TOLD_WITHIN`] with what is still missing. It names
//! the group that took longest, which is where to look when clients waited.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Shard;
use crate::ids::{NodeId, RaftGroupId};
use crate::leadership::Leadership;

/// How long successors are waited for.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// The peers that were lost, and what they led.
#[derive(Default)]
pub(super) struct Succession(BTreeMap<NodeId, Loss>);

struct Loss {
    at: Duration,
    elected: usize,
    /// The group that had a leader last, and when it had.
    last: Option<(RaftGroupId, Duration)>,
    /// Those that have none yet.
    open: BTreeSet<RaftGroupId>,
}

/// How a loss went out.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    peer: NodeId,
    elected: usize,
    /// The group that took longest, and how long it took.
    last: Option<(RaftGroupId, Duration)>,
    without_leader: usize,
}

impl Succession {
    /// A peer is lost that led these groups.
    fn lost(&mut self, now: Duration, peer: NodeId, led: BTreeSet<RaftGroupId>) {
        if !led.is_empty() {
            self.0.insert(peer, Loss { at: now, elected: 0, last: None, open: led });
        }
    }

    /// Somebody leads the group.
    fn led(&mut self, now: Duration, group: RaftGroupId, leader: NodeId) {
        for (peer, loss) in &mut self.0 {
            if *peer != leader && loss.open.remove(&group) {
                loss.elected += 1;
                loss.last = Some((group, now.saturating_sub(loss.at)));
            }
        }
    }

    /// A peer is back. What nobody else was elected for is its own still.
    fn returned(&mut self, peer: NodeId) {
        if let Some(loss) = self.0.get_mut(&peer) {
            loss.open.clear();
        }
    }

    /// The losses that are over, or have taken too long.
    fn take_over(&mut self, now: Duration) -> Vec<Outcome> {
        let is_over = |loss: &Loss| loss.open.is_empty() || now >= loss.at + TOLD_WITHIN;
        let over: Vec<NodeId> =
            self.0.iter().filter(|(_, loss)| is_over(loss)).map(|(peer, _)| *peer).collect();
        let outcome = |peer: NodeId| {
            let Loss { elected, last, open, .. } = self.0.remove(&peer)?;
            let without_leader = open.len();
            (elected + without_leader > 0).then_some(Outcome { peer, elected, last, without_leader })
        };
        over.into_iter().filter_map(outcome).collect()
    }
}

impl Shard {
    /// Notes which groups have to elect another leader.
    pub(super) fn note_loss(&mut self, peer: NodeId) {
        self.succession.lost(self.now, peer, self.leaderships.led_by(peer));
    }

    /// Notes that a peer is back.
    pub(super) fn note_return(&mut self, peer: NodeId) {
        self.succession.returned(peer);
    }

    /// Notes that a group has a leader.
    pub(super) fn note_leader(&mut self, group: RaftGroupId, leadership: &Leadership) {
        if !leadership.isr.is_empty() {
            self.succession.led(self.now, group, leadership.leader);
        }
    }

    /// Tells of the losses that are over.
    pub(super) fn report_succession(&mut self) {
        for Outcome { peer, elected, last, without_leader } in self.succession.take_over(self.now) {
            let (group, took) = last.unzip();
            let slowest = group.and_then(|group| self.image().name_of(group));
            let took_ms = took.map(|took| took.as_millis());
            tracing::info!(
                peer = peer.number(),
                elected,
                without_leader,
                took_ms,
                slowest,
                "partitions of a lost peer"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);

    fn groups<const N: usize>(ids: [u64; N]) -> BTreeSet<RaftGroupId> {
        ids.map(RaftGroupId).into()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_loss_is_told_once_when_all_groups_have_leaders() {
        let mut succession = Succession::default();
        succession.lost(ms(100), ONE, groups([3, 4]));
        succession.led(ms(110), RaftGroupId(3), TWO);
        succession.led(ms(115), RaftGroupId(9), TWO);
        succession.led(ms(116), RaftGroupId(4), ONE);
        assert_eq!(succession.take_over(ms(120)), []);
        succession.led(ms(130), RaftGroupId(4), TWO);
        succession.led(ms(140), RaftGroupId(4), TWO);
        let last = Some((RaftGroupId(4), ms(30)));
        assert_eq!(
            succession.take_over(ms(150)),
            [Outcome { peer: ONE, elected: 2, last, without_leader: 0 }]
        );
        assert_eq!(succession.take_over(ms(9_999)), []);
    }

    #[test]
    fn a_peer_that_is_back_before_anybody_was_elected_was_not_lost() {
        let mut succession = Succession::default();
        succession.lost(ms(100), ONE, groups([3]));
        succession.returned(ONE);
        assert_eq!(succession.take_over(ms(150)), []);
    }

    #[test]
    fn what_has_no_leader_is_told_after_a_while() {
        let mut succession = Succession::default();
        succession.lost(ms(100), ONE, groups([3]));
        succession.lost(ms(100), TWO, groups([]));
        assert_eq!(succession.take_over(ms(5_099)), []);
        assert_eq!(
            succession.take_over(ms(5_100)),
            [Outcome { peer: ONE, elected: 0, last: None, without_leader: 1 }]
        );
    }
}
