//! Reading logs from any thread, while their owner writes them.
//!
//! A [`RaftLog`](crate::RaftLog) belongs to one thread. Consumers, and fetches on behalf of lagging followers, read
//! through this instead: recent entries from the tail, older ones by key. Long iterators are avoided on purpose, since
//! sled keeps in memory what an iterator has passed.
//!
//! The reader knows no bounds. Its callers ask only for what they know to be committed, and take a missing entry as
//! compacted away.

mod by_time;

use std::ops::Range;

use sled::IVec;

use crate::entry::LogEntry;
use crate::error::StoreError;
use crate::ids::{Offset, RaftGroupId, RaftIndex};
use crate::keys::offset_index::{self, OffsetIndexRow};
use crate::keys::raft_entry::{self, Header};
use crate::keys::slot;
use crate::store::Store;
use crate::store::memory::{NOTED_BYTES, give_memory_back};
use crate::tail::TailCache;

/// Reads entries and the offset index. Clones are cheap and may be sent anywhere.
#[derive(Clone, Debug)]
pub struct LogReader {
    store: Store,
    tail: TailCache,
}

impl Store {
    /// A reader of this store's logs that looks into `tail` first.
    #[must_use]
    pub fn reader(&self, tail: &TailCache) -> LogReader {
        LogReader { store: self.clone(), tail: tail.clone() }
    }
}

impl LogReader {
    /// The tail that is read first.
    pub(crate) const fn tail(&self) -> &TailCache {
        &self.tail
    }

