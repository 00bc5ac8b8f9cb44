//! What became of one partition's records, and what the partition must therefore hold.

use std::time::{Duration, Instant};

/// The offset of a record whose broker did not tell it, as when it was sent twice and written once.
const UNTOLD: i64 = -1;

/// An acknowledged record.
#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    number: u64,
    offset: i64,
    at: Instant,
}

/// A time without an acknowledgement; the longest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// How long it lasted.
    pub length: Duration,
    /// When it began, with the last acknowledgement before.
    pub began: Instant,
}

/// The fates of the records that were sent to one partition, numbered in the order of their sending.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// How many were sent; the number of the next.
    sent: u64,
    acknowledged: Vec<Acknowledged>,
    failed: Vec<u64>,
    /// Up to here in `acknowledged` and in the partition everything was found as it should be.
    checked: usize,
    checked_offset: i64,
    last_number: Option<u64>,
}

impl Journal {
    /// The number of the next record, which counts as sent.
    pub(super) const fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent - 1
    }

    pub(super) fn acknowledged(&mut self, number: u64, offset: i64, at: Instant) {
        self.acknowledged.push(Acknowledged { number, offset, at });
    }

    pub(super) fn failed(&mut self, number: u64) {
        self.failed.push(number);
    }

    /// How many records failed, as far as the client goes.
    pub(super) const fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Whether the fate of every record is known.
    pub(super) fn is_settled(&self) -> bool {
        u64::try_from(self.acknowledged.len() + self.failed.len()) == Ok(self.sent)
    }

    /// How many records were acknowledged after this moment.
    pub(super) fn acknowledged_since(&self, since: Instant) -> usize {
        self.acknowledged.iter().rev().take_while(|record| record.at > since).count()
    }

    /// The longest time between two acknowledgements of which the later one came after this moment.
    pub(super) fn widest_gap(&self, since: Instant) -> Option<Gap> {
        let pairs = self.acknowledged.windows(2).rev().take_while(|pair| pair[1].at > since);
        pairs.map(|pair| Gap { length: pair[1].at - pair[0].at, began: pair[0].at }).max()
    }

    /// Where the partition is to be read from to be checked.
    pub(super) const fn unchecked_offset(&self) -> i64 {
        self.checked_offset
    }

    /// Holds what the partition has from [`Journal::unchecked_offset`] to its end, offsets and numbers, against what was
    /// acknowledged and what failed. To be asked when everything is settled.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&mut self, held: &[(i64, u64)]) -> Result<(), String> {
        if !self.is_settled() {
            return Err("the fate of some records is not known yet".to_owned());
        }
        let expected = &self.acknowledged[self.checked..];
        let mut missing = expected.iter().peekable();
        for &(offset, number) in held {
            if self.last_number.is_some_and(|last| last >= number) {
                return Err(format!("record {number} at offset {offset} is doubled or out of order"));
            }
            self.last_number = Some(number);
            match missing.peek() {
                Some(next) if next.number < number => break,
                Some(next) if next.number == number => {
                    if next.offset != UNTOLD && next.offset != offset {
                        return Err(format!("record {number} is at offset {offset}, not {}", next.offset));
                    }
                    missing.next();
                }
                _ if !self.failed.contains(&number) => {
                    return Err(format!("record {number} at offset {offset} is nobody's"));
                }
                _ => {}
            }
        }
        if let Some(Acknowledged { number, offset, .. }) = missing.next() {
            return Err(format!("record {number}, acknowledged at offset {offset}, is lost"));
        }
        self.checked = self.acknowledged.len();
        self.checked_offset = held.last().map_or(self.checked_offset, |(offset, _)| offset + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five records, of which the one in the middle failed.
    fn journal() -> Journal {
        let mut journal = Journal::default();
        let start = Instant::now();
        for place in 0..5 {
            let number = journal.next();
            let offset = i64::try_from(number).unwrap();
            match number {
                2 => journal.failed(number),
                3 => journal.acknowledged(number, UNTOLD, start + Duration::from_millis(50)),
                _ => journal.acknowledged(number, offset, start + Duration::from_millis(10 * place)),
            }
        }
        journal
    }

    #[test]
    fn a_failed_record_may_be_there_and_others_must() {
        let all = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)];
        assert_eq!(journal().check(&all), Ok(()));
        let lost = journal().check(&all[..4]).unwrap_err();
        assert_eq!(lost, "record 4, acknowledged at offset 4, is lost");
        assert!(
            journal().check(&[(0, 0), (1, 1), (2, 3), (3, 4)]).unwrap_err().contains("at offset 3, not 4")
        );
        assert!(journal().check(&[(0, 0), (1, 1), (2, 1)]).unwrap_err().contains("doubled"));
        assert!(journal().check(&[(0, 0), (1, 2)]).unwrap_err().contains("record 1, acknowledged"));
        assert!(journal().check(&[(0, 0), (1, 1), (2, 7)]).unwrap_err().contains("record 3, acknowledged"));
    }

    #[test]
    fn what_was_checked_is_not_read_again() {
        let mut journal = journal();
        journal.check(&[(0, 0), (1, 1), (3, 3), (4, 4)]).unwrap();
        assert_eq!(journal.unchecked_offset(), 5);
        let number = journal.next();
        assert!(journal.check(&[]).is_err(), "not settled");
        journal.acknowledged(number, 5, Instant::now());
        assert!(journal.check(&[(5, 4)]).unwrap_err().contains("doubled"));
        assert!(journal.check(&[(5, 9)]).is_err());
    }

    #[test]
    fn a_gap_is_felt_by_whoever_waits_for_its_end() {
        let mut journal = Journal::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for ms in [0, 500, 510, 710, 720] {
            let number = journal.next();
            journal.acknowledged(number, UNTOLD, at(ms));
        }
        let gap = |from, to| Some(Gap { length: Duration::from_millis(to - from), began: at(from) });
        assert_eq!(journal.widest_gap(at(0)), gap(0, 500));
        assert_eq!(journal.widest_gap(at(600)), gap(510, 710));
        assert_eq!(journal.widest_gap(at(710)), gap(710, 720));
        assert_eq!(journal.widest_gap(at(720)), None);
        assert_eq!((journal.acknowledged_since(at(510)), journal.acknowledged_since(at(720))), (2, 0));
    }
}
