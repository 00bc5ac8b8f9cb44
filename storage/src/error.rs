//! What can go wrong with a store that is open.

use std::io;

/// Why a read or a write of an open store failed.
///
/// None of these is worth a retry: a failed write leaves it open what reached the disk, and a process that goes on
/// after one would acknowledge what it may not have. The node ends, its supervisor restarts it, Raft repairs it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused a read or a write: a full disk, a failing one, a removed directory.
    #[error("cannot {action}: {source}")]
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
            sled::Error::Io(source) => Self::Io { action, source: undecorated(source) },
            other => Self::damaged(format!("cannot {action}: {other}")),
        }
    }
}

/// The error as the operating system words it. sled hands out copies, whose message is the debug text of the original.
fn undecorated(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => error,
        _ if error.raw_os_error().is_some() => error,
        kind => kind.into(),
    }
}

impl From<StoreError> for raft::Error {
    fn from(error: StoreError) -> Self {
        Self::Store(raft::StorageError::Other(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_in_plain_words() {
        let copy = io::Error::new(io::ErrorKind::StorageFull, "Os { code: 28, kind: StorageFull }");
        let error = StoreError::from_sled("write a batch", sled::Error::Io(copy));
        assert_eq!(error.to_string(), "cannot write a batch: no storage space");
    }
}
