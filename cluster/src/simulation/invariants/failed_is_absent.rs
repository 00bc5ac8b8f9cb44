//! What a producer is told has failed is not in the log, then or later. A producer that is told "unknown" may find
//! either; one that is told "no" may send the same again as something new.

use std::collections::{BTreeMap, BTreeSet};

use super::Invariant;
use crate::ids::RaftGroupId;
use crate::shard::effects::AppendError;
use crate::simulation::call::{Answer, BatchName, Call, ReadBatch};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct FailedIsAbsent {
    /// How many attempts may have put a batch into the log: those not known to have failed.
    attempts: BTreeMap<(RaftGroupId, BatchName), usize>,
    applied: BTreeSet<(RaftGroupId, BatchName)>,
}

impl Invariant for FailedIsAbsent {
    fn name(&self) -> &'static str {
        "what failed is not in the log"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Called { call: Call::Append { group, batch, .. }, .. } => {
                let name = BatchName::of(batch.header());
                *self.attempts.entry((*group, name)).or_default() += 1;
                Ok(())
            }
            Observation::Answered {
                call: Call::Append { group, batch, .. },
                answer: Answer::Appended(Err(error)),
                ..
            } if !matches!(error, AppendError::Unknown) => {
                let name = BatchName::of(batch.header());
                let attempts = self.attempts.entry((*group, name)).or_default();
                *attempts -= 1;
                if *attempts == 0 && self.applied.contains(&(*group, name)) {
                    return Err(format!("batch {} of {group} failed, but is in the log", name.0));
                }
                Ok(())
            }
            Observation::Applied { group, batches, .. } => {
                for ReadBatch { name, base_offset, .. } in batches.iter().copied() {
                    self.applied.insert((*group, name));
                    if self.attempts.get(&(*group, name)).is_none_or(|attempts| *attempts == 0) {
                        return Err(format!("{group} has batch {} at {base_offset}, which failed", name.0));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
