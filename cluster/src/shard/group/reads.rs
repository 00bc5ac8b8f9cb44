//! Answers that need no entry, and that a majority must confirm all the same: between the moment in which this replica
//! last heard that it leads and now, another one may have been elected, and have answered something else.
//!
//! A question to the followers goes out with the next heartbeat, at once (Raft's ReadIndex, section 6.4 of Ongaro's
//! dissertation). One question serves everything that came in a round. An answer also waits for the entries that were in
//! the log when it was decided on.

use std::collections::VecDeque;

use raft::ReadState;

use super::Group;
use crate::ids::RaftIndex;
use crate::shard::effects::Effect;
use crate::shard::machine::Waiting;
use crate::shard::proposals::Fate;

/// Answers of one group that wait for a confirmation, in the order of their questions.
#[derive(Default)]
pub(super) struct Reads {
    last_question: u64,
    asked: VecDeque<Read>,
    confirmed: VecDeque<Read>,
}

struct Read {
    question: u64,
    /// What has to be applied: the end of the log when the answer was decided on.
    needed: RaftIndex,
    waiting: Vec<Waiting>,
}

impl Reads {
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.confirmed.is_empty()
    }

    fn ask(&mut self, needed: RaftIndex, waiting: Vec<Waiting>) -> u64 {
        self.last_question += 1;
        self.asked.push_back(Read { question: self.last_question, needed, waiting });
        self.last_question
    }

    /// A majority has said yes to a question, and with it to all before it.
    fn confirm(&mut self, question: u64) {
        let confirmed = self.asked.partition_point(|read| read.question <= question);
        self.confirmed.extend(self.asked.drain(..confirmed));
    }

    /// The answers that may be given once everything up to `applied` is.
    fn take_ready(&mut self, applied: RaftIndex) -> Vec<Waiting> {
        let ready = self.confirmed.partition_point(|read| read.needed <= applied);
        self.confirmed.drain(..ready).flat_map(|read| read.waiting).collect()
    }

    fn take_all(&mut self) -> impl Iterator<Item = Waiting> {
        self.confirmed.drain(..).chain(self.asked.drain(..)).flat_map(|read| read.waiting)
    }
}

impl Group {
    /// Gives these answers once a majority confirms that this replica led when it was asked. Refused unless it leads.
    pub(in crate::shard) fn confirm(&mut self, waiting: Vec<Waiting>, effects: &mut Vec<Effect>) {
        if !self.may_propose() {
            effects.extend(waiting.into_iter().map(Waiting::refused));
            return;
        }
        let needed = RaftIndex(self.node.raft.raft_log.last_index());
        let question = self.reads.ask(needed, waiting);
        self.node.read_index(question.to_be_bytes().to_vec());
    }

    /// The followers have answered.
    pub(super) fn confirmed(&mut self, states: Vec<ReadState>) {
        for state in states {
            if let Ok(question) = state.request_ctx.try_into() {
                self.reads.confirm(u64::from_be_bytes(question));
            }
        }
    }

    /// Gives the answers that everything up to `applied` allows.
    pub(super) fn settle_reads(&mut self, applied: RaftIndex, effects: &mut Vec<Effect>) {
        for waiting in self.reads.take_ready(applied) {
            self.settle(Fate::Committed(waiting), applied, effects);
        }
    }

    /// The leadership is over: nothing will be confirmed any more.
    pub(super) fn refuse_reads(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.reads.take_all().map(Waiting::refused));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::ControllerResponse;
    use crate::ids::Ticket;

    fn waiting(number: u64) -> Vec<Waiting> {
        let response = ControllerResponse::RegisterBroker(Ok(()));
        vec![Waiting::Control { ticket: Ticket(number), response }]
    }

    fn numbers(waiting: impl IntoIterator<Item = Waiting>) -> Vec<u64> {
        let number = |waiting| match waiting {
            Waiting::Control { ticket, .. } => ticket.0,
            other => panic!("{other:?} was never asked"),
        };
        waiting.into_iter().map(number).collect()
    }

    #[test]
    fn a_confirmation_serves_all_questions_before_it() {
        let mut reads = Reads::default();
        for number in 1..=3 {
            reads.ask(RaftIndex(5), waiting(number));
        }
        assert!(reads.take_ready(RaftIndex(9)).is_empty(), "nothing is confirmed");
        reads.confirm(2);
        assert_eq!(numbers(reads.take_ready(RaftIndex(5))), [1, 2]);
        assert_eq!(numbers(reads.take_all()), [3]);
        assert!(reads.is_empty());
    }

    #[test]
    fn an_answer_waits_for_the_entries_that_it_rests_on() {
        let mut reads = Reads::default();
        reads.ask(RaftIndex(5), waiting(1));
        reads.ask(RaftIndex(7), waiting(2));
        reads.confirm(2);
        assert!(reads.take_ready(RaftIndex(4)).is_empty());
        assert_eq!(numbers(reads.take_ready(RaftIndex(6))), [1]);
        assert_eq!(numbers(reads.take_ready(RaftIndex(7))), [2]);
    }
}
