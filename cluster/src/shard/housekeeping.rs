//! What a shard does by the way: groups without work fall asleep, leaders go back to where they are preferred, and in-sync
//! replicas are told to the world.
//!
//! An idle group costs nothing. Its leader sees that every living replica holds and knows all there is, says so, and
//! stops ticking; so do the followers that agree. A proposal, a message or a peer's loss or return wakes a group, and
//! a leader that wakes greets its followers. A follower that missed the leader's word goes on ticking and asks for
//! votes some day, which wakes the leader, which greets it: no harm is done.

use std::time::Duration;

use super::Shard;
use super::group::Group;
use crate::ids::{NodeId, RaftGroupId, RaftIndex};
use crate::transport::{Frame, LeadershipRow, SleepRow};

/// How often housekeeping runs.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Ticks without work after which a leader's group falls asleep: a second.
const QUIET_TICKS: u32 = 20;

/// A node has to be back this long before leaderships return to it.
const STEADY_BEFORE_PREFERRED: Duration = Duration::from_secs(2);

/// Leaderships that go back to their preferred node in one round of housekeeping.
const PREFERRED_MOVES: usize = 64;

impl Shard {
    /// The group has work: it is ticked, and stays awake for a while.
    pub(super) fn wake(&mut self, id: RaftGroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.quiet_ticks = 0;
        self.rouse(id);
    }

    /// The group is ticked, until it has been quiet for long enough.
    pub(super) fn rouse(&mut self, id: RaftGroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if std::mem::take(&mut group.asleep) {
            group.quiet_ticks = 0;
            group.woken();
            self.awake.insert(id);
            self.dirty.insert(id);
        }
    }

    /// A leader without work lets its group sleep. Without a majority it stays awake, so as to find out and step down.
    pub(super) fn consider_sleep(&mut self, id: RaftGroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let commit = group.commit();
        let followers = |id: &NodeId| *id != self.node && self.peers.is_alive(*id);
        let agreed = |follower: &NodeId| group.progress(*follower) == Some((commit, commit));
        let followers: Vec<NodeId> = group.voters().iter().copied().filter(followers).collect();
        let has_majority = followers.len() + 1 > group.voters().len() / 2;
        // Raft may have stepped down in this very tick.
        let leads = group.is_leader() && group.serving().is_some();
        if !leads || !has_majority || !group.is_settled() || !followers.iter().all(agreed) {
            group.quiet_ticks = 0;
            return;
        }
        group.quiet_ticks += 1;
        if group.quiet_ticks < QUIET_TICKS {
            return;
        }
        let row = SleepRow { group: id, term: group.term(), commit };
        group.asleep = true;
        // It may give up more of its log now.
        self.dirty.insert(id);
        // Nobody looks at them while the group sleeps, and by now all that live are in sync.
        self.review_in_sync(id);
        self.awake.remove(&id);
        for follower in followers {
            self.sends.sleep(follower, row);
        }
    }

    /// A leader says that there is nothing to do; a follower that sees it the same way sleeps as well.
    pub(super) fn fall_asleep(&mut self, from: NodeId, rows: &[SleepRow]) {
        for row in rows {
            let Some(group) = self.groups.get_mut(&row.group) else { continue };
            let agrees = group.leader() == Some(from)
                && from != self.node
                && group.term() == row.term
                && group.commit() == row.commit
                && group.is_settled();
            if agrees {
                group.asleep = true;
                self.dirty.insert(row.group);
                self.awake.remove(&row.group);
            }
        }
    }

    pub(super) fn keep_house(&mut self) {
        self.publish_peers();
        self.report_rejoin();
        self.review_standing();
        self.review_room();
        self.receiving.forget_old(self.now);
        self.leave_to_those_with_room();
        let mut moves = 0;
        let ids: Vec<RaftGroupId> = self.groups.keys().copied().collect();
        for id in ids {
            let Some(group) = self.groups.get_mut(&id).filter(|group| group.is_leader()) else { continue };
            if !group.asleep {
                // A leader that serves nobody yet may need this follower for that.
                group.retry_snapshots(|peer| self.sending.is_serving(id, peer));
            }
            if group.serving().is_none() {
                continue;
            }
            if !group.asleep {
                self.review_in_sync(id);
            }
            if !self.leaving.own() && moves < PREFERRED_MOVES && self.return_to_preferred(id) {
                moves += 1;
            }
        }
        for peer in self.leaderships.take_owed() {
            self.sends.frame(peer, Frame::Leadership(self.leaderships.own_rows()));
        }
    }

