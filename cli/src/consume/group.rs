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
    /// The partitions of this member.
    places: BTreeSet<TopicPartition>,
    /// The offset behind the last record of each partition that is printed and not committed. Only of partitions that are held: the
    /// next owner's offset is never rewound.
    printed: BTreeMap<TopicPartition, i64>,
}

impl Share {
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records up to these offsets have left this process. Those of partitions that are gone are not committed.
    pub(super) fn printed(&self, offsets: BTreeMap<TopicPartition, i64>) {
        let mut held = self.held();
        let Held { places, printed, .. } = &mut *held;
        printed.extend(offsets.into_iter().filter(|(place, _)| places.contains(place)));
    }

    /// Commits nothing more of what was printed so far.
    pub(super) fn disown(&self) {
        self.held().printed.clear();
    }

    /// Commits what was printed.
    ///
    /// Cancel safety: dropped, the next commit has the same offsets again.
    pub(super) async fn commit(&self, committer: &Committer) -> Result<(), Error> {
        let offsets = self.held().printed.clone();
        commit(committer, offsets.clone()).await?;
        self.held().printed.retain(|place, offset| offsets.get(place) != Some(offset));
        Ok(())
    }

    fn went(&self, partitions: BTreeSet<TopicPartition>) -> BTreeMap<TopicPartition, i64> {
        let mut held = self.held();
        held.news.retain(|place| !partitions.contains(place));
        let (going, staying) =
            std::mem::take(&mut held.printed).into_iter().partition(|(place, _)| partitions.contains(place));
        held.printed = staying;
        held.places.retain(|place| !partitions.contains(place));
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
        held.places.extend(partitions.iter().cloned());
        held.news.extend(partitions);
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kept_for_partitions_that_are_held_and_for_no_others() {
        let places: Vec<_> = (0..2).map(|number| TopicPartition::new("t", number)).collect();
        let printed = |offset| places.iter().map(|place| (place.clone(), offset)).collect();
        let share = Share::default();
        drop(share.assigned(places.iter().cloned().collect()));
        share.printed(printed(5));
        assert_eq!(share.went([places[0].clone()].into()), [(places[0].clone(), 5)].into());
        share.printed(printed(7));
        assert_eq!(share.held().printed, [(places[1].clone(), 7)].into(), "the first has another owner");
        share.disown();
        assert_eq!(share.went([places[1].clone()].into()), BTreeMap::new());
    }
}
