//! How far something was known to be at a moment.
//!
//! Offsets that only grow (the end of a partition, a group's committed offset) are checked against real time: whatever had been
//! told *before* an operation began must be reflected in its outcome. A frontier holds what was told and when.

use crate::history::{Entry, Micros};

/// The greatest value that was told up to any moment.
#[derive(Debug, Default)]
pub(super) struct Frontier<'a> {
    /// When, the greatest value so far, and who was told it. Both grow.
    steps: Vec<(Micros, i64, &'a Entry)>,
}

impl<'a> Frontier<'a> {
    /// Adds what was told at the end of an entry. Entries come in the order of their ends.
    ///
    /// # Panics
    /// If they do not.
    pub(super) fn told(&mut self, value: i64, entry: &'a Entry) {
        let Some((time, greatest, _)) = self.steps.last() else {
            self.steps.push((entry.ended, value, entry));
            return;
        };
        assert!(*time <= entry.ended, "entries are in the order of their ends");
        if value > *greatest {
            self.steps.push((entry.ended, value, entry));
        }
    }

    /// The greatest value told before a moment, and to whom first.
    pub(super) fn before(&self, moment: Micros) -> Option<(i64, &'a Entry)> {
        let count = self.steps.partition_point(|(time, _, _)| *time < moment);
        let (_, value, entry) = self.steps.get(count.checked_sub(1)?)?;
        Some((*value, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Deed;

    #[test]
    fn the_greatest_value_before_a_moment() {
        let entry = |ended| {
            let deed = Deed::Fault { what: String::new() };
            Entry { client: String::new(), invoked: 0, ended, deed }
        };
        let (first, second, third) = (entry(10), entry(20), entry(30));
        let mut frontier = Frontier::default();
        frontier.told(7, &first);
        frontier.told(3, &second);
        frontier.told(8, &third);
        let at = |moment| frontier.before(moment).map(|(value, _)| value);
        assert_eq!([at(10), at(11), at(30), at(31)], [None, Some(7), Some(7), Some(8)]);
    }
}
