//! How much a fetch may return, and how little it waits for (KIP-74).

/// The limits of one request, in bytes of record batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    min_bytes: usize,
    max_bytes: usize,
}

/// What one partition may add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// So many bytes.
    pub(super) max_bytes: usize,
    /// A first batch even if it is larger, because nobody else has anything.
    pub(super) at_least_one: bool,
}

impl Limits {
    /// The limits as a client states them, its maximum cut down to `ceiling`. Who waits for more than the
    /// maximum would wait in vain, so the minimum is cut down too.
    pub(super) fn new(min_bytes: i32, max_bytes: i32, ceiling: usize) -> Self {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(0).min(ceiling);
        Self { min_bytes: usize::try_from(min_bytes).unwrap_or(0).min(max_bytes), max_bytes }
    }

    /// What a partition may add that asks for `partition_max`, when the others have `others` bytes together.
    pub(super) fn allow(self, partition_max: usize, others: usize) -> Allowance {
        Allowance {
            max_bytes: partition_max.min(self.max_bytes.saturating_sub(others)),
            at_least_one: others == 0,
        }
    }

    /// Whether so many bytes are worth an answer.
    pub(super) const fn is_enough(self, bytes: usize) -> bool {
        bytes >= self.min_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: usize = 1_000;

    #[test]
    fn stated_limits_are_cut_down() {
        assert_eq!(Limits::new(1, 500, CEILING), Limits { min_bytes: 1, max_bytes: 500 });
        assert_eq!(Limits::new(5_000, 50_000, CEILING), Limits { min_bytes: 1_000, max_bytes: 1_000 });
        assert_eq!(Limits::new(-1, -1, CEILING), Limits { min_bytes: 0, max_bytes: 0 });
    }

    #[test]
    fn partitions_share_the_room() {
        let limits = Limits::new(1, 500, CEILING);
        assert_eq!(limits.allow(300, 0), Allowance { max_bytes: 300, at_least_one: true });
        assert_eq!(limits.allow(300, 300), Allowance { max_bytes: 200, at_least_one: false });
        assert_eq!(limits.allow(300, 900), Allowance { max_bytes: 0, at_least_one: false });
    }

    #[test]
    fn who_wants_nothing_is_served_at_once() {
        assert!(Limits::new(0, 500, CEILING).is_enough(0));
        assert!(!Limits::new(1, 500, CEILING).is_enough(0));
        assert!(Limits::new(5_000, 500, CEILING).is_enough(500));
    }
}
