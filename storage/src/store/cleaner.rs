//! A look at sled's own thread, the cleaner, whose end sled tells nobody.
//!
//! The cleaner moves pages out of segments that are mostly free, and reads cold pages for it. At a page that it cannot read
//! it writes a line to a log and ends, or it panics. From then on no space ever comes back. After a panic, dropping the
//! database would wait for it for ever, and with it the process that was asked to end.
//!
//! sled gives no handle to that thread, so the operating system is asked: Linux lists the threads of a process by name.
//! Elsewhere nothing is noticed.

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

/// Held while a database is opened: the cleaner that is new after it is that database's.
static OPENING: Mutex<()> = Mutex::new(());

/// A database that is being opened.
pub(super) struct Opening {
    cleaners_before: BTreeSet<u32>,
    _alone: MutexGuard<'static, ()>,
}

/// The cleaner of one database; none where threads cannot be seen.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    thread: Option<u32>,
}

impl Opening {
    /// To be called before a database is opened.
    pub(super) fn begin() -> Self {
        let alone = lock(&OPENING);
        Self { cleaners_before: cleaners(), _alone: alone }
    }

    /// The cleaner of the database that is open now.
    pub(super) fn cleaner(self) -> Cleaner {
        let patience = Instant::now() + NAMED_WITHIN;
        while fs::exists(THREADS).unwrap_or(false) && Instant::now() < patience {
            let new = cleaners().difference(&self.cleaners_before).next().copied();
            if new.is_some() {
                return Cleaner { thread: new };
            }
            thread::sleep(Duration::from_millis(1));
        }
        Cleaner::default()
    }
}

impl Cleaner {
    /// Whether it was seen and is gone. That it cannot be seen, as when the process has no file descriptors left, is no sign.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_some_and(|thread| match name_of(thread) {
            Ok(name) => name != NAME,
            Err(error) => is_gone(&error),
        })
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
    use std::path::Path;

    use raft::eraftpb::Entry;

    use super::*;
    use crate::fixture::{Node, entry, open};
    use crate::ids::RaftGroupId;
    use crate::raft_log::RaftLog;
    use crate::store::files;
    use crate::write_batch::WriteBatch;

    /// What the pages of the group that stays are full of.
    const MARKER: [u8; 64] = [0xc9; 64];

    #[test]
    fn one_that_was_never_seen_is_not_missed() {
        assert!(Cleaner::default().check().is_ok());
    }

    #[test]
    fn only_a_thread_that_is_not_there_is_gone() {
        assert!(Cleaner { thread: Some(u32::MAX) }.check().unwrap_err().to_string().contains("cleaner"));
        let exhausted = io::Error::from_raw_os_error(24);
        assert!(!is_gone(&exhausted), "{exhausted}");
        assert!(is_gone(&io::Error::from_raw_os_error(3)) && is_gone(&io::ErrorKind::NotFound.into()));
    }

    /// Changes the pages that are full of the marker.
    fn damage(data_dir: &Path) {
        let data = data_dir.join(files::STORE).join(files::DATA);
        let mut bytes = fs::read(&data).unwrap();
        for at in (0..bytes.len() - MARKER.len()).step_by(MARKER.len()) {
            if bytes[at..at + MARKER.len()] == MARKER {
                bytes[at] = 0;
            }
        }
        fs::write(&data, bytes).unwrap();
    }

    /// Entries of four groups lie side by side in each segment. Three of the groups are deleted, so that the cleaner moves
    /// what is left: pages that cannot be read.
    #[test]
    #[ignore = "not verified on this machine yet"]
    fn the_cleaners_end_at_a_damaged_page_is_noticed_and_holds_up_nobody() {
        let node = Node::new();
        let groups = [1, 2, 3, 4].map(RaftGroupId);
        let mut logs = groups
            .map(|group| node.apply(|batch| RaftLog::create(&node.store, &node.tail, group, &[1], batch)));
        for index in 1..=60 {
            for (at, log) in logs.iter_mut().enumerate() {
                let entry = match at {
                    0 => Entry { data: vec![MARKER[0]; 65_000].into(), ..entry(index, 1, 0) },
                    _ => entry(index, 1, 65_000),
                };
                node.apply(|batch| log.append(&[entry], batch).unwrap());
            }
        }
        drop(logs);
        let Node { dir, store, .. } = node;
        store.close().unwrap();
        // From here on sled begins behind all of that when it opens the store.
        open(dir.path()).unwrap().close().unwrap();
        damage(dir.path());

        let store = open(dir.path()).expect("what is damaged is not looked at");
        store.check_files().unwrap();
        let mut batch = WriteBatch::new();
        groups[1..].iter().for_each(|group| batch.mark_group_deleted(*group));
        store.apply(batch).unwrap();
        while store.purge(64).is_ok_and(|purge| purge.more) && !store.shared.cleaner.has_ended() {}
        let patience = Instant::now() + Duration::from_secs(60);
        while !store.shared.cleaner.has_ended() {
            assert!(Instant::now() < patience, "the cleaner goes on");
            thread::sleep(Duration::from_millis(20));
        }
        let noticed = store.check_files().unwrap_err();
        assert!(noticed.to_string().contains("cleaner"), "{noticed}");
        assert!(store.close().is_err(), "and does not pass for an end in good order");
    }
}
