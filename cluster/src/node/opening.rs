//! Opening what a node has on disk, and whether it is this node's to open.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::time::Instant;
use trilog_storage::{Identity, RaftLog, Store, StoreOptions, TailCache};

use super::StartError;
use crate::driver::FatalError;
use crate::driver::start_report::SAY_EVERY;
use crate::ids::{NodeId, RaftGroupId};

/// Opens a store on a thread that may wait, unless it belongs to a cluster of other nodes than these.
pub(super) async fn open(
    data_dir: PathBuf,
    cluster_id: String,
    node: NodeId,
    nodes: Vec<NodeId>,
) -> Result<Store, StartError> {
    let opening = move || {
        let identity = Identity { cluster_id, node_id: node.0 };
        let store = Store::open(&data_dir, &identity, StoreOptions::default())?;
        check_nodes(&data_dir, &store, &nodes)?;
        Ok(store)
    };
    wait_for("the store", opening).await?
}

/// Lets `work` be done on a thread that may wait, and says every second that it still is.
pub(super) async fn wait_for<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FatalError> {
    let began = Instant::now();
    let mut working = tokio::task::spawn_blocking(work);
    loop {
        match tokio::time::timeout(SAY_EVERY, &mut working).await {
            Ok(done) => return done.map_err(|_| FatalError::Panicked("opening")),
            Err(_) => tracing::info!(seconds = began.elapsed().as_secs(), "still opening {what}"),
        }
    }
}

/// Compares the nodes of a store's cluster with those that were given: the members of the controller's group are all of
/// them. A store without that group belongs to no cluster yet.
fn check_nodes(data_dir: &Path, store: &Store, given: &[NodeId]) -> Result<(), StartError> {
    let tail = TailCache::new(0);
    let controller = RaftLog::open(store, &tail, RaftGroupId::CONTROLLER).map_err(FatalError::Store)?;
    let Some(controller) = controller else { return Ok(()) };
    let found: BTreeSet<u64> = controller.voters().iter().copied().collect();
    let given: BTreeSet<u64> = given.iter().map(|node| u64::from(node.0)).collect();
    if found == given {
        return Ok(());
    }
    let named = |nodes: BTreeSet<u64>| nodes.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    Err(StartError::OtherPeers { path: data_dir.to_owned(), found: named(found), given: named(given) })
}
