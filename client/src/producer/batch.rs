//! A batch: records of one partition that share a place in it, a request and a fate.

use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::batch::{AddError, BatchOrigin, BatchWriter};
use trilog_protocol::ids::TimestampMs;
use trilog_protocol::records::RecordRef;

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

impl<T> Batch<T> {
    pub(super) fn new(number: u64, created: Duration) -> Self {
        Self {
            number,
            content: Arc::new(BatchWriter::new()),
            entries: Vec::new(),
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
