//! Where many clients write a history down at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Deed, Entry, History, Micros};

/// A history in the making. A handle: its clones write into the same one.
///
/// Entries stay in memory, a few hundred bytes each: a round is short, and writing a file would slow down the very clients
/// whose haste is wanted.
#[derive(Debug, Clone)]
pub struct Recorder {
    began: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { began: Instant::now(), entries: Arc::default() }
    }
}

impl Recorder {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time now, for an operation about to begin.
    ///
    /// # Panics
    /// After half a million years.
    pub fn now(&self) -> Micros {
        Micros::try_from(self.began.elapsed().as_micros()).expect("a history is short")
    }

    /// Writes down an operation that was begun then and has ended now.
    pub fn ended(&self, client: &str, invoked: Micros, deed: Deed) {
        let mut entries = self.entries();
        // Taken under the lock, so that the entries are in the order of the ends.
        let ended = self.now();
        assert!(invoked <= ended, "an operation ends after it began");
        entries.push(Entry { client: client.to_owned(), invoked, ended, deed });
    }

    /// Writes down something that took no time.
    pub fn happened(&self, client: &str, deed: Deed) {
        self.ended(client, self.now(), deed);
    }

    /// The history so far.
    pub fn history(&self) -> History {
        History { entries: self.entries().clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_write_is_in_the_order_of_its_ends() {
        let recorder = Recorder::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let recorder = recorder.clone();
                scope.spawn(move || {
                    for n in 0..100 {
                        let invoked = recorder.now();
                        let what = format!("{thread}-{n}");
                        recorder.ended("somebody", invoked, Deed::Fault { what });
                    }
                });
            }
        });
        let entries = recorder.history().entries;
        assert_eq!(entries.len(), 400);
        assert!(entries.is_sorted_by_key(|entry| entry.ended));
    }
}
