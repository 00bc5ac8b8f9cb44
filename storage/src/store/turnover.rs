//! Giving the space of deleted groups, and of entries that logs gave up, back to the file system.
//!
//! sled's log is a file of segments. A segment is free once every page in it was written anew elsewhere, and the file
//! becomes shorter once its last segments are free. Both happen only as the log moves on: sled's cleaner moves pages out
//! of one segment at a time, and what it freed is let go of some segments later. A store that nobody writes to would
//! keep the space of a deleted topic for good.
//!
//! What stands at the file's end sled moves only while at least half of the segments are free and more than five are in use.
//! A store that is left with less than that may stay as long as its last segment demands. Its free segments are used again.
//!
//! So after a large deletion the log is turned over: a filler is written again and again, a little at a time, while the
//! cleaner does its work in between. It ends when the file has become shorter by what was deleted, or when it was given
//! enough time; other writes may take the space meanwhile, which is just as well. Where as much is written as is deleted, as
//! with logs of bounded length that are in use, those writes turn the log over, and there is nothing to do.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use sled::IVec;

use super::open::{CLEAN_INTERVAL_MS, SEGMENT_BYTES};
use super::{Store, lock};
use crate::error::StoreError;
use crate::keys::fence;

/// How much must be deleted to be worth it.
const WORTHWHILE_BYTES: u64 = 8 * SEGMENT_BYTES as u64;

/// What sled keeps beside what is in it: segments that are being written, and those that wait for their turn.
pub(super) const LEAST_DISK_USAGE: u64 = 8 * SEGMENT_BYTES as u64;

/// The length of the filler. The cleaner does no more than one segment a round, and the first of the file that is due; so it
/// would clean up after the filler for ever. But every tenth write of a short filler moves a page for it, too.
const FILLER_BYTES: usize = 512;

/// How often the filler is written in one round: a quarter of a megabyte.
const WRITES_A_ROUND: u16 = 512;

/// The rounds that a turnover may take beside one for each segment's worth of what was deleted, which is about what the
/// cleaner manages.
const SPARE_ROUNDS: u64 = 120;

/// How far a turnover has come.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    /// What was deleted since the last one.
    deleted_bytes: u64,
    /// What had been written to the store by the first of that.
    written_before: u64,
    /// How large the store was when this one began.
    disk_usage_before: u64,
    rounds: u64,
}

impl Store {
    /// Takes note that values were removed.
    pub(super) fn count_deleted(&self, bytes: u64) {
        let mut turnover = lock(&self.shared.turnover);
        if turnover.deleted_bytes == 0 {
            turnover.written_before = self.shared.written_bytes.load(Ordering::Relaxed);
        }
        turnover.deleted_bytes += bytes;
    }

    /// Does one round if there is need, and says whether there may be need for another. Waits for the cleaner.
    pub(super) fn turn_over(&self) -> Result<bool, StoreError> {
        let mut turnover = lock(&self.shared.turnover);
        if turnover.deleted_bytes < WORTHWHILE_BYTES {
            return Ok(false);
        }
        let disk_usage = self.disk_usage()?;
        if turnover.rounds == 0 {
            turnover.disk_usage_before = disk_usage;
        }
        let expected = turnover.disk_usage_before.saturating_sub(turnover.deleted_bytes);
        let written = self.shared.written_bytes.load(Ordering::Relaxed) - turnover.written_before;
        if disk_usage <= expected + LEAST_DISK_USAGE
            || written >= turnover.deleted_bytes
            || turnover.rounds >= SPARE_ROUNDS + turnover.deleted_bytes / SEGMENT_BYTES as u64
        {
            *turnover = Turnover::default();
            self.write_filler(IVec::default())?;
            return Ok(false);
        }
        turnover.rounds += 1;
        drop(turnover);
        thread::sleep(Duration::from_millis(CLEAN_INTERVAL_MS));
        for write in 0..WRITES_A_ROUND {
            // Not the same bytes twice: sled takes that for nothing to do.
            self.write_filler(IVec::from(vec![write.to_le_bytes()[0]; FILLER_BYTES]))?;
        }
        Ok(true)
    }

    fn write_filler(&self, value: IVec) -> Result<(), StoreError> {
        let written = self.shared.db.insert(fence::filler(), value);
        written.map(drop).map_err(|error| StoreError::from_sled("turn the store over", error))
    }
}
