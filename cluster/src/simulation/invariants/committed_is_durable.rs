//! What is committed is on the disks of a majority, for certain: synced, and not merely written. This is what an
//! acknowledgement promises. A disk that was lost since counts as far as it went: what it held it had acknowledged, and the
//! leader may hear of that after it is gone. A deleted topic's entries need no disk: some replicas are removed while the leader
//! still applies what they acknowledged before.

use std::collections::{BTreeMap, BTreeSet};

use super::Invariant;
use super::losses::Lost;
use crate::ids::{NodeId, RaftGroupId, RaftIndex};
use crate::simulation::observation::{LogTerms, Observation};

#[derive(Default)]
pub(super) struct CommittedIsDurable {
    durable: BTreeMap<(RaftGroupId, NodeId), LogTerms>,
    lost: BTreeMap<(RaftGroupId, NodeId), Vec<LogTerms>>,
    committed: BTreeMap<RaftGroupId, u64>,
    removed: BTreeSet<RaftGroupId>,
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
            Observation::Wiped { node } | Observation::LostPower { node } => {
                let of_node = |(_, holder): &(RaftGroupId, NodeId)| holder == node;
                for (key, log) in self.durable.extract_if(.., |key, _| of_node(key)) {
                    self.lost.entry(key).or_default().push(log);
                }
                Ok(())
            }
            Observation::Removed { group } => {
                self.removed.insert(*group);
                Ok(())
            }
            Observation::Applied { group, .. } if self.removed.contains(group) => Ok(()),
            Observation::Applied { group, voters, entry, .. } => {
                let committed = self.committed.entry(*group).or_default();
                if entry.index <= *committed {
                    return Ok(());
                }
                *committed = entry.index;
                let holds = |voter: &&NodeId| {
                    let key = (*group, **voter);
                    let logs =
                        self.durable.get(&key).into_iter().chain(self.lost.get(&key).into_iter().flatten());
                    logs.into_iter().any(|log| log.holds(RaftIndex(entry.index), entry.term))
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

    fn lose(&mut self, lost: Lost) {
        if let Some(committed) = self.committed.get_mut(&lost.group) {
            *committed = (*committed).min(lost.from.0 - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::Entry;

    use super::*;

    #[test]
    fn an_entry_of_a_deleted_topic_is_on_no_disk_for_long() {
        let (group, nodes) = (RaftGroupId(11), [1, 2, 3].map(NodeId));
        let entry = Entry { index: 1, term: 1, ..Entry::default() };
        let (node, voters) = (NodeId(1), &nodes[..]);
        let applied = Observation::Applied { node, group, term: 1, voters, entry: &entry, batches: &[] };
        let (mut lasting, mut deleted) = (CommittedIsDurable::default(), CommittedIsDurable::default());
        assert!(lasting.observe(&applied).is_err());
        deleted.observe(&Observation::Removed { group }).unwrap();
        assert_eq!(deleted.observe(&applied), Ok(()));
    }
}
