//! Who leads which partition, as leaders tell every node. The highest term wins; within a term there is one leader, and
//! its newest word on the in-sync replicas counts. Its last word in a term, when it leads no more, names none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{LeaderEpoch, NodeId, RaftGroupId};
use crate::transport::LeadershipRow;

/// A group's leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The node that leads.
    pub leader: NodeId,
    /// The term it leads in.
    pub epoch: LeaderEpoch,
    /// The replicas that are alive and hold what is committed, in order of preference. None when the leader has said that it
    /// leads no more.
    pub isr: Arc<[NodeId]>,
}

/// One node's knowledge of all leaderships.
pub(crate) struct Leaderships {
    node: NodeId,
    known: BTreeMap<RaftGroupId, LeadershipRow>,
    /// Peers for whom news had to be dropped: they are told everything again.
    owed: BTreeSet<NodeId>,
}

impl Leaderships {
    pub(crate) fn new(node: NodeId) -> Self {
        Self { node, known: BTreeMap::new(), owed: BTreeSet::new() }
    }

    /// Takes a leader's word, unless a newer leader is known. Returns what is now known if that is new.
    pub(crate) fn learn(&mut self, row: LeadershipRow) -> Option<Leadership> {
        if self.known.get(&row.group).is_some_and(|known| known.term > row.term || *known == row) {
            return None;
        }
        let leadership = Leadership {
            leader: row.leader,
            epoch: LeaderEpoch(i32::try_from(row.term).unwrap_or(i32::MAX)),
            isr: row.isr.clone().into(),
        };
        self.known.insert(row.group, row);
        Some(leadership)
    }

    /// The groups that `node` leads.
    pub(crate) fn led_by(&self, node: NodeId) -> BTreeSet<RaftGroupId> {
        let led = self.known.values().filter(|row| row.leader == node && !row.isr.is_empty());
        led.map(|row| row.group).collect()
    }

    /// Whether a node that `is_alive`, other than this one, has said that it leads the group, and not that it does so no more.
    pub(crate) fn is_led(&self, group: RaftGroupId, is_alive: impl Fn(NodeId) -> bool) -> bool {
        let row = self.known.get(&group).filter(|row| !row.isr.is_empty());
        row.is_some_and(|row| row.leader != self.node && is_alive(row.leader))
    }

    /// The term in which the group was last led, as far as this node has heard; 0 if it has not.
    pub(crate) fn term_of(&self, group: RaftGroupId) -> u64 {
        self.known.get(&group).map_or(0, |row| row.term)
    }

    /// Whether `row` is news.
    pub(crate) fn differs(&self, row: &LeadershipRow) -> bool {
        self.known.get(&row.group) != Some(row)
    }

    /// How many replicas of a group that this node leads are in sync.
    pub(crate) fn in_sync(&self, group: RaftGroupId) -> usize {
        self.known.get(&group).filter(|row| row.leader == self.node).map_or(0, |row| row.isr.len())
    }

    /// Whether another node leads the group and says that the replica on `node` is not in sync.
    pub(crate) fn leaves_out(&self, group: RaftGroupId, node: NodeId) -> bool {
        let known = self.known.get(&group).filter(|row| row.leader != node && !row.isr.is_empty());
        known.is_some_and(|row| !row.isr.contains(&node))
    }

    /// Whether nobody is known to lead a group that this node led before.
    pub(crate) fn lacks_successor(&self, group: RaftGroupId) -> bool {
        self.known.get(&group).is_some_and(|row| row.leader == self.node)
    }

    /// This node's last word on a group, which it leads no more, unless somebody else has spoken since.
    pub(crate) fn last_word(&self, group: RaftGroupId) -> Option<LeadershipRow> {
        let own = self.known.get(&group).filter(|row| row.leader == self.node && !row.isr.is_empty())?;
        Some(LeadershipRow { isr: Vec::new(), ..own.clone() })
    }

    /// What this node has told of itself, for a peer that has not heard it.
    pub(crate) fn own_rows(&self) -> Vec<LeadershipRow> {
        self.known.values().filter(|row| row.leader == self.node).cloned().collect()
    }

    /// News for `peer` was lost on the way.
    pub(crate) fn owe(&mut self, peer: NodeId) {
        self.owed.insert(peer);
    }

    /// The peers that have to be told everything again.
    pub(crate) fn take_owed(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.owed)
    }

    /// Forgets the groups that are no more.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(RaftGroupId) -> bool) {
        self.known.retain(|group, _| !is_gone(*group));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: RaftGroupId = RaftGroupId(7);

    fn row(term: u64, leader: u32, isr: &[u32]) -> LeadershipRow {
        let isr = isr.iter().copied().map(NodeId).collect();
        LeadershipRow { group: GROUP, term, leader: NodeId(leader), isr }
    }

    #[test]
    fn the_highest_term_wins() {
        let mut leaderships = Leaderships::new(NodeId(1));
        assert!(leaderships.learn(row(3, 2, &[2, 3])).is_some());
        assert_eq!(leaderships.learn(row(2, 1, &[1, 2])), None, "an older leader's late word");
        assert_eq!(leaderships.learn(row(3, 2, &[2, 3])), None, "nothing new");
        let grown = leaderships.learn(row(3, 2, &[1, 2, 3])).map(|leadership| leadership.isr.len());
        assert_eq!(grown, Some(3));
        assert!(leaderships.leaves_out(GROUP, NodeId(4)) && !leaderships.leaves_out(GROUP, NodeId(1)));
        assert!(leaderships.own_rows().is_empty());
        assert!(leaderships.learn(row(4, 1, &[1])).is_some());
        assert_eq!(leaderships.own_rows(), [row(4, 1, &[1])]);
        assert_eq!(leaderships.in_sync(GROUP), 1);
    }

    #[test]
    fn a_leader_says_once_that_it_leads_no_more() {
        let mut leaderships = Leaderships::new(NodeId(1));
        assert_eq!(leaderships.last_word(GROUP), None);
        leaderships.learn(row(4, 1, &[1, 2]));
        let last = leaderships.last_word(GROUP).unwrap();
        assert_eq!(last, row(4, 1, &[]));
        assert!(leaderships.learn(last).is_some_and(|ended| ended.isr.is_empty()));
        assert_eq!((leaderships.last_word(GROUP), leaderships.in_sync(GROUP)), (None, 0));
        assert!(leaderships.lacks_successor(GROUP));
        leaderships.learn(row(5, 2, &[2]));
        assert!(!leaderships.lacks_successor(GROUP));
    }
}
