//! If two logs have an entry of the same index and term, they are the same up to there (Raft, figure 3). It is enough
//! that such entries hold the same and follow entries of the same term: the rest is induction.

use std::collections::BTreeMap;

use super::Invariant;
use crate::ids::RaftGroupId;
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct LogMatching {
    entries: BTreeMap<(RaftGroupId, u64, u64), Known>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Known {
    payload: u32,
    /// The term of the entry before. Not known where that was compacted away.
    after: Option<u64>,
}

impl Invariant for LogMatching {
    fn name(&self) -> &'static str {
        "logs match"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Written { node, group, entry, after } = seen else { return Ok(()) };
        let written = Known { payload: crc32c::crc32c(&entry.data), after: *after };
        let known = self.entries.entry((*group, entry.index, entry.term)).or_insert(written);
        let follows_another = known.after.zip(written.after).is_some_and(|(one, other)| one != other);
        if known.payload != written.payload || follows_another {
            let (index, term) = (entry.index, entry.term);
            return Err(format!("on node {node}, {group} has another entry at {index}/{term}, or before it"));
        }
        Ok(())
    }
}
