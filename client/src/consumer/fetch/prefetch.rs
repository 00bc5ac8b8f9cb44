//! What was fetched and waits for the application: bounded in bytes over all partitions, and handed out in turn.
//!
//! A partition is fetched ahead while less than its share waits, so that it neither fills the room of the others nor has to be
//! waited for. The partitions of which something waits share half of the room alike. The other half is for fetches on their way.
//! A fetch reserves room before it is sent. What a broker answers may exceed the reservation by one batch a partition (KIP-74: a
//! batch that is larger than the limit is sent all the same, so that a consumer gets on), and by no more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::consumer::partition::TopicPartition;

/// Something fetched of one partition, with what it takes of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting<B> {
    batch: B,
    bytes: usize,
}

/// What waits of one partition, in order. Never empty.
#[derive(Clone, Debug)]
struct Lane<B> {
    batches: VecDeque<Waiting<B>>,
    bytes: usize,
}

/// Fetched batches by partition, whatever a batch is.
#[derive(Debug)]
pub struct Prefetch<B> {
    waiting: BTreeMap<TopicPartition, Lane<B>>,
    /// Whose turn it is: partitions with something waiting, each once.
    turns: VecDeque<TopicPartition>,
    /// Partitions whose records are not handed out.
    paused: BTreeSet<TopicPartition>,
    bytes: usize,
    reserved: usize,
    max_bytes: usize,
    has_made_way: bool,
}

