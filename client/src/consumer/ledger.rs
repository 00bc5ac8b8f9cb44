//! Which offsets may be committed.
//!
//! A record goes through three hands. It is *handed out* to the application, *given back* when the application comes for more,
//! and then it may be *committed*. An automatic commit covers what was given back and nothing beyond it: an application that
//! fails over a record is handed that record again.

use std::collections::BTreeMap;

use super::partition::TopicPartition;

/// An offset to commit: that of the next record to read, with the epoch of the last one that was read (KIP-320).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Committable {
    /// The offset of the next record.
    pub offset: i64,
    /// The leader epoch of the batch before it.
    pub leader_epoch: Option<i32>,
}

/// What is known of one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    handed_out: Option<Committable>,
    given_back: Option<Committable>,
    committed: Option<i64>,
}

/// The offsets of all assigned partitions.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<TopicPartition, Entry>,
    /// The partitions that the application was handed records of since it came last.
    in_hand: Vec<TopicPartition>,
}

impl Ledger {
    /// A partition begins at this offset: it was assigned, or sought. What was handed out of it before counts no more.
    pub fn begin(&mut self, partition: TopicPartition, committed: Option<i64>) {
        self.entries.insert(partition, Entry { committed, ..Entry::default() });
    }

    /// The partition is somebody else's.
    pub fn end(&mut self, partition: &TopicPartition) {
        self.entries.remove(partition);
    }

    /// The application has been handed all records before `next`.
    pub fn handed_out(&mut self, partition: &TopicPartition, next: Committable) {
        if let Some(entry) = self.entries.get_mut(partition) {
            entry.handed_out = Some(next);
            self.in_hand.push(partition.clone());
        }
    }

    /// The application came for more: it is done with all that it was handed.
    pub fn given_back(&mut self) {
        for partition in self.in_hand.drain(..) {
            if let Some(entry) = self.entries.get_mut(&partition) {
                entry.given_back = entry.handed_out.or(entry.given_back);
            }
        }
    }

    /// What an automatic commit covers now: of each partition what was given back and is not committed yet.
    #[must_use]
    pub fn owed(&self) -> BTreeMap<TopicPartition, Committable> {
        let owed = |(partition, entry): (&TopicPartition, &Entry)| {
            let next = entry.given_back.filter(|next| entry.committed != Some(next.offset))?;
            Some((partition.clone(), next))
        };
        self.entries.iter().filter_map(owed).collect()
    }

    /// The coordinator has this offset now, by whichever commit.
    pub fn committed(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(entry) = self.entries.get_mut(partition) {
            entry.committed = Some(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn next(offset: i64) -> Committable {
        Committable { offset, leader_epoch: Some(1) }
    }

    #[test]
    fn only_what_was_given_back_is_owed() {
        let mut ledger = Ledger::default();
        ledger.begin(place(0), Some(5));
        ledger.handed_out(&place(0), next(8));
        assert!(ledger.owed().is_empty());
        ledger.given_back();
        assert_eq!(ledger.owed(), [(place(0), next(8))].into());
        ledger.handed_out(&place(0), next(12));
        assert_eq!(ledger.owed(), [(place(0), next(8))].into());
        ledger.committed(&place(0), 8);
        assert!(ledger.owed().is_empty());
    }

    #[test]
    fn a_seek_forgets_what_was_handed_out() {
        let mut ledger = Ledger::default();
        ledger.begin(place(0), None);
        ledger.handed_out(&place(0), next(8));
        ledger.begin(place(0), None);
        ledger.given_back();
        assert!(ledger.owed().is_empty());
    }

    #[test]
    fn what_is_somebody_elses_is_not_committed() {
        let mut ledger = Ledger::default();
        ledger.begin(place(0), None);
        ledger.handed_out(&place(0), next(8));
        ledger.given_back();
        ledger.end(&place(0));
        ledger.handed_out(&place(0), next(9));
        ledger.given_back();
        assert!(ledger.owed().is_empty());
    }

    proptest! {
        /// Whatever happens in whatever order, nothing is owed that was not handed out before the last return.
        #[test]
        fn nothing_is_owed_before_its_return(steps in prop::collection::vec((0..4_u8, 0..3_i32, 1..5_i64), 0..60)) {
            let mut ledger = Ledger::default();
            let mut handed = BTreeMap::<i32, i64>::new();
            let mut returned = BTreeMap::<i32, i64>::new();
            for partition in 0..3 {
                ledger.begin(place(partition), None);
            }
            for (step, partition, count) in steps {
                match step {
                    0 | 1 => {
                        let offset = handed.get(&partition).copied().unwrap_or(0) + count;
                        handed.insert(partition, offset);
                        ledger.handed_out(&place(partition), next(offset));
                    }
                    2 => {
                        returned = handed.clone();
                        ledger.given_back();
                    }
                    _ => {
                        let owed = ledger.owed();
                        if let Some(owed) = owed.get(&place(partition)) {
                            ledger.committed(&place(partition), owed.offset);
                        }
                    }
                }
                for (place, owed) in ledger.owed() {
                    prop_assert_eq!(Some(&owed.offset), returned.get(&place.partition));
                }
            }
        }
    }
}
