//! What ends a node.

use std::io;

use trilog_storage::StoreError;

/// Why a node stopped by itself. Nobody retries a failed write: the process ends, its supervisor restarts it, and Raft
/// repairs what was not durable.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    /// A read, a write or a sync failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gives no more threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// An invariant was broken. The panic's own message stands in the log before this one.
    #[error("the {0} thread panicked; its last message tells which invariant was broken")]
    Panicked(&'static str),
}
