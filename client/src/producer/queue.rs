//! One partition's batches, from the first record to the last answer.
//!
//! ```text
//!               take                    settle: appended, refused
//!  append ──► waiting ──────────► in flight ──────────────────────► finished
//!               ▲                      │ settle: again
//!               └──────────────────────┘
//! ```
//!
//! # What keeps the order
//!
//! 1. Batches leave in the order of their making. All that are in flight are on their way to one node.
//! 2. A batch that comes back stops the queue until everything in flight is back; then all go out again, oldest first.
//!
//! # What keeps an idempotent producer exact
//!
//! 3. A batch gets its numbers when it is first sent, and keeps them in each further attempt: brokers know it again. No batch gets
//!    other numbers while an attempt with the old ones may still have been appended.
//! 4. A batch that is given up after it had numbers leaves a [gap](Chain::Gap). Batches behind it that may have been appended
//!    are first sent again as they are, one at a time. Then the partition goes on in the next epoch, from 0.
//! 5. If a broker refuses the oldest batch as out of sequence, nothing after the last acknowledged one is in its log: the chain
//!    is [refuted](Chain::Refuted), and all that wait get numbers of the next epoch. Brokers know the last five batches of a
//!    producer again, so that a batch leaves only while the oldest undecided one is among the four before it.
//!    A broker that knows nothing of a producer takes whatever comes first, so that the first batch leaves alone.
//! 6. A batch that a broker finds too large comes back as two, with the numbers that its records have had; see [`split`].
//! 7. If somebody else has the producer id, what may have been appended under it fails. The rest gets numbers under a new id.
//!
//! In a transaction, 4, 5 and 7 are left to its abort: a batch that is given up, or that is out of sequence as the oldest, fails
//! the transaction, and the coordinator gives the next epoch; see [`renumber`](Queue::renumber).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::batch::{AddError, BatchOrigin, BatchWriter};

use super::batch::{Batch, Entry, Extent, Finished};
use super::delivery::Delivered;
use super::record::Record;
use super::sequence::{Identity, Sequence};
use super::verdict::{Fate, Remedy, Verdict};
use crate::Error;
use crate::backoff::Backoff;
use crate::metadata::NodeId;

/// The rules that all queues of a producer follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) batch_size: usize,
    pub(super) linger: Duration,
    pub(super) delivery_timeout: Duration,
    pub(super) retry: Backoff,
}

/// The batches of a producer that a partition's leader knows again.
const WINDOW: u64 = 5;

/// Names a request; never used twice.
pub(super) type RequestId = u64;

/// Whether the numbers given out so far can be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    /// They can.
    Whole,
    /// The batch of this number was given up, and may be missing.
    Gap(u64),
    /// A broker said that they cannot.
    Refuted,
    /// Somebody else has the producer id.
    Fenced,
}

