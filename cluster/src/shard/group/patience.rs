//! How long a replica waits for an election to have an outcome.
//!
//! Raft presupposes that an election takes less time than its timeouts. It takes four syncs one after the other, each of
//! which may take seconds where something else keeps the disks busy; then a candidate, or a voter, would lose patience
//! before the votes are on disk, begin another term, and so forth until the disks are at rest again. So each election
//! that had no outcome doubles the time that the next one gets.
//!
//! An outcome is an entry of the new leader that is committed. A leader that was elected and no more than that may lose its
//! followers again before the disks have taken that entry, and the time in which it has to hear from them grows as well.
//!
//! Elections are counted by their terms. Without a majority there are none, as nobody gets beyond the pre-vote, and time
//! goes on as always.
//!
//! Where it is known that a node is slow, time is slow from the start ([`Leaving::hardship`](super::super::leaving::Leaving::hardship)).
//! Not so for a quick node between a leader that has stepped down and the next election: its pre-vote waits for no disk. If it stood
//! later, a node that does not know that it is slow could stand before it.

use super::Group;
use crate::shard::leaving::NEEDS_SLOW;

/// The most that time is slowed down: to an election timeout of about half a minute.
const MAX_DOUBLINGS: u32 = 6;

/// The elections since a leader last committed something.
#[derive(Default)]
pub(super) struct Patience {
    /// The term of the last one, or of that leader.
    term: u64,
    elections: u32,
    ticks: u64,
}

impl Patience {
    /// Whether it is known that a leader committed something in this term.
    const fn is_settled(&self, term: u64) -> bool {
        self.term == term && self.elections == 0
    }

    /// The hardship that counts: none to a quick node while a leader is gone and nobody was elected after it.
    const fn hardship(&self, term: u64, has_leader: bool, hardship: u32) -> u32 {
        let is_vacant = !has_leader && self.is_settled(term);
        if is_vacant && hardship == NEEDS_SLOW { 0 } else { hardship }
    }

    /// A tick in this term, in which a leader has committed something or not yet. Returns whether it counts. In hardship
    /// at most one of `2^hardship` does.
    fn tick(&mut self, term: u64, is_settled: bool, hardship: u32) -> bool {
        if is_settled {
            *self = Self { term, ticks: self.ticks, ..Self::default() };
        } else if term > self.term {
            self.term = term;
            self.elections = self.elections.saturating_add(1);
            self.ticks = 0;
        }
        self.ticks = self.ticks.wrapping_add(1);
        let doublings = self.elections.saturating_sub(1).max(hardship).min(MAX_DOUBLINGS);
        self.ticks.is_multiple_of(1 << doublings)
    }
}

impl Group {
    /// Lets a tick pass, unless time goes slower. A leader's heartbeats keep their pace: its followers need not know why it is
    /// patient.
    pub(super) fn tick_patiently(&mut self, hardship: u32) {
        let term = self.term();
        // A look at the log costs too much for every tick.
        let has_committed = || self.patience.is_settled(term) || self.has_committed_in_term();
        let is_settled = self.leader().is_some() && has_committed();
        let hardship = self.patience.hardship(term, self.leader().is_some(), hardship);
        let counts = self.patience.tick(term, is_settled, hardship);
        if !counts && self.is_leader() {
            let raft = &mut self.node.raft;
            raft.election_elapsed = raft.election_elapsed.saturating_sub(1);
        }
        if counts || self.is_leader() {
            self.node.tick();
        }
    }

    /// Whether this replica knows of an entry of its term that is committed.
    fn has_committed_in_term(&self) -> bool {
        let log = &self.node.raft.raft_log;
        log.term(log.committed).is_ok_and(|term| term == self.term())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 64 ticks count.
    fn counted(patience: &mut Patience, term: u64, is_settled: bool) -> usize {
        (0..64).filter(|_| patience.tick(term, is_settled, 0)).count()
    }

    #[test]
    fn time_slows_down_with_each_election_until_there_is_a_leader() {
        let mut patience = Patience::default();
        assert_eq!(counted(&mut patience, 1, true), 64);
        assert_eq!(counted(&mut patience, 1, false), 64, "no election yet, for want of a majority");
        let slower: Vec<usize> = (2..10).map(|term| counted(&mut patience, term, false)).collect();
        assert_eq!(slower, [64, 32, 16, 8, 4, 2, 1, 1]);
        assert_eq!(counted(&mut patience, 10, true), 64);
        assert_eq!(counted(&mut patience, 11, false), 64);
    }

    #[test]
    fn time_is_slow_in_hardship_and_slower_after_many_elections() {
        let mut patience = Patience::default();
        let mut counted = |term, is_settled| (0..64).filter(|_| patience.tick(term, is_settled, 3)).count();
        assert_eq!(counted(1, true), 8, "a leader has more time to hear from its followers");
        let slower: Vec<usize> = (2..8).map(|term| counted(term, false)).collect();
        assert_eq!(slower, [8, 8, 8, 8, 4, 2]);
        assert_eq!(counted(8, true), 8);
    }

    #[test]
    fn a_quick_node_stands_as_usual_after_a_leader_that_has_stepped_down() {
        let mut patience = Patience::default();
        patience.tick(1, true, NEEDS_SLOW);
        assert_eq!(patience.hardship(1, true, NEEDS_SLOW), NEEDS_SLOW);
        assert_eq!(patience.hardship(1, false, NEEDS_SLOW), 0);
        assert_eq!(patience.hardship(1, false, NEEDS_SLOW + 1), NEEDS_SLOW + 1, "a slow one does not");
        patience.tick(2, false, NEEDS_SLOW);
        assert_eq!(patience.hardship(2, false, NEEDS_SLOW), NEEDS_SLOW, "an election is under way");
    }
}
