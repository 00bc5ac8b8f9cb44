//! What was proposed and waits for its commit. Every accepted proposal ends in an answer: committed, known not to be
//! in the log, or unknown.
//!
//! A leader that loses its term does not know what becomes of its last entries. They stay here until the log says so:
//! an entry applied at the same index and term is the proposal. Terms never go down along a log. So an applied entry of a later
//! term, wherever it stands, means that the proposal was applied before it or never will be; and so does one beyond its index.

use std::collections::VecDeque;

use crate::ids::RaftIndex;

/// The fate of one proposal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate<T> {
    /// Applied as proposed.
    Committed(T),
    /// Another entry stands where it would have been: it is not in the log and never will be.
    Overwritten(T),
}

/// Proposals of one group in log order. `T` is what the answer needs.
pub(super) struct Proposals<T> {
    pending: VecDeque<Pending<T>>,
}

struct Pending<T> {
    index: RaftIndex,
    term: u64,
    waiting: T,
}

impl<T> Proposals<T> {
    pub(super) const fn new() -> Self {
        Self { pending: VecDeque::new() }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// All that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pending.iter().map(|pending| &pending.waiting)
    }

    /// Remembers what this node, as leader, just appended at `index`, and gives back what an earlier term of its own
    /// had there or beyond: this leader's log lacks those entries, so they were never committed.
    pub(super) fn push(&mut self, index: RaftIndex, term: u64, waiting: T) -> Vec<T> {
        let keep = self.pending.partition_point(|pending| pending.index < index || pending.term == term);
        let displaced = self.pending.drain(keep..).map(|pending| pending.waiting).collect();
        debug_assert!(self.pending.back().is_none_or(|last| last.index <= index));
        self.pending.push_back(Pending { index, term, waiting });
        displaced
    }

    /// The entry at `index` of `term` is applied: every proposal whose fate this settles.
    pub(super) fn applied(&mut self, index: RaftIndex, term: u64) -> Vec<Fate<T>> {
        let mut settled = Vec::new();
        let is_settled = |first: &Pending<T>| first.index <= index || first.term < term;
        while self.pending.front().is_some_and(is_settled) {
            let Some(first) = self.pending.pop_front() else { break };
            let committed = first.index == index && first.term == term;
            settled.push(if committed {
                Fate::Committed(first.waiting)
            } else {
                Fate::Overwritten(first.waiting)
            });
        }
        settled
    }

    /// Gives all of them up: their fate is not to be learnt here (the group left this node, or a snapshot replaced
    /// the entries).
    pub(super) fn abandon(&mut self) -> Vec<T> {
        self.pending.drain(..).map(|pending| pending.waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposal_applied_in_its_term_is_committed() {
        let mut proposals = Proposals::new();
        proposals.push(RaftIndex(5), 2, 'a');
        proposals.push(RaftIndex(6), 2, 'b');
        assert_eq!(proposals.applied(RaftIndex(4), 1), []);
        assert_eq!(proposals.applied(RaftIndex(5), 2), [Fate::Committed('a')]);
        assert_eq!(proposals.applied(RaftIndex(6), 2), [Fate::Committed('b')]);
        assert!(proposals.abandon().is_empty());
    }

    #[test]
    fn a_proposal_whose_place_another_term_took_is_overwritten() {
        let mut proposals = Proposals::new();
        proposals.push(RaftIndex(5), 2, 'a');
        proposals.push(RaftIndex(6), 2, 'b');
        assert_eq!(proposals.push(RaftIndex(6), 3, 'c'), ['b'], "this leader's log lacks it");
        assert_eq!(proposals.applied(RaftIndex(5), 3), [Fate::Overwritten('a')]);
        assert_eq!(proposals.applied(RaftIndex(6), 3), [Fate::Committed('c')]);
    }

    #[test]
    fn a_later_term_overwrites_what_was_proposed_beyond_it() {
        let mut proposals = Proposals::new();
        for (index, name) in [(5, 'a'), (6, 'b'), (7, 'c')] {
            proposals.push(RaftIndex(index), 2, name);
        }
        assert_eq!(proposals.applied(RaftIndex(5), 2), [Fate::Committed('a')]);
        assert_eq!(proposals.applied(RaftIndex(6), 3), [Fate::Overwritten('b'), Fate::Overwritten('c')]);
    }

    #[test]
    fn a_later_term_never_waits_behind_entries_it_displaced() {
        let mut proposals = Proposals::new();
        for (index, name) in [(5, 'a'), (6, 'b'), (7, 'c')] {
            proposals.push(RaftIndex(index), 2, name);
        }
        assert_eq!(proposals.push(RaftIndex(6), 4, 'd'), ['b', 'c']);
        assert_eq!(proposals.applied(RaftIndex(5), 2), [Fate::Committed('a')]);
        assert_eq!(proposals.applied(RaftIndex(6), 4), [Fate::Committed('d')]);
    }

    #[test]
    fn several_answers_may_wait_on_one_entry() {
        let mut proposals = Proposals::new();
        proposals.push(RaftIndex(5), 2, 'a');
        proposals.push(RaftIndex(5), 2, 'b');
        assert_eq!(proposals.applied(RaftIndex(5), 2), [Fate::Committed('a'), Fate::Committed('b')]);
    }
}
