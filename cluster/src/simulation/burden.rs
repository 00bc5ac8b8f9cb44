//! What a simulation has to carry beside its faults: long batches, or many partitions. Either costs time, so that one seed in
//! fifty has it.

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Burden {
    Light,
    /// Some batches are several MiB long.
    LongBatches,
    /// One of the topics has hundreds of partitions.
    ManyPartitions,
}

/// How many seeds there are for one of each kind of burden.
const SEEDS: u64 = 50;

impl Burden {
    pub(super) const fn of(seed: u64) -> Self {
        match seed % SEEDS {
            17 => Self::LongBatches,
            42 => Self::ManyPartitions,
            _ => Self::Light,
        }
    }
}
