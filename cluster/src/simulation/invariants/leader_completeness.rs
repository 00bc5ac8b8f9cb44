//! A leader has every entry that was committed in an earlier term (Raft, figure 3). So whatever was acknowledged is in
//! the logs of all later leaders.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::ids::{RaftGroupId, RaftIndex};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct LeaderCompleteness {
    committed: BTreeMap<RaftGroupId, BTreeMap<u64, u64>>,
}

impl Invariant for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "a leader has what was committed"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Applied { group, entry, .. } => {
                self.committed.entry(*group).or_default().insert(entry.index, entry.term);
                Ok(())
            }
            Observation::Elected { node, group, term, log, .. } => {
                let committed = self.committed.get(group).into_iter().flatten();
                let missing = committed
                    .filter(|(_, entry_term)| *entry_term < term)
                    .find(|(index, entry_term)| !log.holds(RaftIndex(**index), **entry_term));
                missing.map_or(Ok(()), |(index, entry_term)| {
                    Err(format!(
                        "node {node} leads {group} in term {term} without entry {index}/{entry_term}"
                    ))
                })
            }
            _ => Ok(()),
        }
    }

    fn lose(&mut self, lost: Lost) {
        if let Some(committed) = self.committed.get_mut(&lost.group) {
            committed.split_off(&lost.from.0);
        }
    }
}
