//! What relaxed durability may lose, and nothing else: committed entries that a majority of their replicas held and lost with
//! the power of their machines (or with a disk). They are lost when a leader is elected without them. From there on another
//! history goes on in their place, and the other invariants are told so.
//!
//! Nothing may be lost that a replica still knows to be committed: a replica that applied it, and is there, would differ from
//! the others for good. That shows where replicas are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{NodeId, Offset, RaftGroupId, RaftIndex};
use crate::simulation::observation::{LogTerms, Observation};

#[derive(Default)]
pub(super) struct Losses {
    groups: BTreeMap<RaftGroupId, Known>,
}

#[derive(Default)]
struct Known {
    /// The term of each entry that was committed.
    committed: BTreeMap<u64, u64>,
    /// The offset that comes after each of them.
    ends: BTreeMap<u64, Offset>,
    /// Who held an entry of this index and term, and does no more.
    forgotten: BTreeMap<(u64, u64), BTreeSet<NodeId>>,
}

/// The first entry of a group that is lost, and the first offset.
#[derive(Clone, Copy)]
pub(in crate::simulation) struct Lost {
    pub(in crate::simulation) group: RaftGroupId,
    pub(in crate::simulation) from: RaftIndex,
    pub(in crate::simulation) offset: Offset,
}

impl Losses {
    /// Looks at what happened, and says what is lost by it, and may be.
    pub(super) fn observe(&mut self, seen: &Observation<'_>) -> Option<Lost> {
        match *seen {
            Observation::Forgotten { node, group, index, term } => {
                let known = self.groups.entry(group).or_default();
                known.forgotten.entry((index.0, term)).or_default().insert(node);
            }
            Observation::Written { node, group, entry, .. } => {
                let known = self.groups.entry(group).or_default();
                if let Some(forgotten) = known.forgotten.get_mut(&(entry.index, entry.term)) {
                    forgotten.remove(&node);
                }
            }
            Observation::Applied { group, entry, batches, .. } => {
                let known = self.groups.entry(group).or_default();
                known.committed.insert(entry.index, entry.term);
                let before = known.ends.range(..entry.index).next_back().map(|(_, end)| *end);
                let end = batches.last().map(|batch| batch.last_offset.plus(1)).or(before);
                known.ends.insert(entry.index, end.unwrap_or_default());
            }
            Observation::Elected { group, term, voters, log, .. } => {
                let known = self.groups.entry(group).or_default();
                return known.lost(term, voters, log).map(|(from, offset)| Lost { group, from, offset });
            }
            _ => {}
        }
        None
    }
}

impl Known {
    /// What the leader of a term lacks, if all of it may be lost.
    fn lost(&mut self, term: u64, voters: &[NodeId], log: &LogTerms) -> Option<(RaftIndex, Offset)> {
        let missing: Vec<(u64, u64)> = self
            .committed
            .iter()
            .map(|(index, of)| (*index, *of))
            .filter(|(index, of)| *of < term && !log.holds(RaftIndex(*index), *of))
            .collect();
        let first = missing.first()?.0;
        let may_be = |entry| self.forgotten.get(entry).is_some_and(|by| by.len() > voters.len() / 2);
        if !missing.iter().all(may_be) {
            return None;
        }
        self.committed.split_off(&first);
        self.ends.split_off(&first);
        let offset = self.ends.last_key_value().map(|(_, end)| *end);
        Some((RaftIndex(first), offset.unwrap_or_default()))
    }
}
