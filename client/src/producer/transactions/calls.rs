//! The calls of the application. Each may be made again until it gives an outcome.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use super::{Begun, IMPLICIT_FROM, Offsets, Open, Outcome, Protocol, State, Task, Transactions, needs_abort};
use crate::Error;

impl Transactions {
    /// Asks for a producer id, if nobody has yet. `None` while that is under way.
    pub(in crate::producer) fn init(&mut self) -> Option<Result<(), Error>> {
        match &self.state {
            State::Uninitialized => {
                self.state = State::Initializing;
                None
            }
            State::Initializing if self.producer.is_none() => None,
            State::FatalError(error) => Some(Err(error.clone())),
            _ => Some(Ok(())),
        }
    }

    /// Begins a transaction, and returns its number. `None` while one that was let go of has not ended.
    pub(in crate::producer) fn begin(&mut self) -> Option<Result<u64, Error>> {
        let refused = |cause| Some(Err(Error::TransactionState { cause }));
        match &self.state {
            State::Uninitialized => refused("init_transactions comes before the first transaction"),
            State::Initializing => None,
            State::Ready if self.is_closed => Some(Err(Error::Closed)),
            State::Ready => {
                if self.level < IMPLICIT_FROM {
                    self.protocol = Protocol::Explicit;
                }
                let number = self.next_number;
                self.next_number += 1;
                self.open = Some(Open {
                    number,
                    begun: Begun::No,
                    added: HashSet::new(),
                    wanted: BTreeSet::new(),
                    offsets: VecDeque::new(),
                    is_abandoned: false,
                });
                self.state = State::InTransaction;
                Some(Ok(number))
            }
            State::FatalError(error) => Some(Err(error.clone())),
            _ if self.open.as_ref().is_some_and(|open| open.is_abandoned) => None,
            _ => refused("a transaction is open: commit or abort it first"),
        }
    }

    /// Whether a record may be sent now, in the transaction of this number if there is one.
    pub(in crate::producer) fn admit(&self, number: Option<u64>) -> Result<(), Error> {
        let is_open = number.is_none_or(|number| self.is_open(number));
        match &self.state {
            State::FatalError(error) => Err(error.clone()),
            State::InTransaction if is_open => Ok(()),
            State::AbortableError(error) if is_open => Err(needs_abort(error)),
            _ => Err(Error::TransactionState {
                cause: "records of a producer with a transactional.id belong to a transaction: begin one first",
            }),
        }
    }

    /// Sends offsets as part of a transaction, and returns the ticket by which their fate is asked for.
    pub(in crate::producer) fn send_offsets(&mut self, number: u64, offsets: Offsets) -> Result<u64, Error> {
        self.admit(Some(number))?;
        let ticket = self.next_number;
        self.next_number += 1;
        if let Some(open) = self.open.as_mut().filter(|_| !offsets.offsets.is_empty()) {
            open.offsets.push_back(Task { ticket, offsets: Arc::new(offsets), is_added: false });
        }
        Ok(ticket)
    }

    /// Whether offsets are part of the transaction. `None` while that is not known.
    pub(in crate::producer) fn offsets_sent(&self, number: u64, ticket: u64) -> Option<Result<(), Error>> {
        match &self.state {
            State::FatalError(error) => return Some(Err(error.clone())),
            State::AbortableError(error) if self.is_open(number) => return Some(Err(needs_abort(error))),
            _ => {}
        }
        let Some(open) = self.open.as_ref().filter(|open| open.number == number) else {
            return Some(self.outcome(number, Outcome::Committed));
        };
        (!open.offsets.iter().any(|task| task.ticket == ticket)).then_some(Ok(()))
    }

    /// Commits a transaction. `None` while that is under way.
    pub(in crate::producer) fn commit(&mut self, number: u64) -> Option<Result<(), Error>> {
        if let Some(settled) = self.settled(number, Outcome::Committed) {
            return Some(settled);
        }
        match &self.state {
            State::AbortableError(error) => Some(Err(needs_abort(error))),
            State::InTransaction => {
                self.state = State::Committing { is_asked: false };
                None
            }
            State::Aborting => {
                Some(Err(Error::TransactionState { cause: "the transaction is being aborted" }))
            }
            _ => None,
        }
    }

    /// Aborts a transaction. `None` while that is under way.
    pub(in crate::producer) fn abort(&mut self, number: u64) -> Option<Result<(), Error>> {
        if let Some(settled) = self.settled(number, Outcome::Aborted) {
            return Some(settled);
        }
        match self.state {
            State::AbortableError(_) | State::InTransaction | State::Committing { is_asked: false } => {
                self.begin_abort();
                None
            }
            State::Committing { is_asked: true } => Some(Err(Error::TransactionState {
                cause: "the commit was sent, and its outcome is not known: ask for it by another commit",
            })),
            _ => None,
        }
    }

    /// The application has let go of a transaction: it is aborted, unless its commit is on its way.
    pub(in crate::producer) fn abandon(&mut self, number: u64) {
        if let Some(open) = self.open.as_mut().filter(|open| open.number == number) {
            open.is_abandoned = true;
            if matches!(self.state, State::InTransaction | State::AbortableError(_)) {
                self.begin_abort();
            }
        }
    }

    /// Nothing more will be asked for: an open transaction ends by itself.
    pub(in crate::producer) fn close(&mut self) {
        self.is_closed = true;
        if let Some(number) = self.open.as_ref().map(|open| open.number) {
            self.abandon(number);
        }
    }

    /// What is known of a transaction that is over, or of a producer that is: `None` if it is open.
    fn settled(&self, number: u64, wanted: Outcome) -> Option<Result<(), Error>> {
        match &self.state {
            _ if self.ended.is_some_and(|(ended, _)| ended == number) => Some(self.outcome(number, wanted)),
            State::FatalError(error) => Some(Err(error.clone())),
            _ if self.is_open(number) => None,
            _ => Some(self.outcome(number, wanted)),
        }
    }

    fn outcome(&self, number: u64, wanted: Outcome) -> Result<(), Error> {
        let cause = match self.ended.filter(|(ended, _)| *ended == number) {
            Some((_, outcome)) if outcome == wanted => return Ok(()),
            Some((_, Outcome::Committed)) => "the transaction was committed",
            Some((_, Outcome::Aborted)) => "the transaction was aborted",
            None => "the transaction has ended",
        };
        Err(Error::TransactionState { cause })
    }
}
