//! How long a replica waits for an election to have an outcome.
//!
//! Raft presupposes that an election takes less time than its timeouts. It takes four syncs one after the other, each of
//! which may take seconds where something else keeps the disks busy; then a candidate, or a voter, would lose patience
//! before the votes are on disk, begin another term, and so forth until the disks are at rest again. So each election
//! that had no outcome doubles the time that the next one gets.
//!
//! Elections are counted by their terms. Without a majority there are none, as nobody gets beyond the pre-vote, and time
//! goes on as always.

use super::Group;

/// The most that time is slowed down: to an election timeout of about half a minute.
const MAX_DOUBLINGS: u32 = 6;

/// The elections since there was a leader.
#[derive(Default)]
pub(super) struct Patience {
    /// The term of the last one, or of the last leader.
    term: u64,
    elections: u32,
    ticks: u64,
}

impl Patience {
    /// A tick in this term. Returns whether it counts.
    fn tick(&mut self, term: u64, led: bool) -> bool {
        if led {
            *self = Self { term, ..Self::default() };
            return true;
        }
        if term > self.term {
            self.term = term;
            self.elections = self.elections.saturating_add(1);
            self.ticks = 0;
        }
        self.ticks += 1;
        let doublings = self.elections.saturating_sub(1).min(MAX_DOUBLINGS);
        self.ticks.is_multiple_of(1 << doublings)
    }
}

impl Group {
    /// Lets a tick pass, unless time goes slower.
    pub(super) fn tick_patiently(&mut self) {
        let (term, led) = (self.term(), self.leader().is_some());
        if self.patience.tick(term, led) {
            self.node.tick();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 64 ticks count.
    fn counted(patience: &mut Patience, term: u64, led: bool) -> usize {
        (0..64).filter(|_| patience.tick(term, led)).count()
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
}
