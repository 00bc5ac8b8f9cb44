//! Finding records by their time, as ListOffsets asks. All of it reads from disk.
//!
//! The offset index is searched by timestamps as far as the log reaches; so what was deleted hides nothing. Rows tell of whole
//! entries: where the log starts in the middle of one, that entry is read.

use bytes::Bytes;
use trilog_storage::OffsetIndexRow;

use super::{ReadError, Replica, ReplicaStatus};
use crate::ids::{Offset, TimestampMs};
use crate::partition::{TimestampedOffset, offset_for_timestamp, offset_of_max_timestamp};

/// The beginning of a log, up to where whole entries begin.
pub(super) struct LogHead {
    /// The newest of the records that are left of the entry that the log starts in, if it starts in the middle of one.
    pub(super) newest: Option<TimestampedOffset>,
    /// The first offset of the first whole entry.
    pub(super) end: Offset,
}

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
            let mut range = start..status.high_watermark;
            while let Some(row) = self.reader.first_row_since(self.group, range.clone(), timestamp.0)? {
                let found = offset_for_timestamp(&self.payload(&row)?, start, timestamp);
                if let Some(found) = found.map_err(|error| self.damaged(row.base_offset, error))? {
                    return Ok(Some(found));
                }
                // The record that is meant stands before the log start, in the first entry.
                range.start = row.last_offset.plus(1);
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
            let head = self.head(status)?;
            let newest = self.reader.newest_row(self.group, head.end..status.high_watermark)?;
            let newer =
                |row: &OffsetIndexRow| head.newest.is_none_or(|at| row.max_timestamp() > at.timestamp.0);
            match newest.filter(newer) {
                Some(row) => self.max_timestamp_in(&row, head.end),
                None => Ok(head.newest),
            }
        })
    }

    /// What the log has before its first whole entry.
    pub(super) fn head(&self, status: &ReplicaStatus) -> Result<LogHead, ReadError> {
        let start = status.log_start_offset;
        let row = self.reader.index_floor(self.group, start)?;
        match row.filter(|row| row.base_offset < start && row.last_offset >= start) {
            Some(row) => {
                let newest = self.max_timestamp_in(&row, start)?;
                Ok(LogHead { newest, end: row.last_offset.plus(1) })
            }
            None => Ok(LogHead { newest: None, end: start }),
        }
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

    pub(super) fn payload(&self, row: &OffsetIndexRow) -> Result<Bytes, ReadError> {
        let entry = self.reader.entry(self.group, row.raft_index)?;
        entry.map(|entry| entry.payload).ok_or_else(|| self.damaged(row.base_offset, "the entry is missing"))
    }
}
