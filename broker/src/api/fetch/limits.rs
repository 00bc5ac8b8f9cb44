//! How much a fetch may return, and how little it waits for (KIP-74).

/// The limits of one request, in bytes of record batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    min_bytes: usize,
    max_bytes: usize,
}

/// The memory that an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// So many bytes.
    Bytes(usize),
    /// As much as its first batch takes, and nothing more.
    FirstBatch,
}

/// What one partition may add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// So many bytes.
    pub(super) max_bytes: usize,
    /// A first batch even if it is larger, because nobody else has anything: one of so many bytes, or of any number.
    pub(super) first: Option<FirstBatch>,
}

/// How large the first batch of an answer may be. The client's limits do not apply to it (KIP-74).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstBatch {
    /// As large as there is memory for now.
    UpTo(usize),
    /// As large as it is.
    Any,
}

impl Limits {
    /// The limits as a client states them, its maximum cut down to `ceiling`. Who waits for more than the
    /// maximum would wait in vain, so the minimum is cut down too.
    pub(super) fn new(min_bytes: i32, max_bytes: i32, ceiling: usize) -> Self {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(0).min(ceiling);
        Self { min_bytes: usize::try_from(min_bytes).unwrap_or(0).min(max_bytes), max_bytes }
    }

    /// What a partition may add that asks for `partition_max`, when the others have `others` bytes together, and there is memory
    /// for the answer.
    pub(super) fn allow(self, partition_max: usize, others: usize, memory: Memory) -> Allowance {
        let (most, first) = match memory {
            Memory::Bytes(bytes) => (self.max_bytes.min(bytes), FirstBatch::UpTo(bytes)),
            Memory::FirstBatch => (0, FirstBatch::Any),
        };
        Allowance {
            max_bytes: partition_max.min(most.saturating_sub(others)),
            first: (others == 0).then_some(first),
        }
    }

    /// The most bytes that the answer may have, one larger batch aside.
    pub(super) const fn max_bytes(self) -> usize {
        self.max_bytes
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
        let allow = |partition_max, others, memory| {
            let Allowance { max_bytes, first } = limits.allow(partition_max, others, memory);
            (max_bytes, first)
        };
        assert_eq!(allow(300, 0, Memory::FirstBatch), (0, Some(FirstBatch::Any)));
        assert_eq!(allow(300, 300, Memory::FirstBatch), (0, None));
        assert_eq!(allow(300, 300, Memory::Bytes(900)), (200, None));
        assert_eq!(allow(300, 900, Memory::Bytes(900)), (0, None));
        assert_eq!(allow(300, 0, Memory::Bytes(100)), (100, Some(FirstBatch::UpTo(100))));
        assert_eq!(allow(300, 50, Memory::Bytes(100)), (50, None));
        assert_eq!(allow(300, 0, Memory::Bytes(900)), (300, Some(FirstBatch::UpTo(900))));
    }

    #[test]
    fn who_wants_nothing_is_served_at_once() {
        assert!(Limits::new(0, 500, CEILING).is_enough(0));
        assert!(!Limits::new(1, 500, CEILING).is_enough(0));
        assert!(Limits::new(5_000, 500, CEILING).is_enough(500));
    }
}
