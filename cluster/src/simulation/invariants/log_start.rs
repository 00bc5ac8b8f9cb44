//! A log starts where committed deletions say, and its start never goes back: not under one leader, and not from one leader
//! to the next. What a client was told is deleted, no later leader shows.

use std::collections::{BTreeMap, BTreeSet};

use super::Invariant;
use super::losses::Lost;
use crate::ids::{LeaderEpoch, Offset, RaftGroupId};
use crate::simulation::call::{Answer, Call};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct LogStart {
    /// The highest offset below which everything is deleted.
    deleted: BTreeMap<RaftGroupId, Offset>,
    /// The highest start that was shown in each epoch.
    shown: BTreeMap<RaftGroupId, BTreeMap<LeaderEpoch, Offset>>,
    /// The groups of deleted topics.
    removed: BTreeSet<RaftGroupId>,
}

impl Invariant for LogStart {
    fn name(&self) -> &'static str {
        "the log start never goes back"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match *seen {
            Observation::Deleted { group, before } => {
                let deleted = self.deleted.entry(group).or_default();
                *deleted = before.max(*deleted);
                Ok(())
            }
            Observation::Removed { group } => {
                self.removed.insert(group);
                Ok(())
            }
            Observation::Shows { node, group, epoch: Some(epoch), log_start, .. } => {
                let deleted = self.deleted.get(&group).copied().unwrap_or_default();
                let epochs = self.shown.entry(group).or_default();
                let before = epochs.range(..=epoch).map(|(_, start)| *start).max().unwrap_or_default();
                let highest = epochs.entry(epoch).or_default();
                *highest = log_start.max(*highest);
                if (before..=deleted).contains(&log_start) || self.removed.contains(&group) {
                    return Ok(());
                }
                Err(format!(
                    "node {node} shows {group} from {log_start}; {before} was shown before, {deleted} is deleted"
                ))
            }
            Observation::Answered {
                node,
                call: Call::DeleteRecords { group, before },
                answer: Answer::RecordsDeleted(Ok(start)),
                ..
            } if !self.removed.contains(group) => {
                let deleted = self.deleted.get(group).copied().unwrap_or_default();
                if start < &before.unwrap_or_default() || *start > deleted {
                    return Err(format!(
                        "node {node} says that {group} starts at {start}, asked for {before:?}; {deleted} is deleted"
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn lose(&mut self, lost: Lost) {
        self.shown.remove(&lost.group);
    }
}
