//! Where a log is to start by its [retention](Retention). Reads from disk.
//!
//! Both bounds are found in the offset index, whatever was deleted before and however much there is to give up.

use super::{ReadError, Replica, ReplicaStatus};
use crate::ids::{Offset, TimestampMs};
use crate::partition::Retention;

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
        let head = self.head(status)?;
        if head.newest.is_some_and(|newest| newest.timestamp >= earliest) {
            return Ok(None);
        }
        let row = self.reader.first_row_since(self.group, head.end..status.high_watermark, earliest.0)?;
        let start = row.map_or(status.high_watermark, |row| row.base_offset);
        // Where none of what goes has a timestamp, it stays: nobody knows how old it is.
        let newest = self.reader.newest_row(self.group, head.end..start)?;
        let is_dated = head.newest.is_some() || newest.is_some_and(|newest| newest.max_timestamp() >= 0);
        Ok(is_dated.then_some(start))
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
