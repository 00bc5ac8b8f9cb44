//! A leader that answers for certain was the leader when it was asked: nobody had been elected after it, and all that
//! had been acknowledged by then can be read from it. A deposed one may believe anything, but must not say it.
//!
//! A reader is told of everything that had been acknowledged when it asked; so reads at the leader are linearizable with
//! writes. An acknowledged batch is left out: that a batch is in the log stays true, whoever says it.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::ids::{NodeId, Offset, RaftGroupId, Ticket};
use crate::shard::effects::{AppendError, DeleteRecordsError};
use crate::simulation::call::{Answer, Call};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct DeposedLeader {
    newest_term: BTreeMap<RaftGroupId, u64>,
    /// The last term in which a node was elected.
    led: BTreeMap<(NodeId, RaftGroupId), u64>,
    /// One past the last offset that was acknowledged.
    acknowledged: BTreeMap<RaftGroupId, Offset>,
    shown: BTreeMap<(NodeId, RaftGroupId), Offset>,
    asked: BTreeMap<Ticket, Asked>,
}

/// What was true when something was asked.
#[derive(Clone, Copy)]
struct Asked {
    newest_term: u64,
    acknowledged: Offset,
}

impl Invariant for DeposedLeader {
    fn name(&self) -> &'static str {
        "only a leader answers as one"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Elected { node, group, term, .. } => {
                self.led.insert((*node, *group), *term);
                let newest = self.newest_term.entry(*group).or_default();
                *newest = (*newest).max(*term);
            }
            Observation::Shows { node, group, high_watermark, .. } => {
                self.shown.insert((*node, *group), *high_watermark);
            }
            Observation::Called { ticket, call } => {
                if let Some(group) = group_of(call) {
                    let newest_term = self.newest_term.get(&group).copied().unwrap_or_default();
                    let acknowledged = self.acknowledged.get(&group).copied().unwrap_or_default();
                    self.asked.insert(*ticket, Asked { newest_term, acknowledged });
                }
            }
            Observation::Answered { node, ticket, call, answer } => {
                self.acknowledge(call, answer);
                let asked = self.asked.remove(ticket).zip(group_of(call)).filter(|_| is_for_certain(answer));
                let Some((asked, group)) = asked else { return Ok(()) };
                let shown = match answer {
                    Answer::Read(Some(fetched)) => fetched.high_watermark,
                    _ => self.shown.get(&(*node, group)).copied().unwrap_or_default(),
                };
                return self.check(*node, group, asked, shown);
            }
            _ => {}
        }
        Ok(())
    }

    fn lose(&mut self, lost: Lost) {
        if let Some(acknowledged) = self.acknowledged.get_mut(&lost.group) {
            *acknowledged = lost.offset.min(*acknowledged);
        }
        for asked in self.asked.values_mut() {
            asked.acknowledged = Offset(0);
        }
    }
}

impl DeposedLeader {
    fn acknowledge(&mut self, call: &Call, answer: &Answer) {
        if let (Call::Append { group, batch, .. }, Answer::Appended(Ok(appended))) = (call, answer) {
            let end = appended.base_offset.plus(i64::from(batch.header().last_offset_delta) + 1);
            let acknowledged = self.acknowledged.entry(*group).or_default();
            *acknowledged = end.max(*acknowledged);
        }
    }

    fn check(&self, node: NodeId, group: RaftGroupId, asked: Asked, shown: Offset) -> Result<(), String> {
        let led = self.led.get(&(node, group)).copied().unwrap_or_default();
        if led < asked.newest_term {
            let newest = asked.newest_term;
            return Err(format!(
                "node {node} answers for {group} as leader of term {led}, after one of {newest}"
            ));
        }
        if shown < asked.acknowledged {
            let acknowledged = asked.acknowledged;
            return Err(format!(
                "node {node} answers for {group} with {shown}, and {acknowledged} was acknowledged"
            ));
        }
        Ok(())
    }
}

/// The group whose leader is asked.
const fn group_of(call: &Call) -> Option<RaftGroupId> {
    match call {
        Call::Append { group, .. }
        | Call::DeleteRecords { group, .. }
        | Call::Read { group, at_leader: true, .. } => Some(*group),
        Call::Control(_) => Some(RaftGroupId::CONTROLLER),
        Call::Coordinate { coordinator, .. } => Some(*coordinator),
        Call::Read { at_leader: false, .. } => None,
    }
}

/// Whether only a leader may say so.
const fn is_for_certain(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Read(Some(_))
            | Answer::RecordsDeleted(Ok(_) | Err(DeleteRecordsError::OffsetOutOfRange))
            | Answer::Controlled(Ok(_))
            | Answer::Coordinated(Ok(_))
            | Answer::Appended(Err(AppendError::Producer(_)))
    )
}
