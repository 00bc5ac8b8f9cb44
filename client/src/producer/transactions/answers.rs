//! What an answer changes, and what is done about an error.

use std::time::Duration;

use trilog_protocol::{ErrorCode, Meaning};

use super::steps::{Answer, Call, Key};
use super::{Begun, IMPLICIT_FROM, IdAndEpoch, Outcome, Place, Protocol, State, Transactions};
use crate::Error;
use crate::error::ErrorClass;

/// What an error asks for. The later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The same request, after a while.
    Again,
    /// The same request, soon: the coordinator still ends the last transaction.
    Concurrent,
    /// The same request to another coordinator.
    Moved,
    /// The transaction has to be aborted.
    Abort,
    /// The coordinator does not know the producer id, or the transaction: InitProducerId has to follow the abort.
    Forgotten,
    /// Nothing helps.
    Fatal,
}

/// How much sooner than usual a request is sent again while the last transaction ends.
const SOONER: u32 = 5;

/// What an error of a coordinator asks for.
pub(super) fn judge(call: &Call, error: &Error) -> Fault {
    let Error::Broker { code, .. } = error else {
        let is_about_group = matches!(call, Call::CommitOffsets { .. });
        return match error {
            Error::Unencodable { .. } if is_about_group => Fault::Abort,
            Error::Malformed { .. } => Fault::Moved,
            _ if error.class() == ErrorClass::Retriable => Fault::Moved,
            _ => Fault::Fatal,
        };
    };
    let is_init = matches!(call, Call::InitProducerId { .. });
    let is_abort = matches!(call, Call::EndTxn { commits: false, .. });
    match *code {
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => Fault::Moved,
        ErrorCode::CONCURRENT_TRANSACTIONS => Fault::Concurrent,
        ErrorCode::OPERATION_NOT_ATTEMPTED => Fault::Again,
        // The broker that coordinates the transaction is being replaced.
        ErrorCode::TRANSACTION_COORDINATOR_FENCED => Fault::Moved,
        ErrorCode::UNKNOWN_PRODUCER_ID | ErrorCode::INVALID_PRODUCER_ID_MAPPING if !is_init => {
            Fault::Forgotten
        }
        // The request that was to begin the transaction was lost: there is nothing to abort.
        ErrorCode::INVALID_TXN_STATE if is_abort => Fault::Forgotten,
        ErrorCode::TRANSACTION_ABORTABLE if is_abort => Fault::Again,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::GROUP_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTION_ABORTABLE => Fault::Abort,
        // A member that is fenced is not the producer.
        ErrorCode::FENCED_INSTANCE_ID => Fault::Abort,
        code => match code.meaning() {
            Meaning::Success | Meaning::Retry | Meaning::Refresh | Meaning::RefreshCoordinator => {
                Fault::Again
            }
            Meaning::Rejoin | Meaning::Refused => match call {
                Call::CommitOffsets { .. } | Call::AddPartitions { .. } => Fault::Abort,
                Call::FindCoordinator(Key::Group(_)) | Call::AddOffsets { .. } => Fault::Abort,
                _ => Fault::Fatal,
            },
            Meaning::Abort => Fault::Abort,
            Meaning::Fenced | Meaning::Fatal => Fault::Fatal,
        },
    }
}

/// What the error that a record failed with asks for.
pub(super) fn judge_record(error: &Error) -> Fault {
    match error {
        Error::Broker { code: ErrorCode::TOPIC_AUTHORIZATION_FAILED, .. } => Fault::Abort,
        Error::Broker { code: ErrorCode::INVALID_PRODUCER_ID_MAPPING, .. } => Fault::Forgotten,
        _ if matches!(error.class(), ErrorClass::Fenced | ErrorClass::Fatal) => Fault::Fatal,
        _ => Fault::Abort,
    }
}

impl Transactions {
    /// Takes the answer to a request. `random` lies in `0.0..1.0`.
    pub(in crate::producer) fn answered(
        &mut self,
        call: &Call,
        reply: Result<Answer, Error>,
        now: Duration,
        random: f64,
    ) {
        if self.asked.as_ref() != Some(call) {
            return;
        }
        self.asked = None;
        if matches!(self.state, State::FatalError(_)) {
            return;
        }
        match reply {
            Ok(Answer::Parts(codes)) => self.parts(call, codes, now, random),
            Ok(answer) => self.succeeded(call, answer),
            Err(error) => self.failed(call, error, now, random),
        }
    }

