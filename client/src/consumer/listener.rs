//! What an application may do when its partitions change.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use super::CommitOffset;
use super::partition::TopicPartition;
use super::shared::Shared;
use crate::Error;

/// What a callback returns: anything that can be awaited.
pub type CallbackFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Is called while [`Consumer::poll`](super::Consumer::poll) waits, when partitions come and go. The group waits for each
/// callback to end, for at most `max.poll.interval.ms`. Heartbeats go on meanwhile.
///
/// ```
/// use std::collections::BTreeSet;
/// use trilog_client::consumer::{CallbackFuture, Committer, RebalanceListener, TopicPartition};
///
/// struct Log;
///
/// impl RebalanceListener for Log {
///     fn revoked(&self, committer: Committer, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
///         Box::pin(async move {
///             // What is stored by now is committed before anybody else begins with these partitions.
///             if let Err(error) = committer.commit().await {
///                 eprintln!("{partitions:?} not committed: {error}");
///             }
///         })
///     }
/// }
/// ```
pub trait RebalanceListener: Send + Sync + 'static {
    /// These partitions are about to go to other members. They are still this one's: offsets can be committed.
    fn revoked(&self, committer: Committer, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        let _ = (committer, partitions);
        Box::pin(ready(()))
    }

    /// The group has given these partitions to others already, as it took this member for dead. A commit would be refused.
    fn lost(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        let _ = partitions;
        Box::pin(ready(()))
    }

    /// The rebalance is over; these partitions are new. May be empty.
    fn assigned(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        let _ = partitions;
        Box::pin(ready(()))
    }
}

/// Commits offsets, in callbacks and from other tasks. Cheap to clone. It does not keep the consumer in its group.
#[derive(Clone, Debug)]
pub struct Committer {
    pub(super) shared: Arc<Shared>,
}

impl Committer {
    /// Commits the offsets behind all records that were handed out before the last [`poll`](super::Consumer::poll).
    ///
    /// Cancel safety: dropped, the commit may or may not have been made.
    ///
    /// # Errors
    ///
    /// [`Error::Broker`] if the group does not take it, as from a member that it has given up, or, with `UNKNOWN_TOPIC_OR_PARTITION`, if
    /// a topic was deleted, when the offsets of the others are committed; else as far as a retry did not help within
    /// `default.api.timeout.ms`.
    pub async fn commit(&self) -> Result<(), Error> {
        self.shared.commit_owed().await
    }

    /// Commits these offsets: each that of the next record to read. If a partition goes to another member before that is done, the
    /// commit ends with `ILLEGAL_GENERATION`.
    ///
    /// Cancel safety: as [`commit`](Self::commit).
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    pub async fn commit_offsets(&self, offsets: BTreeMap<TopicPartition, CommitOffset>) -> Result<(), Error> {
        self.shared.commit(offsets).await
    }
}
