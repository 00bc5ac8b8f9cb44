//! Why a store is not opened, in the words of somebody who has to do something about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::is_no_space;

/// Why a store could not be opened. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the store open.
    #[error("data directory {path} is in use by another process; stop it, or choose another directory")]
    AlreadyInUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The store is another node's.
    #[error("data directory {path} belongs to node {found}, not to node {expected}; correct one of the two")]
    OtherNode {
        /// The data directory.
        path: PathBuf,
        /// The node whose store it is.
        found: u32,
        /// The node that was to open it.
        expected: u32,
    },
    /// The store is of another cluster.
    #[error(
        "data directory {path} belongs to cluster \"{found}\", not to \"{expected}\"; correct the directory or the \
         cluster id"
    )]
    OtherCluster {
        /// The data directory.
        path: PathBuf,
        /// The cluster the store is of.
        found: String,
        /// The cluster of the node that was to open it.
        expected: String,
    },
    /// The store was written by a version of Trilog that lays it out differently.
    #[error(
        "data directory {path} has format {found}, and this version reads {supported}; use the version that wrote it"
    )]
    OtherFormat {
        /// The data directory.
        path: PathBuf,
        /// The store's format.
        found: u32,
        /// The format this version knows.
        supported: u32,
    },
    /// There are files that Trilog has not made where its store should be.
    #[error("{path} is not part of a Trilog store; choose another data directory, or move it away")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The directory or a file in it may not be written.
    #[error(
        "{path} cannot be written: {source}; grant this user write access, or choose another data directory"
    )]
    NotWritable {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk is full. The store is whole, and can be opened once there is space.
    #[error("{path} cannot be opened: no space is left on its disk; make some")]
    NoSpace {
        /// The directory or file.
        path: PathBuf,
    },
    /// The operating system refused something else.
    #[error("{path} cannot be used: {source}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store is not what was written.
    #[error(
        "{path} is damaged: {detail}; wipe this node's data directory and let it catch up from the others"
    )]
    Damaged {
        /// The data directory, or the file where the damage is.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
}

impl OpenError {
    /// Whether the disk is full, so that the store can be opened later.
    #[must_use]
    pub const fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}

/// Sorts an error of the operating system's by what can be done about it.
pub(super) fn io_error(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::NotWritable { path, source }
        }
        _ if is_no_space(&source) => OpenError::NoSpace { path },
        _ => OpenError::Io { path, source },
    }
}
