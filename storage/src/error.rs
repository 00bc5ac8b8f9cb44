//! What can go wrong with a store that is open.

use std::io;

/// Why a read or a write of an open store failed.
///
/// None of these is worth a retry: a failed write leaves it open what reached the disk, and a process that goes on
/// after one would acknowledge what it may not have. The node ends, its supervisor restarts it, Raft repairs it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused a read or a write: a full disk, a failing one, a removed directory.
    #[error("the store could not {action}: {source}")]
    Io {
        /// What was being done, as a verb: "write a batch".
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// What was read is not what was written.
    #[error(
        "the store is damaged: {detail}; wipe this node's data directory and let it catch up, or restore it"
    )]
    Damaged {
        /// What was found, with the group it concerns where there is one.
        detail: String,
    },
    /// An earlier write or sync failed. Nothing is written after that.
    #[error("the store takes no more writes, since an earlier one failed: {first}")]
    Failed {
        /// The first failure.
        first: String,
    },
}

impl StoreError {
    /// Damage, described.
    pub(crate) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged { detail: detail.into() }
    }

    /// Sorts an error of sled by what the reader of the message can do about it.
    pub(crate) fn from_sled(action: &'static str, error: sled::Error) -> Self {
        match error {
            sled::Error::Io(source) => Self::Io { action, source },
            other => Self::damaged(format!("cannot {action}: {other}")),
        }
    }
}

impl From<StoreError> for raft::Error {
    fn from(error: StoreError) -> Self {
        Self::Store(raft::StorageError::Other(Box::new(error)))
    }
}
