//! The transactions of one producer, without sockets and clocks (KIP-98, KIP-360, KIP-447, KIP-890).
//!
//! ```text
//!                 init               begin                   commit
//!  Uninitialized ──────► Initializing ──► Ready ───► InTransaction ────► Committing ──► Ready
//!                             ▲                           │    │              │
//!                             │ a new epoch is needed     │    │ an error     │ an error
//!                             │                     abort │    ▼              ▼
//!                             └──────────── Aborting ◄────┴── AbortableError ─┘
//!                                              └──────────────────────────────────────► Ready
//!  any state ──► FatalError: another producer has the transactional id, a right is missing, the broker is too old
//! ```
//!
//! The names of the states are those of Kafka's own client. The owner asks [`Transactions::next`] for the request that is due, sends it to
//! the coordinator, and tells what came of it by [`Transactions::answered`]. One request is on its way at a time.
//!
//! # Two protocols
//!
//! With the feature `transaction.version` 2 (KIP-890) a transaction is [implicit](Protocol::Implicit): a partition joins it with its first
//! batch, and each end of a transaction raises the producer's epoch. Older brokers are told of each partition first, and the epoch is
//! raised by InitProducerId where a batch is missing.
//!
//! # Invariants
//!
//! 1. The end is sent when every record of the transaction has its fate: no batch of it can reach a broker afterwards from here.
//! 2. A commit is sent only if no record and no offset of the transaction failed.
//! 3. Once an end was sent, its outcome does not change: a lost answer is followed by the same request.

mod answers;
mod calls;
mod requests;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::requests::{Identity as Transactional, perform};
pub(super) use self::steps::{Answer, Call, Step};
use crate::Error;
use crate::backoff::Backoff;
use crate::consumer::{CommitOffset, GroupMetadata, TopicPartition};
use crate::error::ErrorClass;
use crate::metadata::NodeId;

/// From this level of the feature `transaction.version` on, transactions are implicit.
const IMPLICIT_FROM: i16 = 2;

/// A producer id and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdAndEpoch {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// A partition by its topic's name and its number.
pub(super) type Place = (Arc<str>, i32);

/// How brokers learn of a transaction's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// By AddPartitionsToTxn and AddOffsetsToTxn.
    Explicit,
    /// By the records and offsets themselves.
    Implicit,
}

/// Where the producer stands.
#[derive(Clone, Debug)]
enum State {
    /// Nobody asked for a producer id.
    Uninitialized,
    /// InitProducerId is due: the first one, or one that raises the epoch.
    Initializing,
    Ready,
    InTransaction,
    /// It takes no more records. EndTxn is sent once all have their fates.
    Committing {
        /// Whether EndTxn was sent.
        is_asked: bool,
    },
    Aborting,
    AbortableError(Error),
    FatalError(Error),
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Committed,
    Aborted,
}

/// Whether the coordinator knows of the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Begun {
    #[default]
    No,
    /// A request was sent that begins it, and was not answered by a success.
    Maybe,
    Yes,
}

/// Offsets of a consumer that belong to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offsets {
    pub(super) group: GroupMetadata,
    pub(super) offsets: BTreeMap<TopicPartition, CommitOffset>,
}

/// Offsets that are not sent yet.
#[derive(Debug)]
struct Task {
    ticket: u64,
    offsets: Arc<Offsets>,
    /// Whether the coordinator knows of the group. It need not where transactions are implicit.
    is_added: bool,
}

/// A transaction that has not ended.
#[derive(Debug)]
struct Open {
    number: u64,
    begun: Begun,
    /// The partitions that the coordinator knows of.
    added: HashSet<Place>,
    /// The partitions that it is to be told of.
    wanted: BTreeSet<Place>,
    offsets: VecDeque<Task>,
    /// Whether the application has let go of it. It is aborted, unless its commit is on its way.
    is_abandoned: bool,
}

/// What the rest of the producer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether every record has its fate, and no request with records is on its way. Told once the transaction
    /// [ends](Transactions::is_ending).
    pub(super) is_idle: bool,
    /// Whether a batch that had numbers was given up, so that the numbers cannot be continued in this epoch.
    pub(super) has_gap: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Transactions {
    retry: Backoff,
    state: State,
    protocol: Protocol,
    /// The level of `transaction.version` that the coordinator's connection told last.
    level: i16,
    producer: Option<IdAndEpoch>,
    /// Whether the rest of the producer does not know the id and epoch yet.
    is_renewed: bool,
    /// Whether the next transaction needs a new epoch.
    needs_epoch: bool,
    /// Whether the coordinator knows nothing of the open transaction, so that InitProducerId ends it instead of EndTxn.
    needs_init: bool,
    coordinator: Option<NodeId>,
    /// The coordinator of the group that offsets were sent for last.
    group_coordinator: Option<(String, NodeId)>,
    /// The request that is on its way.
    asked: Option<Call>,
    not_before: Duration,
    /// Failed attempts in a row.
    failures: u32,
    /// Why the last attempt failed.
    trouble: Option<Error>,
    open: Option<Open>,
    /// The transaction that ended last.
    ended: Option<(u64, Outcome)>,
    /// The transactions and offsets so far.
    next_number: u64,
    /// Whether no transaction begins any more.
    is_closed: bool,
}

