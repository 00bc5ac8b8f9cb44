//! Keeping the next opening short, however much is in the store and however it ends.
//!
//! sled finds its pages by a table in memory, which says where in the log each of them was written last. It writes the table
//! to a [file](table) when it opens a store, and never again. A store that was opened long ago is opened by reading the log from
//! there on: 10 GB of it, if so much was written since. So we write the table while the store is open. What sled reads is then the
//! table, 20 bytes for each of the segments, and the log behind the table.
//!
//! The table is made in the way in which sled makes it: the one before, and the [messages](segment) in the log since. sled's
//! own list tells in which segments those are, and how far the log was written.
//!
//! 1. The end of the table is the beginning of the last segment that is not full. It is taken before the store is synced: so
//!    all that goes into the table is durable before the table is there. A batch that reaches over the end is durable to its
//!    own end, because sled does not count a part of a batch as written.
//! 2. The headers of messages are read, segment by segment. A segment that sled used again meanwhile is left out, as it would
//!    be if sled read the log later: each page in it was written anew since, and that is in the table, or in the log behind it.
//!    Whether a segment was used again, sled's list tells afterwards: it names a segment until it is free, and that comes before
//!    it is written again.
//! 3. A page of which nothing is known is such a one. sled has no entry for that. The log is read on, and if it does not help,
//!    the next time will do.
//! 4. The table is written under a name that sled passes over, synced, renamed, and its name synced, before the one before is
//!    removed. A crash leaves the one or the other, and with each of them sled comes to the same pages.
//!
//! **Invariant:** sled makes the same table of the store with ours as without. A test compares the two, byte by byte.
//!
//! Failures that are not a failed sync end nothing: the table before is there and good.
//!
//! What stays with sled: it overwrites each free segment with zeros when it opens a store, 2 MiB each.

mod changes;
mod segment;
mod table;
mod varint;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use self::changes::Changes;
use self::segment::Segment;
use self::table::Table;
use super::open::SEGMENT_BYTES;
use super::{Store, lock};
use crate::error::StoreError;

pub(super) use self::table::remove_unfinished;

/// A segment's length, in positions.
#[expect(clippy::cast_possible_wrap, reason = "it is 2 MiB")]
const SEGMENT: i64 = SEGMENT_BYTES as i64;

/// How many segments are read before sled is asked again which of them are still there.
const SEGMENTS_AT_ONCE: usize = 16;

/// How often the log is read on for pages of which nothing is known.
const ATTEMPTS: usize = 4;

/// A table is not written again before the log has grown by this many times its length: what it costs stays 3 % of all that
/// is written, however large the store is.
const LOG_BYTES_A_TABLE_BYTE: u64 = 32;

/// What is known of the table that is there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Saved {
    /// How much of the log it holds.
    position: i64,
    /// Its length in the file.
    bytes: u64,
    /// Where the log was when the last attempt was made to write one.
    tried: i64,
}

impl Saved {
    /// Looks for the table in sled's directory.
    pub(super) fn find(dir: &Path) -> io::Result<Self> {
        let Some((path, position)) = table::newest(dir)? else { return Ok(Self::default()) };
        Ok(Self { position, bytes: path.metadata()?.len(), tried: position })
    }

    /// Whether to write another one as of `end`.
    fn is_due(&self, end: i64, after_bytes: u64) -> bool {
        let grown = u64::try_from(end - self.position.max(self.tried)).unwrap_or(0);
        grown > 0 && grown >= after_bytes.max(self.bytes * LOG_BYTES_A_TABLE_BYTE)
    }
}

impl Store {
    /// Writes down where sled's pages are if its log has grown by `after_bytes` since that was done, and returns whether it was.
    /// The next opening reads the log from there on.
    ///
    /// To be called every now and then, on a thread that may wait for the disk. Writing and reading go on meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`Self::sync`], which it does. Any other failure is logged: then the next opening takes longer.
    pub fn save_page_table(&self, after_bytes: u64) -> Result<bool, StoreError> {
        self.shared.check_not_failed()?;
        let mut saved = lock(&self.shared.page_table);
        let end = self.full_segments_end();
        if !saved.is_due(end, after_bytes) {
            return Ok(false);
        }
        saved.tried = end;
        self.sync()?;
        match self.write_page_table(*saved, end) {
            Ok(Some(written)) => {
                *saved = written;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                tracing::warn!(%error, "cannot write sled's page table: the next start takes longer");
                Ok(false)
            }
        }
    }

    /// Where the first segment of the log begins that is not written to its end.
    fn full_segments_end(&self) -> i64 {
        let next = self.shared.db.context.pagecache.log.stable_offset() + 1;
        next / SEGMENT * SEGMENT
    }

    /// Writes the table as of `end`, up to which the log is durable, or a bit later. None when a page was not found.
    fn write_page_table(&self, before: Saved, mut end: i64) -> io::Result<Option<Saved>> {
        let path = table::newest(&self.shared.dir)?.filter(|(_, position)| *position == before.position);
        if path.is_none() && before.position > 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the table before it is gone"));
        }
        let table = Table::read(path.as_ref().map(|(path, _)| path.as_path()))?;
        let (mut changes, mut read_to) = (Changes::default(), table.log_goes_on());
        for _ in 0..ATTEMPTS {
            self.follow(read_to, end, &mut changes)?;
            let write = |file: &mut _| table.merge(&changes, end, file);
            if let Some(bytes) = table::replace(&self.shared.dir, end, write)? {
                return Ok(Some(Saved { position: end, bytes, tried: end }));
            }
            read_to = end;
            end = self.full_segments_end();
            self.sync().map_err(io::Error::other)?;
        }
        tracing::debug!(position = end, "not all pages are known that sled's page table has to name");
        Ok(None)
    }

    /// Follows the messages from one position of the log to another one, the beginning of a segment.
    fn follow(&self, from: i64, to: i64, changes: &mut Changes) -> io::Result<()> {
        let segments = self.segments(from, to);
        for segments in segments.chunks(SEGMENTS_AT_ONCE) {
            let read: Vec<_> =
                segments.iter().map(|segment| (segment, segment.messages(&self.shared.data_file))).collect();
            let still_there: BTreeSet<i64> =
                self.segments(from, to).into_iter().map(|segment| segment.position).collect();
            for (_, messages) in
                read.into_iter().filter(|(segment, _)| still_there.contains(&segment.position))
            {
                messages?
                    .into_iter()
                    .filter(|message| message.place.position >= from)
                    .for_each(|message| changes.follow(message));
            }
        }
        Ok(())
    }

    /// The segments that hold the log from one position to another one, the beginning of a segment, but for those that are
    /// free again. In the order of their positions.
    fn segments(&self, from: i64, to: i64) -> Vec<Segment> {
        let listed = self.shared.db.context.pagecache.log.iter_from(from).segments.into_iter();
        let before = listed.take_while(|(position, _)| *position < to);
        before.map(|(position, offset)| Segment { position, offset }).collect()
    }
}

#[cfg(test)]
mod tests;
