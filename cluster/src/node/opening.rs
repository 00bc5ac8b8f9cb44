//! Opening what a node has on disk: whether it is this node's to open, and what it may have forgotten, before anything is said
//! on its behalf.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use trilog_storage::{Acknowledge, BootId, Identity, RaftLog, Store, StoreError, StoreOptions, TailCache};

use super::{Durability, NodeConfig, StartError};
use crate::driver::start_report::SAY_EVERY;
use crate::driver::{self, DriverConfig, FatalError};
use crate::ids::{NodeId, RaftGroupId};
use crate::shard;

/// Opens a store on a thread that may wait, unless it belongs to a cluster of other nodes than these, and sees to what it may
/// have forgotten.
pub(super) async fn open(config: &NodeConfig) -> Result<Store, StartError> {
    let identity = Identity { cluster_id: config.cluster_id.clone(), node_id: config.node.0 };
    let nodes = config.peers.keys().copied().collect();
    open_in(config.data_dir.clone(), identity, nodes, config.boot, config.durability).await
}

async fn open_in(
    data_dir: PathBuf,
    identity: Identity,
    nodes: Vec<NodeId>,
    boot: Option<BootId>,
    durability: Durability,
) -> Result<Store, StartError> {
    let opening = move || {
        let began = Instant::now();
        let store = Store::open(&data_dir, &identity, StoreOptions { boot, ..StoreOptions::default() })?;
        let read_mib = store.opening_read_bytes().map(|bytes| bytes >> 20);
        let milliseconds = began.elapsed().as_millis();
        tracing::info!(read_mib, milliseconds, "opened the store");
        check_nodes(&data_dir, &store, &nodes)?;
        remember(&store, durability).map_err(FatalError::Store)?;
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

/// How a driver ended.
pub(super) type End = Result<(), Arc<FatalError>>;

/// Starts the driver, which tells how it ended once it has.
pub(super) async fn start_driver(config: DriverConfig) -> Result<watch::Receiver<Option<End>>, FatalError> {
    let end = wait_for("the partitions", move || driver::start(config)).await??;
    let (sender, ended) = watch::channel(None);
    tokio::spawn(async move {
        let result = end.await.unwrap_or(Err(FatalError::Panicked("driver")));
        sender.send_replace(Some(result.map_err(Arc::new)));
    });
    Ok(ended)
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

/// Writes down what the store may have forgotten, and then what counts as stored from now on.
fn remember(store: &Store, durability: Durability) -> Result<(), StoreError> {
    if store.forgot() {
        tracing::warn!(
            "this machine went down under a node with --durability relaxed: what the node acknowledged just before may be \
             missing here; until it has that from the others, its vote counts only where all nodes vote alike"
        );
        store.apply(shard::forget(store)?)?;
    }
    store.acknowledge(match durability {
        Durability::Sync => Acknowledge::Synced,
        Durability::Relaxed => Acknowledge::Flushed,
    })
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::HardState;
    use trilog_storage::WriteBatch;

    use super::*;

    const GROUP: RaftGroupId = RaftGroupId(3);

    /// Opens the store in the machine's boot of this number.
    async fn opened(dir: &Path, boot: u32, durability: Durability) -> Store {
        let identity = Identity { cluster_id: "test".into(), node_id: 1 };
        let boot = format!("{boot:032x}").parse().unwrap();
        open_in(dir.to_owned(), identity, Vec::new(), Some(boot), durability).await.unwrap()
    }

    /// How many records tell what the group's replica may do.
    fn admissions(store: &Store) -> usize {
        store.records(GROUP, b"admission").unwrap().len()
    }

    #[tokio::test]
    async fn a_relaxed_node_whose_machine_went_down_writes_down_that_its_replicas_are_forgetful() {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(dir.path(), 1, Durability::Relaxed).await;
        let (tail, mut batch) = (TailCache::new(0), WriteBatch::new());
        let mut log = RaftLog::create(&store, &tail, GROUP, &[1, 2, 3], &mut batch);
        log.set_hard_state(&HardState { term: 5, ..HardState::default() }, &mut batch);
        store.apply(batch).unwrap();
        store.flush().unwrap();
        drop((log, store));
        let store = opened(dir.path(), 1, Durability::Relaxed).await;
        assert_eq!(admissions(&store), 0, "only the process ended");
        drop(store);
        let store = opened(dir.path(), 2, Durability::Sync).await;
        assert_eq!(admissions(&store), 1);
        drop(store);
        let store = opened(dir.path(), 3, Durability::Sync).await;
        assert!(!store.forgot(), "nothing that was not synced was acknowledged in between");
    }
}
