//! Searching the offset index by the timestamps of its entries, which need not rise.
//!
//! Each row tells the greatest timestamp of its own entry and, as far as its number is a multiple of two, four, eight and so
//! on, of as many entries that end with it, and which row stands before those. So any stretch of rows is made of blocks, at
//! most two of each size, that can be gone through from its end to its beginning; the first row that reaches a time is in the
//! first block that does, and halving that finds it. Each step reads one row.
//!
//! What lies outside of the stretch has no part in it: a record that was deleted long ago hides nothing.

use std::ops::Range;

use super::{LogReader, decode_row};
use crate::error::StoreError;
use crate::ids::{Offset, RaftGroupId};
use crate::keys::offset_index::{self, OffsetIndexRow};

/// The rows up to and including `row`, two to the power of `level` of them.
struct Block {
    row: OffsetIndexRow,
    level: usize,
}

impl Block {
    fn max_timestamp(&self) -> i64 {
        self.row.spans[self.level].max_timestamp
    }
}

impl LogReader {
    /// Among the rows that hold offsets of `range`: the first one whose entry has a timestamp at or after `timestamp`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn first_row_since(
        &self,
        group: RaftGroupId,
        range: Range<Offset>,
        timestamp: i64,
    ) -> Result<Option<OffsetIndexRow>, StoreError> {
        self.first_row_reaching(group, &range, |_| timestamp)
    }

    /// Among the rows that hold offsets of `range`: the first one with the greatest timestamp.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn newest_row(
        &self,
        group: RaftGroupId,
        range: Range<Offset>,
    ) -> Result<Option<OffsetIndexRow>, StoreError> {
        let greatest = |blocks: &[Block]| blocks.iter().map(Block::max_timestamp).fold(i64::MIN, i64::max);
        self.first_row_reaching(group, &range, greatest)
    }

    fn first_row_reaching(
        &self,
        group: RaftGroupId,
        range: &Range<Offset>,
        timestamp: impl Fn(&[Block]) -> i64,
    ) -> Result<Option<OffsetIndexRow>, StoreError> {
        let mut first = self.first_row(group, range)?;
        while let Some(from) = first {
            if let Some(found) = self.search(group, &from, range.end, &timestamp)? {
                return Ok(found);
            }
            // Rows are missing. It was overtaken by their removal, which begins with the first, or they were lost.
            first = self.first_row(group, range)?;
            if first.as_ref().is_some_and(|first| first.number == from.number) {
                let detail =
                    format!("the offset index has gaps behind the row at offset {}", from.base_offset);
                return Err(StoreError::damaged_in(group, detail));
            }
        }
        Ok(None)
    }

    /// The first row from `first` on, of those that begin before `end`, that reaches a time. None when a row is missing.
    fn search(
        &self,
        group: RaftGroupId,
        first: &OffsetIndexRow,
        end: Offset,
        timestamp: &impl Fn(&[Block]) -> i64,
    ) -> Result<Option<Option<OffsetIndexRow>>, StoreError> {
        let Some(blocks) = self.blocks(group, first, end)? else { return Ok(None) };
        let timestamp = timestamp(&blocks);
        // They are in the order from the end to the beginning.
        let reaching = blocks.into_iter().rev().find(|block| block.max_timestamp() >= timestamp);
        let Some(Block { mut row, level }) = reaching else { return Ok(Some(None)) };
        for level in (0..level).rev() {
            let Some(left) = self.row_before(group, &row, level)? else { return Ok(None) };
            // The first half ends with that row, and is the longest block that does.
            if left.spans[level].max_timestamp >= timestamp {
                row = left;
            }
        }
        Ok(Some(Some(row)))
    }

    /// The blocks that the rows from `first` up to `end` are made of, from the last to the first. None when a row is missing.
    fn blocks(
        &self,
        group: RaftGroupId,
        first: &OffsetIndexRow,
        end: Offset,
    ) -> Result<Option<Vec<Block>>, StoreError> {
        let last = self.index_floor(group, end.plus(-1))?;
        let Some(mut row) = last.filter(|last| last.number >= first.number) else { return Ok(None) };
        let mut blocks = Vec::new();
        loop {
            let rows_left = row.number - first.number + 1;
            let level = row.spans.len().min(rows_left.ilog2() as usize + 1) - 1;
            let before = if rows_left > 1 << level { self.row_before(group, &row, level)? } else { None };
            let is_first = rows_left == 1 << level;
            blocks.push(Block { row, level });
            match before {
                Some(before) => row = before,
                None => return Ok(is_first.then_some(blocks)),
            }
        }
    }

    /// The row before the block of that level which ends with `row`.
    fn row_before(
        &self,
        group: RaftGroupId,
        row: &OffsetIndexRow,
        level: usize,
    ) -> Result<Option<OffsetIndexRow>, StoreError> {
        let key = offset_index::key(group, row.spans[level].before);
        let Some(value) = self.store.get(&key)? else { return Ok(None) };
        let before = decode_row(group, &key, &value)?;
        match before.as_ref().filter(|before| before.number != row.number - (1 << level)) {
            Some(other) => {
                let detail = format!("the index row at offset {} is not the one expected", other.base_offset);
                Err(StoreError::damaged_in(group, detail))
            }
            None => Ok(before),
        }
    }
}