    /// The entry at `index`, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn entry(&self, group: RaftGroupId, index: RaftIndex) -> Result<Option<LogEntry>, StoreError> {
        match self.tail.get(group, index) {
            Some(entry) => Ok(Some(entry)),
            None => self.stored_entry(group, index),
        }
    }

    /// The entries from `from` up to but not including `end`, in order and without a gap: as many as fit into
    /// `max_bytes`, at least one. Fewer when one is missing, none when the first one is.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn entries(
        &self,
        group: RaftGroupId,
        from: RaftIndex,
        end: RaftIndex,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = from;
        while next < end && (entries.is_empty() || bytes < max_bytes) {
            let recent = self.tail.range(group, next, end, max_bytes - bytes);
            if let Some(last) = recent.last() {
                bytes += recent.iter().map(LogEntry::size_bytes).sum::<usize>();
                next = last.index.next();
                entries.extend(recent);
            } else if let Some(entry) = self.stored_entry(group, next)? {
                bytes += entry.size_bytes();
                next = next.next();
                entries.push(entry);
            } else {
                break;
            }
            if bytes > max_bytes && entries.len() > 1 {
                entries.pop();
                break;
            }
        }
        Ok(entries)
    }

    /// The row of the entry that `offset` is in, if it is in one: the one with the greatest base offset not above it.
    /// Its last offset tells whether it reaches that far.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn index_floor(
        &self,
        group: RaftGroupId,
        offset: Offset,
    ) -> Result<Option<OffsetIndexRow>, StoreError> {
        // The key with one byte more is the least key above it.
        let mut above = offset_index::key(group, offset).to_vec();
        above.push(0);
        while let Some((key, row)) = self.store.last_before(&above)? {
            if !is_on_its_way_out(group, &key, &row) {
                return decode_row(group, &key, &row);
            }
            above = key.to_vec();
        }
        Ok(None)
    }

    /// The first row above the one at `base`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn index_after(
        &self,
        group: RaftGroupId,
        base: Offset,
    ) -> Result<Option<OffsetIndexRow>, StoreError> {
        let mut below = offset_index::key(group, base).to_vec();
        while let Some((key, row)) = self.store.first_after(&below)? {
            if !is_on_its_way_out(group, &key, &row) {
                return decode_row(group, &key, &row);
            }
            below = key.to_vec();
        }
        Ok(None)
    }

    /// The first row that holds offsets of `range`.
    fn first_row(
        &self,
        group: RaftGroupId,
        range: &Range<Offset>,
    ) -> Result<Option<OffsetIndexRow>, StoreError> {
        if range.is_empty() {
            return Ok(None);
        }
        let first = match self.index_floor(group, range.start)? {
            Some(row) if row.last_offset >= range.start => Some(row),
            Some(row) => self.index_after(group, row.base_offset)?,
            None => self.index_after(group, Offset(i64::MIN))?,
        };
        Ok(first.filter(|row| row.base_offset < range.end))
    }

    /// Among the rows that hold offsets of `range`: the first one for which `reached` holds. Once it holds for a row, it
    /// has to hold for all that follow, as with a bound on what only rises along the index.
    ///
    /// So this is a binary search: over the offsets, which are known, since the rows are not numbered.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn first_index_row(
        &self,
        group: RaftGroupId,
        range: Range<Offset>,
        reached: impl Fn(&OffsetIndexRow) -> bool,
    ) -> Result<Option<OffsetIndexRow>, StoreError> {
        let Some(mut below) = self.first_row(group, &range)? else { return Ok(None) };
        if reached(&below) {
            return Ok(Some(below));
        }
        let Some(mut found) = self.index_floor(group, range.end.plus(-1))? else { return Ok(None) };
        if !reached(&found) {
            return Ok(None);
        }
        loop {
            // Here `below` has not reached it and `found` has, and both halves of what lies between shrink.
            if below.base_offset >= found.base_offset {
                let detail = format!("what has to rise along the offset index falls after {below:?}");
                return Err(StoreError::damaged_in(group, detail));
            }
            let middle = Offset(below.base_offset.0 + (found.base_offset.0 - below.base_offset.0) / 2);
            let middle = match self.index_floor(group, middle)? {
                Some(row) if row.base_offset > below.base_offset => row,
                _ => match self.index_after(group, below.base_offset)? {
                    Some(row) if row.base_offset < found.base_offset => row,
                    _ => return Ok(Some(found)),
                },
            };
            if reached(&middle) {
                found = middle;
            } else {
                below = middle;
            }
        }
    }

    /// The entry at `index` from the store alone.
    pub(crate) fn stored_entry(
        &self,
        group: RaftGroupId,
        index: RaftIndex,
    ) -> Result<Option<LogEntry>, StoreError> {
        let Some(mut row) = self.entry_row(group, index)? else { return Ok(None) };
        loop {
            if let Some(entry) = self.assemble(group, index, &row)? {
                return Ok(Some(entry));
            }
            // Row and parts were read one by one: it may have been replaced or removed meanwhile, from the row on.
            match self.entry_row(group, index)? {
                None => return Ok(None),
                Some(again) if again != row => row = again,
                Some(_) => return Err(not_whole(group, index)),
            }
        }
    }

    /// The entry that has this row; `None` when the parts do not fit.
    fn assemble(
        &self,
        group: RaftGroupId,
        index: RaftIndex,
        row: &IVec,
    ) -> Result<Option<LogEntry>, StoreError> {
        let Some(header) = Header::decode(row) else { return Ok(None) };
        let mut parts = Vec::new();
        for slot in header.slots() {
            let Some(part) = self.store.get(&slot::key(group, slot))? else { return Ok(None) };
            if part.len() >= NOTED_BYTES {
                self.store.note_use(group, slot)?;
            }
            parts.push(part);
        }
        if !parts.is_empty() {
            give_memory_back();
        }
        Ok(header.assemble(group, index, row.clone(), parts))
    }

    /// The row of an entry. A blank one is on its way out.
    fn entry_row(&self, group: RaftGroupId, index: RaftIndex) -> Result<Option<IVec>, StoreError> {
        let row = self.store.get(&raft_entry::key(group, index))?;
        Ok(row.filter(|row| !row.is_empty()))
    }

    /// The header of the entry at `index`, from the store alone.
    pub(crate) fn stored_header(
        &self,
        group: RaftGroupId,
        index: RaftIndex,
    ) -> Result<Option<Header>, StoreError> {
        let Some(row) = self.entry_row(group, index)? else { return Ok(None) };
        Header::decode(&row).map(Some).ok_or_else(|| not_whole(group, index))
    }
}

/// That what is there of an entry is not what was written.
fn not_whole(group: RaftGroupId, index: RaftIndex) -> StoreError {
    StoreError::damaged_in(group, format!("entry {index} is not whole"))
}

/// Whether a pair is a blank index row of `group`'s.
fn is_on_its_way_out(group: RaftGroupId, key: &[u8], row: &[u8]) -> bool {
    row.is_empty() && offset_index::decode_key(key).is_some_and(|(owner, _)| owner == group)
}

/// The row under `key`, if it is one of `group`'s, and not a blank one, which is on its way out.
fn decode_row(group: RaftGroupId, key: &[u8], row: &[u8]) -> Result<Option<OffsetIndexRow>, StoreError> {
    match offset_index::decode_key(key) {
        Some((owner, base)) if owner == group && !row.is_empty() => {
            OffsetIndexRow::decode(base, row).map(Some).ok_or_else(|| {
                StoreError::damaged_in(group, format!("the index row at offset {base} is not one"))
            })
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
