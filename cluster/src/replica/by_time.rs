//! Finding records by their time, as ListOffsets asks. All of it reads from disk.
//!
//! The offset index knows the greatest timestamp up to each entry. That is a running maximum of everything ever written, so
//! that a bisection finds the first entry that reaches a time, unless a record that was deleted since had reached it before:
//! then the entries are looked at one by one, from the log start on. Timestamps mostly rise with offsets, so that this is
//! rare, and the entry that is looked for is near.

use bytes::Bytes;
use trilog_storage::OffsetIndexRow;

use super::{ReadError, Replica, ReplicaStatus};
use crate::ids::{Offset, TimestampMs};
use crate::partition::{TimestampedOffset, offset_for_timestamp, offset_of_max_timestamp};

impl Replica {
    /// The first record whose timestamp is at or after `timestamp`. None when there is no such record.
    ///
    /// # Errors
    /// A failure of the store, or damage found on the way.
    pub fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        self.look_up(|status| {
            let start = status.log_start_offset;
            let range = start..status.high_watermark;
            let reached = |row: &OffsetIndexRow| row.max_timestamp_so_far >= timestamp.0;
            let mut row = self.reader.first_index_row(self.group, range, reached)?;
            while let Some(at) = row {
                let found = offset_for_timestamp(&self.payload(&at)?, start, timestamp);
                if let Some(found) = found.map_err(|error| self.damaged(at.base_offset, error))? {
                    return Ok(Some(found));
                }
                row = self.row_after(&at, status)?;
            }
            Ok(None)
        })
    }

    /// The record with the greatest timestamp (KIP-734); none for a partition without timestamps.
    ///
    /// # Errors
    /// A failure of the store, or damage found on the way.
    pub fn offset_of_max_timestamp(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        self.look_up(|status| {
            let start = status.log_start_offset;
            let Some(max) = status.max_timestamp else { return Ok(None) };
            if max.base_offset >= start {
                let row = self.reader.index_floor(self.group, max.base_offset)?;
                return row.map_or(Ok(None), |row| self.max_timestamp_in(&row, start));
            }
            // The record that had it is deleted, so that all that are left may have the next greatest.
            let range = start..status.high_watermark;
            let mut row = self.reader.first_index_row(self.group, range, |_| true)?;
            let mut greatest: Option<TimestampedOffset> = None;
            while let Some(at) = row {
                let found = self.max_timestamp_in(&at, start)?;
                if found.is_some_and(|new| greatest.is_none_or(|known| new.timestamp > known.timestamp)) {
                    greatest = found;
                }
                row = self.row_after(&at, status)?;
            }
            Ok(greatest)
        })
    }

    fn max_timestamp_in(
        &self,
        row: &OffsetIndexRow,
        start: Offset,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let found = offset_of_max_timestamp(&self.payload(row)?, start);
        found.map_err(|error| self.damaged(row.base_offset, error))
    }

    /// Looks something up in the log as it stands; once more where what was looked for has been deleted meanwhile.
    pub(super) fn look_up<T>(
        &self,
        find: impl Fn(&ReplicaStatus) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        loop {
            let status = self.status();
            let found = self.confirmed(|| find(&status));
            let start = self.status().log_start_offset;
            if !matches!(found, Err(ReadError::Damaged { .. })) || start == status.log_start_offset {
                return found;
            }
        }
    }

    /// The next row below the high watermark.
    pub(super) fn row_after(
        &self,
        row: &OffsetIndexRow,
        status: &ReplicaStatus,
    ) -> Result<Option<OffsetIndexRow>, ReadError> {
        let next = self.reader.index_after(self.group, row.base_offset)?;
        Ok(next.filter(|row| row.base_offset < status.high_watermark))
    }

    pub(super) fn payload(&self, row: &OffsetIndexRow) -> Result<Bytes, ReadError> {
        let entry = self.reader.entry(self.group, row.raft_index)?;
        entry.map(|entry| entry.payload).ok_or_else(|| self.damaged(row.base_offset, "the entry is missing"))
    }
}
