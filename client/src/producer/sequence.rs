//! Who the producer is, and how it numbers its records (KIP-98, KIP-360).
//!
//! A cluster gives the producer an id. In each partition the producer numbers its records from 0 on, in an epoch of that
//! partition: where a batch is lost, the epoch there is raised and numbering begins anew, which only this partition's leader
//! has to agree to.

use std::time::Duration;

use trilog_protocol::batch::BatchOrigin;
use trilog_protocol::ids::{ProducerEpoch, ProducerId};

use crate::Error;

/// The numbers of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    id: i64,
    epoch: i16,
    next: i32,
    is_transactional: bool,
}

impl Sequence {
    /// Numbers that start at 0.
    pub(super) const fn new(id: i64, epoch: i16) -> Self {
        Self { id, epoch, next: 0, is_transactional: false }
    }

    /// The same, of records that belong to transactions. Only the transactions' coordinator raises the epoch.
    pub(super) const fn transactional(id: i64, epoch: i16) -> Self {
        Self { id, epoch, next: 0, is_transactional: true }
    }

    /// Whether the records belong to transactions.
    pub(super) const fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    /// The producer id that they belong to.
    pub(super) const fn id(&self) -> i64 {
        self.id
    }

    /// Takes the next `count` numbers for a batch. After [`i32::MAX`] comes 0.
    pub(super) fn take(&mut self, count: u32) -> BatchOrigin {
        let base_sequence = self.next;
        let next = (i64::from(base_sequence) + i64::from(count)) % (1 << 31);
        self.next = i32::try_from(next).unwrap_or(0);
        BatchOrigin {
            producer_id: ProducerId(self.id),
            producer_epoch: ProducerEpoch(self.epoch),
            base_sequence,
            transactional: self.is_transactional,
        }
    }

    /// The numbers of the next epoch, `None` if the id has no further one.
    pub(super) fn bumped(&self) -> Option<Self> {
        self.epoch.checked_add(1).map(|epoch| Self::new(self.id, epoch))
    }
}

/// The producer id: whether there is one, and what is done for it.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// The producer is not idempotent.
    Anonymous,
    /// It needs an id, and is not to ask before this time.
    Missing {
        /// When to ask.
        not_before: Duration,
        /// Failed attempts in a row.
        failures: u32,
    },
    /// A broker was asked.
    Asked {
        /// Failed attempts in a row.
        failures: u32,
    },
    /// The coordinator of its transactions gives it one.
    Awaited,
    /// It has one.
    Known(Sequence),
    /// It will not get one.
    Refused(Error),
}

impl Identity {
    /// An id that is needed and was not asked for.
    pub(super) const fn missing() -> Self {
        Self::Missing { not_before: Duration::ZERO, failures: 0 }
    }

    /// The numbers for a partition's first batch.
    pub(super) const fn sequence(&self) -> Option<Sequence> {
        match self {
            Self::Known(sequence) => Some(*sequence),
            _ => None,
        }
    }

    /// The producer id `id` is of no use any more. A producer with transactions gets another one from their coordinator, or none.
    pub(super) fn renounce(&mut self, id: i64) {
        if self.sequence().is_some_and(|sequence| sequence.id == id && !sequence.is_transactional) {
            *self = Self::missing();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_continue_and_go_round() {
        let mut sequence = Sequence::new(7, 0);
        assert_eq!(sequence.take(3).base_sequence, 0);
        assert_eq!(sequence.take(1).base_sequence, 3);
        sequence.next = i32::MAX - 1;
        assert_eq!(sequence.take(3).base_sequence, i32::MAX - 1);
        assert_eq!(sequence.take(1).base_sequence, 1, "MAX - 1, MAX and 0 are taken");
    }

    #[test]
    fn the_last_epoch_has_no_next() {
        let mut sequence = Sequence::new(7, i16::MAX - 1);
        sequence.take(5);
        let bumped = sequence.bumped().unwrap();
        assert_eq!(bumped, Sequence::new(7, i16::MAX));
        assert_eq!(bumped.bumped(), None);
    }

    #[test]
    fn records_of_transactions_are_marked_and_keep_their_id() {
        let mut sequence = Sequence::transactional(7, 1);
        assert!(sequence.take(1).transactional && !Sequence::new(7, 1).take(1).transactional);
        let mut identity = Identity::Known(sequence);
        identity.renounce(7);
        assert!(identity.sequence().is_some());
    }

    #[test]
    fn only_the_id_in_use_can_be_renounced() {
        let mut identity = Identity::Known(Sequence::new(7, 0));
        identity.renounce(6);
        assert!(identity.sequence().is_some());
        identity.renounce(7);
        assert!(matches!(identity, Identity::Missing { .. }));
    }
}
