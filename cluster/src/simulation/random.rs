//! The one source of chance: SplitMix64 (Steele, Lea, Flood 2014), which is small, quick and the same everywhere.

use std::time::Duration;

/// A stream of numbers that a seed decides.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number from `first` to `last`.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// A length of time from `first` to `last` microseconds.
    pub(super) fn micros(&mut self, first: u64, last: u64) -> Duration {
        Duration::from_micros(self.between(first, last))
    }

    /// A length of time from `first` to `last` milliseconds.
    pub(super) fn millis(&mut self, first: u64, last: u64) -> Duration {
        self.micros(first * 1000, last * 1000)
    }

    /// Whether something happens that does so `per_mille` times in a thousand.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A place in a list of `len`.
    pub(super) fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("a place in a list is a usize")
    }

    /// One of several; none of none.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.place(from.len())])
    }
}