impl<B> Prefetch<B> {
    /// Room for `max_bytes`.
    #[must_use]
    pub const fn new(max_bytes: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            turns: VecDeque::new(),
            paused: BTreeSet::new(),
            bytes: 0,
            reserved: 0,
            max_bytes,
            has_made_way: false,
        }
    }

    /// How many bytes there is room for, waiting or on their way.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// How many bytes wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a partition may be fetched: it is not paused, and less than its share waits.
    #[must_use]
    pub fn wants(&self, partition: &TopicPartition) -> bool {
        !self.paused.contains(partition) && !self.is_full(partition)
    }

    /// Whether a partition that is not paused has to be read before it is fetched again: its share waits, or more.
    #[must_use]
    pub fn is_held_back(&self, partition: &TopicPartition) -> bool {
        !self.paused.contains(partition) && self.is_full(partition)
    }

    fn is_full(&self, partition: &TopicPartition) -> bool {
        let share = self.max_bytes / 2 / self.waiting.len().max(1);
        self.waiting.get(partition).is_some_and(|lane| lane.bytes >= share)
    }

    /// Reserves room for a fetch of at most `most` bytes, and returns how much of it there is: 0 if there is none, and then the
    /// fetch has to wait.
    pub fn reserve(&mut self, most: usize) -> usize {
        let room = self.max_bytes.saturating_sub(self.bytes).saturating_sub(self.reserved).min(most);
        self.reserved += room;
        room
    }

    /// Gives a reservation back, when the fetch is answered and its batches are put in, or when it failed.
    pub fn release(&mut self, reserved: usize) {
        self.reserved = self.reserved.saturating_sub(reserved);
    }

    /// Puts a batch of a partition behind what waits of it.
    pub fn put(&mut self, partition: TopicPartition, batch: B, bytes: usize) {
        self.lane(partition, bytes).push_back(Waiting { batch, bytes });
    }

    /// The batches of a partition, to which one of so many bytes is about to be added.
    fn lane(&mut self, partition: TopicPartition, bytes: usize) -> &mut VecDeque<Waiting<B>> {
        self.bytes += bytes;
        let turns = &mut self.turns;
        let lane = self.waiting.entry(partition).or_insert_with_key(|partition| {
            turns.push_back(partition.clone());
            Lane { batches: VecDeque::new(), bytes: 0 }
        });
        lane.bytes += bytes;
        &mut lane.batches
    }

    /// The next batch. Partitions take turns, one batch each; paused ones are passed over and keep what waits.
    pub fn take(&mut self) -> Option<(TopicPartition, B)> {
        let place = self.turns.iter().position(|partition| !self.paused.contains(partition))?;
        let partition = self.turns.remove(place)?;
        let was_full = self.is_full(&partition);
        let lane = self.waiting.get_mut(&partition)?;
        let Waiting { batch, bytes } = lane.batches.pop_front()?;
        self.bytes -= bytes;
        lane.bytes -= bytes;
        if lane.batches.is_empty() {
            self.waiting.remove(&partition);
            // The shares of the others have grown.
            self.has_made_way = true;
        } else {
            self.turns.push_back(partition.clone());
            self.has_made_way |= was_full && !self.is_full(&partition);
        }
        Some((partition, batch))
    }

    /// Whether partitions may be fetched because of what was taken since the last call, which could not before.
    pub const fn has_made_way(&mut self) -> bool {
        std::mem::replace(&mut self.has_made_way, false)
    }

    /// Puts a batch that could not be used in front of what waits of its partition.
    pub fn put_back(&mut self, partition: TopicPartition, batch: B, bytes: usize) {
        self.lane(partition, bytes).push_front(Waiting { batch, bytes });
    }

    /// Whether [`take`](Self::take) has something to give.
    #[must_use]
    pub fn has_some(&self) -> bool {
        self.turns.iter().any(|partition| !self.paused.contains(partition))
    }

    /// The next batch of a partition, which stays.
    #[must_use]
    pub fn first(&self, partition: &TopicPartition) -> Option<&B> {
        self.waiting.get(partition)?.batches.front().map(|waiting| &waiting.batch)
    }

    /// Forgets what waits of a partition: it was sought, or is somebody else's now.
    pub fn discard(&mut self, partition: &TopicPartition) {
        if let Some(lane) = self.waiting.remove(partition) {
            self.bytes -= lane.bytes;
            self.turns.retain(|other| other != partition);
        }
    }

    /// Stops handing a partition's records out. What waits stays, so that nothing is fetched twice while there is room.
    pub fn pause(&mut self, partition: TopicPartition) {
        self.paused.insert(partition);
    }

    /// Hands a partition's records out again.
    pub fn resume(&mut self, partition: &TopicPartition) {
        self.paused.remove(partition);
    }

    /// The partitions that are paused.
    #[must_use]
    pub const fn paused(&self) -> &BTreeSet<TopicPartition> {
        &self.paused
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn taken(prefetch: &mut Prefetch<u32>) -> Vec<(i32, u32)> {
        std::iter::from_fn(|| prefetch.take()).map(|(place, batch)| (place.partition, batch)).collect()
    }

    #[test]
    fn partitions_take_turns_and_keep_their_order() {
        let mut prefetch = Prefetch::new(1000);
        for (partition, batch) in [(0, 1), (0, 2), (0, 3), (1, 4), (2, 5), (1, 6)] {
            prefetch.put(place(partition), batch, 10);
        }
        assert_eq!(taken(&mut prefetch), [(0, 1), (1, 4), (2, 5), (0, 2), (1, 6), (0, 3)]);
        assert_eq!(prefetch.bytes(), 0);
    }

    #[test]
    fn a_paused_partition_keeps_what_waits() {
        let mut prefetch = Prefetch::new(1000);
        prefetch.put(place(0), 1, 10);
        prefetch.put(place(1), 2, 10);
        prefetch.pause(place(0));
        assert_eq!(taken(&mut prefetch), [(1, 2)]);
        assert!(!prefetch.wants(&place(0)) && !prefetch.is_held_back(&place(0)) && prefetch.wants(&place(1)));
        prefetch.resume(&place(0));
        assert_eq!(taken(&mut prefetch), [(0, 1)]);
    }

    #[test]
    fn a_partition_is_fetched_ahead_up_to_its_share() {
        let mut prefetch = Prefetch::new(100);
        prefetch.put(place(0), 1, 30);
        assert!(prefetch.wants(&place(0)), "half of the room is for the only one");
        prefetch.put(place(0), 2, 20);
        assert!(prefetch.is_held_back(&place(0)) && prefetch.wants(&place(1)));
        assert_eq!((prefetch.take(), prefetch.has_made_way()), (Some((place(0), 1)), true));
        prefetch.put(place(1), 3, 10);
        assert!(prefetch.wants(&place(0)) && prefetch.wants(&place(1)), "25 each");
        prefetch.put(place(0), 4, 5);
        assert!(prefetch.is_held_back(&place(0)));
        assert_eq!((prefetch.take(), prefetch.has_made_way()), (Some((place(0), 2)), true));
        prefetch.put(place(0), 5, 30);
        assert!(prefetch.is_held_back(&place(0)));
        assert_eq!((prefetch.take(), prefetch.has_made_way()), (Some((place(1), 3)), true), "50 again");
        assert!(prefetch.wants(&place(0)) && !prefetch.has_made_way());
    }

    #[test]
    fn a_fetch_reserves_its_room_first() {
        let mut prefetch = Prefetch::<u32>::new(100);
        assert_eq!(prefetch.reserve(60), 60);
        assert_eq!(prefetch.reserve(60), 40);
        assert_eq!(prefetch.reserve(60), 0);
        prefetch.put(place(0), 1, 55);
        prefetch.release(60);
        assert_eq!(prefetch.reserve(60), 5);
    }

    #[test]
    fn what_is_discarded_is_never_taken() {
        let mut prefetch = Prefetch::new(100);
        prefetch.put(place(0), 1, 10);
        prefetch.put(place(1), 2, 10);
        prefetch.discard(&place(0));
        prefetch.put(place(0), 3, 10);
        assert_eq!(taken(&mut prefetch), [(1, 2), (0, 3)]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(i32, usize),
        Take,
        Discard(i32),
        Pause(i32),
        Resume(i32),
        Fetch(usize),
        Answer,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4, 1..50_usize).prop_map(|(partition, bytes)| Step::Put(partition, bytes)),
            Just(Step::Take),
            Just(Step::Take),
            (0..4).prop_map(Step::Discard),
            (0..4).prop_map(Step::Pause),
            (0..4).prop_map(Step::Resume),
            (1..80_usize).prop_map(Step::Fetch),
            Just(Step::Answer),
        ]
    }

    proptest! {
        /// Each partition's batches come out in order, once, and the count of bytes is true at every step. Reservations and
        /// what waits never exceed the room by themselves.
        #[test]
        fn nothing_is_lost_doubled_or_miscounted(steps in prop::collection::vec(step(), 0..80)) {
            let mut prefetch = Prefetch::new(100);
            let mut expected = BTreeMap::<i32, VecDeque<(usize, usize)>>::new();
            let mut reservations = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                let held_back: Vec<_> = (0..4).map(place).filter(|place| prefetch.is_held_back(place)).collect();
                let is_take = matches!(step, Step::Take);
                match step {
                    Step::Put(partition, bytes) => {
                        prefetch.put(place(partition), number, bytes);
                        expected.entry(partition).or_default().push_back((number, bytes));
                    }
                    Step::Take => match prefetch.take() {
                        Some((place, batch)) => {
                            prop_assert!(!prefetch.paused().contains(&place));
                            let next = expected.get_mut(&place.partition).and_then(VecDeque::pop_front);
                            prop_assert_eq!(next.map(|next| next.0), Some(batch));
                        }
                        None => prop_assert!(expected
                            .iter()
                            .all(|(partition, left)| left.is_empty() || prefetch.paused().contains(&place(*partition)))),
                    },
                    Step::Discard(partition) => {
                        prefetch.discard(&place(partition));
                        expected.remove(&partition);
                    }
                    Step::Pause(partition) => prefetch.pause(place(partition)),
                    Step::Resume(partition) => prefetch.resume(&place(partition)),
                    Step::Fetch(most) => {
                        let room = prefetch.reserve(most);
                        prop_assert!(room == 0 || prefetch.bytes() + prefetch.reserved <= 100);
                        reservations.push_back(room);
                    }
                    Step::Answer => prefetch.release(reservations.pop_front().unwrap_or(0)),
                }
                let left: usize = expected.values().flatten().map(|(_, bytes)| bytes).sum();
                prop_assert_eq!(prefetch.bytes(), left);
                let lanes = prefetch.waiting.iter().map(|(place, lane)| (place.partition, lane.bytes));
                let of_each = expected.iter().filter(|(_, left)| !left.is_empty());
                let of_each = of_each.map(|(partition, left)| (*partition, left.iter().map(|(_, bytes)| bytes).sum()));
                prop_assert_eq!(lanes.collect::<Vec<_>>(), of_each.collect::<Vec<(i32, usize)>>());
                let is_any_freed = held_back.iter().any(|place| !prefetch.is_held_back(place));
                let has_made_way = prefetch.has_made_way();
                prop_assert!(!is_take || !is_any_freed || has_made_way);
                prop_assert_eq!(prefetch.reserved, reservations.iter().sum::<usize>());
            }
        }
    }
}
