//! What must hold at every moment, one invariant a file. Each sees everything that happens and keeps what it needs.

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
mod no_duplicates;
mod offsets_dense;
mod one_owner;
mod one_value_per_offset;
mod sent_in_order;

use super::observation::Observation;

pub(super) use self::acknowledged_is_durable::Acknowledged;

/// A rule, and what has to be remembered to check it.
pub(super) trait Invariant {
    /// The rule in a few words.
    fn name(&self) -> &'static str;

    /// Looks at what happened. The error says how it breaks the rule.
    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String>;
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
    others: Vec<Box<dyn Invariant>>,
}

impl Invariants {
    pub(super) fn new() -> Self {
        Self {
            acknowledged: Acknowledged::default(),
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
        let all = self.others.iter_mut().map(|invariant| &mut **invariant);
        for invariant in all.chain([&mut self.acknowledged as &mut dyn Invariant]) {
            let rule = invariant.name();
            invariant.observe(seen).map_err(|detail| Violation { rule, detail })?;
        }
        Ok(())
    }
}