impl Transactions {
    /// A producer that has asked for nothing.
    pub(super) const fn new(retry: Backoff) -> Self {
        Self {
            retry,
            state: State::Uninitialized,
            protocol: Protocol::Explicit,
            level: 0,
            producer: None,
            is_renewed: false,
            needs_epoch: false,
            needs_init: false,
            coordinator: None,
            group_coordinator: None,
            asked: None,
            not_before: Duration::ZERO,
            failures: 0,
            trouble: None,
            open: None,
            ended: None,
            next_number: 0,
            is_closed: false,
        }
    }

    /// Whether no transaction has to be ended.
    pub(super) const fn is_at_rest(&self) -> bool {
        self.open.is_none() || matches!(self.state, State::FatalError(_))
    }

    /// Why the last request to a coordinator failed, as long as none has succeeded since.
    pub(super) const fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }

    /// Whether records leave at once: the transaction ends as soon as they have their fates.
    pub(super) const fn is_ending(&self) -> bool {
        matches!(self.state, State::Committing { .. } | State::Aborting)
    }

    /// Why no record is sent any more, also none that was accepted; `None` if records are sent.
    pub(super) fn stops_records(&self) -> Option<Error> {
        match &self.state {
            State::AbortableError(error) => Some(needs_abort(error)),
            State::FatalError(error) => Some(error.clone()),
            State::Aborting => Some(Error::TransactionAborted),
            _ => None,
        }
    }

    /// How brokers learn of the open transaction's partitions.
    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether batches of a partition may be sent. If not, the coordinator is told of the partition first.
    pub(super) fn admits(&mut self, place: &Place) -> bool {
        let Some(open) = self.open.as_mut() else { return false };
        if self.protocol == Protocol::Implicit || open.added.contains(place) {
            return true;
        }
        if !open.wanted.contains(place) {
            open.wanted.insert(place.clone());
        }
        false
    }

    /// A batch is sent.
    pub(super) const fn sent(&mut self) {
        if let Some(open) = &mut self.open {
            open.begun = Begun::Yes;
        }
    }

    /// A record of the transaction failed: it cannot be committed.
    pub(super) fn record_failed(&mut self, error: &Error) {
        match answers::judge_record(error) {
            answers::Fault::Fatal => self.end(error.clone()),
            answers::Fault::Forgotten => {
                self.needs_init = true;
                self.fail(error.clone());
            }
            _ => self.fail(error.clone()),
        }
    }

    /// The id and epoch that records are numbered under from now on, if they are new.
    pub(super) fn renewed(&mut self) -> Option<IdAndEpoch> {
        self.producer.filter(|_| std::mem::take(&mut self.is_renewed))
    }

    /// Nothing works any more.
    pub(super) fn end(&mut self, error: Error) {
        if !matches!(self.state, State::FatalError(_)) {
            let is_plain = matches!(error.class(), ErrorClass::Fenced | ErrorClass::Fatal);
            let error = if is_plain { error } else { Error::TransactionsEnded { cause: Box::new(error) } };
            self.state = State::FatalError(error);
        }
    }

    /// The open transaction cannot be committed.
    fn fail(&mut self, error: Error) {
        match self.state {
            State::InTransaction | State::Committing { .. } => {
                self.state = State::AbortableError(error);
                if let Some(open) = &mut self.open {
                    open.wanted.clear();
                    open.offsets.clear();
                    if open.is_abandoned {
                        self.begin_abort();
                    }
                }
            }
            State::Initializing => self.end(error),
            _ => {}
        }
    }

    fn begin_abort(&mut self) {
        self.state = State::Aborting;
        if let Some(open) = &mut self.open {
            open.wanted.clear();
            open.offsets.clear();
        }
    }

    fn is_open(&self, number: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.number == number)
    }
}

/// What an application is told of a transaction that cannot be committed.
fn needs_abort(error: &Error) -> Error {
    Error::NeedsAbort { cause: Box::new(error.clone()) }
}
