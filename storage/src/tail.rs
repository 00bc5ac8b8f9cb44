//! The newest entries of all groups, kept in memory.
//!
//! A leader reads an entry again a moment after it wrote it: to send it to the followers, to apply it, to hand it to
//! the consumers that keep up. All of them find it here and never touch the store.
//!
//! One budget of bytes holds for the whole node, and the entries that came first go first, whichever group they belong
//! to. So a thousand idle groups keep nothing, and one busy group may use it all.
//!
//! **Invariant:** what is kept of a group is consecutive. Entries leave at the front (too old, compacted) or at the
//! back (truncated by a new leader), never in between.
//!
//! The cache counts the bytes of each entry's payload. A payload that is a slice of a larger buffer keeps all of that
//! buffer alive; who receives entries in frames shall keep the frames bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::entry::LogEntry;
use crate::ids::{RaftGroupId, RaftIndex};

/// Recent entries of all groups. Clones share one cache.
#[derive(Clone, Debug)]
pub struct TailCache {
    tails: Arc<Mutex<Tails>>,
}

impl TailCache {
    /// What a node keeps unless told otherwise: 32 MiB.
    pub const DEFAULT_BUDGET_BYTES: usize = 32 * 1024 * 1024;

    /// An empty cache that keeps up to `budget_bytes`.
    #[must_use]
    pub fn new(budget_bytes: usize) -> Self {
        Self { tails: Arc::new(Mutex::new(Tails { budget_bytes, ..Tails::default() })) }
    }

    /// The entry at `index`, if it is kept.
    #[must_use]
    pub fn get(&self, group: RaftGroupId, index: RaftIndex) -> Option<LogEntry> {
        let tails = self.lock();
        let tail = tails.groups.get(&group)?;
        tail.position(index).map(|at| tail.entries[at].entry.clone())
    }

    /// The entries from `from` up to but not including `end`, as many as fit into `max_bytes`, at least one; none when
    /// the one at `from` is not kept.
    #[must_use]
    pub fn range(
        &self,
        group: RaftGroupId,
        from: RaftIndex,
        end: RaftIndex,
        max_bytes: usize,
    ) -> Vec<LogEntry> {
        let tails = self.lock();
        let Some((tail, at)) = tails.groups.get(&group).and_then(|tail| Some((tail, tail.position(from)?)))
        else {
            return Vec::new();
        };
        let mut bytes = 0;
        tail.entries
            .range(at..)
            .map(|kept| &kept.entry)
            .take_while(|entry| {
                let first = bytes == 0;
                bytes += entry.size_bytes();
                entry.index < end && (first || bytes <= max_bytes)
            })
            .cloned()
            .collect()
    }

    /// The first entry that is kept of `group`: its index and term.
    pub(crate) fn first(&self, group: RaftGroupId) -> Option<(RaftIndex, u64)> {
        let tails = self.lock();
        let first = tails.groups.get(&group)?.entries.front()?;
        Some((first.entry.index, first.entry.term))
    }

    /// Adds entries to the end of a group's tail, over any that had their index or a higher one.
    pub(crate) fn append(&self, group: RaftGroupId, entries: impl IntoIterator<Item = LogEntry>) {
        let mut tails = self.lock();
        for entry in entries {
            tails.push(group, entry);
        }
        tails.evict();
    }

    /// Drops the entries up to and including `up_to`.
    pub(crate) fn compact(&self, group: RaftGroupId, up_to: RaftIndex) {
        self.lock().drop_front(group, |kept| kept.entry.index <= up_to);
    }

    /// Drops everything of a group that is deleted or leaves this node.
    pub fn forget(&self, group: RaftGroupId) {
        self.lock().drop_front(group, |_| true);
    }

    /// The bytes kept at the moment.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Locks the cache. A thread that panicked in here left nothing half done that could mislead the others.
    fn lock(&self) -> MutexGuard<'_, Tails> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cache behind its lock.
#[derive(Debug, Default)]
struct Tails {
    groups: HashMap<RaftGroupId, Tail>,
    /// Who came in which order. An arrival whose entry is gone is skipped when its turn comes.
    arrivals: VecDeque<Arrival>,
    next_arrival: u64,
    live_entries: usize,
    bytes: usize,
    budget_bytes: usize,
}

/// One group's entries, in order.
#[derive(Debug, Default)]
struct Tail {
    entries: VecDeque<Kept>,
}

/// An entry and the number of its arrival.
#[derive(Debug)]
struct Kept {
    arrival: u64,
    entry: LogEntry,
}

/// That an entry of a group came as number `arrival`.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    arrival: u64,
    group: RaftGroupId,
}

