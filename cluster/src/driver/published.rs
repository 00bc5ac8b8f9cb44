//! What the driver publishes and everybody else reads: metadata, leaderships, peers and replicas.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::controller::MetadataImage;
use crate::ids::{NodeId, RaftGroupId};
use crate::leadership::Leadership;
use crate::replica::Replica;

#[derive(Default)]
struct View {
    image: Arc<MetadataImage>,
    leaderships: HashMap<RaftGroupId, Leadership>,
    alive: BTreeSet<NodeId>,
    unfenced: BTreeSet<NodeId>,
    replicas: HashMap<RaftGroupId, Arc<Replica>>,
}

/// See the module's documentation. Reads are short and never wait for the driver's work.
pub(crate) struct Published {
    view: RwLock<View>,
    changes: watch::Sender<u64>,
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
        view.leaderships.get(&group).filter(|known| view.alive.contains(&known.leader)).cloned()
    }

    pub(crate) fn is_unfenced(&self, node: NodeId) -> bool {
        self.read().unfenced.contains(&node)
    }

    pub(crate) fn replica(&self, group: RaftGroupId) -> Option<Arc<Replica>> {
        self.read().replicas.get(&group).cloned()
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
            }
            view.image = image;
        }
        self.changed();
    }

    pub(super) fn set_leadership(&self, group: RaftGroupId, leadership: Leadership) {
        self.write().leaderships.insert(group, leadership);
        self.changed();
    }

    pub(super) fn set_peers(&self, alive: BTreeSet<NodeId>, unfenced: BTreeSet<NodeId>) {
        {
            let mut view = self.write();
            if view.alive == alive && view.unfenced == unfenced {
                return;
            }
            view.alive = alive;
            view.unfenced = unfenced;
        }
        self.changed();
    }

    pub(super) fn open(&self, replica: Arc<Replica>) {
        self.write().replicas.insert(replica.group(), replica);
    }

    pub(super) fn remove(&self, group: RaftGroupId) -> Option<Arc<Replica>> {
        let mut view = self.write();
        view.leaderships.remove(&group);
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
