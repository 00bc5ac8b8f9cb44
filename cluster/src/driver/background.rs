//! Work that must not hold up the driver: reading old entries for followers that lag, and removing what deleted
//! partitions left on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use trilog_storage::{EntryFetch, LogReader, Store, StoreError};

use super::inbox::{Inbox, Input};
use super::pace::Pace;
use crate::ids::RaftGroupId;

/// Keys that one purge batch removes: small, because a batch blocks every reader of the store.
const PURGE_KEYS: usize = 256;

/// How long the reader rests at most before it looks for the next entries to read.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// How late the reader may be and make up for it.
const MADE_UP_FOR: Duration = Duration::from_millis(100);

/// Hands work to the background threads. Each queue is bounded by what can be asked: a log has one read a follower
/// under way, and a purge is asked for once a deleted partition.
pub(super) struct Background {
    fetches: Sender<(RaftGroupId, EntryFetch)>,
    reading: Arc<Reading>,
    pace: Pace,
    looked: Instant,
    purges: Sender<()>,
}

/// What the driver and the reader tell each other.
struct Reading {
    /// Bytes read since the driver last looked.
    read: AtomicU64,
    /// How many may be read a second, as an `f64`'s bits.
    limit: AtomicU64,
}

impl Background {
    pub(super) fn start(store: Store, reader: LogReader, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let (fetches, wanted) = channel();
        let reading =
            Arc::new(Reading { read: AtomicU64::new(0), limit: AtomicU64::new(f64::INFINITY.to_bits()) });
        let (fetch_inbox, shared) = (Arc::clone(&inbox), Arc::clone(&reading));
        std::thread::Builder::new()
            .name("entry-reader".into())
            .spawn(move || end(&fetch_inbox, read_entries(&wanted, &reader, &fetch_inbox, &shared)))?;
        let (purges, asked) = channel();
        std::thread::Builder::new()
            .name("purger".into())
            .spawn(move || end(&inbox, purge(&asked, &store)))?;
        let background = Self { fetches, reading, pace: Pace::new(), looked: Instant::now(), purges };
        // What a previous run did not finish.
        background.purge();
        Ok(background)
    }

    pub(super) fn fetch(&self, group: RaftGroupId, fetch: EntryFetch) {
        // The threads end only with the node, or with an error that the driver is about to hear of.
        let _ = self.fetches.send((group, fetch));
    }

    /// Has the reader keep pace with producers, who `appended` this many bytes since this was last called.
    pub(super) fn keep_pace(&mut self, now: Instant, appended: u64) {
        let read = self.reading.read.swap(0, Ordering::Relaxed);
        let limit = self.pace.look(now.saturating_duration_since(self.looked), appended, read);
        self.looked = now;
        self.reading.limit.store(limit.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn purge(&self) {
        let _ = self.purges.send(());
    }
}

fn end(inbox: &Inbox, done: Result<(), StoreError>) {
    if let Err(error) = done {
        inbox.push(Input::Fail(error));
    }
}

fn read_entries(
    wanted: &Receiver<(RaftGroupId, EntryFetch)>,
    reader: &LogReader,
    inbox: &Inbox,
    reading: &Reading,
) -> Result<(), StoreError> {
    let mut due = Instant::now();
    for (group, fetch) in wanted {
        let fetched = fetch.read(reader)?;
        let bytes = fetched.bytes();
        inbox.push(Input::Fetched(group, fetched));
        reading.read.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        let limit = f64::from_bits(reading.limit.load(Ordering::Relaxed));
        due = next_due(due, Instant::now(), bytes, limit);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// When the next entries may be read, so that no more than `limit` bytes a second are: what was `due` before had this many.
/// Who comes late, as sleepers do, may make up for a little of it.
fn next_due(due: Instant, now: Instant, bytes: usize, limit: f64) -> Instant {
    let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    let takes = Duration::try_from_secs_f64(bytes / limit).unwrap_or(LONGEST_REST);
    let due = now.checked_sub(MADE_UP_FOR).map_or(due, |earliest| due.max(earliest));
    due + takes.min(LONGEST_REST)
}

fn purge(asked: &Receiver<()>, store: &Store) -> Result<(), StoreError> {
    for () in asked {
        while store.purge(PURGE_KEYS)?.more {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many milliseconds after now one reads again, after a megabyte that was due this many before it.
    fn rest(late_ms: u64, bytes: usize, limit: f64) -> u128 {
        let now = Instant::now() + Duration::from_secs(1);
        let next = next_due(now - Duration::from_millis(late_ms), now, bytes, limit);
        next.saturating_duration_since(now).as_millis()
    }

    #[test]
    fn the_reader_rests_as_long_as_its_limit_asks() {
        assert_eq!(rest(0, 1_000_000, f64::INFINITY), 0);
        assert_eq!(rest(0, 1_000_000, 20e6), 50);
        assert_eq!(rest(10, 1_000_000, 20e6), 40);
        assert_eq!(rest(60, 1_000_000, 20e6), 0);
        assert_eq!(rest(0, 1 << 30, 20e6), 200);
        assert_eq!(rest(0, 1, 0.0), 200);
    }

    #[test]
    fn the_reader_makes_up_for_a_little_only() {
        assert_eq!(rest(5_000, 3_000_000, 20e6), 50);
    }
}
