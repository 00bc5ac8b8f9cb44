//! All replicas apply the same entries and come to the same state, whether they apply them for the first time, again
//! after a restart, or skip them with a snapshot. Applying is a function of state and entry, and nothing else.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::ids::{NodeId, RaftGroupId};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct AppliedAlike {
    entries: BTreeMap<(RaftGroupId, u64), (NodeId, u64, u32)>,
    states: BTreeMap<(RaftGroupId, u64), (NodeId, u32)>,
}

impl Invariant for AppliedAlike {
    fn name(&self) -> &'static str {
        "replicas apply alike"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Applied { node, group, entry, .. } => {
                let digest = crc32c::crc32c(&entry.data);
                let applied = (*node, entry.term, digest);
                let (other, term, known) = *self.entries.entry((*group, entry.index)).or_insert(applied);
                if (term, known) == (entry.term, digest) {
                    return Ok(());
                }
                let index = entry.index;
                Err(format!("at {index} of {group}, nodes {node} and {other} apply different entries"))
            }
            Observation::State { node, group, index, state, .. } => {
                let digest = crc32c::crc32c(state);
                let (other, known) = *self.states.entry((*group, index.0)).or_insert((*node, digest));
                if known == digest {
                    return Ok(());
                }
                Err(format!(
                    "with {index} of {group} applied, nodes {node} and {other} differ in their state"
                ))
            }
            _ => Ok(()),
        }
    }

    fn lose(&mut self, lost: Lost) {
        let stays = |(group, index): &(RaftGroupId, u64)| *group != lost.group || *index < lost.from.0;
        self.entries.retain(|at, _| stays(at));
        self.states.retain(|at, _| stays(at));
    }
}
