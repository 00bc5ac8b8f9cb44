//! What the driver publishes and everybody else reads: metadata, leaderships, peers and replicas.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::controller::MetadataImage;
use crate::ids::{NodeId, RaftGroupId};
use crate::leadership::Leadership;
use crate::replica::Replica;
use crate::shard::standing::Standing;

/// How long after a leader's loss an election is worth waiting for. One that takes longer lacks a majority.
const ELECTION_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct View {
    image: Arc<MetadataImage>,
    leaderships: HashMap<RaftGroupId, Leadership>,
    alive: BTreeSet<NodeId>,
    unfenced: BTreeSet<NodeId>,
    /// Peers whose connection is lost and not restored: a moment later the shard knows whether they are. Until then
    /// nobody is sent to them.
    suspects: BTreeSet<NodeId>,
    /// When a peer was last suspected or lost.
    doubted_at: HashMap<NodeId, Instant>,
    /// Groups whose leader has said that it leads them no more, and when, until another says that it does.
    ended_at: HashMap<RaftGroupId, Instant>,
    replicas: HashMap<RaftGroupId, Arc<Replica>>,
    standing: Arc<Standing>,
}

/// See the module's documentation. Reads are short and never wait for the driver's work.
pub(crate) struct Published {
    view: RwLock<View>,
    changes: watch::Sender<u64>,
}

impl View {
    fn is_trusted(&self, node: NodeId) -> bool {
        self.alive.contains(&node) && !self.suspects.contains(&node)
    }

    fn doubt(&mut self, node: NodeId) {
        self.doubted_at.insert(node, Instant::now());
    }

    /// When the group lost the leader that is known, if it has.
    fn lost_leader_at(&self, group: RaftGroupId) -> Option<Instant> {
        let leader = self.leaderships.get(&group)?.leader;
        let doubted_at = || self.doubted_at.get(&leader).filter(|_| !self.is_trusted(leader));
        self.ended_at.get(&group).or_else(doubted_at).copied()
    }
}

