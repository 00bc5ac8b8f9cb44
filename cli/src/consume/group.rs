//! What a member of a group has printed, and may commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trilog_client::Error;
use trilog_client::consumer::{CallbackFuture, CommitOffset, Committer, RebalanceListener, TopicPartition};

/// What the command and the group's callbacks share.
#[derive(Clone, Debug, Default)]
pub(super) struct Share(Arc<Mutex<Held>>);

/// See [`Share`].
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Whether the group has given this member its share, which may be empty.
    pub(super) is_settled: bool,
    /// Partitions that came since the command looked.
    pub(super) news: BTreeSet<TopicPartition>,
    /// Partitions that went since the command looked.
    pub(super) gone: BTreeSet<TopicPartition>,
    /// The offset behind the last record of each partition that is printed and not committed.
    printed: BTreeMap<TopicPartition, i64>,
}

impl Share {
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records up to these offsets have left this process.
    pub(super) fn printed(&self, offsets: BTreeMap<TopicPartition, i64>) {
        self.held().printed.extend(offsets);
    }

    /// Commits what was printed.
    pub(super) async fn commit(&self, committer: &Committer) -> Result<(), Error> {
        let offsets = std::mem::take(&mut self.held().printed);
        commit(committer, offsets).await
    }

    fn went(&self, partitions: BTreeSet<TopicPartition>) -> BTreeMap<TopicPartition, i64> {
        let mut held = self.held();
        held.news.retain(|place| !partitions.contains(place));
        let (going, staying) =
            std::mem::take(&mut held.printed).into_iter().partition(|(place, _)| partitions.contains(place));
        held.printed = staying;
        held.gone.extend(partitions);
        going
    }
}

async fn commit(committer: &Committer, offsets: BTreeMap<TopicPartition, i64>) -> Result<(), Error> {
    if offsets.is_empty() {
        return Ok(());
    }
    let offsets = offsets.into_iter().map(|(place, offset)| (place, CommitOffset::at(offset))).collect();
    committer.commit_offsets(offsets).await
}

impl RebalanceListener for Share {
    fn revoked(&self, committer: Committer, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        let offsets = self.went(partitions);
        Box::pin(async move {
            if let Err(error) = commit(&committer, offsets).await {
                eprintln!("trilog: offsets not committed before their partitions went: {error}");
            }
        })
    }

    fn lost(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        self.went(partitions);
        Box::pin(std::future::ready(()))
    }

    fn assigned(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        let mut held = self.held();
        held.is_settled = true;
        held.gone.retain(|place| !partitions.contains(place));
        held.news.extend(partitions);
        Box::pin(std::future::ready(()))
    }
}
