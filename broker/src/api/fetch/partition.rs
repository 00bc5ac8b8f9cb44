//! One partition of a fetch: what is asked for, and what has been read of it so far.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use trilog_cluster::ids::{LeaderEpoch, Offset, RaftGroupId};
use trilog_cluster::node::Confirmed;
use trilog_cluster::replica::{InMemory, ReadError, Replica, ReplicaStatus};
use trilog_protocol::batch::batches;

use super::super::led_partition::{LedPartition, NO_EPOCH, check_epoch, end_of_epoch};
use super::asked::Asked;
use super::limits::{Allowance, FirstBatch};
use super::session::Seen as SeenBySession;

/// Nothing known: an offset in a partition that failed.
pub(super) const NO_OFFSET: i64 = -1;

/// Where records may be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From memory only, at once.
    Memory,
    /// From disk too, on a thread that may wait.
    Disk,
}

/// Records have to be read from disk, which this pass may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotInMemory;

/// A partition in a fetch.
pub(super) struct PartitionFetch {
    /// The partition's index.
    pub(super) index: i32,
    /// Its group, if there is such a partition.
    pub(super) group: Option<RaftGroupId>,
    pub(super) asked: Asked,
    replica: Option<Arc<Replica>>,
    seen: Option<Seen>,
    /// What the answer says of it, as of the last pass.
    pub(super) outcome: Result<Reading, ResponseError>,
    /// The epoch of the leader that this node knew when the request came.
    known_epoch: Option<LeaderEpoch>,
}

/// What a reading depends on. While it stays the same, so does the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    leading: Option<LeaderEpoch>,
    high_watermark: Offset,
    log_start_offset: Offset,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// One past the last committed offset.
    pub(super) high_watermark: Offset,
    /// The first offset there is.
    pub(super) log_start_offset: Offset,
    /// Whole batches, in order.
    pub(super) batches: Vec<Bytes>,
    /// How many bytes they are.
    pub(super) bytes: usize,
    /// Whether nothing was read although there is something: its first batch is larger than there was memory for.
    pub(super) lacks_memory: bool,
    /// Where the log parts from what the client has of it, if it does: then nothing was read.
    pub(super) diverging: Option<(LeaderEpoch, Offset)>,
}

impl PartitionFetch {
    /// A partition that is asked for, with its group or what is wrong with it, and this node's replica.
    pub(super) fn new(
        index: i32,
        asked: Asked,
        group: Result<RaftGroupId, ResponseError>,
        replica: Option<Arc<Replica>>,
    ) -> Self {
        let outcome = match (&group, &replica) {
            (Err(error), _) => Err(*error),
            (Ok(_), None) => Err(ResponseError::NotLeaderOrFollower),
            (Ok(_), Some(_)) => Ok(Reading::default()),
        };
        Self { index, group: group.ok(), asked, replica, seen: None, outcome, known_epoch: None }
    }

    /// The same, where this node knows of a leader in that epoch.
    pub(super) const fn known_to_be_led_in(mut self, epoch: Option<LeaderEpoch>) -> Self {
        self.known_epoch = epoch;
        self
    }

    /// The partition's group, if this node shows to lead it.
    pub(super) fn led(&self) -> Option<RaftGroupId> {
        let leading = self.replica.as_ref().and_then(|replica| replica.status().leading);
        self.group.filter(|_| leading.is_some())
    }

    /// Refuses what was read unless this node led the partition for certain. That the client's epoch is a wrong one is true
    /// in any case.
    pub(super) fn keep_confirmed(&mut self, confirmed: &Confirmed) {
        let is_wrong_epoch = |error: &ResponseError| {
            matches!(error, ResponseError::FencedLeaderEpoch | ResponseError::UnknownLeaderEpoch)
        };
        if self.outcome.as_ref().is_err_and(is_wrong_epoch) {
            return;
        }
        let epoch = self.seen.and_then(|seen| seen.leading);
        let read = self.group.filter(|_| self.replica.is_some());
        let is_covered = |group| epoch.is_some_and(|epoch| confirmed.covers(group, epoch));
        if read.is_some_and(|group| !is_covered(group)) {
            self.outcome = Err(ResponseError::NotLeaderOrFollower);
        }
    }

    /// What a session may have to tell of it.
    pub(super) fn seen(&self) -> SeenBySession {
        match &self.outcome {
            Ok(reading) => SeenBySession {
                high_watermark: reading.high_watermark.0,
                log_start_offset: reading.log_start_offset.0,
                has_records: reading.bytes > 0,
                is_urgent: reading.diverging.is_some(),
            },
            Err(_) => SeenBySession {
                high_watermark: NO_OFFSET,
                log_start_offset: NO_OFFSET,
                has_records: false,
                is_urgent: true,
            },
        }
    }

    /// The replica that is read, to be watched.
    pub(super) const fn replica(&self) -> Option<&Arc<Replica>> {
        self.replica.as_ref()
    }

    /// The most bytes that the client wants of this partition.
    pub(super) const fn max_bytes(&self) -> usize {
        self.asked.max_bytes
    }

    /// How many bytes have been read.
    pub(super) fn bytes(&self) -> usize {
        self.outcome.as_ref().map_or(0, |reading| reading.bytes)
    }

