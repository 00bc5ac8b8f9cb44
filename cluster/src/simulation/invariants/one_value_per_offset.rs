//! An offset holds one record, whoever reads it, wherever and whenever. And a reader gets what it asked for: from its
//! offset on, without a gap, and nothing beyond the high watermark.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::ids::{Offset, RaftGroupId};
use crate::simulation::call::ReadBatch;
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct OneValuePerOffset {
    read: BTreeMap<(RaftGroupId, Offset), ReadBatch>,
}

impl Invariant for OneValuePerOffset {
    fn name(&self) -> &'static str {
        "an offset has one value"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Read { node, group, from, fetched } = seen else { return Ok(()) };
        let mut next = *from;
        for batch in &fetched.batches {
            // Only the first batch may begin before what was asked for.
            let follows = batch.base_offset == next || next == *from && batch.base_offset < next;
            if !follows || batch.last_offset < next || batch.last_offset >= fetched.high_watermark {
                return Err(format!("node {node} gave {batch:?} of {group} where {next} comes next"));
            }
            next = batch.last_offset.plus(1);
            let known = *self.read.entry((*group, batch.base_offset)).or_insert(*batch);
            if known != *batch {
                return Err(format!("node {node} gave {batch:?} of {group}, and {known:?} was read before"));
            }
        }
        Ok(())
    }

    fn lose(&mut self, lost: Lost) {
        self.read.retain(|(group, offset), _| *group != lost.group || *offset < lost.offset);
    }
}
