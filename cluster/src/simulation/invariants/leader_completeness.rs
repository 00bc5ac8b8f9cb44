//! A leader has every entry that was committed in an earlier term (Raft, figure 3). So whatever was acknowledged is in
//! the logs of all later leaders.
//!
//! An entry may be committed in a later term than its own. A stopped candidate may then receive the votes
//! of a term in between, and lead without the entry. No replica follows it any more, so it commits nothing.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::ids::{RaftGroupId, RaftIndex};
use crate::simulation::observation::Observation;

/// An entry that was committed.
#[derive(Clone, Copy)]
struct Committed {
    term: u64,
    /// The least term of a replica that applied it: it was committed in this one or before.
    in_term: u64,
}

#[derive(Default)]
pub(super) struct LeaderCompleteness {
    committed: BTreeMap<RaftGroupId, BTreeMap<u64, Committed>>,
}

impl Invariant for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "a leader has what was committed"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Applied { group, term, entry, .. } => {
                let seen = Committed { term: entry.term, in_term: *term };
                let known = self.committed.entry(*group).or_default().entry(entry.index).or_insert(seen);
                known.term = entry.term;
                known.in_term = known.in_term.min(*term);
                Ok(())
            }
            Observation::Elected { node, group, term, log, .. } => {
                let committed = self.committed.get(group).into_iter().flatten();
                let missing = committed
                    .filter(|(_, committed)| committed.in_term < *term)
                    .find(|(index, committed)| !log.holds(RaftIndex(**index), committed.term));
                missing.map_or(Ok(()), |(index, Committed { term: entry_term, in_term })| {
                    Err(format!(
                        "node {node} leads {group} in term {term} without entry {index}/{entry_term}, which was committed in term {in_term}"
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

#[cfg(test)]
mod tests {
    use raft::eraftpb::Entry;

    use super::*;
    use crate::ids::NodeId;
    use crate::simulation::observation::LogTerms;

    #[test]
    fn a_term_that_a_later_one_overtook_may_have_a_leader_without_what_that_committed() {
        let (group, nodes) = (RaftGroupId(3), [1, 2, 3].map(NodeId));
        let log = LogTerms { first: 1, terms: vec![1; 10] };
        let leads = |term| Observation::Elected { node: NodeId(1), group, term, voters: &nodes, log: &log };
        let entry = Entry { index: 11, term: 1, ..Entry::default() };
        let applied = |term| {
            let (node, voters) = (NodeId(3), &nodes[..]);
            Observation::Applied { node, group, term, voters, entry: &entry, batches: &[] }
        };
        let mut invariant = LeaderCompleteness::default();
        invariant.observe(&applied(3)).unwrap();
        assert_eq!(invariant.observe(&leads(2)), Ok(()));
        assert!(invariant.observe(&leads(4)).is_err());
        invariant.observe(&applied(1)).unwrap();
        assert!(invariant.observe(&leads(2)).is_err());
    }
}