    /// Whether there was too little memory for its first batch.
    pub(super) fn lacks_memory(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|reading| reading.lacks_memory)
    }

    /// Whether the answer should leave at once: something is wrong, which the client should know.
    pub(super) fn is_urgent(&self) -> bool {
        self.outcome.as_ref().map_or(true, |reading| reading.diverging.is_some())
    }

    /// Whether there is more than was read: a limit has cut the reading short. Looks at every batch header,
    /// so it is for those who would wait otherwise.
    pub(super) fn is_cut_short(&self) -> bool {
        let Ok(reading) = &self.outcome else { return false };
        let last = reading.batches.last().and_then(|slice| batches(slice).last()?.ok());
        last.is_some_and(|(header, _)| header.next_offset() < reading.high_watermark)
    }

    /// Has the replica count what was read. Looks at every batch header.
    pub(super) fn count_traffic(&self) {
        let (Ok(reading), Some(replica)) = (&self.outcome, &self.replica) else { return };
        if reading.bytes > 0 {
            let headers = reading.batches.iter().flat_map(batches).flatten();
            let records = headers.map(|(header, _)| u64::try_from(header.record_count).unwrap_or(0)).sum();
            replica.traffic().count_out(reading.bytes, records);
        }
    }

    /// Reads the partition, if anything about it has changed since it was last read.
    ///
    /// # Errors
    ///
    /// [`NotInMemory`] with [`Source::Memory`]: the outcome is the one before.
    pub(super) fn read(&mut self, allowance: Allowance, source: Source) -> Result<(), NotInMemory> {
        let Some(replica) = self.replica.clone() else { return Ok(()) };
        let status = replica.status();
        let now = Seen {
            leading: status.leading,
            high_watermark: status.high_watermark,
            log_start_offset: status.log_start_offset,
        };
        if self.seen == Some(now) && !self.lacks_memory() {
            return Ok(());
        }
        self.outcome = match self.asked.read(replica, status, self.known_epoch, allowance, source) {
            Err(ReadFailure::NotInMemory) => return Err(NotInMemory),
            Err(ReadFailure::Error(error)) => Err(error),
            Ok(reading) => Ok(reading),
        };
        self.seen = Some(now);
        Ok(())
    }
}

/// Why there is no reading.
enum ReadFailure {
    NotInMemory,
    Error(ResponseError),
}

impl From<ResponseError> for ReadFailure {
    fn from(error: ResponseError) -> Self {
        Self::Error(error)
    }
}

impl Asked {
    fn read(
        &self,
        replica: Arc<Replica>,
        status: ReplicaStatus,
        known: Option<LeaderEpoch>,
        allowance: Allowance,
        source: Source,
    ) -> Result<Reading, ReadFailure> {
        let epoch = check_epoch(status.leading, status.leading.max(known), self.believed_epoch)?;
        let led = LedPartition { replica, status, epoch };
        let reading = Reading {
            high_watermark: led.status.high_watermark,
            log_start_offset: led.status.log_start_offset,
            diverging: self.diverging(&led)?,
            ..Reading::default()
        };
        if reading.diverging.is_some() {
            return Ok(reading);
        }
        let is_behind = self.offset < led.status.high_watermark;
        let read = |max_bytes, at_least_one| self.read_batches(&led, source, max_bytes, at_least_one);
        let mut batches = read(allowance.max_bytes, allowance.first == Some(FirstBatch::Any))?;
        if batches.is_empty()
            && is_behind
            && let Some(FirstBatch::UpTo(most)) = allowance.first
        {
            batches = first_batch(read(most, false)?);
        }
        let lacks_memory = batches.is_empty() && is_behind && allowance.first.is_some();
        let reading = Reading { lacks_memory, ..reading };
        #[cfg(debug_assertions)]
        let (reading, batches) = {
            let (high_watermark, batches) =
                crate::faults::diverged(led.epoch, reading.high_watermark, batches);
            (Reading { high_watermark, ..reading }, batches)
        };
        Ok(Reading { bytes: batches.iter().map(Bytes::len).sum(), batches, ..reading })
    }

    fn read_batches(
        &self,
        led: &LedPartition,
        source: Source,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Vec<Bytes>, ReadFailure> {
        let read = match source {
            Source::Memory => led.replica.read_in_memory(self.offset, max_bytes, at_least_one),
            Source::Disk => {
                led.replica.read_blocking(self.offset, max_bytes, at_least_one).map(InMemory::Batches)
            }
        };
        match read.map_err(|error| read_error(&led.replica, error))? {
            InMemory::OnDisk => Err(ReadFailure::NotInMemory),
            InMemory::Batches(batches) => Ok(batches),
        }
    }

    /// Where the log parts from the client's, whose last record has the epoch it states (KIP-595).
    fn diverging(&self, led: &LedPartition) -> Result<Option<(LeaderEpoch, Offset)>, ResponseError> {
        if self.last_fetched_epoch == NO_EPOCH {
            return Ok(None);
        }
        let end = end_of_epoch(&led.status, led.epoch, LeaderEpoch(self.last_fetched_epoch));
        let (epoch, end) = end.ok_or(ResponseError::OffsetOutOfRange)?;
        let parts = epoch.0 < self.last_fetched_epoch || end < self.offset;
        Ok(parts.then_some((epoch, end)))
    }
}

/// The first of the batches that were read.
fn first_batch(mut read: Vec<Bytes>) -> Vec<Bytes> {
    read.truncate(1);
    let first = read.first().and_then(|slice| batches(slice).next()?.ok());
    first.map_or(read, |(_, batch)| vec![batch])
}

/// What is answered to a read that failed. One that met damage ends the node, too.
fn read_error(replica: &Replica, error: ReadError) -> ResponseError {
    match error {
        ReadError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        ReadError::Store(_) | ReadError::Damaged { .. } => {
            replica.fail(error);
            ResponseError::KafkaStorageError
        }
    }
}
