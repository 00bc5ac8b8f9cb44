//! A batch is in its log once, however often an idempotent producer sent it (KIP-98).

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::ids::{Offset, RaftGroupId};
use crate::simulation::call::BatchName;
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct NoDuplicates {
    places: BTreeMap<(RaftGroupId, BatchName), Offset>,
}

impl Invariant for NoDuplicates {
    fn name(&self) -> &'static str {
        "no batch is in the log twice"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Applied { group, batches, .. } = seen else { return Ok(()) };
        for batch in *batches {
            let place = *self.places.entry((*group, batch.name)).or_insert(batch.base_offset);
            if place != batch.base_offset {
                let (name, again) = (batch.name.0, batch.base_offset);
                return Err(format!("{group} has batch {name} at {place} and at {again}"));
            }
        }
        Ok(())
    }

    fn lose(&mut self, lost: Lost) {
        self.places.retain(|(group, _), place| *group != lost.group || *place < lost.offset);
    }
}