impl Published {
    pub(crate) fn new() -> Self {
        Self { view: RwLock::default(), changes: watch::Sender::new(0) }
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.read().image)
    }

    /// The group's leader, if one is known and alive.
    pub(crate) fn leadership(&self, group: RaftGroupId) -> Option<Leadership> {
        let view = self.read();
        let known = view.leaderships.get(&group).filter(|known| view.is_trusted(known.leader));
        known.filter(|_| !view.ended_at.contains_key(&group)).cloned()
    }

    /// Whether the group, whose replicas are on these nodes, has just lost its leader and is about to elect another:
    /// a majority is there, and it has not been long.
    pub(crate) fn is_electing(&self, group: RaftGroupId, replicas: &[NodeId]) -> bool {
        let view = self.read();
        let trusted = replicas.iter().filter(|node| view.is_trusted(**node)).count();
        trusted > replicas.len() / 2
            && view.lost_leader_at(group).is_some_and(|at| at.elapsed() < ELECTION_PATIENCE)
    }

    /// The connection to a peer is lost.
    pub(crate) fn suspect(&self, peer: NodeId) {
        {
            let mut view = self.write();
            view.suspects.insert(peer);
            view.doubt(peer);
        }
        self.changed();
    }

    /// The connection to a peer stands.
    pub(crate) fn trust(&self, peer: NodeId) {
        if self.write().suspects.remove(&peer) {
            self.changed();
        }
    }

    /// How many nodes were just heard and have a connection that stands, this one included.
    pub(crate) fn trusted(&self) -> usize {
        let view = self.read();
        view.alive.iter().filter(|node| view.is_trusted(**node)).count()
    }

    /// Whether the node was just heard, and its connection stands.
    pub(crate) fn is_trusted(&self, node: NodeId) -> bool {
        self.read().is_trusted(node)
    }

    pub(crate) fn is_unfenced(&self, node: NodeId) -> bool {
        self.read().unfenced.contains(&node)
    }

    pub(crate) fn replica(&self, group: RaftGroupId) -> Option<Arc<Replica>> {
        self.read().replicas.get(&group).cloned()
    }

    pub(crate) fn replicas(&self) -> Vec<Arc<Replica>> {
        self.read().replicas.values().cloned().collect()
    }

    /// How this node's replicas stand.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.read().standing)
    }

    /// Changes when the metadata, a leadership or the set of living peers does.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn set_image(&self, image: Arc<MetadataImage>) {
        {
            let mut view = self.write();
            if view.leaderships.len() > image.partition_count() + 1 {
                view.leaderships.retain(|group, _| !image.has_dropped(*group));
                view.ended_at.retain(|group, _| !image.has_dropped(*group));
            }
            view.image = image;
        }
        self.changed();
    }

    /// A leader's word. One that names no in-sync replicas is the leader's last. Returns whether a known leader gave way
    /// to another, or to itself in another epoch.
    pub(super) fn set_leadership(&self, group: RaftGroupId, leadership: Leadership) -> bool {
        let epoch = leadership.epoch;
        let before = {
            let mut view = self.write();
            if leadership.isr.is_empty() {
                view.ended_at.insert(group, Instant::now());
            } else {
                view.ended_at.remove(&group);
            }
            view.leaderships.insert(group, leadership)
        };
        self.changed();
        before.is_some_and(|before| before.epoch != epoch)
    }

    pub(super) fn set_peers(&self, alive: BTreeSet<NodeId>, unfenced: BTreeSet<NodeId>) {
        {
            let mut view = self.write();
            if view.alive == alive && view.unfenced == unfenced {
                return;
            }
            let lost: Vec<NodeId> = view.alive.difference(&alive).copied().collect();
            for peer in lost {
                view.doubt(peer);
            }
            view.alive = alive;
            view.unfenced = unfenced;
        }
        self.changed();
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        self.write().standing = Arc::new(standing);
    }

    pub(super) fn open(&self, replica: Arc<Replica>) {
        self.write().replicas.insert(replica.group(), replica);
    }

    pub(super) fn remove(&self, group: RaftGroupId) -> Option<Arc<Replica>> {
        let mut view = self.write();
        view.leaderships.remove(&group);
        view.ended_at.remove(&group);
        view.replicas.remove(&group)
    }

    fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    fn read(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeaderEpoch;

    const GROUP: RaftGroupId = RaftGroupId(7);
    const REPLICAS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

    /// Node 1 sees nodes 2 and 3, the latter of which leads.
    fn published() -> Published {
        let published = Published::new();
        published.set_peers(REPLICAS.into(), REPLICAS.into());
        let leadership = Leadership { leader: NodeId(3), epoch: LeaderEpoch(1), isr: REPLICAS.into() };
        published.set_leadership(GROUP, leadership);
        published
    }

    fn shows(published: &Published) -> (Option<u32>, bool) {
        let leader = published.leadership(GROUP).map(|leadership| leadership.leader.0);
        (leader, published.is_electing(GROUP, &REPLICAS))
    }

    #[test]
    fn nobody_is_sent_to_a_leader_whose_connection_is_lost() {
        let published = published();
        assert_eq!(shows(&published), (Some(3), false));
        published.suspect(NodeId(3));
        assert_eq!(shows(&published), (None, true));
        published.trust(NodeId(3));
        assert_eq!(shows(&published), (Some(3), false));
    }

    #[test]
    fn a_lost_leader_is_waited_for_until_there_is_another() {
        let published = published();
        published.suspect(NodeId(3));
        published.set_peers([NodeId(1), NodeId(2)].into(), REPLICAS.into());
        assert_eq!(shows(&published), (None, true));
        let leadership = Leadership { leader: NodeId(2), epoch: LeaderEpoch(2), isr: REPLICAS.into() };
        published.set_leadership(GROUP, leadership);
        assert_eq!(shows(&published), (Some(2), false));
    }

    #[test]
    fn nobody_is_sent_to_a_leader_that_leads_no_more() {
        let published = published();
        let ended = Leadership { leader: NodeId(3), epoch: LeaderEpoch(1), isr: [].into() };
        published.set_leadership(GROUP, ended);
        assert_eq!(shows(&published), (None, true));
        let leadership = Leadership { leader: NodeId(2), epoch: LeaderEpoch(2), isr: REPLICAS.into() };
        published.set_leadership(GROUP, leadership);
        assert_eq!(shows(&published), (Some(2), false));
    }

    #[test]
    fn no_election_is_awaited_without_a_majority() {
        let published = published();
        published.suspect(NodeId(3));
        published.suspect(NodeId(2));
        assert_eq!(shows(&published), (None, false));
    }
}
