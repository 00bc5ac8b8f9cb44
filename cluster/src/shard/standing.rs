//! Which replicas of this node cannot do what they are there for, and why: what its readiness depends on besides leaders.
//!
//! A replica that is behind and gets something is on its way. One that is behind and has got nothing for [`STUCK_AFTER`]
//! is stuck: its snapshot does not arrive or cannot be installed, its node has no room for records, or its leader does not
//! get through to it. It is behind if its leader, which tells all nodes who is in sync, leaves it out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Shard;
use super::effects::Effect;
use super::group::Group;
use crate::ids::{RaftGroupId, RaftIndex};

/// How long a replica may be behind and get nothing.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The replicas of a node that cannot do their work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The data directory is new, and it is not known yet whether an older one was lost: see `rejoin`. The node takes
    /// part in nothing.
    pub is_unrecognized: bool,
    /// The replicas that lost what they had with the node's disk, and wait for a leader to readmit them.
    pub barred: BTreeSet<RaftGroupId>,
    /// The replicas that are behind and have got nothing for ten seconds.
    pub stuck: BTreeSet<RaftGroupId>,
}

/// Where a log ends, how much of it is committed, and how much of a snapshot has come: what moves while a replica catches up.
type Reached = (RaftIndex, RaftIndex, u64);

/// What this node knows of its own replicas that are behind.
#[derive(Default)]
pub(super) struct Behind {
    /// How far each one has come, and since when.
    replicas: BTreeMap<RaftGroupId, (Reached, Duration)>,
    /// What was last told.
    told: Standing,
}

impl Behind {
    /// Takes note of those that are behind now, and how far each has come. Returns those that are stuck.
    fn look(&mut self, now: Duration, behind: BTreeMap<RaftGroupId, Reached>) -> BTreeSet<RaftGroupId> {
        let since = |(group, reached): (RaftGroupId, Reached)| {
            let before = self.replicas.get(&group).filter(|(before, _)| *before == reached);
            (group, (reached, before.map_or(now, |(_, since)| *since)))
        };
        self.replicas = behind.into_iter().map(since).collect();
        let stuck = self.replicas.iter().filter(|(_, (_, since))| now >= *since + STUCK_AFTER);
        stuck.map(|(group, _)| *group).collect()
    }

    /// This process stood still, so that nobody could get anything.
    pub(super) fn forgive(&mut self) {
        self.replicas.clear();
    }
}

impl Shard {
    /// Tells how the replicas of this node stand, if that has changed. Called once a second.
    pub(super) fn review_standing(&mut self) {
        let behind = self.groups.iter().filter(|(id, group)| self.leaves_out(**id, group));
        let behind =
            behind.map(|(id, group)| (*id, (group.last(), group.commit(), self.receiving.of(*id)))).collect();
        let stuck = self.behind.look(self.now, behind);
        let standing = Standing {
            is_unrecognized: self.groups.get(&RaftGroupId::CONTROLLER).is_some_and(Group::is_unrecognized),
            barred: self.groups.iter().filter(|(_, group)| group.is_barred()).map(|(id, _)| *id).collect(),
            stuck,
        };
        if standing == self.behind.told {
            return;
        }
        let new: BTreeSet<RaftGroupId> =
            standing.stuck.difference(&self.behind.told.stuck).copied().collect();
        if !new.is_empty() {
            let has_room = self.room.own();
            let snapshot_bytes: u64 = new.iter().map(|id| self.receiving.of(*id)).sum();
            tracing::warn!(
                has_room,
                snapshot_bytes,
                "{}: behind, and have got nothing for {STUCK_AFTER:?}",
                self.names(&new)
            );
        }
        self.behind.told.clone_from(&standing);
        self.effects.push(Effect::Standing(standing));
    }

    /// Whether the leader of the group, which is another node, says that this node's replica is not in sync.
    fn leaves_out(&self, id: RaftGroupId, group: &Group) -> bool {
        group.serving().is_none() && self.leaderships.leaves_out(id, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: RaftGroupId = RaftGroupId(7);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(last: u64, commit: u64) -> BTreeMap<RaftGroupId, Reached> {
        BTreeMap::from([(GROUP, (RaftIndex(last), RaftIndex(commit), 0))])
    }

    #[test]
    fn a_replica_is_stuck_that_is_behind_and_gets_nothing() {
        let mut behind = Behind::default();
        for second in 0..=9 {
            assert!(behind.look(seconds(second), at(5, 5)).is_empty(), "after {second} s");
        }
        assert_eq!(behind.look(seconds(10), at(5, 5)), BTreeSet::from([GROUP]));
        assert!(behind.look(seconds(11), at(6, 5)).is_empty(), "it has got something");
        assert!(behind.look(seconds(20), at(6, 6)).is_empty(), "it has learned of a commit");
        assert_eq!(behind.look(seconds(30), at(6, 6)), BTreeSet::from([GROUP]));
        assert!(behind.look(seconds(31), BTreeMap::new()).is_empty(), "it is in sync");
        assert!(behind.look(seconds(32), at(6, 6)).is_empty(), "which begins anew");
    }

    #[test]
    fn a_process_that_stood_still_gives_its_replicas_time() {
        let mut behind = Behind::default();
        behind.look(seconds(0), at(5, 5));
        behind.forgive();
        assert!(behind.look(seconds(60), at(5, 5)).is_empty());
    }
}
