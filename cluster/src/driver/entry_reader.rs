//! The thread that reads old entries for followers that lag.
//!
//! There may be gigabytes of clients' records to read, and producers need the processors and the disk, too. So those
//! entries are read in turn and no faster than the [pace](super::pace) allows. What the cluster writes of itself, metadata and
//! consumer groups, is little and waited for: its turn is the next one, pace or not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use trilog_storage::{EntryFetch, LogReader, StoreError};

use super::inbox::{Inbox, Input};
use super::pace::Pace;
use super::threads;
use crate::ids::RaftGroupId;

/// How long the reader rests at most before it looks for the next entries to read.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// How late the reader may be and make up for it.
const MADE_UP_FOR: Duration = Duration::from_millis(100);

/// When something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// As soon as what is being read is done.
    Next,
    /// Behind all that came before, when the pace allows.
    Paced,
}

/// The driver's end. The queue is bounded by what can be asked: a log has one read a follower under way.
pub(super) struct EntryReader {
    fetches: Sender<(Turn, Wanted)>,
    reading: Arc<Reading>,
    pace: Pace,
    looked: Instant,
}

type Wanted = (RaftGroupId, EntryFetch);

/// What the driver and the reader tell each other.
struct Reading {
    /// Bytes read since the driver last looked.
    read: AtomicU64,
    /// How many may be read a second, as an `f64`'s bits.
    limit: AtomicU64,
}

impl EntryReader {
    pub(super) fn start(reader: LogReader, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let (fetches, wanted) = channel();
        let reading =
            Arc::new(Reading { read: AtomicU64::new(0), limit: AtomicU64::new(f64::INFINITY.to_bits()) });
        let shared = Arc::clone(&reading);
        threads::start("entry-reader", inbox, move |inbox| {
            let read = |(group, fetch): Wanted| read_one(group, fetch, &reader, inbox, &shared);
            let limit = || f64::from_bits(shared.limit.load(Ordering::Relaxed));
            run(&wanted, limit, read)
        })?;
        Ok(Self { fetches, reading, pace: Pace::new(), looked: Instant::now() })
    }

    pub(super) fn fetch(&self, group: RaftGroupId, fetch: EntryFetch, turn: Turn) {
        // The thread ends early only with the node, which the driver is about to hear of.
        let _ = self.fetches.send((turn, (group, fetch)));
    }

    /// Has the reader keep pace with producers, who `appended` this many bytes since this was last called.
    pub(super) fn keep_pace(&mut self, now: Instant, appended: u64) {
        let read = self.reading.read.swap(0, Ordering::Relaxed);
        let limit = self.pace.look(now.saturating_duration_since(self.looked), appended, read);
        self.looked = now;
        self.reading.limit.store(limit.to_bits(), Ordering::Relaxed);
    }
}

/// Reads and hands over. Returns how many bytes that were.
fn read_one(
    group: RaftGroupId,
    fetch: EntryFetch,
    reader: &LogReader,
    inbox: &Inbox,
    reading: &Reading,
) -> Result<usize, StoreError> {
    let fetched = fetch.read(reader)?;
    let bytes = fetched.bytes();
    inbox.push(Input::Fetched(group, fetched));
    reading.read.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    Ok(bytes)
}

/// Has everything that is wanted read when its turn is, until nobody can want anything any more or a read fails. The
/// limit is in bytes a second, and a read tells its bytes.
fn run<T, E>(
    wanted: &Receiver<(Turn, T)>,
    limit: impl Fn() -> f64,
    mut read: impl FnMut(T) -> Result<usize, E>,
) -> Result<(), E> {
    let mut paced = VecDeque::new();
    let mut due = Instant::now();
    loop {
        let next = if paced.is_empty() {
            wanted.recv().map_err(RecvTimeoutError::from)
        } else {
            wanted.recv_timeout(due.saturating_duration_since(Instant::now()))
        };
        match next {
            Ok((Turn::Next, fetch)) => drop(read(fetch)?),
            Ok((Turn::Paced, fetch)) => paced.push_back(fetch),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(fetch) = paced.pop_front() {
                    let bytes = read(fetch)?;
                    due = next_due(due, Instant::now(), bytes, limit());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// When the next entries may be read, so that no more than `limit` bytes a second are: what was `due` before had this many.
/// Who comes late, as sleepers do, may make up for a little of it.
fn next_due(due: Instant, now: Instant, bytes: usize, limit: f64) -> Instant {
    let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    let takes = Duration::try_from_secs_f64(bytes / limit).unwrap_or(LONGEST_REST);
    let due = now.checked_sub(MADE_UP_FOR).map_or(due, |earliest| due.max(earliest));
    due + takes.min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// What is read, in order. Each read has a megabyte, a second may have a byte; whatever a read makes somebody want is
    /// told by `then`.
    fn order(wanted: &[(Turn, u32)], then: impl Fn(u32) -> Option<(Turn, u32)>) -> Vec<u32> {
        let (sender, receiver) = channel();
        let mut left = wanted.len();
        for want in wanted {
            sender.send(*want).unwrap();
        }
        let mut sender = Some(sender);
        let mut order = Vec::new();
        let read = |read| {
            order.push(read);
            left -= 1;
            if let (Some(more), Some(sender)) = (then(read), &sender) {
                left += 1;
                sender.send(more).unwrap();
            }
            sender = sender.take().filter(|_| left > 0);
            Ok::<_, Infallible>(1_000_000)
        };
        run(&receiver, || 1.0, read).unwrap();
        order
    }

    #[test]
    fn what_is_not_paced_is_read_first_and_during_rests() {
        let wanted = [(Turn::Paced, 1), (Turn::Paced, 2), (Turn::Next, 3)];
        let then = |read| (read == 1).then_some((Turn::Next, 4));
        assert_eq!(order(&wanted, then), [3, 1, 4, 2]);
    }

    #[test]
    fn a_read_that_fails_ends_it() {
        let (sender, receiver) = channel();
        sender.send((Turn::Paced, ())).unwrap();
        assert_eq!(run(&receiver, || 1.0, |()| Err("damaged")), Err("damaged"));
    }

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
