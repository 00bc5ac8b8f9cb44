//! The transactions of the machine: what its records mean for them, and they for its records.

use std::time::Duration;

use super::poll::Alarm;
use super::{Effect, Identity, Machine, Sequence};
use crate::Error;
use crate::producer::transactions::{Answer, Call, IdAndEpoch, Standing, Transactions};

impl<T> Machine<T> {
    /// The transactions, if records belong to some.
    pub(in crate::producer) const fn transactions(&mut self) -> Option<&mut Transactions> {
        self.transactions.as_mut()
    }

    /// Whether a record may be sent, in the transaction of this number if there is one.
    pub(in crate::producer) fn admit(&self, number: Option<u64>) -> Result<(), Error> {
        self.transactions.as_ref().map_or(Ok(()), |transactions| transactions.admit(number))
    }

    /// Whether no transaction has to be ended.
    pub(in crate::producer) fn is_at_rest(&self) -> bool {
        self.transactions.as_ref().is_none_or(Transactions::is_at_rest)
    }

    /// The answer to a request about transactions.
    pub(in crate::producer) fn coordinated(
        &mut self,
        call: &Call,
        answer: Result<Answer, Error>,
        now: Duration,
    ) {
        let random = self.random.f64();
        let Some(transactions) = &mut self.transactions else { return };
        transactions.answered(call, answer, now, random);
        // At once, as the next transaction may begin before the machine is looked at.
        if let Some(renewed) = transactions.renewed() {
            self.number_under(renewed);
        }
    }

    /// Does what is due of transactions: a record that failed fails its transaction, and that fails the records that wait.
    pub(super) fn transact(&mut self, now: Duration, effects: &mut Vec<Effect>, alarm: &mut Alarm) {
        if self.transactions.is_none() {
            return;
        }
        self.fail_together();
        self.give_up_in_time(now, alarm);
        let standing = self.standing();
        let Some(transactions) = &mut self.transactions else { return };
        if let Some(step) = transactions.next(now, standing) {
            effects.push(Effect::Coordinate(step));
        }
        transactions.wake_at(standing).into_iter().for_each(|at| alarm.set(at));
    }

    fn fail_together(&mut self) {
        let Some(transactions) = &mut self.transactions else { return };
        let failed = self.finished.iter().filter_map(|record| record.result.as_ref().err());
        failed.for_each(|error| transactions.record_failed(error));
        if let Some(error) = transactions.stops_records() {
            self.fail_all(&error);
        }
    }

    /// A producer that is closed waits only so long for the end of its transaction. The coordinator aborts it in the end.
    fn give_up_in_time(&mut self, now: Duration, alarm: &mut Alarm) {
        if !self.is_closing || self.is_at_rest() {
            return;
        }
        let ends_at = *self.ends_at.get_or_insert(now + self.setup.max_block);
        alarm.set(ends_at);
        if ends_at <= now {
            self.transactions.as_mut().into_iter().for_each(|transactions| transactions.end(Error::Closed));
            self.fail_all(&Error::Closed);
        }
    }

    fn standing(&self) -> Standing {
        if !self.transactions.as_ref().is_some_and(Transactions::is_ending) {
            return Standing { is_idle: false, has_gap: false };
        }
        let is_idle = self.active.iter().all(|place| self.queues[*place].1.batches() == 0)
            && self.topics.values().all(|topic| topic.pending.is_empty());
        Standing { is_idle, has_gap: self.queues.iter().any(|(_, queue)| queue.has_gap()) }
    }

    /// The next transaction's records are numbered under this id and epoch, from 0.
    fn number_under(&mut self, IdAndEpoch { id, epoch }: IdAndEpoch) {
        let is_same_id = self.identity.sequence().is_some_and(|sequence| sequence.id() == id);
        self.identity = Identity::Known(Sequence::transactional(id, epoch));
        self.queues.iter_mut().for_each(|(_, queue)| queue.renumber(is_same_id));
    }
}
