//! In one term a group has at most one leader (Raft, figure 3). Everything else rests on it: what carries a term was
//! said by that one leader.

use std::collections::BTreeMap;

use super::Invariant;
use crate::ids::{NodeId, RaftGroupId};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct ElectionSafety {
    leaders: BTreeMap<(RaftGroupId, u64), NodeId>,
}

impl Invariant for ElectionSafety {
    fn name(&self) -> &'static str {
        "a term has one leader"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Elected { node, group, term, .. } = seen else { return Ok(()) };
        match self.leaders.insert((*group, *term), *node) {
            Some(other) if other != *node => {
                Err(format!("nodes {other} and {node} both led {group} in term {term}"))
            }
            _ => Ok(()),
        }
    }
}
