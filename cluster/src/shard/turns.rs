//! Which groups have something to do, and whose turn it is.
//!
//! A node has thousands of groups, and one event may give all of them work: an election after a peer's loss, a topic of ten
//! thousand partitions. Each has its turn in a bounded round, one after the other. But a group that a client waits for must not
//! stand behind all of them, at each step of its commit. So such groups have a lane of their own, and every second turn.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::ids::RaftGroupId;

/// Groups in a circle.
#[derive(Default)]
struct Lane {
    groups: BTreeSet<RaftGroupId>,
    /// The one that had its turn last.
    last: Option<RaftGroupId>,
}

impl Lane {
    fn next(&mut self) -> Option<RaftGroupId> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.groups.range((after, Bound::Unbounded)).next();
        let id = *next.or_else(|| self.groups.first())?;
        self.groups.remove(&id);
        self.last = Some(id);
        Some(id)
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Turns {
    /// All that have something to do.
    all: Lane,
    /// Those among them that a client waits for.
    waited_for: Lane,
    /// The turn before this one was of a group that a client waits for.
    was_waited_for: bool,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.all.groups.is_empty()
    }

    pub(super) fn insert(&mut self, id: RaftGroupId) {
        self.all.groups.insert(id);
    }

    /// The group has something to do that a client waits for.
    pub(super) fn hurry(&mut self, id: RaftGroupId) {
        self.all.groups.insert(id);
        self.waited_for.groups.insert(id);
    }

    /// The group has something to do, and a client may wait for it.
    pub(super) fn insert_as(&mut self, id: RaftGroupId, is_waited_for: bool) {
        if is_waited_for {
            self.hurry(id);
        } else {
            self.insert(id);
        }
    }

    pub(super) fn extend(&mut self, ids: impl IntoIterator<Item = RaftGroupId>) {
        self.all.groups.extend(ids);
    }

    pub(super) fn remove(&mut self, id: RaftGroupId) {
        self.all.groups.remove(&id);
        self.waited_for.groups.remove(&id);
    }

    /// The group whose turn it is. It has nothing more to do, as far as is known.
    pub(super) fn next(&mut self) -> Option<RaftGroupId> {
        self.was_waited_for = !self.was_waited_for;
        let hurried = if self.was_waited_for { self.waited_for.next() } else { None };
        let id = hurried.or_else(|| self.all.next())?;
        self.remove(id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(turns: &mut Turns, count: usize) -> Vec<u64> {
        std::iter::from_fn(|| turns.next()).take(count).map(|id| id.0).collect()
    }

    #[test]
    fn groups_take_turns_in_a_circle() {
        let mut turns = Turns::default();
        turns.extend([1, 2, 3].map(RaftGroupId));
        assert_eq!(taken(&mut turns, 2), [1, 2]);
        turns.extend([1, 2].map(RaftGroupId));
        assert_eq!(taken(&mut turns, 9), [3, 1, 2]);
        assert!(turns.is_empty());
    }

    #[test]
    fn who_is_waited_for_has_every_second_turn() {
        let mut turns = Turns::default();
        turns.extend((1..=6).map(RaftGroupId));
        turns.hurry(RaftGroupId(5));
        turns.hurry(RaftGroupId(9));
        assert_eq!(taken(&mut turns, 4), [5, 1, 9, 2]);
        turns.hurry(RaftGroupId(5));
        turns.remove(RaftGroupId(5));
        assert_eq!(taken(&mut turns, 9), [3, 4, 6]);
    }
}
