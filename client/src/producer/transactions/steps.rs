//! Which request is due, and to which coordinator.

use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::ErrorCode;

use super::{Begun, IdAndEpoch, NodeId, Offsets, Outcome, Place, Protocol, Standing, State, Transactions};

/// What a coordinator coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::producer) enum Key {
    /// The producer's transactions.
    Transaction,
    /// A consumer group.
    Group(String),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::producer) enum Call {
    /// Which broker coordinates. Goes to any broker.
    FindCoordinator(Key),
    /// A producer id, or the next epoch of the one there is. It would fence the producer itself if the coordinator knew of an open
    /// transaction: EndTxn comes first.
    InitProducerId {
        producer: Option<IdAndEpoch>,
    },
    AddPartitions {
        producer: IdAndEpoch,
        partitions: Vec<Place>,
    },
    AddOffsets {
        producer: IdAndEpoch,
        group: String,
    },
    CommitOffsets {
        producer: IdAndEpoch,
        offsets: Arc<Offsets>,
        protocol: Protocol,
    },
    /// Ends the transaction.
    EndTxn {
        producer: IdAndEpoch,
        commits: bool,
        protocol: Protocol,
    },
}

impl Call {
    /// Whose coordinator it is for.
    pub(in crate::producer) fn key(&self) -> Key {
        match self {
            Self::FindCoordinator(key) => key.clone(),
            Self::CommitOffsets { offsets, .. } => Key::Group(offsets.group.group.clone()),
            _ => Key::Transaction,
        }
    }
}

/// A request, and the broker that it goes to: any one, to find a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::producer) struct Step {
    pub(in crate::producer) node: Option<NodeId>,
    pub(in crate::producer) call: Call,
}

/// What a request was answered, errors aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::producer) enum Answer {
    /// The coordinator.
    Coordinator(NodeId),
    /// The producer id and its epoch, and the level of `transaction.version`.
    Producer(IdAndEpoch, i16),
    /// A code for each partition that was asked about.
    Parts(Vec<(Place, ErrorCode)>),
    /// The group is part of the transaction.
    Added,
    /// The transaction has ended, and the level of `transaction.version`. Where transactions are implicit, the next one has this id
    /// and epoch.
    Ended(Option<IdAndEpoch>, i16),
}

impl Transactions {
    /// The request that is due at `now`, if there is one.
    pub(in crate::producer) fn next(&mut self, now: Duration, standing: Standing) -> Option<Step> {
        self.needs_epoch |= standing.has_gap && self.open.is_some();
        if self.asked.is_some() {
            return None;
        }
        let mut due = self.due(standing);
        if due.is_none() && self.has_ended(standing) {
            due = self.due(standing);
        }
        let call = due.filter(|_| self.not_before <= now)?;
        let step = match self.coordinator_for(&call.key()) {
            Some(node) => Step { node: Some(node), call },
            None => Step { node: None, call: Call::FindCoordinator(call.key()) },
        };
        self.sends(&step.call);
        self.asked = Some(step.call.clone());
        Some(step)
    }

    /// When to ask for the next request, although nothing has happened until then.
    pub(in crate::producer) fn wake_at(&self, standing: Standing) -> Option<Duration> {
        let waits = self.asked.is_none() && self.due(standing).is_some();
        waits.then_some(self.not_before)
    }

    /// What has to be sent, as far as it depends on nothing but the state.
    fn due(&self, standing: Standing) -> Option<Call> {
        match &self.state {
            State::Initializing => Some(Call::InitProducerId { producer: self.producer }),
            State::InTransaction => self.addition(),
            State::Committing { .. } => {
                self.addition().or_else(|| if standing.is_idle { self.ending(true) } else { None })
            }
            State::Aborting if standing.is_idle => self.ending(false),
            _ => None,
        }
    }

    /// What the transaction has to be told of.
    fn addition(&self) -> Option<Call> {
        let (open, producer) = (self.open.as_ref()?, self.producer?);
        if !open.wanted.is_empty() {
            return Some(Call::AddPartitions { producer, partitions: open.wanted.iter().cloned().collect() });
        }
        let task = open.offsets.front()?;
        let protocol = self.protocol;
        Some(if protocol == Protocol::Explicit && !task.is_added {
            Call::AddOffsets { producer, group: task.offsets.group.group.clone() }
        } else {
            Call::CommitOffsets { producer, offsets: Arc::clone(&task.offsets), protocol }
        })
    }

    /// What ends the transaction; `None` if the coordinator knows nothing of it.
    fn ending(&self, commits: bool) -> Option<Call> {
        let (open, producer) = (self.open.as_ref()?, self.producer?);
        if !commits && self.needs_init {
            return Some(Call::InitProducerId { producer: self.producer });
        }
        (open.begun != Begun::No).then_some(Call::EndTxn { producer, commits, protocol: self.protocol })
    }

    /// A transaction of which the coordinator knows nothing ends without a request. Returns whether one did.
    fn has_ended(&mut self, standing: Standing) -> bool {
        let outcome = match self.state {
            State::Committing { .. } if standing.is_idle => Outcome::Committed,
            State::Aborting if standing.is_idle => Outcome::Aborted,
            _ => return false,
        };
        self.ends(outcome);
        true
    }

    fn sends(&mut self, call: &Call) {
        let begun = match call {
            Call::AddPartitions { .. } | Call::AddOffsets { .. } => Begun::Maybe,
            Call::CommitOffsets { protocol: Protocol::Implicit, .. } => Begun::Yes,
            _ => Begun::No,
        };
        if let Some(open) = &mut self.open {
            open.begun = open.begun.max(begun);
        }
        if let (Call::EndTxn { .. }, State::Committing { is_asked }) = (call, &mut self.state) {
            *is_asked = true;
        }
    }

    /// The open transaction has ended. What comes next is the next transaction, or a new epoch for it.
    pub(super) fn ends(&mut self, outcome: Outcome) {
        if let Some(open) = self.open.take() {
            self.ended = Some((open.number, outcome));
        }
        self.needs_init = false;
        self.state = if std::mem::take(&mut self.needs_epoch) { State::Initializing } else { State::Ready };
    }

    fn coordinator_for(&self, key: &Key) -> Option<NodeId> {
        match key {
            Key::Transaction => self.coordinator,
            Key::Group(group) => {
                self.group_coordinator.as_ref().filter(|(known, _)| known == group).map(|(_, node)| *node)
            }
        }
    }
}
