//! What is going to happen, in the order in which it will.

use std::collections::BTreeMap;
use std::time::Duration;

use super::call::{Answer, Call};
use super::fault::Fault;
use super::node::Input;
use super::workload::ClientId;
use crate::ids::{NodeId, Ticket};

/// One thing that happens at one moment.
pub(super) enum Event {
    /// Something reaches a process: the node's `life`th. Later processes never see it.
    Input { node: NodeId, life: u32, input: Input },
    /// A process gets to run again after a pause.
    Resume { node: NodeId, life: u32 },
    /// A node is switched on, if it is off.
    Start { node: NodeId },
    /// A client's request arrives.
    Call { node: NodeId, ticket: Ticket, call: Call },
    /// The first answer that a client gets to its request counts.
    Answer { ticket: Ticket, answer: Answer },
    /// A client wanted to be woken.
    Wake { client: ClientId },
    /// Something breaks.
    Break(Fault),
    /// The next fault is due.
    NextFault,
    /// A fault is to hit a certain moment.
    TakeAim,
    /// A process ends.
    End { node: NodeId, life: u32 },
    /// What a fault did comes to its end.
    Mend(Fault),
}

/// Everything that is going to happen.
#[derive(Default)]
pub(super) struct Schedule {
    events: BTreeMap<(Duration, u64), Event>,
    count: u64,
}

impl Schedule {
    /// Lets an event happen at `at`, after those that were planned for the same moment before.
    pub(super) fn at(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    /// The next event and its time.
    pub(super) fn next(&mut self) -> Option<(Duration, Event)> {
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }
}
