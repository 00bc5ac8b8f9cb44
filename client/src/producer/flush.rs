//! Which records a flush waits for.
//!
//! Records belong to the generation in which they were appended. A flush begins a new one, and is over when no record of an
//! earlier one is outstanding.

use std::collections::BTreeMap;

/// Outstanding records by generation.
#[derive(Debug, Default)]
pub(super) struct Generations {
    current: u64,
    /// Records of the current generation without a fate.
    in_current: usize,
    /// Those of each earlier generation that has some.
    earlier: BTreeMap<u64, usize>,
}

impl Generations {
    /// A record is appended. Returns its generation.
    pub(super) const fn enter(&mut self) -> u64 {
        self.in_current += 1;
        self.current
    }

    /// A record of this generation has its fate.
    pub(super) fn leave(&mut self, generation: u64) {
        if generation == self.current {
            self.in_current -= 1;
            return;
        }
        let left = self.earlier.get_mut(&generation).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            self.earlier.remove(&generation);
        }
    }

    /// A flush begins. It is over once [`settled`](Self::settled) exceeds what is returned.
    pub(super) fn begin_flush(&mut self) -> u64 {
        let flushed = self.current;
        let outstanding = std::mem::take(&mut self.in_current);
        if outstanding > 0 {
            self.earlier.insert(flushed, outstanding);
        }
        self.current += 1;
        flushed
    }

    /// Generations below this one have no outstanding record.
    pub(super) fn settled(&self) -> u64 {
        self.earlier.keys().next().copied().unwrap_or(self.current)
    }

    /// Whether a flush waits for something.
    pub(super) fn is_flushing(&self) -> bool {
        self.settled() < self.current
    }

    /// Whether no record is outstanding.
    pub(super) fn is_empty(&self) -> bool {
        self.in_current == 0 && self.earlier.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_waits_for_what_was_appended_before_and_for_nothing_else() {
        let mut generations = Generations::default();
        let (first, second) = (generations.enter(), generations.enter());
        let flush = generations.begin_flush();
        let later = generations.enter();
        assert!(generations.is_flushing() && generations.settled() <= flush);
        generations.leave(second);
        assert!(generations.settled() <= flush);
        generations.leave(first);
        assert!(generations.settled() > flush && !generations.is_flushing() && !generations.is_empty());
        generations.leave(later);
        assert!(generations.is_empty());
    }

    #[test]
    fn a_flush_of_nothing_is_over_at_once() {
        let mut generations = Generations::default();
        let flush = generations.begin_flush();
        assert!(generations.settled() > flush);
    }
}
