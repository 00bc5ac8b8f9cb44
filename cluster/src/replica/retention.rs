//! Where a log is to start by its [retention](Retention). Reads from disk.
//!
//! Both bounds rise along the offset index, so that each is found by bisection. As with every
//! [look by time](super::by_time), a record that was deleted may have been later than what is left; then the entries are
//! looked at one by one, a bounded number each time.

use trilog_storage::OffsetIndexRow;

use super::{ReadError, Replica, ReplicaStatus};
use crate::ids::{Offset, TimestampMs};
use crate::partition::{Retention, newest_timestamp};

/// How many entries are read at once where a bisection does not help. The rest waits for the next look.
const MAX_ENTRIES_READ: usize = 256;

impl Replica {
    /// Where the log is to start at the time `now`, if that is later than where it does. Offsets below it are either too
    /// old or too many; the rest is to be kept.
    ///
    /// # Errors
    /// A failure of the store, or damage found on the way.
    pub(crate) fn start_by(
        &self,
        retention: Retention,
        now: TimestampMs,
    ) -> Result<Option<Offset>, ReadError> {
        self.look_up(|status| {
            let by_time = match retention.earliest(now) {
                Some(earliest) => self.start_by_time(status, earliest)?,
                None => None,
            };
            let start = by_time.max(self.start_by_bytes(status, retention)?);
            Ok(start.filter(|start| *start > status.log_start_offset))
        })
    }

    fn start_by_time(
        &self,
        status: &ReplicaStatus,
        earliest: TimestampMs,
    ) -> Result<Option<Offset>, ReadError> {
        let reached = |row: &OffsetIndexRow| row.max_timestamp_so_far >= earliest.0;
        let range = status.log_start_offset..status.high_watermark;
        let mut row = self.reader.first_index_row(self.group, range, reached)?;
        let mut start = row.map_or(status.high_watermark, |row| row.base_offset);
        // Where none of what goes has a timestamp, it stays: nobody knows how old it is.
        let last = self.reader.index_floor(self.group, start.plus(-1))?;
        if last.is_none_or(|last| last.max_timestamp_so_far < 0) {
            start = status.log_start_offset;
        }
        for _ in 0..MAX_ENTRIES_READ {
            let Some(at) = row else { break };
            let newest = newest_timestamp(&self.payload(&at)?);
            let newest = newest.map_err(|error| self.damaged(at.base_offset, error))?;
            if newest >= earliest {
                break;
            }
            if newest.0 >= 0 {
                start = at.last_offset.plus(1);
            }
            row = self.row_after(&at, status)?;
        }
        Ok(Some(start))
    }

    fn start_by_bytes(
        &self,
        status: &ReplicaStatus,
        retention: Retention,
    ) -> Result<Option<Offset>, ReadError> {
        let last = self.reader.index_floor(self.group, status.high_watermark.plus(-1))?;
        let Some(surplus) = last.and_then(|last| retention.surplus_until(last.bytes_so_far)) else {
            return Ok(None);
        };
        let range = status.log_start_offset..status.high_watermark;
        let row = self.reader.first_index_row(self.group, range, |row| row.bytes_so_far > surplus)?;
        Ok(Some(row.map_or(status.high_watermark, |row| row.base_offset)))
    }
}
