//! One topic's records: which partition's queue they go to, and where they wait while that is unknown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Entry, Finished};
use super::record::Record;
use super::sticky::Sticky;
use crate::Error;

/// A record whose topic is not known yet.
#[derive(Debug)]
pub(super) struct Pending<T> {
    pub(super) record: Record,
    pub(super) entry: Entry<T>,
    /// When it was appended.
    pub(super) since: Duration,
}

/// See the module's documentation.
///
/// Invariant: while records are pending, later ones of the topic are, too, so that none overtakes another.
#[derive(Debug)]
pub(super) struct Topic<T> {
    pub(super) name: Arc<str>,
    /// The place of each partition's queue among all queues.
    pub(super) queues: Vec<usize>,
    pub(super) sticky: Sticky,
    pub(super) pending: VecDeque<Pending<T>>,
    /// Whether the cluster is to be told that it is used: it was appended to since, or its records wait for a leader.
    pub(super) is_touched: bool,
}

impl<T> Topic<T> {
    /// A topic of which nothing is known.
    pub(super) fn new(name: Arc<str>) -> Self {
        let (queues, sticky) = (Vec::new(), Sticky::default());
        Self { name, queues, sticky, pending: VecDeque::new(), is_touched: true }
    }

    /// Whether a record appended now has to wait for what is known of the topic.
    pub(super) fn is_unknown(&self) -> bool {
        self.queues.is_empty() || !self.pending.is_empty()
    }

    /// Gives up what has been pending for `limit`.
    pub(super) fn expire(&mut self, now: Duration, limit: Duration, cause: &str) -> Vec<Finished<T>> {
        let mut finished = Vec::new();
        while self.pending.front().is_some_and(|pending| pending.since + limit <= now) {
            let Some(pending) = self.pending.pop_front() else { break };
            let cause = cause.to_owned();
            let error = Error::Timeout { what: "to learn of a topic's partitions", limit, cause };
            finished.push(pending.entry.finish(Err(error)));
        }
        finished
    }

    /// Gives up all that is pending.
    pub(super) fn fail(&mut self, error: &Error) -> Vec<Finished<T>> {
        self.pending.drain(..).map(|pending| pending.entry.finish(Err(error.clone()))).collect()
    }
}
