//! An acknowledged batch is in the log at the offset that its producer was told, until it is deleted. And an acknowledged offset lies
//! above every offset that was acknowledged before the write began: acknowledgements respect real time.

use std::collections::{BTreeMap, BTreeSet};

use super::Invariant;
use super::losses::Lost;
use crate::ids::{Offset, RaftGroupId};
use crate::simulation::call::{Answer, BatchName, Call, ReadBatch};
use crate::simulation::observation::Observation;

/// The oracle of writes: what producers were told.
#[derive(Default)]
pub(crate) struct Acknowledged {
    acknowledged: BTreeMap<RaftGroupId, BTreeMap<Offset, BatchName>>,
    /// One past the last offset acknowledged when a batch was first sent.
    floors: BTreeMap<(RaftGroupId, BatchName), Offset>,
    /// Where batches are in the log.
    applied: BTreeMap<RaftGroupId, BTreeMap<Offset, BatchName>>,
    /// The first offset that was not deleted.
    log_starts: BTreeMap<RaftGroupId, Offset>,
    /// The groups of deleted topics.
    removed: BTreeSet<RaftGroupId>,
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "what is acknowledged stays"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Called { call: Call::Append { group, batch, .. }, .. } => {
                let end = self.end(*group);
                self.floors.entry((*group, BatchName::of(batch.header()))).or_insert(end);
                Ok(())
            }
            Observation::Answered {
                call: Call::Append { group, batch, .. },
                answer: Answer::Appended(Ok(appended)),
                ..
            } => self.acknowledge(*group, BatchName::of(batch.header()), appended.base_offset),
            Observation::Removed { group } => {
                self.removed.insert(*group);
                Ok(())
            }
            Observation::Deleted { group, before } => {
                let start = self.log_starts.entry(*group).or_default();
                *start = (*before).max(*start);
                Ok(())
            }
            Observation::Applied { group, batches, .. } => {
                let batches = batches.iter().map(|batch| (batch.base_offset, batch.name));
                self.applied.entry(*group).or_default().extend(batches);
                Ok(())
            }
            Observation::Read { node, group, fetched, .. } => {
                let known = self.acknowledged.get(group);
                let told = |batch: &&ReadBatch| known.and_then(|known| known.get(&batch.base_offset));
                let other = fetched.batches.iter().find(|b| told(b).is_some_and(|name| *name != b.name));
                other.map_or(Ok(()), |batch| {
                    Err(format!("node {node} gave {batch:?} of {group}, and another one was acknowledged"))
                })
            }
            _ => Ok(()),
        }
    }

    fn lose(&mut self, lost: Lost) {
        for all in [&mut self.acknowledged, &mut self.applied] {
            if let Some(batches) = all.get_mut(&lost.group) {
                batches.split_off(&lost.offset);
            }
        }
        for (_, floor) in self.floors.iter_mut().filter(|((group, _), _)| *group == lost.group) {
            *floor = lost.offset.min(*floor);
        }
    }
}

impl Acknowledged {
    /// The first offset above all that are acknowledged.
    fn end(&self, group: RaftGroupId) -> Offset {
        let last = self.acknowledged.get(&group).and_then(BTreeMap::last_key_value);
        last.map_or(Offset(0), |(base, _)| base.plus(1))
    }

    fn acknowledge(&mut self, group: RaftGroupId, name: BatchName, base: Offset) -> Result<(), String> {
        let applied = self.applied.get(&group).and_then(|applied| applied.get(&base));
        if self.removed.contains(&group) {
            return Ok(());
        }
        if applied != Some(&name) {
            return Err(format!(
                "batch {} of {group} is acknowledged at {base} and not applied there",
                name.0
            ));
        }
        let floor = self.floors.get(&(group, name)).copied().unwrap_or_default();
        if base < floor {
            return Err(format!(
                "batch {} of {group} is acknowledged at {base}, and {floor} was when it was sent",
                name.0
            ));
        }
        self.acknowledged.entry(group).or_default().insert(base, name);
        Ok(())
    }

    /// What of a group was acknowledged and begins where the log does or later, by base offset.
    pub(in crate::simulation) fn not_deleted(&self, group: RaftGroupId) -> BTreeMap<Offset, BatchName> {
        let start = self.log_starts.get(&group).copied().unwrap_or_default();
        let acknowledged = self.acknowledged.get(&group).into_iter();
        acknowledged.flat_map(|all| all.range(start..)).map(|(base, name)| (*base, *name)).collect()
    }
}
