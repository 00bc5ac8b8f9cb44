//! One session: its partitions, in the order in which they are read, and what the client knows of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use super::{FIRST_EPOCH, Seen};
use crate::api::fetch::asked::{Asked, PartitionKey, TopicKey};

/// What a partition of a session takes, in bytes, beside its topic's name: an estimate above rather than below.
pub(super) const PARTITION_BYTES: usize = 256;
/// What a session takes without its partitions.
pub(super) const EMPTY_SESSION_BYTES: usize = 512;

/// An unknown offset.
const NO_OFFSET: i64 = -1;

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) by_id: bool,
    /// The epoch of the next request.
    pub(super) epoch: i32,
    pub(super) created: Instant,
    pub(super) used: Instant,
    pub(super) bytes: usize,
    /// Partitions by place: the order in which they are read.
    pub(super) order: BTreeMap<u64, Entry>,
    pub(super) places: HashMap<PartitionKey, u64>,
    next_place: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: PartitionKey,
    pub(super) asked: Asked,
    /// What the client was told last.
    high_watermark: i64,
    log_start_offset: i64,
}

impl Session {
    pub(super) fn new(by_id: bool, now: Instant) -> Self {
        Self {
            by_id,
            epoch: FIRST_EPOCH + 1,
            created: now,
            used: now,
            bytes: EMPTY_SESSION_BYTES,
            order: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
        }
    }

    /// Adds a partition at the end, or asks something else of it.
    pub(super) fn put(&mut self, key: PartitionKey, asked: Asked) {
        if let Some(entry) = self.places.get(&key).and_then(|place| self.order.get_mut(place)) {
            entry.asked = asked;
            return;
        }
        self.bytes += bytes_of(&key);
        self.places.insert(key.clone(), self.next_place);
        let entry = Entry { key, asked, high_watermark: NO_OFFSET, log_start_offset: NO_OFFSET };
        self.append(entry);
    }

    fn append(&mut self, entry: Entry) {
        self.order.insert(self.next_place, entry);
        self.next_place += 1;
    }

    pub(super) fn remove(&mut self, key: &PartitionKey) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place);
            self.bytes -= bytes_of(key);
        }
    }

    /// Which of the partitions, each as seen now, have to be told. Those with records go to the end.
    pub(super) fn tell(&mut self, seen: impl IntoIterator<Item = Seen>) -> Vec<bool> {
        let mut tell = Vec::with_capacity(self.order.len());
        let mut served = Vec::new();
        for ((place, entry), seen) in self.order.iter_mut().zip(seen) {
            tell.push(entry.tell(seen));
            if seen.has_records {
                served.push(*place);
            }
        }
        assert_eq!(tell.len(), self.order.len(), "nothing alters a session between a request and its answer");
        for place in served {
            if let Some(entry) = self.order.remove(&place) {
                self.places.insert(entry.key.clone(), self.next_place);
                self.append(entry);
            }
        }
        tell
    }
}

impl Entry {
    /// Whether the partition, as seen now, has to be told.
    fn tell(&mut self, seen: Seen) -> bool {
        let Seen { high_watermark, log_start_offset, has_records, is_urgent } = seen;
        let is_other = (self.high_watermark, self.log_start_offset) != (high_watermark, log_start_offset);
        (self.high_watermark, self.log_start_offset) = (high_watermark, log_start_offset);
        is_other || has_records || is_urgent
    }
}

/// What a partition takes in a session.
pub(super) fn bytes_of(key: &PartitionKey) -> usize {
    let name = match &key.topic {
        TopicKey::Name(name) => name.len(),
        TopicKey::Id(_) => 0,
    };
    PARTITION_BYTES + name
}
