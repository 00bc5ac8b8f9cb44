//! What administrators are told of the controller's group, and what they may ask of leaderships.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Shard;
use super::group::Group;
use crate::controller::{Handover, Quorum, Voter};
use crate::ids::{NodeId, RaftGroupId};

/// When each voter of the controller's group was last known to have the leader's whole log.
#[derive(Default)]
pub(super) struct CaughtUp(BTreeMap<NodeId, Duration>);

impl Shard {
    /// Notes which voters of the controller's group have all of its log. Called at each tick.
    pub(super) fn watch_quorum(&mut self) {
        let Some(group) = self.groups.get(&RaftGroupId::CONTROLLER).filter(|group| group.is_leader()) else {
            return self.caught_up.0.clear();
        };
        for voter in group.voters() {
            let has_all = group.progress(*voter).is_some_and(|(matched, _)| matched >= group.last());
            if has_all && self.peers.is_alive(*voter) {
                self.caught_up.0.insert(*voter, self.now);
            }
        }
    }

    /// The controller's group as this node knows it: of worth only where the node leads it.
    pub(super) fn quorum(&self) -> Quorum {
        let Some(group) = self.groups.get(&RaftGroupId::CONTROLLER) else { return Quorum::default() };
        let mut voters: Vec<_> = group.voters().iter().map(|voter| self.voter(group, *voter)).collect();
        voters.sort_by_key(|voter| voter.node);
        Quorum {
            leader: group.serving().map(|_| self.node),
            epoch: group.serving().map_or(-1, |epoch| epoch.0),
            high_watermark: group.commit().0,
            voters,
        }
    }

    fn voter(&self, group: &Group, node: NodeId) -> Voter {
        let last = group.last();
        if node == self.node {
            return Voter { node, log_end: last.0, silent_ms: Some(0), behind_ms: Some(0) };
        }
        let matched = group.progress(node).map(|(matched, _)| matched);
        let heard_at = self.peers.heard_at(node);
        let caught_up_at =
            if matched == Some(last) { heard_at } else { self.caught_up.0.get(&node).copied() };
        let ago = |at: Option<Duration>| at.map(|at| whole_ms(self.now.saturating_sub(at)));
        let log_end = matched.map_or(0, |matched| matched.0);
        Voter { node, log_end, silent_ms: ago(heard_at), behind_ms: ago(caught_up_at) }
    }

    /// Hands a leadership to the partition's preferred replica, as an administrator asks.
    pub(super) fn hand_to_preferred(&mut self, id: RaftGroupId) -> Handover {
        let Some(group) = self.groups.get(&id).filter(|group| group.serving().is_some()) else {
            return Handover::NotLeader;
        };
        let Some(preferred) = group.voters().first().copied() else { return Handover::Unavailable };
        if preferred == self.node {
            return Handover::NotNeeded;
        }
        if !self.peers.is_alive(preferred) || !self.could_lead(group, preferred) {
            return Handover::Unavailable;
        }
        self.transfer(id, preferred);
        Handover::UnderWay
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
