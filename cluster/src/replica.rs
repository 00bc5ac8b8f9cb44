//! A partition's replica as readers see it, without entering the shard: how far it is committed, whether it leads, and
//! the record batches themselves.
//!
//! Architecture Invariant: readers never see anything above the high watermark, and the high watermark is published
//! only after the entries below it can be read.

mod by_time;
mod retention;
mod size;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use trilog_storage::{LogReader, StoreError, TailCache};

use crate::driver::inbox::{Inbox, Input};
use crate::ids::{LeaderEpoch, Offset, RaftGroupId, RaftIndex};
use crate::partition::{LeaderEpochs, slice_for_fetch};

/// How long what looks damaged may turn out to be on its way out: deleted or truncated a moment ago.
const REMOVAL_SHOWS_WITHIN: Duration = Duration::from_millis(200);

/// How many recently applied entries a replica can find without asking the offset index on disk.
const RECENT_ENTRIES: usize = 512;

/// What may be known of a replica at a moment.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// The epoch in which this replica serves as leader; none while it does not. A leader serves once an entry of its
    /// own term is applied, so the high watermark never appears to go back.
    pub leading: Option<LeaderEpoch>,
    /// The first offset that can be read.
    pub log_start_offset: Offset,
    /// One past the last committed offset: reads end below it.
    pub high_watermark: Offset,
    /// The bytes of all batches below the high watermark, deleted ones included.
    pub bytes_so_far: u64,
    /// Where each leader epoch began.
    pub leader_epochs: Arc<LeaderEpochs>,
}

impl ReplicaStatus {
    /// A partition without a record.
    pub(crate) fn empty(leading: Option<LeaderEpoch>) -> Self {
        Self {
            leading,
            log_start_offset: Offset(0),
            high_watermark: Offset(0),
            bytes_so_far: 0,
            leader_epochs: Arc::default(),
        }
    }
}

/// Where an applied entry's records are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecentEntry {
    pub(crate) first_offset: Offset,
    pub(crate) index: RaftIndex,
}

/// The outcome of a read that does not touch the disk.
#[derive(Debug)]
pub enum InMemory {
    /// The batches asked for; empty at the high watermark.
    Batches(Vec<Bytes>),
    /// Older than what is kept in memory: read it with [`Replica::read_blocking`], on a thread that may wait.
    OnDisk,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset lies below the log start or above the high watermark.
    #[error("offset {offset} is outside {log_start_offset}..={high_watermark}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// The first offset there is.
        log_start_offset: Offset,
        /// The last offset that may be asked for.
        high_watermark: Offset,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry that should be there is not, or is not what it should be.
    #[error("the log of {group} is damaged at offset {offset}: {detail}")]
    Damaged {
        /// The partition's group.
        group: RaftGroupId,
        /// Where.
        offset: Offset,
        /// What was found.
        detail: String,
    },
}

/// How much clients have written to a replica and read from it since the process began. Leaders alone are written to and
/// read from, so the sum over all nodes counts everything once.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes_in: AtomicU64,
    records_in: AtomicU64,
    bytes_out: AtomicU64,
    records_out: AtomicU64,
}

/// [`Traffic`] at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Bytes of record batches committed under this leader.
    pub bytes_in: u64,
    /// Records in them.
    pub records_in: u64,
    /// Bytes of record batches sent to consumers.
    pub bytes_out: u64,
    /// Records in them.
    pub records_out: u64,
}

impl Traffic {
    /// Counts what a leader has committed between two moments of one term. What was refused or is a retry is not among it.
    fn count_in(&self, before: &ReplicaStatus, after: &ReplicaStatus) {
        if before.leading.is_none() || before.leading != after.leading {
            return;
        }
        let records = after.high_watermark.0.saturating_sub(before.high_watermark.0);
        self.records_in.fetch_add(u64::try_from(records).unwrap_or(0), Ordering::Relaxed);
        let bytes = after.bytes_so_far.saturating_sub(before.bytes_so_far);
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A consumer is sent so much.
    pub fn count_out(&self, bytes: usize, records: u64) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
        self.records_out.fetch_add(records, Ordering::Relaxed);
    }

    /// How much it is by now.
    pub fn counts(&self) -> TrafficCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrafficCounts {
            bytes_in: load(&self.bytes_in),
            records_in: load(&self.records_in),
            bytes_out: load(&self.bytes_out),
            records_out: load(&self.records_out),
        }
    }
}

