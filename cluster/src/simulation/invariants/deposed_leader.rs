//! A leader that says so for certain was the leader when it was asked: nobody had been elected after it, and all that
//! had been acknowledged by then can be read from it. A deposed one may believe anything, but must not say it.

use std::collections::BTreeMap;

use super::Invariant;
use crate::ids::{LeaderEpoch, NodeId, Offset, RaftGroupId, Ticket};
use crate::simulation::call::{Answer, Call};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct DeposedLeader {
    newest_term: BTreeMap<RaftGroupId, u64>,
    /// One past the last offset that was acknowledged.
    acknowledged: BTreeMap<RaftGroupId, Offset>,
    shown: BTreeMap<(NodeId, RaftGroupId), (Option<LeaderEpoch>, Offset)>,
    asked: BTreeMap<Ticket, Asked>,
}

#[derive(Clone, Copy)]
struct Asked {
    newest_term: u64,
    acknowledged: Offset,
}

impl Invariant for DeposedLeader {
    fn name(&self) -> &'static str {
        "only a leader says that it leads"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Elected { group, term, .. } => {
                let newest = self.newest_term.entry(*group).or_default();
                *newest = (*newest).max(*term);
            }
            Observation::Shows { node, group, epoch, high_watermark } => {
                self.shown.insert((*node, *group), (*epoch, *high_watermark));
            }
            Observation::Called { ticket, call: Call::Confirm(group), .. } => {
                let asked = Asked {
                    newest_term: self.newest_term.get(group).copied().unwrap_or_default(),
                    acknowledged: self.acknowledged.get(group).copied().unwrap_or_default(),
                };
                self.asked.insert(*ticket, asked);
            }
            Observation::Answered { call, answer: Answer::Appended(Ok(appended)), .. } => {
                let Call::Append { group, batch, .. } = call else { return Ok(()) };
                let end = appended.base_offset.plus(i64::from(batch.header().last_offset_delta) + 1);
                let acknowledged = self.acknowledged.entry(*group).or_default();
                *acknowledged = end.max(*acknowledged);
            }
            Observation::Answered { node, ticket, call, answer: Answer::Confirmed(true) } => {
                let Call::Confirm(group) = call else { return Ok(()) };
                return self.check(*node, *ticket, *group);
            }
            _ => {}
        }
        Ok(())
    }
}

impl DeposedLeader {
    fn check(&self, node: NodeId, ticket: Ticket, group: RaftGroupId) -> Result<(), String> {
        let asked = self.asked[&ticket];
        let Some((epoch, shown)) = self.shown.get(&(node, group)).copied() else { return Ok(()) };
        let led_in = epoch.and_then(|epoch| u64::try_from(epoch.0).ok());
        if led_in.is_none_or(|term| term < asked.newest_term) {
            return Err(format!(
                "node {node} says that it leads {group}, in term {led_in:?}, and term {} had a leader",
                asked.newest_term
            ));
        }
        if shown < asked.acknowledged {
            return Err(format!(
                "node {node} says that it leads {group} and shows it up to {shown}, but {} was acknowledged",
                asked.acknowledged
            ));
        }
        Ok(())
    }
}
