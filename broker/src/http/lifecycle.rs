//! How far a node is on its way from start to end, as those see it who watch from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use trilog_cluster::node::Node;

/// A node that starts, runs and stops. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Lifecycle {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting_for_room: AtomicBool,
    node: OnceLock<Node>,
    serving: AtomicBool,
    stopping: AtomicBool,
}

/// Where a node is.
#[derive(Clone, Copy)]
pub(super) enum Stage<'a> {
    /// Its disk is full, and it does nothing else.
    WaitingForRoom,
    /// It opens its data directory.
    Starting,
    /// It runs. Clients that connect are turned away until it has caught up with the cluster's metadata.
    CatchingUp(&'a Node),
    /// It runs, and serves clients.
    Serving(&'a Node),
    /// It hands over what it leads, and ends.
    Stopping,
}

impl Lifecycle {
    /// The node waits for room on its disk before it starts, or waits no more.
    pub(crate) fn waits_for_room(&self, waits: bool) {
        self.shared.waiting_for_room.store(waits, Ordering::Relaxed);
    }

    /// The node has started.
    ///
    /// # Panics
    ///
    /// If it has started before.
    pub(crate) fn started(&self, node: Node) {
        assert!(self.shared.node.set(node).is_ok(), "a node starts once");
    }

    /// The node turns no client away from now on.
    pub(crate) fn serving(&self) {
        self.shared.serving.store(true, Ordering::Relaxed);
    }

    /// The node is about to end.
    pub(crate) fn stopping(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }

    /// Where it is now.
    pub(super) fn stage(&self) -> Stage<'_> {
        match self.node() {
            None if self.shared.waiting_for_room.load(Ordering::Relaxed) => Stage::WaitingForRoom,
            None => Stage::Starting,
            Some(_) if self.shared.stopping.load(Ordering::Relaxed) => Stage::Stopping,
            Some(node) if self.shared.serving.load(Ordering::Relaxed) => Stage::Serving(node),
            Some(node) => Stage::CatchingUp(node),
        }
    }

    /// The node once it has started, stopping or not.
    pub(super) fn node(&self) -> Option<&Node> {
        self.shared.node.get()
    }
}
