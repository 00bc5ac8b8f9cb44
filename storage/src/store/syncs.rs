//! The syncs that are under way, so that a disk that stands still is noticed by who does not touch it.
//!
//! Several threads sync: one for the driver's rounds, one before it removes keys, one when a peer is met. On a disk that hangs
//! all of them do, and the one that has waited longest tells for how long.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;

/// When each sync that is under way began.
#[derive(Debug, Default)]
pub(super) struct Syncs(Mutex<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    /// In the order of their beginning.
    began: BTreeMap<u64, Instant>,
}

/// A sync that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct Sync<'a> {
    syncs: &'a Syncs,
    number: u64,
}

impl Syncs {
    /// A sync begins.
    pub(super) fn begin(&self) -> Sync<'_> {
        let mut under_way = lock(&self.0);
        let number = under_way.next;
        under_way.next += 1;
        under_way.began.insert(number, Instant::now());
        Sync { syncs: self, number }
    }

    /// How long the longest one has been under way; zero when there is none.
    pub(super) fn longest(&self) -> Duration {
        lock(&self.0).began.values().next().map_or(Duration::ZERO, Instant::elapsed)
    }
}

impl Drop for Sync<'_> {
    fn drop(&mut self) {
        lock(&self.syncs.0).began.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began(syncs: &Syncs) -> Option<Instant> {
        lock(&syncs.0).began.values().next().copied()
    }

    #[test]
    fn the_oldest_sync_counts_whoever_ends_first() {
        let syncs = Syncs::default();
        assert_eq!(syncs.longest(), Duration::ZERO);
        let hangs = syncs.begin();
        let since = began(&syncs);
        let quick = syncs.begin();
        drop(quick);
        assert_eq!(began(&syncs), since, "the one that hangs is still seen");
        let later = syncs.begin();
        drop(hangs);
        assert!(began(&syncs) > since);
        drop(later);
        assert_eq!(syncs.longest(), Duration::ZERO);
    }
}