impl Tail {
    /// Where the entry at `index` stands.
    fn position(&self, index: RaftIndex) -> Option<usize> {
        let first = self.entries.front()?.entry.index;
        let at = usize::try_from(index.0.checked_sub(first.0)?).ok()?;
        (at < self.entries.len()).then_some(at)
    }
}

impl Tails {
    /// Arrivals whose entries are gone and that are kept all the same, before they are swept out.
    const SPARE_ARRIVALS: usize = 1024;

    /// Puts one entry at the end of its group's tail.
    fn push(&mut self, group: RaftGroupId, entry: LogEntry) {
        self.truncate(group, entry.index);
        let arrival = self.next_arrival;
        self.next_arrival += 1;
        self.bytes += entry.size_bytes();
        self.live_entries += 1;
        self.arrivals.push_back(Arrival { arrival, group });
        self.groups.entry(group).or_default().entries.push_back(Kept { arrival, entry });
    }

    /// Makes room for an entry at `next`: what has its index or a higher one goes, and all of it does when it would
    /// leave a gap.
    fn truncate(&mut self, group: RaftGroupId, next: RaftIndex) {
        let Some(tail) = self.groups.get_mut(&group) else { return };
        while let Some(last) = tail.entries.back().map(|kept| &kept.entry) {
            if last.index.next() == next {
                return;
            }
            self.bytes -= last.size_bytes();
            self.live_entries -= 1;
            tail.entries.pop_back();
        }
    }

    /// Drops entries from the front of a group's tail while `goes` says so.
    fn drop_front(&mut self, group: RaftGroupId, goes: impl Fn(&Kept) -> bool) {
        let Some(tail) = self.groups.get_mut(&group) else { return };
        while tail.entries.front().is_some_and(&goes) {
            let Some(kept) = tail.entries.pop_front() else { break };
            self.bytes -= kept.entry.size_bytes();
            self.live_entries -= 1;
        }
        if tail.entries.is_empty() {
            self.groups.remove(&group);
        }
    }

