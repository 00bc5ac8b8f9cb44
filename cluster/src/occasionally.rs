//! Which of many alike events get a line in the log: one of a kind in a while, with how many there were since.
//!
//! A stranger decides how often it sends nonsense. A line for each would fill the disk and hide everything else.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts events by kind, of which there are a few.
#[derive(Debug)]
pub struct Occasionally<K> {
    every: Duration,
    kinds: Mutex<BTreeMap<K, Kind>>,
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    last_told: Instant,
    /// Events since then.
    since: u64,
}

impl<K: Copy + Ord> Occasionally<K> {
    /// Nothing has happened yet; a kind gets a line once in `every`.
    #[must_use]
    pub const fn new(every: Duration) -> Self {
        Self { every, kinds: Mutex::new(BTreeMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an event. If it is to have a line: how many there were since the last line, this one included.
    pub fn count(&self, kind: K, now: Instant) -> Option<u64> {
        let mut kinds = self.lock();
        let Some(known) = kinds.get_mut(&kind) else {
            kinds.insert(kind, Kind { last_told: now, since: 0 });
            return Some(1);
        };
        known.since += 1;
        (now.saturating_duration_since(known.last_told) >= self.every).then(|| known.tell(now))
    }

    /// The kinds of which something is untold for long enough, with how much. It counts as told.
    pub fn untold(&self, now: Instant) -> Vec<(K, u64)> {
        let mut kinds = self.lock();
        let due = kinds.iter_mut().filter(|(_, known)| {
            known.since > 0 && now.saturating_duration_since(known.last_told) >= self.every
        });
        due.map(|(kind, known)| (*kind, known.tell(now))).collect()
    }
}

impl Kind {
    const fn tell(&mut self, now: Instant) -> u64 {
        let since = self.since;
        *self = Self { last_told: now, since: 0 };
        since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let (told, begun) = (Occasionally::new(EVERY), Instant::now());
        assert_eq!(told.count('a', begun), Some(1));
        for millisecond in 0..1_000 {
            assert_eq!(told.count('a', begun + Duration::from_millis(millisecond)), None);
        }
        assert_eq!(told.count('b', begun), Some(1), "another kind has its own line");
        assert_eq!(told.count('a', begun + EVERY), Some(1_001));
        assert_eq!(told.count('a', begun + EVERY), None);
    }

    #[test]
    fn what_nothing_follows_is_told_too() {
        let (told, begun) = (Occasionally::new(EVERY), Instant::now());
        assert_eq!((told.count('a', begun), told.count('a', begun)), (Some(1), None));
        assert_eq!(told.untold(begun + EVERY / 2), []);
        assert_eq!(told.untold(begun + EVERY), [('a', 1)]);
        assert_eq!(told.untold(begun + 3 * EVERY), []);
    }
}
