//! The messages in a segment of sled's log: which pages they are about, not what they say.
//!
//! ```text
//! segment   header: 20 bytes | message | message | ... | cap, or less than a message's header takes
//! message   CRC-32: u32 | kind: u8 | length: varint | number of the segment: varint | page: varint | body
//! ```
//!
//! Only headers are read, and bodies are skipped. What is asked for was written whole and is not written again meanwhile
//! ([`Store::save_page_table`](crate::Store::save_page_table) sees to that), so that nothing has to be checked against torn
//! writes. sled checks each body against the checksum when it reads it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::super::open::SEGMENT_BYTES;
use super::varint;

const SEGMENT_HEADER_BYTES: usize = 20;

/// The length of the longest header of a message. No message begins where a segment has less left.
const MAX_HEADER_BYTES: usize = 4 + 1 + 3 * varint::MAX_BYTES;

/// How much is read at once. Most bodies are longer, or so short that many fit in.
const WINDOW_BYTES: usize = 16 * 1024;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In the log.
    pub(super) position: i64,
    /// In the file.
    pub(super) offset: u64,
    /// Its length with its header, in bytes.
    pub(super) len: u64,
}

/// What a message does to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It holds the whole page.
    Page,
    /// It holds a change, which is read together with the page and the changes before it.
    Change,
    /// It frees the page's number.
    Free,
}

/// A message about a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) page: u64,
    pub(super) kind: Kind,
    pub(super) place: Place,
}

/// A segment: where it begins in the log and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) position: i64,
    pub(super) offset: u64,
}

/// What a header says.
struct Header {
    kind: u8,
    page: u64,
    /// The length of the header and of the body.
    len: usize,
}

impl Segment {
    /// The messages about pages in a segment that is full.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or when there is something else than sled 0.34 writes into a store of ours.
    pub(super) fn messages(self, file: &File) -> io::Result<Vec<Message>> {
        let number = self.position.cast_unsigned() / SEGMENT_BYTES as u64;
        let mut window = Window { file, segment: self, bytes: Vec::new(), start: 0 };
        let mut messages = Vec::new();
        let mut at = SEGMENT_HEADER_BYTES;
        while at + MAX_HEADER_BYTES <= SEGMENT_BYTES {
            let header = parse(window.at(at)?, number).filter(|header| at + header.len <= SEGMENT_BYTES);
            let Some(header) = header else { return Err(self.unexpected(at)) };
            let place = Place {
                position: self.position + i64::try_from(at).map_err(io::Error::other)?,
                offset: self.offset + at as u64,
                len: header.len as u64,
            };
            let kind = match header.kind {
                // Given up, or the head of a batch.
                1 | 3 => None,
                // The cap.
                2 => break,
                4 => Some(Kind::Free),
                // The counter of numbers given out, the tree's root, and a node of the tree.
                5 | 6 | 8 => Some(Kind::Page),
                10 => Some(Kind::Change),
                // Among them those with a body in a file of its own, which a store of ours has none of.
                _ => return Err(self.unexpected(at)),
            };
            messages.extend(kind.map(|kind| Message { page: header.page, kind, place }));
            at += header.len;
        }
        Ok(messages)
    }

    fn unexpected(self, at: usize) -> io::Error {
        let Self { position, offset } = self;
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("no message at byte {at} of the segment at {offset}, of position {position}"),
        )
    }
}

/// Reads a header in a segment of this number.
fn parse(mut bytes: &[u8], segment: u64) -> Option<Header> {
    let whole = bytes.len();
    let (_checksum, rest) = bytes.split_at_checked(4)?;
    let (kind, rest) = rest.split_first()?;
    bytes = rest;
    let body = varint::take(&mut bytes)?;
    let number = varint::take(&mut bytes)?;
    let page = varint::take(&mut bytes)?;
    let len = usize::try_from(body).ok()?.checked_add(whole - bytes.len())?;
    (number == segment).then_some(Header { kind: *kind, page, len })
}

/// A part of a segment in memory.
struct Window<'a> {
    file: &'a File,
    segment: Segment,
    bytes: Vec<u8>,
    /// Where it begins in the segment.
    start: usize,
}

impl Window<'_> {
    /// What is at `at`, and at least as much of it as a header may take.
    fn at(&mut self, at: usize) -> io::Result<&[u8]> {
        if at < self.start || at + MAX_HEADER_BYTES > self.start + self.bytes.len() {
            self.start = at;
            self.bytes.resize(WINDOW_BYTES.min(SEGMENT_BYTES - at), 0);
            self.file.read_exact_at(&mut self.bytes, self.segment.offset + at as u64)?;
        }
        Ok(&self.bytes[at - self.start..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_not(bytes in prop::collection::vec(any::<u8>(), 0..MAX_HEADER_BYTES), segment in 0..9_u64) {
            if let Some(header) = parse(&bytes, segment) {
                prop_assert!(header.len > 4, "it has a checksum and a kind at least");
            }
        }
    }
}
