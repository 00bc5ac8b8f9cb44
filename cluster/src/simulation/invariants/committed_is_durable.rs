//! What is committed is on the disks of a majority, for certain: synced, and not merely written. This is what an
//! acknowledgement promises.

use std::collections::BTreeMap;

use super::Invariant;
use crate::ids::{NodeId, RaftGroupId, RaftIndex};
use crate::simulation::observation::{LogTerms, Observation};

#[derive(Default)]
pub(super) struct CommittedIsDurable {
    durable: BTreeMap<(RaftGroupId, NodeId), LogTerms>,
    committed: BTreeMap<RaftGroupId, u64>,
}

impl Invariant for CommittedIsDurable {
    fn name(&self) -> &'static str {
        "what is committed is durable"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Durable { node, group, log } => {
                self.durable.insert((*group, *node), (*log).clone());
                Ok(())
            }
            Observation::Applied { group, voters, entry, .. } => {
                let committed = self.committed.entry(*group).or_default();
                if entry.index <= *committed {
                    return Ok(());
                }
                *committed = entry.index;
                let holds = |voter: &&NodeId| {
                    let log = self.durable.get(&(*group, **voter));
                    log.is_some_and(|log| log.holds(RaftIndex(entry.index), entry.term))
                };
                let holding = voters.iter().filter(holds).count();
                if holding > voters.len() / 2 {
                    return Ok(());
                }
                let (index, term, all) = (entry.index, entry.term, voters.len());
                Err(format!("entry {index}/{term} of {group} is applied and on {holding} of {all} disks"))
            }
            _ => Ok(()),
        }
    }
}
