//! A look at sled's own thread, the cleaner, whose end sled tells nobody.
//!
//! The cleaner moves pages out of segments that are mostly free, and reads cold pages for it. At a page that it cannot read
//! it writes a line to a log and ends, or it panics. From then on no space ever comes back. After a panic, dropping the
//! database would wait for it for ever, and with it the process that was asked to end.
//!
//! sled gives no handle to that thread, so the operating system is asked: Linux lists the threads of a process by name.
//! Elsewhere nothing is noticed.
//!
//! A thread has its parent's name until it bears its own, and the cleaner starts others. So all threads of that name are
//! candidates at first, and one that bears another name later was none. Only those count that have kept the name for a while.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::lock;
use crate::error::StoreError;

/// The name that sled gives its thread.
const NAME: &str = "log flusher";

/// The threads of this process.
const THREADS: &str = "/proc/self/task";

/// How long a thread that was just started may take to bear its name.
const NAMED_WITHIN: Duration = Duration::from_secs(1);

/// Who bears the name after this long was not just started by the cleaner.
const CONFIRMED_AFTER: Duration = Duration::from_secs(2);

/// Held while a database is opened: the cleaner that is new after it is that database's.
static OPENING: Mutex<()> = Mutex::new(());

/// A database that is being opened.
pub(super) struct Opening {
    cleaners_before: BTreeSet<u32>,
    _alone: MutexGuard<'static, ()>,
}

/// The cleaner of one database.
#[derive(Debug)]
pub(super) struct Cleaner {
    since: Instant,
    candidates: Mutex<Candidates>,
}

#[derive(Debug, Default)]
struct Candidates {
    threads: BTreeSet<u32>,
    /// They are what they seem to be.
    confirmed: bool,
}

impl Opening {
    /// To be called before a database is opened.
    pub(super) fn begin() -> Self {
        let alone = lock(&OPENING);
        Self { cleaners_before: cleaners(), _alone: alone }
    }

    /// The cleaner of the database that is open now.
    pub(super) fn cleaner(self) -> Cleaner {
        let since = Instant::now();
        while fs::exists(THREADS).unwrap_or(false) && since.elapsed() < NAMED_WITHIN {
            let threads: BTreeSet<u32> = cleaners().difference(&self.cleaners_before).copied().collect();
            if !threads.is_empty() {
                return Cleaner::among(threads, since);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Cleaner::among(BTreeSet::new(), since)
    }
}

impl Cleaner {
    const fn among(threads: BTreeSet<u32>, since: Instant) -> Self {
        Self { since, candidates: Mutex::new(Candidates { threads, confirmed: false }) }
    }

    /// Whether it was seen for a while and is gone. That it cannot be seen, as when the process has no file descriptors left,
    /// is no sign.
    pub(super) fn has_ended(&self) -> bool {
        let mut candidates = lock(&self.candidates);
        let is_there = |thread: &u32| match name_of(*thread) {
            Ok(name) => name == NAME,
            Err(error) => !is_gone(&error),
        };
        if candidates.confirmed {
            return !candidates.threads.iter().any(is_there);
        }
        candidates.threads.retain(is_there);
        candidates.confirmed = !candidates.threads.is_empty() && self.since.elapsed() >= CONFIRMED_AFTER;
        false
    }

    /// Fails once it is gone.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if !self.has_ended() {
            return Ok(());
        }
        Err(StoreError::damaged(format!(
            "sled's cleaner (thread {NAME:?}) has ended, as it does at a page that it cannot read"
        )))
    }
}

fn cleaners() -> BTreeSet<u32> {
    let Ok(threads) = fs::read_dir(THREADS) else { return BTreeSet::new() };
    let number = |thread: fs::DirEntry| thread.file_name().to_str()?.parse().ok();
    let is_cleaner = |thread: &u32| name_of(*thread).is_ok_and(|name| name == NAME);
    threads.flatten().filter_map(number).filter(is_cleaner).collect()
}

fn name_of(thread: u32) -> io::Result<String> {
    let name = fs::read_to_string(format!("{THREADS}/{thread}/comm"))?;
    Ok(name.trim_end().to_owned())
}

/// Whether the error says that there is no such thread: none when the file was opened, or none any more when it was read.
fn is_gone(error: &io::Error) -> bool {
    const NO_SUCH_PROCESS: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NO_SUCH_PROCESS)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread::JoinHandle;

    use super::*;

    /// A thread of this name, its number, and what ends it.
    fn thread_called(name: &str) -> (u32, Sender<()>, JoinHandle<()>) {
        let (tell, told) = channel();
        let (end, ended) = channel::<()>();
        let work = move || {
            let own = fs::read_link("/proc/thread-self").unwrap();
            tell.send(own.file_name().unwrap().to_str().unwrap().parse().unwrap()).unwrap();
            let _ = ended.recv();
        };
        let handle = thread::Builder::new().name(name.to_owned()).spawn(work).unwrap();
        (told.recv().unwrap(), end, handle)
    }

    /// A cleaner that is one of these threads, of a database that has been open for a while.
    fn among(threads: impl IntoIterator<Item = u32>) -> Cleaner {
        let long_ago = Instant::now().checked_sub(2 * CONFIRMED_AFTER).unwrap();
        Cleaner::among(threads.into_iter().collect(), long_ago)
    }

    #[test]
    fn the_end_of_a_cleaner_is_noticed() {
        let (thread, end, handle) = thread_called(NAME);
        let cleaner = among([thread]);
        assert!(cleaner.check().is_ok());
        drop(end);
        handle.join().unwrap();
        // The thread may be listed for a moment yet.
        while !cleaner.has_ended() {
            thread::yield_now();
        }
        assert!(cleaner.check().unwrap_err().to_string().contains("cleaner"));
    }

    #[test]
    fn a_thread_that_bore_the_name_by_birth_is_not_missed() {
        let (cleaning, end, handle) = thread_called(NAME);
        let (other, end_other, other_handle) = thread_called("sled-io-0");
        let cleaner = among([cleaning, other]);
        assert!(!cleaner.has_ended(), "one of them bears the name");
        drop(end_other);
        other_handle.join().unwrap();
        assert!(!cleaner.has_ended());
        let mistaken = among([other]);
        assert!(!mistaken.has_ended() && !mistaken.has_ended(), "it never was one");
        drop(end);
        handle.join().unwrap();
    }

    #[test]
    fn what_ends_right_after_the_start_is_not_known_to_have_been_one() {
        let (thread, end, handle) = thread_called(NAME);
        let cleaner = Cleaner::among(BTreeSet::from([thread]), Instant::now());
        assert!(!cleaner.has_ended());
        drop(end);
        handle.join().unwrap();
        assert!(!cleaner.has_ended());
    }

    #[test]
    fn a_store_has_a_cleaner() {
        let node = crate::fixture::Node::new();
        let seen = lock(&node.store.shared.cleaner.candidates).threads.len();
        assert!(seen > 0 || !fs::exists(THREADS).unwrap());
        node.store.check_files().unwrap();
    }

    #[test]
    fn only_a_thread_that_is_not_there_is_gone() {
        let exhausted = io::Error::from_raw_os_error(24);
        assert!(!is_gone(&exhausted), "{exhausted}");
        assert!(is_gone(&io::Error::from_raw_os_error(3)) && is_gone(&io::ErrorKind::NotFound.into()));
    }
}
