//! A batch: records of one partition that share a place in it, a request and a fate.

use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::batch::{AddError, BatchHeader, BatchOrigin, BatchWriter};
use trilog_protocol::compression::Compression;
use trilog_protocol::ids::TimestampMs;
use trilog_protocol::records::{RecordRef, decode_records};

use super::delivery::Delivered;
use super::record::Record;
use crate::Error;

/// What is remembered of a record until its fate is known.
#[derive(Debug)]
pub(super) struct Entry<T> {
    /// What the application waits with.
    pub(super) token: T,
    /// Bytes of `buffer.memory` that it holds.
    pub(super) charge: usize,
    /// The flush that it belongs to; see [`super::flush`].
    pub(super) generation: u64,
    /// Its timestamp, in milliseconds since 1970.
    pub(super) timestamp: i64,
}

/// A record whose fate is known.
#[derive(Debug)]
pub(super) struct Finished<T> {
    pub(super) token: T,
    pub(super) charge: usize,
    pub(super) generation: u64,
    pub(super) result: Result<Delivered, Error>,
}

impl<T> Entry<T> {
    /// The record's fate.
    pub(super) fn finish(self, result: Result<Delivered, Error>) -> Finished<T> {
        Finished { token: self.token, charge: self.charge, generation: self.generation, result }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Batch<T> {
    /// Its place among the batches of its partition, in the order of their making.
    pub(super) number: u64,
    /// Its records. Shared once the batch is sealed.
    content: Arc<BatchWriter>,
    /// A record each, in order. None are left once the batch has expired.
    pub(super) entries: Vec<Entry<T>>,
    /// When its first record was appended, counted from the producer's start.
    pub(super) created: Duration,
    /// Whether it takes no further record.
    pub(super) is_sealed: bool,
    /// Its numbers, once it was sent.
    pub(super) origin: Option<BatchOrigin>,
    /// How often it was sent and came back.
    pub(super) attempts: u32,
    /// Whether an attempt ended without the broker's saying that it was not appended.
    pub(super) is_uncertain: bool,
    /// Why it came back last.
    pub(super) last_error: Option<Error>,
}

/// How much a batch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    bytes: usize,
    records: usize,
}

impl Extent {
    pub(super) const NONE: Self = Self { bytes: 0, records: 0 };

    /// The same, of `most` bytes at most.
    pub(super) fn within(self, most: usize) -> Self {
        Self { bytes: self.bytes.min(most), ..self }
    }
}

impl<T> Batch<T> {
    /// A batch that has room for as much as is `expected`, and takes more.
    pub(super) fn new(number: u64, created: Duration, expected: Extent) -> Self {
        Self {
            number,
            content: Arc::new(BatchWriter::with_capacity(expected.bytes)),
            entries: Vec::with_capacity(expected.records),
            created,
            is_sealed: false,
            origin: None,
            attempts: 0,
            is_uncertain: false,
            last_error: None,
        }
    }

    /// Its length before compression, in bytes.
    pub(super) fn len(&self) -> usize {
        self.content.uncompressed_len()
    }

    /// How much it takes.
    pub(super) fn extent(&self) -> Extent {
        Extent { bytes: self.len(), records: self.entries.len() }
    }

    /// Whether `record` can join it without making it longer than `limit` bytes. Any record may be the first.
    pub(super) fn has_room(&self, record: &Record, timestamp: i64, limit: usize) -> bool {
        let is_below = || self.content.uncompressed_len_with(&record_ref(record, timestamp)) <= limit;
        !self.is_sealed && (self.entries.is_empty() || is_below())
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// [`AddError`], with the entry; the batch is as before.
    pub(super) fn add(&mut self, record: &Record, entry: Entry<T>) -> Result<(), (AddError, Entry<T>)> {
        let Some(content) = Arc::get_mut(&mut self.content) else {
            return Err((AddError::TooLong, entry));
        };
        match content.add(&record_ref(record, entry.timestamp)) {
            Ok(_) => {
                self.entries.push(entry);
                Ok(())
            }
            Err(error) => Err((error, entry)),
        }
    }

    /// What is sent of it.
    pub(super) fn content(&mut self) -> Arc<BatchWriter> {
        self.is_sealed = true;
        Arc::clone(&self.content)
    }

    /// How many numbers it takes.
    pub(super) fn record_count(&self) -> u32 {
        self.content.record_count()
    }

    /// Two batches with half of the records each, and with the numbers that the records have had; the second takes the place
    /// after this one's. A batch of one record, and one whose records were given up, is given back.
    pub(super) fn split(self) -> Result<(Self, Self), Box<Self>> {
        let Some((first, second)) = self.halves() else { return Err(Box::new(self)) };
        let Self { number, mut entries, created, origin, attempts, .. } = self;
        let later = entries.split_off(entries.len() / 2);
        let skipped = first.record_count();
        let part = |number, content, entries, origin| Self {
            number,
            content: Arc::new(content),
            entries,
            created,
            is_sealed: true,
            origin,
            attempts,
            is_uncertain: false,
            last_error: None,
        };
        let behind = origin.map(|origin| after(origin, skipped));
        Ok((part(number, first, entries, origin), part(number + 1, second, later, behind)))
    }

    /// The records in two halves. None if there are no two records that anybody waits for.
    fn halves(&self) -> Option<(BatchWriter, BatchWriter)> {
        let count = self.entries.len();
        let is_whole = u32::try_from(count).is_ok_and(|count| count == self.content.record_count());
        if count < 2 || !is_whole {
            return None;
        }
        let bytes = self.content.finish(Compression::NONE, &BatchOrigin::ANONYMOUS).ok()?.freeze();
        let header = BatchHeader::parse(&bytes).ok()?;
        let mut halves = [BatchWriter::new(), BatchWriter::new()];
        for (at, record) in decode_records(&header, &bytes, bytes.len()).ok()?.enumerate() {
            let record = record.ok()?;
            let reference = RecordRef {
                timestamp: record.timestamp,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &record.headers,
            };
            halves[usize::from(at >= count / 2)].add(&reference).ok()?;
        }
        let [first, second] = halves;
        Some((first, second))
    }

    /// The fate of all its records.
    pub(super) fn finish(self, result: impl Fn(usize, i64) -> Result<Delivered, Error>) -> Vec<Finished<T>> {
        let entries = self.entries.into_iter().enumerate();
        entries
            .map(|(at, entry)| {
                let fate = result(at, entry.timestamp);
                entry.finish(fate)
            })
            .collect()
    }
}

/// The numbers behind the first `count` of a batch.
fn after(origin: BatchOrigin, count: u32) -> BatchOrigin {
    let next = (i64::from(origin.base_sequence) + i64::from(count)) % (1 << 31);
    BatchOrigin { base_sequence: i32::try_from(next).unwrap_or(0), ..origin }
}

/// The length of a batch with this record alone, in bytes.
pub(super) fn len_alone(record: &Record, timestamp: i64) -> usize {
    BatchWriter::new().uncompressed_len_with(&record_ref(record, timestamp))
}

fn record_ref(record: &Record, timestamp: i64) -> RecordRef<'_> {
    RecordRef {
        timestamp: TimestampMs(timestamp),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &record.headers,
    }
}