    /// Drops the oldest entries until the rest fits, and the arrivals of those that went another way.
    fn evict(&mut self) {
        while self.bytes > self.budget_bytes {
            let Some(oldest) = self.arrivals.pop_front() else { break };
            let tail = self.groups.get(&oldest.group);
            let is_first = |kept: &Kept| kept.arrival == oldest.arrival;
            if tail.and_then(|tail| tail.entries.front()).is_some_and(is_first) {
                self.drop_front(oldest.group, is_first);
            }
        }
        if self.arrivals.len() > 2 * self.live_entries + Self::SPARE_ARRIVALS {
            let groups = &self.groups;
            self.arrivals.retain(|one| {
                groups.get(&one.group).is_some_and(|tail| {
                    tail.entries.binary_search_by_key(&one.arrival, |kept| kept.arrival).is_ok()
                })
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use raft::eraftpb::EntryType;

    use super::*;

    const GROUP: RaftGroupId = RaftGroupId(1);

    fn entry(index: u64, term: u64, payload: usize) -> LogEntry {
        LogEntry {
            index: RaftIndex(index),
            term,
            entry_type: EntryType::EntryNormal,
            context: Bytes::new(),
            payload: vec![0; payload].into(),
        }
    }

    fn kept(tail: &TailCache, group: RaftGroupId) -> Vec<(u64, u64)> {
        let Some((first, _)) = tail.first(group) else { return Vec::new() };
        let entries = tail.range(group, first, RaftIndex(u64::MAX), usize::MAX);
        entries.iter().map(|entry| (entry.index.0, entry.term)).collect()
    }

    #[test]
    fn new_entries_replace_those_they_conflict_with() {
        let tail = TailCache::new(usize::MAX);
        tail.append(GROUP, (1..=5).map(|index| entry(index, 1, 10)));
        tail.append(GROUP, [entry(4, 2, 10)]);
        assert_eq!(kept(&tail, GROUP), [(1, 1), (2, 1), (3, 1), (4, 2)]);
        tail.append(GROUP, [entry(9, 3, 10)]);
        assert_eq!(kept(&tail, GROUP), [(9, 3)], "a gap empties the tail");
        tail.append(GROUP, [entry(2, 4, 10)]);
        assert_eq!(kept(&tail, GROUP), [(2, 4)]);
    }

    #[test]
    fn the_oldest_entries_of_all_groups_go_first() {
        let one = entry(1, 1, 100).size_bytes();
        let tail = TailCache::new(3 * one);
        let other = RaftGroupId(2);
        tail.append(GROUP, [entry(1, 1, 100)]);
        tail.append(other, [entry(7, 1, 100), entry(8, 1, 100)]);
        tail.append(GROUP, [entry(2, 1, 100)]);
        assert_eq!(kept(&tail, GROUP), [(2, 1)]);
        assert_eq!(kept(&tail, other), [(7, 1), (8, 1)]);
        tail.append(GROUP, [entry(3, 1, 100)]);
        assert_eq!(kept(&tail, other), [(8, 1)]);
        assert_eq!(tail.len_bytes(), 3 * one);
    }

    #[test]
    fn an_entry_larger_than_the_budget_is_not_kept() {
        let tail = TailCache::new(100);
        tail.append(GROUP, [entry(1, 1, 1000)]);
        assert_eq!(tail.get(GROUP, RaftIndex(1)), None);
        assert_eq!(tail.len_bytes(), 0);
    }

    #[test]
    fn a_range_is_bounded_by_bytes_but_gives_one() {
        let tail = TailCache::new(usize::MAX);
        tail.append(GROUP, (1..=5).map(|index| entry(index, 1, 100)));
        let indexes = |max| {
            let entries = tail.range(GROUP, RaftIndex(2), RaftIndex(5), max);
            entries.iter().map(|entry| entry.index.0).collect::<Vec<_>>()
        };
        assert_eq!(indexes(usize::MAX), [2, 3, 4]);
        assert_eq!(indexes(2 * entry(2, 1, 100).size_bytes()), [2, 3]);
        assert_eq!(indexes(0), [2]);
        assert!(tail.range(GROUP, RaftIndex(6), RaftIndex(9), 100).is_empty());
        assert!(tail.range(GROUP, RaftIndex(3), RaftIndex(3), 100).is_empty());
    }

    #[test]
    fn arrivals_of_truncated_entries_do_not_pile_up() {
        let tail = TailCache::new(usize::MAX);
        for term in 0..10_000 {
            tail.append(GROUP, [entry(1, term, 0)]);
        }
        assert!(tail.lock().arrivals.len() <= Tails::SPARE_ARRIVALS + 3);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append { group: u64, back: u64, count: u64, payload: usize },
        Compact { group: u64, up_to: u64 },
        Forget { group: u64 },
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..3_u64, 0..4_u64, 1..5_u64, 0..300_usize)
                .prop_map(|(group, back, count, payload)| Step::Append { group, back, count, payload }),
            2 => (0..3_u64, 0..60_u64).prop_map(|(group, up_to)| Step::Compact { group, up_to }),
            1 => (0..3_u64).prop_map(|group| Step::Forget { group }),
        ]
    }

    proptest! {
        /// Whatever happens, what is kept is a consecutive run that ends at the newest entry, and its bytes add up.
        #[test]
        fn what_is_kept_is_the_end_of_the_log(steps in prop::collection::vec(any_step(), 0..60)) {
            let tail = TailCache::new(2000);
            let mut last = [0_u64; 3];
            for (term, step) in (0_u64..).zip(steps) {
                match step {
                    Step::Append { group, back, count, payload } => {
                        let last = &mut last[usize::try_from(group).unwrap()];
                        let first = last.saturating_sub(back) + 1;
                        *last = first + count - 1;
                        tail.append(RaftGroupId(group), (first..=*last).map(|index| entry(index, term, payload)));
                    }
                    Step::Compact { group, up_to } => tail.compact(RaftGroupId(group), RaftIndex(up_to)),
                    Step::Forget { group } => tail.forget(RaftGroupId(group)),
                }
                let mut bytes = 0;
                for (group, last) in (0..).zip(last) {
                    let kept = kept(&tail, RaftGroupId(group));
                    prop_assert!(kept.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
                    prop_assert!(kept.last().is_none_or(|(index, _)| *index == last));
                    bytes += kept.iter().map(|(index, _)| {
                        tail.get(RaftGroupId(group), RaftIndex(*index)).unwrap().size_bytes()
                    }).sum::<usize>();
                }
                prop_assert_eq!(bytes, tail.len_bytes());
                prop_assert!(bytes <= 2000);
            }
        }
    }
}