/// A batch on its way.
#[derive(Debug)]
struct Flight<T> {
    request: RequestId,
    batch: Batch<T>,
    /// Whether nothing older was undecided when it left.
    is_oldest: bool,
    /// Whether its records were given up meanwhile.
    is_given_up: bool,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Appended {
    /// A batch was begun: there is a new linger time.
    pub(super) is_new: bool,
    /// A batch became full.
    pub(super) is_full: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Queue<T> {
    partition: i32,
    waiting: VecDeque<Batch<T>>,
    in_flight: VecDeque<Flight<T>>,
    /// The node that has all that are in flight.
    node: Option<NodeId>,
    /// Whether a batch came back, so that the queue waits for the others.
    is_recovering: bool,
    /// Nothing is sent before.
    not_before: Duration,
    sequence: Option<Sequence>,
    /// Whether brokers know the producer id here: something was appended under it.
    is_known: bool,
    chain: Chain,
    next_number: u64,
    /// What the batch that was sent last took: the next one is expected to take as much.
    usual: Extent,
    /// The most bytes that a batch is filled to, less than `batch.size` once one was refused as too large.
    most: usize,
}

impl<T> Queue<T> {
    pub(super) const fn new(partition: i32) -> Self {
        Self {
            partition,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            node: None,
            is_recovering: false,
            not_before: Duration::ZERO,
            sequence: None,
            is_known: false,
            chain: Chain::Whole,
            next_number: 0,
            usual: Extent::NONE,
            most: usize::MAX,
        }
    }

    /// The partition's number.
    pub(super) const fn number(&self) -> i32 {
        self.partition
    }

    /// The batches it holds.
    pub(super) fn batches(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// Whether the numbers given out so far cannot be continued.
    pub(super) fn has_gap(&self) -> bool {
        self.chain != Chain::Whole
    }

    /// Numbers begin anew under the identity of now. Nothing may be waiting or in flight.
    pub(super) fn renumber(&mut self, is_same_id: bool) {
        assert_eq!(self.batches(), 0, "no batch has numbers of before");
        self.sequence = None;
        self.chain = Chain::Whole;
        self.is_known &= is_same_id;
    }

    /// Whether something waits to be sent.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The length of the batch that is sent next, before compression.
    pub(super) fn next_len(&self) -> usize {
        self.waiting.front().map_or(0, Batch::len)
    }

    /// Whether `record` can join its last batch, which is filled to `batch_size`.
    pub(super) fn has_room(&self, record: &Record, timestamp: i64, batch_size: usize) -> bool {
        let most = batch_size.min(self.most);
        self.waiting.back().is_some_and(|batch| batch.has_room(record, timestamp, most))
    }

    /// Closes its last batch. Returns whether that was open: it may leave at once now.
    pub(super) fn seal(&mut self) -> bool {
        self.waiting.back_mut().is_some_and(|batch| !std::mem::replace(&mut batch.is_sealed, true))
    }

    /// When the oldest batch that waits was begun.
    pub(super) fn waiting_since(&self) -> Option<Duration> {
        self.waiting.front().map(|batch| batch.created)
    }

    /// Appends a record, to the last batch if it has room there.
    ///
    /// # Errors
    ///
    /// [`AddError`] with the entry, if the record does not even fit into a batch of its own.
    pub(super) fn append(
        &mut self,
        record: &Record,
        mut entry: Entry<T>,
        now: Duration,
        rules: &Rules,
    ) -> Result<Appended, (AddError, Entry<T>)> {
        let timestamp = entry.timestamp;
        let most = rules.batch_size.min(self.most);
        let mut is_full = false;
        if let Some(last) = self.waiting.back_mut() {
            if last.has_room(record, timestamp, most) {
                match last.add(record, entry) {
                    Ok(()) => {
                        last.is_sealed = last.len() >= most;
                        return Ok(Appended { is_new: false, is_full: last.is_sealed });
                    }
                    Err((_, back)) => entry = back,
                }
            }
            is_full = !last.is_sealed;
            last.is_sealed = true;
        }
        let mut batch = Batch::new(self.next_number, now, self.usual.within(most));
        batch.add(record, entry)?;
        batch.is_sealed = batch.len() >= most;
        is_full |= batch.is_sealed;
        self.next_number += 1;
        self.waiting.push_back(batch);
        Ok(Appended { is_new: true, is_full })
    }

    /// When the next batch may leave for `leader`, `None` if that waits for an answer. `hasty` batches do not linger.
    pub(super) fn ready_at(&self, leader: NodeId, hasty: bool, rules: &Rules) -> Option<Duration> {
        let next = self.waiting.front()?;
        let is_held = self.is_recovering || self.chain != Chain::Whole || self.node != Some(leader);
        if is_held && !self.in_flight.is_empty() {
            return None;
        }
        let oldest = self.in_flight.front().map(|flight| flight.batch.number);
        let window = if self.is_known { WINDOW } else { 1 };
        if self.sequence.is_some() && oldest.is_some_and(|oldest| next.number >= oldest + window) {
            return None;
        }
        let lingers = !next.is_sealed && next.attempts == 0 && !hasty;
        let lingered = if lingers { next.created + rules.linger } else { Duration::ZERO };
        Some(lingered.max(self.not_before))
    }

    /// Sends the next batch to `node`, as part of a request. `None` if it needs a producer id first.
    ///
    /// # Panics
    ///
    /// If no batch is [ready](Self::ready_at).
    pub(super) fn take(
        &mut self,
        request: RequestId,
        node: NodeId,
        identity: &mut Identity,
    ) -> Option<(Arc<BatchWriter>, BatchOrigin)> {
        if !matches!(identity, Identity::Anonymous) {
            self.number_next(identity)?;
        }
        let mut batch = self.waiting.pop_front().expect("only a ready queue is asked");
        let is_oldest = self.in_flight.is_empty();
        assert!(is_oldest || self.node == Some(node), "all that are in flight are on their way to one node");
        self.node = Some(node);
        self.is_recovering = false;
        self.usual = batch.extent();
        let sent = (batch.content(), batch.origin.unwrap_or(BatchOrigin::ANONYMOUS));
        self.in_flight.push_back(Flight { request, batch, is_oldest, is_given_up: false });
        Some(sent)
    }

    /// Gives the next batch its numbers, if it has none, of the next epoch if need be.
    fn number_next(&mut self, identity: &mut Identity) -> Option<()> {
        if self.chain != Chain::Whole && self.in_flight.is_empty() {
            let is_safe = !self.waiting.iter().any(|batch| batch.origin.is_some() && batch.is_uncertain);
            if is_safe || !matches!(self.chain, Chain::Gap(_)) {
                self.begin_epoch(identity);
            }
        }
        let batch = self.waiting.front_mut()?;
        if batch.origin.is_none() {
            if self.sequence.is_none() {
                let sequence = identity.sequence()?;
                self.is_known &= sequence.is_transactional();
                self.sequence = Some(sequence);
            }
            batch.origin = self.sequence.as_mut().map(|sequence| sequence.take(batch.record_count()));
        }
        Some(())
    }

    fn begin_epoch(&mut self, identity: &mut Identity) {
        self.chain = Chain::Whole;
        let before = self.sequence.take();
        self.sequence = before.and_then(|sequence| sequence.bumped());
        if let (Some(before), None) = (before, self.sequence) {
            identity.renounce(before.id());
        }
        for batch in &mut self.waiting {
            batch.origin = None;
            batch.is_uncertain = false;
        }
    }

    /// Takes the answer to a request that this queue had a batch in. `random` lies in `0.0..1.0`.
    pub(super) fn settle(
        &mut self,
        request: RequestId,
        verdict: Verdict,
        now: Duration,
        random: f64,
        rules: &Rules,
        identity: &mut Identity,
    ) -> Vec<Finished<T>> {
        let Some(at) = self.in_flight.iter().position(|flight| flight.request == request) else {
            return Vec::new();
        };
        let Some(flight) = self.in_flight.remove(at) else { return Vec::new() };
        match verdict {
            Verdict::Appended { base_offset, append_time } => {
                self.appended(flight.batch, base_offset, append_time)
            }
            Verdict::Again { error, fate, remedy } => {
                let delay = match remedy {
                    Remedy::Moved => Duration::ZERO,
                    Remedy::Wait | Remedy::Refresh => rules.retry.delay(flight.batch.attempts + 1, random),
                };
                self.again(flight, error, fate, now + delay, rules, now)
            }
            Verdict::OutOfSequence(error) if flight.is_oldest && self.is_transactional() => {
                self.give_up(flight.batch, &error)
            }
            Verdict::OutOfSequence(error) => {
                // The first batch of an epoch cannot be out of sequence: a broker that says so is given time.
                let is_first = flight.batch.origin.is_some_and(|origin| origin.base_sequence == 0);
                let delay = if is_first {
                    rules.retry.delay(flight.batch.attempts + 1, random)
                } else {
                    Duration::ZERO
                };
                if flight.is_oldest && self.chain != Chain::Fenced {
                    self.chain = Chain::Refuted;
                }
                self.again(flight, error, Fate::NotAppended, now + delay, rules, now)
            }
            Verdict::Fenced(error) => self.fenced(flight.batch, &error, identity),
            Verdict::Refused(error) => self.refused(flight, &error),
        }
    }

    fn appended(&mut self, batch: Batch<T>, base: Option<i64>, append_time: Option<i64>) -> Vec<Finished<T>> {
        if matches!(self.chain, Chain::Gap(missing) if missing < batch.number) {
            // What was given up is in the log after all, or the broker does not miss it.
            self.chain = Chain::Whole;
        }
        self.is_known = true;
        let partition = self.partition;
        batch.finish(|at, timestamp| {
            let offset = base.and_then(|base| base.checked_add(i64::try_from(at).ok()?));
            Ok(Delivered { partition, offset, timestamp: append_time.unwrap_or(timestamp) })
        })
    }

    fn again(
        &mut self,
        flight: Flight<T>,
        error: Error,
        fate: Fate,
        not_before: Duration,
        rules: &Rules,
        now: Duration,
    ) -> Vec<Finished<T>> {
        let Flight { mut batch, is_given_up, .. } = flight;
        self.is_recovering = true;
        self.not_before = self.not_before.max(not_before);
        batch.attempts += 1;
        batch.is_uncertain |= fate == Fate::Unknown;
        batch.last_error = Some(error);
        if is_given_up || batch.created + rules.delivery_timeout <= now {
            let error = timed_out(&batch, rules);
            return self.give_up(batch, &error);
        }
        if self.chain == Chain::Fenced && batch.is_uncertain {
            let error = batch.last_error.take().unwrap_or(Error::Closed);
            return self.give_up(batch, &error);
        }
        let at = self.waiting.partition_point(|other| other.number < batch.number);
        self.waiting.insert(at, batch);
        Vec::new()
    }

    /// A batch will not be sent again.
    fn give_up(&mut self, batch: Batch<T>, error: &Error) -> Vec<Finished<T>> {
        if batch.origin.is_some() {
            self.chain = match self.chain {
                Chain::Whole => Chain::Gap(batch.number),
                Chain::Gap(missing) => Chain::Gap(missing.max(batch.number)),
                Chain::Refuted | Chain::Fenced => self.chain,
            };
        }
        batch.finish(|_, _| Err(error.clone()))
    }

    /// Somebody else has the producer id. What may have been appended under it cannot be sent under another one.
    fn fenced(&mut self, batch: Batch<T>, error: &Error, identity: &mut Identity) -> Vec<Finished<T>> {
        let mut finished = batch.finish(|_, _| Err(error.clone()));
        if let Some(sequence) = self.sequence.take() {
            identity.renounce(sequence.id());
        }
        self.chain = Chain::Fenced;
        for batch in std::mem::take(&mut self.waiting) {
            if batch.origin.is_some() && batch.is_uncertain {
                finished.extend(batch.finish(|_, _| Err(error.clone())));
            } else {
                self.waiting.push_back(batch);
            }
        }
        finished
    }

    /// Gives up every record that is older than the delivery timeout. Those in flight are given up, too; their batches keep
    /// their places until the answer.
    pub(super) fn expire(&mut self, now: Duration, rules: &Rules) -> Vec<Finished<T>> {
        let is_over = |batch: &Batch<T>| batch.created + rules.delivery_timeout <= now;
        let mut finished = Vec::new();
        for flight in self.in_flight.iter_mut().filter(|flight| !flight.is_given_up && is_over(&flight.batch))
        {
            let error = timed_out(&flight.batch, rules);
            let entries = std::mem::take(&mut flight.batch.entries);
            finished.extend(entries.into_iter().map(|entry| entry.finish(Err(error.clone()))));
            flight.is_given_up = true;
        }
        while self.waiting.front().is_some_and(is_over) {
            let Some(batch) = self.waiting.pop_front() else { break };
            let error = timed_out(&batch, rules);
            finished.extend(self.give_up(batch, &error));
        }
        finished
    }

    /// When the next record expires.
    pub(super) fn expires_at(&self, rules: &Rules) -> Option<Duration> {
        let flying = self.in_flight.iter().find(|flight| !flight.is_given_up).map(|flight| &flight.batch);
        let oldest = flying.into_iter().chain(self.waiting.front()).map(|batch| batch.created).min();
        oldest.map(|created| created + rules.delivery_timeout)
    }

    /// Gives up everything, also what is in flight: no answer will come.
    pub(super) fn abandon(&mut self, error: &Error) -> Vec<Finished<T>> {
        let flights = std::mem::take(&mut self.in_flight);
        let mut finished = self.fail(error);
        let flying = flights.into_iter().flat_map(|flight| flight.batch.finish(|_, _| Err(error.clone())));
        finished.extend(flying);
        finished
    }

    /// Gives up everything that waits, for good.
    pub(super) fn fail(&mut self, error: &Error) -> Vec<Finished<T>> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().flat_map(|batch| self.give_up(batch, error)).collect()
    }

    fn is_transactional(&self) -> bool {
        self.sequence.is_some_and(|sequence| sequence.is_transactional())
    }
}

fn timed_out<T>(batch: &Batch<T>, rules: &Rules) -> Error {
    let cause = match &batch.last_error {
        Some(error) => error.to_string(),
        None => "it could not be sent, or was not answered".to_owned(),
    };
    Error::Timeout { what: "the delivery of a record", limit: rules.delivery_timeout, cause }
}

mod split;
#[cfg(test)]
mod tests;
