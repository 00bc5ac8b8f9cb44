//! The high watermark that a leader shows never goes back: not under one leader, and not from one leader to the next,
//! in the order of their epochs. A consumer that goes where the leader is never finds the end of the log behind it.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::ids::{LeaderEpoch, Offset, RaftGroupId};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct HighWatermark {
    /// The lowest and the highest that were shown in each epoch.
    shown: BTreeMap<RaftGroupId, BTreeMap<LeaderEpoch, (Offset, Offset)>>,
}

impl Invariant for HighWatermark {
    fn name(&self) -> &'static str {
        "the high watermark never goes back"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Shows { node, group, epoch: Some(epoch), high_watermark, .. } = *seen else {
            return Ok(());
        };
        let epochs = self.shown.entry(group).or_default();
        let before = epochs.range(..=epoch).map(|(_, (_, highest))| *highest).max();
        let after = epochs.range(LeaderEpoch(epoch.0 + 1)..).map(|(_, (lowest, _))| *lowest).min();
        let (lowest, highest) = epochs.entry(epoch).or_insert((high_watermark, high_watermark));
        *lowest = high_watermark.min(*lowest);
        *highest = high_watermark.max(*highest);
        if before.is_some_and(|before| high_watermark < before) {
            let before = before.unwrap_or_default();
            return Err(format!(
                "node {node} shows {group} up to {high_watermark} in epoch {}, and {before} was shown before",
                epoch.0
            ));
        }
        if after.is_some_and(|after| high_watermark > after) {
            let after = after.unwrap_or_default();
            return Err(format!(
                "node {node} shows {group} up to {high_watermark} in epoch {}, and a later leader began with {after}",
                epoch.0
            ));
        }
        Ok(())
    }

    fn lose(&mut self, lost: Lost) {
        self.shown.remove(&lost.group);
    }
}