/// A local replica. Shared between the driver, which publishes to it, and the readers.
pub struct Replica {
    group: RaftGroupId,
    reader: LogReader,
    tail: TailCache,
    /// Where damage is told of.
    inbox: Arc<Inbox>,
    published: Mutex<Published>,
    watchers: Mutex<Vec<Arc<Notify>>>,
    traffic: Traffic,
    looks: Mutex<retention::Looks>,
    /// This node has no replica any more, and what it stored is being removed.
    closed: AtomicBool,
}

struct Published {
    status: ReplicaStatus,
    recent: VecDeque<RecentEntry>,
}

impl Replica {
    pub(crate) fn new(group: RaftGroupId, reader: LogReader, tail: TailCache, inbox: Arc<Inbox>) -> Self {
        let published = Mutex::new(Published { status: ReplicaStatus::empty(None), recent: VecDeque::new() });
        let closed = AtomicBool::new(false);
        Self {
            group,
            reader,
            tail,
            inbox,
            published,
            watchers: Mutex::default(),
            traffic: Traffic::default(),
            looks: Mutex::default(),
            closed,
        }
    }

    /// The partition's Raft group.
    pub const fn group(&self) -> RaftGroupId {
        self.group
    }

    /// What clients have written to it and read from it.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// How this replica stands.
    pub fn status(&self) -> ReplicaStatus {
        lock(&self.published).status.clone()
    }

    pub(crate) fn publish(&self, status: ReplicaStatus, recent: Vec<RecentEntry>) {
        {
            let mut published = lock(&self.published);
            self.traffic.count_in(&published.status, &status);
            published.status = status;
            published.recent.extend(recent);
            let surplus = published.recent.len().saturating_sub(RECENT_ENTRIES);
            published.recent.drain(..surplus);
        }
        for watcher in lock(&self.watchers).iter() {
            watcher.notify_one();
        }
    }

