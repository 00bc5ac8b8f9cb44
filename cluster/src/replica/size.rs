//! How large a replica's log is. Reads from disk.

use super::{ReadError, Replica};
use crate::ids::Offset;

impl Replica {
    /// The bytes of the record batches that can be read, counted in whole entries.
    ///
    /// # Errors
    /// A failure of the store, or damage found on the way.
    pub fn size(&self) -> Result<u64, ReadError> {
        self.look_up(|status| {
            let (start, end) = (status.log_start_offset, status.high_watermark);
            if start == end {
                return Ok(0);
            }
            let Some(last) = self.reader.index_floor(self.group, end.plus(-1))? else { return Ok(0) };
            let Some(first) = self.reader.index_floor(self.group, start)? else {
                return Ok(last.bytes_so_far);
            };
            if first.base_offset == Offset(0) {
                return Ok(last.bytes_so_far);
            }
            let before = match self.reader.index_floor(self.group, first.base_offset.plus(-1))? {
                Some(row) => row.bytes_so_far,
                // What lay before is gone, and the row counts it together with its own entry.
                None => first.bytes_so_far.saturating_sub(self.payload(&first)?.len() as u64),
            };
            Ok(last.bytes_so_far.saturating_sub(before))
        })
    }
}
