//! What ends a node.

use std::io;

use trilog_storage::StoreError;

/// Why a node stopped by itself. Nobody retries a failed write: the node begins anew, and Raft repairs what was not
/// durable. After most errors that is for a supervisor to see to; a full disk is worth waiting for.
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

impl FatalError {
    /// Whether it is a fault of the node itself, and not of its disk or its machine.
    #[must_use]
    pub const fn is_broken_invariant(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Whether the disk was full, so that the node can go on once there is room.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_no_space())
    }
}