    fn succeeded(&mut self, call: &Call, answer: Answer) {
        if let (Call::FindCoordinator(key), Answer::Coordinator(node)) = (call, &answer) {
            match key {
                Key::Transaction => self.coordinator = Some(*node),
                Key::Group(group) => self.group_coordinator = Some((group.clone(), *node)),
            }
            // What it was found for counts: a coordinator that is named and does not answer is not asked without end.
            return;
        }
        self.goes_on();
        match answer {
            Answer::Producer(producer, level) => self.initialized(producer, level),
            Answer::Added => {
                if let Some(open) = &mut self.open {
                    open.begun = Begun::Yes;
                    open.offsets.front_mut().into_iter().for_each(|task| task.is_added = true);
                }
            }
            Answer::Ended(next, level) => {
                let Call::EndTxn { commits, .. } = call else { return };
                self.level = level;
                self.has_been_ended(*commits, next);
            }
            Answer::Coordinator(_) | Answer::Parts(_) => {}
        }
    }

    fn goes_on(&mut self) {
        self.failures = 0;
        self.trouble = None;
    }

    fn initialized(&mut self, producer: IdAndEpoch, level: i16) {
        self.renew(producer);
        self.level = level;
        self.protocol = if level >= IMPLICIT_FROM { Protocol::Implicit } else { Protocol::Explicit };
        self.needs_epoch = false;
        match self.state {
            State::Initializing => self.state = State::Ready,
            State::Aborting => self.ends(Outcome::Aborted),
            _ => {}
        }
    }

    const fn renew(&mut self, producer: IdAndEpoch) {
        self.producer = Some(producer);
        self.is_renewed = true;
    }

    fn has_been_ended(&mut self, commits: bool, next: Option<IdAndEpoch>) {
        if let Some(next) = next {
            self.renew(next);
            self.needs_epoch = false;
        } else if self.protocol == Protocol::Explicit && self.level >= IMPLICIT_FROM {
            // Transactions are implicit from now on, each in an epoch of its own.
            self.needs_epoch = true;
        }
        self.ends(if commits { Outcome::Committed } else { Outcome::Aborted });
    }

    /// Takes a code for each partition. The worst decides.
    fn parts(&mut self, call: &Call, codes: Vec<(Place, ErrorCode)>, now: Duration, random: f64) {
        let failure = |(place, code): &(Place, ErrorCode)| {
            let message = Some(format!("{}-{}", place.0, place.1));
            let error = Error::Broker { code: *code, message };
            (*code != ErrorCode::NONE).then(|| (judge(call, &error), error))
        };
        let worst = codes.iter().filter_map(failure).max_by_key(|(fault, _)| *fault);
        if let (Some(open), Call::AddPartitions { .. }) = (&mut self.open, call) {
            for (place, _) in codes.into_iter().filter(|(_, code)| *code == ErrorCode::NONE) {
                open.begun = Begun::Yes;
                open.wanted.remove(&place);
                open.added.insert(place);
            }
        }
        match worst {
            Some((_, error)) => self.failed(call, error, now, random),
            None => {
                self.goes_on();
                if let (Some(open), Call::CommitOffsets { .. }) = (&mut self.open, call) {
                    open.offsets.pop_front();
                }
            }
        }
    }

    fn failed(&mut self, call: &Call, error: Error, now: Duration, random: f64) {
        let fault = judge(call, &error);
        self.trouble = Some(error.clone());
        match fault {
            Fault::Again | Fault::Concurrent | Fault::Moved => {
                self.failures = self.failures.saturating_add(1);
                let delay = self.retry.delay(self.failures, random);
                self.not_before = now + if fault == Fault::Concurrent { delay / SOONER } else { delay };
                if fault == Fault::Moved {
                    self.forget(&call.key());
                }
            }
            Fault::Abort | Fault::Forgotten => {
                self.needs_init |= fault == Fault::Forgotten;
                match (&self.state, call) {
                    (State::Aborting, Call::EndTxn { .. }) => self.needs_init = true,
                    (
                        State::Aborting,
                        Call::InitProducerId { .. } | Call::FindCoordinator(Key::Transaction),
                    ) => {
                        self.end(error);
                    }
                    _ => self.fail(error),
                }
            }
            Fault::Fatal => self.end(error),
        }
    }

    fn forget(&mut self, key: &Key) {
        match key {
            Key::Transaction => self.coordinator = None,
            Key::Group(_) => self.group_coordinator = None,
        }
    }
}
