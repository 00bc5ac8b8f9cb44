//! An idempotent producer's batches are in a log in the order in which it made them, whatever was refused or sent again
//! on the way (KIP-98).

use std::collections::{BTreeMap, HashMap};

use super::Invariant;
use super::losses::Lost;
use crate::ids::{Offset, ProducerId, RaftGroupId};
use crate::simulation::call::BatchName;
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct SentInOrder {
    /// Names rise with the order in which a producer makes its batches.
    logs: HashMap<(RaftGroupId, ProducerId), BTreeMap<Offset, BatchName>>,
}

impl Invariant for SentInOrder {
    fn name(&self) -> &'static str {
        "batches are in the log in the order in which they were made"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Applied { group, batches, .. } = seen else { return Ok(()) };
        for batch in *batches {
            let Some(producer) = batch.producer else { continue };
            let log = self.logs.entry((*group, producer)).or_default();
            log.insert(batch.base_offset, batch.name);
            let before = log.range(..batch.base_offset).next_back();
            let after = log.range(batch.base_offset.plus(1)..).next();
            let overtaken = before.filter(|(_, name)| **name > batch.name);
            if let Some((offset, name)) = overtaken.or(after.filter(|(_, name)| **name < batch.name)) {
                let (at, this, name) = (batch.base_offset, batch.name.0, name.0);
                return Err(format!("{group} has batch {this} at {at} and batch {name} at {offset}"));
            }
        }
        Ok(())
    }

    fn lose(&mut self, lost: Lost) {
        for (_, log) in self.logs.iter_mut().filter(|((group, _), _)| *group == lost.group) {
            log.split_off(&lost.offset);
        }
    }
}
