//! What a member has, and the callbacks by which that changes: one at a time, in order.

use std::collections::{BTreeSet, VecDeque};

use super::Callback;
use crate::consumer::partition::TopicPartition;

/// The partitions that the application has. What is revoked or lost is its own until the callback is done; what is assigned is
/// its own as soon as the callback begins.
#[derive(Debug, Default)]
pub(super) struct Holding {
    owned: BTreeSet<TopicPartition>,
    queue: VecDeque<Callback>,
    /// A callback that was given out and is not done.
    calling: Option<Callback>,
}

impl Holding {
    pub(super) const fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// The next callback to run, unless one runs.
    pub(super) fn begin_next(&mut self) -> Option<Callback> {
        if self.calling.is_some() {
            return None;
        }
        let callback = self.queue.pop_front()?;
        if let Callback::Assign(added) = &callback {
            self.owned.extend(added.iter().cloned());
        }
        self.calling = Some(callback.clone());
        Some(callback)
    }

    /// The callback that runs is done.
    pub(super) fn done(&mut self) {
        if let Some(Callback::Revoke(partitions) | Callback::Lose(partitions)) = self.calling.take() {
            self.owned.retain(|partition| !partitions.contains(partition));
        }
    }

    /// Whether a callback runs.
    pub(super) const fn is_calling(&self) -> bool {
        self.calling.is_some()
    }

    /// Whether no callback runs or waits.
    pub(super) fn is_settled(&self) -> bool {
        self.calling.is_none() && self.queue.is_empty()
    }

    pub(super) fn revoke(&mut self, partitions: BTreeSet<TopicPartition>) {
        if !partitions.is_empty() {
            self.queue.push_back(Callback::Revoke(partitions));
        }
    }

    /// Revokes everything. What was to be assigned is not.
    pub(super) fn revoke_all(&mut self) {
        self.queue.retain(|callback| !matches!(callback, Callback::Assign(_)));
        self.revoke(self.still_held());
    }

    pub(super) fn assign(&mut self, partitions: BTreeSet<TopicPartition>) {
        self.queue.push_back(Callback::Assign(partitions));
    }

    /// Everything is somebody else's by now. What was to be revoked or assigned is void.
    pub(super) fn lose_all(&mut self) {
        self.queue.clear();
        let lost = self.still_held();
        if !lost.is_empty() {
            self.queue.push_back(Callback::Lose(lost));
        }
    }

    /// What the member has and is not already giving up.
    fn still_held(&self) -> BTreeSet<TopicPartition> {
        let leaving: BTreeSet<_> = self
            .queue
            .iter()
            .chain(&self.calling)
            .filter_map(|callback| match callback {
                Callback::Revoke(partitions) | Callback::Lose(partitions) => Some(partitions),
                Callback::Assign(_) => None,
            })
            .flatten()
            .collect();
        self.owned.iter().filter(|partition| !leaving.contains(partition)).cloned().collect()
    }
}
