//! What must hold at every moment, one invariant a file. Each sees everything that happens and keeps what it needs.

use std::collections::BTreeMap;

mod acknowledged_is_durable;
mod applied_alike;
mod committed_is_durable;
mod committed_offsets;
mod deposed_leader;
mod election_safety;
mod failed_is_absent;
mod high_watermark;
mod leader_completeness;
mod log_matching;
mod log_start;
mod losses;
mod no_duplicates;
mod offsets_dense;
mod one_owner;
mod one_value_per_offset;
mod sent_in_order;

use self::losses::{Losses, Lost};
use super::observation::Observation;
use crate::ids::RaftGroupId;

pub(super) use self::acknowledged_is_durable::Acknowledged;

/// A rule, and what has to be remembered to check it.
pub(super) trait Invariant {
    /// The rule in a few words.
    fn name(&self) -> &'static str;

    /// Looks at what happened. The error says how it breaks the rule.
    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String>;

    /// Forgets what was known of what is lost, and may be: see [`losses`].
    fn lose(&mut self, _: Lost) {}
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The rule in a few words.
    pub(super) rule: &'static str,
    pub(super) detail: String,
}

/// All of them.
pub(super) struct Invariants {
    pub(super) acknowledged: Acknowledged,
    losses: Losses,
    /// The groups that lost something, and how often.
    pub(super) lossy: BTreeMap<RaftGroupId, usize>,
    others: Vec<Box<dyn Invariant>>,
}

impl Invariants {
    pub(super) fn new() -> Self {
        Self {
            acknowledged: Acknowledged::default(),
            losses: Losses::default(),
            lossy: BTreeMap::new(),
            others: vec![
                Box::<election_safety::ElectionSafety>::default(),
                Box::<log_matching::LogMatching>::default(),
                Box::<leader_completeness::LeaderCompleteness>::default(),
                Box::<applied_alike::AppliedAlike>::default(),
                Box::<committed_is_durable::CommittedIsDurable>::default(),
                Box::<high_watermark::HighWatermark>::default(),
                Box::<log_start::LogStart>::default(),
                Box::<offsets_dense::OffsetsDense>::default(),
                Box::<no_duplicates::NoDuplicates>::default(),
                Box::<sent_in_order::SentInOrder>::default(),
                Box::<failed_is_absent::FailedIsAbsent>::default(),
                Box::<one_value_per_offset::OneValuePerOffset>::default(),
                Box::<one_owner::OneOwner>::default(),
                Box::<deposed_leader::DeposedLeader>::default(),
                Box::<committed_offsets::CommittedOffsets>::default(),
            ],
        }
    }

    pub(super) fn observe(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let lost = self.losses.observe(seen);
        if let Some(lost) = lost {
            *self.lossy.entry(lost.group).or_default() += 1;
        }
        let all = self.others.iter_mut().map(|invariant| &mut **invariant);
        for invariant in all.chain([&mut self.acknowledged as &mut dyn Invariant]) {
            lost.into_iter().for_each(|lost| invariant.lose(lost));
            let rule = invariant.name();
            invariant.observe(seen).map_err(|detail| Violation { rule, detail })?;
        }
        Ok(())
    }
}
