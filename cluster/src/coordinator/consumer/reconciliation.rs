//! Reconciliation: how a member gets from what it owns to what it is to own, by its heartbeats and without the others
//! having to stop (KIP-848).
//!
//! ```text
//!                      nothing to give up
//!        ┌───────────────────────────────────────────────┐
//!        │                                               ▼
//!   ┌────┴───┐  partitions to  ┌────────────┐  given  ┌────────────┐
//!   │ Stable ├────────────────►│ Unrevoked  ├────────►│ next epoch │
//!   └────────┘  give up        │ Partitions │   up    └─┬────────┬─┘
//!        ▲                     └────────────┘           │        │ others still own
//!        │         everything is there                  │        ▼ some of it
//!        └──────────────────────────────────────────────┤  ┌────────────┐
//!                                                       └──┤ Unreleased │
//!                                                          │ Partitions │
//!                                                          └────────────┘
//! ```
//!
//! A member first gives up what is not in its target: it stays in its epoch and is told the smaller assignment, until
//! a heartbeat says that it owns nothing of the rest. Then it enters the target's epoch and gets of its target whatever
//! nobody else owns, now and with each further heartbeat until it has it all.

use std::collections::BTreeSet;

use super::member::{CurrentAssignment, MemberState};
use super::partitions::OwnedPartitions;
use crate::coordinator::assignor::Assignment;
use crate::coordinator::ids::MemberEpoch;
use crate::coordinator::request::TopicPartitions;
use crate::ids::{PartitionIndex, TopicId};

/// One step of a member towards its target.
pub(super) struct Step<'a, F> {
    /// Where it is.
    pub(super) current: &'a CurrentAssignment,
    /// What it is to own.
    pub(super) target: &'a Assignment,
    /// The epoch that the target is made for.
    pub(super) target_epoch: MemberEpoch,
    /// The topics that it subscribes to. What it owns of others goes at once, whatever the target says.
    pub(super) subscription: &'a BTreeSet<TopicId>,
    /// Whether it has subscribed to something else just now.
    pub(super) resubscribed: bool,
    /// What it says it owns, if it says.
    pub(super) owned: Option<&'a [TopicPartitions]>,
    /// Whether another member owns a partition, or has yet to give it up.
    pub(super) owned_by_another: F,
}

impl<F: Fn(TopicId, PartitionIndex) -> bool> Step<'_, F> {
    /// Where it is after this step; None if it stays where it is.
    pub(super) fn next(&self) -> Option<CurrentAssignment> {
        let mut next = match self.current.state {
            MemberState::Stable if self.current.epoch != self.target_epoch => self.advance(),
            MemberState::UnrevokedPartitions if !self.may_own(&self.current.revoking) => self.advance(),
            MemberState::UnreleasedPartitions => self.advance(),
            MemberState::Stable | MemberState::UnrevokedPartitions => self.unsubscribe()?,
        };
        if next == *self.current {
            return None;
        }
        next.confirmed &= next.assigned == self.current.assigned;
        next.confirmed |= self.owned.is_some_and(|owned| next.assigned.are(owned));
        Some(next)
    }

    /// Towards the target: gives up what is not in it, or else takes what is in it.
    fn advance(&self) -> CurrentAssignment {
        let (assigned, revoking) =
            self.split(|topic, partition| self.is_subscribed(topic) && is_in(self.target, topic, partition));
        if self.may_own(&revoking) {
            return self.unrevoked(assigned, revoking);
        }
        self.take(assigned)
    }

    /// Enters the target's epoch with `assigned` and whatever else of the target nobody owns.
    fn take(&self, mut assigned: OwnedPartitions) -> CurrentAssignment {
        let mut state = MemberState::Stable;
        for (&topic, partitions) in self.target.iter().filter(|(topic, _)| self.is_subscribed(**topic)) {
            for &partition in partitions {
                if assigned.contains(topic, partition) {
                    continue;
                }
                if (self.owned_by_another)(topic, partition) {
                    state = MemberState::UnreleasedPartitions;
                } else {
                    assigned.insert(topic, partition, self.target_epoch);
                }
            }
        }
        let current = self.current;
        let previous_epoch =
            if current.epoch == self.target_epoch { current.previous_epoch } else { current.epoch };
        let (epoch, revoking) = (self.target_epoch, OwnedPartitions::default());
        CurrentAssignment { epoch, previous_epoch, state, assigned, revoking, confirmed: current.confirmed }
    }

    /// Gives up the topics that it subscribes to no more. None if it owns nothing of them, or did not resubscribe.
    fn unsubscribe(&self) -> Option<CurrentAssignment> {
        if !self.resubscribed {
            return None;
        }
        let (assigned, mut revoking) = self.split(|topic, _| self.is_subscribed(topic));
        if revoking.is_empty() {
            return None;
        }
        for (topic, partition, epoch) in self.current.revoking.iter() {
            revoking.insert(topic, partition, epoch);
        }
        if self.may_own(&revoking) {
            return Some(self.unrevoked(assigned, revoking));
        }
        Some(CurrentAssignment { assigned, ..self.current.clone() })
    }

    fn unrevoked(&self, assigned: OwnedPartitions, revoking: OwnedPartitions) -> CurrentAssignment {
        let state = MemberState::UnrevokedPartitions;
        CurrentAssignment { state, assigned, revoking, ..self.current.clone() }
    }

    /// What it is assigned, parted into what it keeps and what it gives up.
    fn split(&self, keeps: impl Fn(TopicId, PartitionIndex) -> bool) -> (OwnedPartitions, OwnedPartitions) {
        let mut kept = OwnedPartitions::default();
        let mut given_up = OwnedPartitions::default();
        for (topic, partition, epoch) in self.current.assigned.iter() {
            let side = if keeps(topic, partition) { &mut kept } else { &mut given_up };
            side.insert(topic, partition, epoch);
        }
        (kept, given_up)
    }

    /// Whether it may own some of these: it does by its own word, or has not said.
    fn may_own(&self, partitions: &OwnedPartitions) -> bool {
        !partitions.is_empty() && self.owned.is_none_or(|owned| partitions.overlap(owned))
    }

    fn is_subscribed(&self, topic: TopicId) -> bool {
        self.subscription.contains(&topic)
    }
}

fn is_in(target: &Assignment, topic: TopicId, partition: PartitionIndex) -> bool {
    target.get(&topic).is_some_and(|partitions| partitions.contains(&partition))
}

#[cfg(test)]
mod tests;
