//! The sticky partition of records without a key (KIP-480, KIP-794).
//!
//! All of a topic's records without a key go to one partition until it has got [`ENOUGH`] bytes and its batch takes no more, because
//! it is full or was sent; then another one is drawn. So batches fill under load, partitions take turns quickly without, and over
//! time all get alike. A partition whose queue is long is drawn more rarely, which keeps records away from brokers that are slow.

/// Bytes after which a partition that has no open batch is left for another one: `batch.size` in Java, where that is smaller.
const ENOUGH: usize = 16 << 10;

/// What is known of a partition that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// Its batches that wait or are in flight.
    pub(super) batches: usize,
    /// Whether its leader is known and takes what it is sent.
    pub(super) is_available: bool,
}

/// One topic's sticky partition.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    current: Option<usize>,
    /// Bytes that went to it since it was drawn.
    bytes: usize,
}

impl Sticky {
    /// The partition for the next record, unless a new one has to be drawn: after [`ENOUGH`] bytes, or `batch_size` if that is less,
    /// where no open batch `has_room` for the record; or out of `partitions`.
    pub(super) fn current(
        &self,
        partitions: usize,
        batch_size: usize,
        has_room: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let enough = batch_size.min(ENOUGH);
        self.current.filter(|current| *current < partitions && (self.bytes < enough || has_room(*current)))
    }

    /// The partition that the last records went to, also where the next one needs another one.
    pub(super) const fn last(&self) -> Option<usize> {
        self.current
    }

    /// Another partition is drawn.
    pub(super) const fn switch(&mut self, to: usize) {
        self.current = Some(to);
        self.bytes = 0;
    }

    /// A record of so many bytes went to the partition.
    pub(super) const fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
    }
}

/// Draws a partition: each available one in proportion to how much shorter its queue is than one longer than the longest. If
/// none is available, all are drawn from. `random` is any number.
///
/// # Panics
///
/// If there is no partition.
pub(super) fn draw(loads: &[Load], adaptive: bool, random: u64) -> usize {
    let is_any_available = loads.iter().any(|load| load.is_available);
    let candidates =
        || loads.iter().enumerate().filter(move |(_, load)| load.is_available || !is_any_available);
    let longest = candidates().map(|(_, load)| load.batches).max();
    let longest = longest.expect("a topic has partitions");
    let weight = |load: &Load| if adaptive { (longest + 1 - load.batches) as u64 } else { 1 };
    let total: u64 = candidates().map(|(_, load)| weight(load)).sum();
    let mut left = random % total;
    for (at, load) in candidates() {
        match left.checked_sub(weight(load)) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    unreachable!("the rest is below the sum of all weights")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(loads: &[Load], adaptive: bool) -> Vec<usize> {
        let mut counts = vec![0; loads.len()];
        (0..1000).for_each(|random| counts[draw(loads, adaptive, random)] += 1);
        counts
    }

    const fn load(batches: usize) -> Load {
        Load { batches, is_available: true }
    }

    #[test]
    fn alike_partitions_are_drawn_alike() {
        assert_eq!(counts(&[load(3); 4], true), [250; 4]);
    }

    #[test]
    fn long_queues_are_drawn_rarely() {
        // The example of KIP-794: queues of 0, 3 and 1 batches weigh 4, 1 and 3.
        assert_eq!(counts(&[load(0), load(3), load(1)], true), [500, 125, 375]);
        assert_eq!(counts(&[load(0), load(1)], false), [500, 500]);
    }

    #[test]
    fn partitions_without_a_leader_are_left_out_while_there_are_others() {
        let gone = Load { batches: 0, is_available: false };
        assert_eq!(counts(&[gone, load(9)], true), [0, 1000]);
        assert_eq!(counts(&[gone, gone], true), [500, 500]);
    }

    #[test]
    fn a_partition_sticks_until_it_has_enough() {
        let mut sticky = Sticky::default();
        let (open, closed) = (|_| true, |_| false);
        assert_eq!(sticky.current(4, 100, closed), None);
        sticky.switch(2);
        sticky.add(99);
        assert_eq!(sticky.current(4, 100, closed), Some(2));
        assert_eq!(sticky.current(2, 100, closed), None, "the topic was made again with fewer");
        sticky.add(1);
        assert_eq!(sticky.current(4, 100, closed), None);
        assert_eq!(sticky.current(4, 100, open), Some(2), "its batch fills first");
        sticky.add(ENOUGH - 101);
        assert_eq!(sticky.current(4, 1 << 20, closed), Some(2), "16 KiB and not a large batch's worth");
        sticky.add(1);
        assert_eq!(sticky.current(4, 1 << 20, closed), None);
    }

    proptest! {
        #[test]
        fn what_is_drawn_exists(batches in prop::collection::vec((0_usize..50, any::<bool>()), 1..9), random in any::<u64>()) {
            let loads: Vec<_> =
                batches.into_iter().map(|(batches, is_available)| Load { batches, is_available }).collect();
            let drawn = draw(&loads, true, random);
            prop_assert!(loads[drawn].is_available || loads.iter().all(|load| !load.is_available));
        }
    }
}
