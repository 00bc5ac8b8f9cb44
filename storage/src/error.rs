//! What can go wrong with a store that is open.

use std::fmt;
use std::io;

use crate::ids::RaftGroupId;

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
        "the store is damaged: {}{detail}; wipe this node's data directory and let it catch up",
        In(*group, name.as_deref())
    )]
    Damaged {
        /// The group whose data it is, where that is known.
        group: Option<RaftGroupId>,
        /// What people call that group, where somebody who knows has said.
        name: Option<String>,
        /// What was found.
        detail: String,
    },
    /// An earlier write or sync failed. Nothing is written after that.
    #[error("the store takes no more writes, since an earlier one failed: {first}")]
    Failed {
        /// The first failure.
        first: String,
        /// Whether it was for want of space.
        no_space: bool,
    },
}

/// The group that damage was found in, as a message begins with it.
struct In<'a>(Option<RaftGroupId>, Option<&'a str>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (None, _) => Ok(()),
            (Some(group), None) => write!(f, "{group}: "),
            (Some(group), Some(name)) => write!(f, "{name} ({group}): "),
        }
    }
}

impl StoreError {
    /// Damage to the store as a whole, described.
    pub(crate) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged { group: None, name: None, detail: detail.into() }
    }

    /// Damage to what is stored of `group`, described.
    pub fn damaged_in(group: RaftGroupId, detail: impl Into<String>) -> Self {
        Self::Damaged { group: Some(group), name: None, detail: detail.into() }
    }

    /// The same, with the name of the group that is damaged, if that is what happened and it has one.
    #[must_use]
    pub fn with_group_name(self, name_of: impl FnOnce(RaftGroupId) -> Option<String>) -> Self {
        match self {
            Self::Damaged { group: Some(group), name: None, detail } => {
                Self::Damaged { group: Some(group), name: name_of(group), detail }
            }
            other => other,
        }
    }

    /// The group whose data are damaged, if that is what happened and it is known.
    #[must_use]
    pub const fn damaged_group(&self) -> Option<RaftGroupId> {
        match self {
            Self::Damaged { group, .. } => *group,
            Self::Io { .. } | Self::Failed { .. } => None,
        }
    }

    /// Whether the disk was full: then the store is whole, and can be opened again once there is space.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_no_space(source),
            Self::Failed { no_space, .. } => *no_space,
            Self::Damaged { .. } => false,
        }
    }

    /// Sorts an error of sled by what the reader of the message can do about it.
    pub(crate) fn from_sled(action: &'static str, error: sled::Error) -> Self {
        match error {
            // sled reads from within its file only, unless that became shorter behind its back.
            sled::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Self::damaged(format!("cannot {action}: the data file is too short"))
            }
            sled::Error::Io(source) => Self::Io { action, source: undecorated(source) },
            sled::Error::Corruption { at: Some(at), .. } => Self::damaged(format!(
                "cannot {action}: the page at byte {} of the data file is not what was written",
                at.lid()
            )),
            sled::Error::Corruption { at: None, .. } => {
                Self::damaged(format!("cannot {action}: the data file is not what was written"))
            }
            other => Self::damaged(format!("cannot {action}: {other}")),
        }
    }
}

/// Whether an error of the operating system's says that there is no space: on the disk, or in a quota.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
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
        assert!(error.is_no_space());
    }

    #[test]
    fn damage_names_its_group_where_there_is_one() {
        let error = StoreError::damaged_in(RaftGroupId(7), "entry 3 is missing");
        assert!(error.to_string().starts_with("the store is damaged: group 7: entry 3 is missing; wipe"));
        assert_eq!(error.damaged_group(), Some(RaftGroupId(7)));
        let named = error.with_group_name(|_| Some("orders-2".to_owned()));
        assert!(
            named.to_string().starts_with("the store is damaged: orders-2 (group 7): entry 3 is missing")
        );
        assert!(StoreError::damaged("no end").to_string().starts_with("the store is damaged: no end; wipe"));
    }

    #[test]
    fn a_file_that_became_shorter_is_damage() {
        let short = io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer");
        let error = StoreError::from_sled("read the store", sled::Error::Io(short));
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
}