    /// Gives the leadership back to the preferred replica once that is alive, steady and caught up.
    fn return_to_preferred(&mut self, id: RaftGroupId) -> bool {
        let Some(group) = self.groups.get(&id) else { return false };
        let Some(preferred) = group.voters().first().copied().filter(|node| *node != self.node) else {
            return false;
        };
        if !self.could_lead(group, preferred)
            || !self.peers.is_steady(preferred, self.now, STEADY_BEFORE_PREFERRED)
        {
            return false;
        }
        self.transfer(id, preferred);
        true
    }

    /// Whether a replica of a group that this node leads holds everything, has room and stays.
    pub(super) fn could_lead(&self, group: &Group, replica: NodeId) -> bool {
        let caught_up = group.progress(replica).is_some_and(|(matched, _)| matched >= group.commit());
        caught_up && self.has_room(replica) && !self.is_leaving(replica)
    }

    pub(super) fn transfer(&mut self, id: RaftGroupId, to: NodeId) {
        self.wake(id);
        if let Some(group) = self.groups.get_mut(&id).filter(|group| !group.is_transferring()) {
            group.transfer_to(to);
        }
        self.dirty.insert(id);
    }

    /// Writes every group's checkpoint into the next batch, so that the next start replays nothing.
    pub(crate) fn checkpoint_all(&mut self) {
        for group in self.groups.values_mut() {
            group.checkpoint(&self.store, &mut self.batch);
        }
    }

    /// Tells the world whether this node leads the group.
    pub(super) fn announce(&mut self, id: RaftGroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let Some(epoch) = group.serving() else {
            if let Some(last_word) = self.leaderships.last_word(id) {
                self.spread(last_word);
            }
            return;
        };
        let isr = self.in_sync_replicas(id, RaftIndex(0));
        self.spread(LeadershipRow {
            group: id,
            term: u64::from(epoch.0.unsigned_abs()),
            leader: self.node,
            isr,
        });
    }

    /// A follower is in sync if it is alive and holds what was committed when this was last looked at.
    pub(super) fn review_in_sync(&mut self, id: RaftGroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Some(epoch) = group.serving() else { return };
        let commit = group.commit();
        let reviewed = std::mem::replace(&mut group.reviewed_commit, commit);
        let isr = self.in_sync_replicas(id, reviewed);
        let row =
            LeadershipRow { group: id, term: u64::from(epoch.0.unsigned_abs()), leader: self.node, isr };
        if self.leaderships.differs(&row) {
            self.spread(row);
        }
    }

    fn in_sync_replicas(&self, id: RaftGroupId, held: RaftIndex) -> Vec<NodeId> {
        let Some(group) = self.groups.get(&id) else { return Vec::new() };
        let in_sync = |voter: &NodeId| {
            *voter == self.node
                || self.peers.is_alive(*voter)
                    && group.progress(*voter).is_some_and(|(matched, _)| matched >= held)
        };
        group.voters().iter().copied().filter(in_sync).collect()
    }

    fn spread(&mut self, row: LeadershipRow) {
        for peer in self.peers.ids().collect::<Vec<_>>() {
            self.sends.leadership(peer, row.clone());
        }
        self.learn(row);
    }

    /// What another node says it leads.
    pub(super) fn learn_leaderships(&mut self, from: NodeId, rows: Vec<LeadershipRow>) {
        for row in rows.into_iter().filter(|row| row.leader == from) {
            if self.is_plausible(from, &row) {
                self.learn(row);
            }
        }
    }

    fn learn(&mut self, row: LeadershipRow) {
        let group = row.group;
        if let Some(leadership) = self.leaderships.learn(row) {
            self.note_leader(group, &leadership);
            self.effects.push(super::Effect::Leadership { group, leadership });
        }
    }
}
