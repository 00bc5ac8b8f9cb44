//! Partitions that the metadata have placed here and that are not open yet.
//!
//! A request may create ten thousand partitions. To open one takes a fraction of a millisecond, and all of them at once would
//! stop every other group for seconds. So new ones are opened a few in each round.
//!
//! A crash may come in between. The metadata on disk then name partitions that this node has nothing of, as after a crash between
//! the metadata and the batch with a group, and the next start opens them. What they have said before is nothing.
//!
//! Not so on a node that has lost its disk and is not back yet. There a group has to be written down as one that may have been
//! lost, before the controller's replica has come back and forgets which these are: it is opened at once.

use std::collections::{BTreeMap, VecDeque};

use trilog_storage::StoreError;

use super::Shard;
use super::group::Group;
use super::machine::Purpose;
use crate::ids::{NodeId, RaftGroupId};

/// How many partitions a node opens in a round.
pub(crate) const OPENED_PER_ROUND: usize = 32;

/// A partition to open: its replicas, and what it is for.
type Place = (Vec<NodeId>, Purpose);

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Arrivals {
    order: VecDeque<RaftGroupId>,
    places: BTreeMap<RaftGroupId, Place>,
}

impl Arrivals {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether the group is about to be opened.
    pub(super) fn contains(&self, group: RaftGroupId) -> bool {
        self.places.contains_key(&group)
    }

    fn push(&mut self, group: RaftGroupId, place: Place) {
        if self.places.insert(group, place).is_none() {
            self.order.push_back(group);
        }
    }

    fn pop(&mut self) -> Option<(RaftGroupId, Place)> {
        loop {
            let group = self.order.pop_front()?;
            // It may have been dropped meanwhile.
            if let Some(place) = self.places.remove(&group) {
                return Some((group, place));
            }
        }
    }

    /// Takes out those that are not placed here any more.
    pub(super) fn drop_unplaced(&mut self, is_gone: impl Fn(RaftGroupId) -> bool) -> Vec<RaftGroupId> {
        let gone: Vec<RaftGroupId> = self.places.keys().copied().filter(|id| is_gone(*id)).collect();
        for id in &gone {
            self.places.remove(id);
        }
        self.order.retain(|id| self.places.contains_key(id));
        gone
    }
}

impl Shard {
    /// A group that the metadata place here is opened: soon, or at once where this node may have lost it.
    pub(super) fn arrive(
        &mut self,
        group: RaftGroupId,
        replicas: &[NodeId],
        purpose: Purpose,
    ) -> Result<(), StoreError> {
        let controller = self.groups.get(&RaftGroupId::CONTROLLER);
        if controller.is_some_and(Group::is_admitted) && purpose == Purpose::Partition {
            self.arrivals.push(group, (replicas.to_vec(), purpose));
            return Ok(());
        }
        self.open_if_missing(group, replicas, purpose)
    }

    /// Opens the next few.
    pub(super) fn open_arrivals(&mut self) -> Result<(), StoreError> {
        for _ in 0..self.arrivals_per_round {
            let Some((group, (replicas, purpose))) = self.arrivals.pop() else { break };
            self.open_if_missing(group, &replicas, purpose)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_come_leave_in_order_but_for_the_dropped() {
        let mut arrivals = Arrivals::default();
        for id in [3, 1, 2, 1] {
            arrivals.push(RaftGroupId(id), (vec![NodeId(1)], Purpose::Partition));
        }
        assert_eq!(arrivals.drop_unplaced(|id| id == RaftGroupId(1)), [RaftGroupId(1)]);
        assert!(arrivals.contains(RaftGroupId(3)) && !arrivals.contains(RaftGroupId(1)));
        let order: Vec<u64> = std::iter::from_fn(|| arrivals.pop()).map(|(id, _)| id.0).collect();
        assert_eq!(order, [3, 2]);
        assert!(arrivals.is_empty());
    }
}