    /// This node has no replica any more: whoever still waits at this one learns that it does not lead.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let status = ReplicaStatus { leading: None, ..self.status() };
        self.publish(status, Vec::new());
    }

    /// Notifies `notify` at each change of the status until the guard is dropped.
    pub fn watch(self: &Arc<Self>, notify: &Arc<Notify>) -> WatchGuard {
        lock(&self.watchers).push(Arc::clone(notify));
        WatchGuard { replica: Arc::clone(self), notify: Arc::clone(notify) }
    }

    /// Ends the node for what a read met: a replica that cannot read what it holds must neither lead nor be counted on,
    /// and the others have it all. Not so for an offset that is out of range, or is so by now, nor once this replica is
    /// closed.
    pub fn fail(&self, error: ReadError) {
        let log_start_offset = lock(&self.published).status.log_start_offset;
        let fatal = match error {
            ReadError::OffsetOutOfRange { .. } => return,
            ReadError::Damaged { offset, .. } if offset < log_start_offset => return,
            ReadError::Store(error) => error,
            ReadError::Damaged { offset, detail, .. } => {
                StoreError::damaged_in(self.group, format!("at offset {offset}: {detail}"))
            }
        };
        if !self.closed.load(Ordering::Acquire) {
            self.inbox.push(Input::Fail(fatal.into()));
        }
    }

    /// Whole batches from the one that holds `offset`, up to the high watermark or about `max_bytes`; with
    /// `at_least_one` the first batch even if it is larger. Empty at the high watermark.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`], or damage found on the way.
    pub fn read_in_memory(
        &self,
        offset: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<InMemory, ReadError> {
        self.read(offset, max_bytes, at_least_one, Source::MemoryOnly)
    }

    /// The same, from disk where needed.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`], a failure of the store, or damage found on the way.
    pub fn read_blocking(
        &self,
        offset: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Vec<Bytes>, ReadError> {
        self.confirmed(|| match self.read(offset, max_bytes, at_least_one, Source::MemoryOrDisk)? {
            InMemory::Batches(batches) => Ok(batches),
            InMemory::OnDisk => {
                // It may have been deleted since the first look.
                Self::check_in_range(&self.status(), offset)?;
                Err(self.damaged(offset, "no entry holds an offset below the high watermark"))
            }
        })
    }

    /// Reads from disk, and once more when it met damage: a reader that was overtaken by a truncation finds pieces
    /// missing, and a moment later that they are out of range.
    fn confirmed<T>(&self, read: impl Fn() -> Result<T, ReadError>) -> Result<T, ReadError> {
        match read() {
            Err(ReadError::Damaged { .. } | ReadError::Store(StoreError::Damaged { .. })) => {
                thread::sleep(REMOVAL_SHOWS_WITHIN);
                read()
            }
            outcome => outcome,
        }
    }

    fn read(
        &self,
        offset: Offset,
        max_bytes: usize,
        at_least_one: bool,
        source: Source,
    ) -> Result<InMemory, ReadError> {
        let (high_watermark, start) = {
            let published = lock(&self.published);
            let status = &published.status;
            Self::check_in_range(status, offset)?;
            if offset == status.high_watermark {
                return Ok(InMemory::Batches(Vec::new()));
            }
            (status.high_watermark, published.find_recent(offset))
        };
        let start = match (start, source) {
            (Some(index), _) => index,
            (None, Source::MemoryOnly) => return Ok(InMemory::OnDisk),
            (None, Source::MemoryOrDisk) => match self.reader.index_floor(self.group, offset)? {
                Some(row) => row.raft_index,
                None => return Ok(InMemory::OnDisk),
            },
        };
        self.read_from(start, Want { offset, high_watermark, max_bytes, at_least_one }, source)
    }

    /// Whether a reader may ask for `offset` of a replica that stands so.
    fn check_in_range(status: &ReplicaStatus, offset: Offset) -> Result<(), ReadError> {
        let ReplicaStatus { log_start_offset, high_watermark, .. } = *status;
        if offset < log_start_offset || offset > high_watermark {
            return Err(ReadError::OffsetOutOfRange { offset, log_start_offset, high_watermark });
        }
        Ok(())
    }

    /// Reads entry after entry. Entries without records (a new leader's first, a command) have no batches to add.
    fn read_from(&self, start: RaftIndex, want: Want, source: Source) -> Result<InMemory, ReadError> {
        let Want { offset, high_watermark, max_bytes, at_least_one } = want;
        let mut batches = Vec::new();
        let (mut index, mut next, mut left) = (start, offset, max_bytes);
        while next < high_watermark {
            let entry = match source {
                Source::MemoryOnly => self.tail.get(self.group, index),
                Source::MemoryOrDisk => self.reader.entry(self.group, index)?,
            };
            let Some(entry) = entry else {
                if batches.is_empty() {
                    return Ok(InMemory::OnDisk);
                }
                break;
            };
            let slice = slice_for_fetch(&entry.payload, next, left, at_least_one && batches.is_empty())
                .map_err(|error| self.damaged(next, error))?;
            left = left.saturating_sub(slice.bytes.len());
            next = slice.next_offset;
            if !slice.bytes.is_empty() {
                batches.push(slice.bytes);
            }
            if slice.limit_reached || left == 0 {
                break;
            }
            index = index.next();
        }
        Ok(InMemory::Batches(batches))
    }

    fn damaged(&self, offset: Offset, detail: impl ToString) -> ReadError {
        ReadError::Damaged { group: self.group, offset, detail: detail.to_string() }
    }
}

#[derive(Clone, Copy)]
enum Source {
    MemoryOnly,
    MemoryOrDisk,
}

struct Want {
    offset: Offset,
    high_watermark: Offset,
    max_bytes: usize,
    at_least_one: bool,
}

impl Published {
    /// The entry that holds `offset`, if it is among the recent ones.
    fn find_recent(&self, offset: Offset) -> Option<RaftIndex> {
        let after = self.recent.partition_point(|entry| entry.first_offset <= offset);
        after.checked_sub(1).map(|at| self.recent[at].index)
    }
}

/// Ends a [`Replica::watch`] when dropped.
pub struct WatchGuard {
    replica: Arc<Replica>,
    notify: Arc<Notify>,
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        let mut watchers = lock(&self.replica.watchers);
        if let Some(at) = watchers.iter().position(|watcher| Arc::ptr_eq(watcher, &self.notify)) {
            watchers.swap_remove(at);
        }
    }
}

/// A lock whose holder panicked guards plain data that is replaced as a whole, so it is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
