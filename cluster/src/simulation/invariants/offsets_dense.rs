//! Offsets are counted without a gap and without an overlap, and the leader's stamps are right: a batch begins where the
//! one before it ended, in the epoch of the leader whose entry it came in.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::ids::{Offset, RaftGroupId};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct OffsetsDense {
    /// The last entry that was looked at, and the offset that comes next.
    ends: BTreeMap<RaftGroupId, (u64, Offset)>,
}

impl Invariant for OffsetsDense {
    fn name(&self) -> &'static str {
        "offsets are dense"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Applied { node, group, entry, batches, .. } = seen else { return Ok(()) };
        let (index, end) = self.ends.entry(*group).or_insert((0, Offset(0)));
        if entry.index <= *index {
            return Ok(());
        }
        *index = entry.index;
        for batch in *batches {
            if batch.base_offset != *end || u64::try_from(batch.epoch.0) != Ok(entry.term) {
                return Err(format!(
                    "on node {node}, {group} has a batch at {} of epoch {} in entry {}/{}, where {end} comes next",
                    batch.base_offset, batch.epoch.0, entry.index, entry.term
                ));
            }
            *end = batch.last_offset.plus(1);
        }
        Ok(())
    }

    fn lose(&mut self, lost: Lost) {
        if let Some((index, end)) = self.ends.get_mut(&lost.group).filter(|(index, _)| *index >= lost.from.0)
        {
            (*index, *end) = (lost.from.0 - 1, lost.offset);
        }
    }
}
