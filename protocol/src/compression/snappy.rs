//! Snappy as Kafka's clients write it, in either of two ways.
//!
//! librdkafka and others write one raw block. Java's library (xerial) writes a header and then blocks of, by default,
//! 32 KiB, each behind its compressed length:
//!
//! ```text
//! 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 | compatible version i32 | (length i32, raw block)*
//! ```
//!
//! A raw block states its decompressed length up front. Before any memory is taken, the statement is held against what
//! the format can do at best, 64 bytes for an element of three, and against the caller's bound, so that a lie costs nothing.

use std::io::{self, Read};

const XERIAL_MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_LEN: usize = 16;
/// No Snappy block decompresses to more than this many times its length: 64 / 3, rounded up.
const MAX_EXPANSION: usize = 22;

/// The decompressed bytes of a raw block or of xerial's frames.
pub(crate) struct SnappyReader<'a> {
    /// What is not yet decompressed.
    rest: &'a [u8],
    framed: bool,
    /// How many bytes may still come out.
    left: usize,
    /// The block at hand. Kept from block to block, so that it grows once.
    block: Vec<u8>,
    /// The part of `block` that is decompressed and not yet read.
    start: usize,
    end: usize,
}

impl<'a> SnappyReader<'a> {
    /// A reader of at most `max` bytes. The block that would exceed them is an error of [`io::ErrorKind::FileTooLarge`].
    pub(super) fn new(compressed: &'a [u8], max: usize) -> Self {
        let framed = compressed.starts_with(XERIAL_MAGIC) && compressed.len() >= XERIAL_HEADER_LEN;
        let rest = if framed { &compressed[XERIAL_HEADER_LEN..] } else { compressed };
        Self { rest, framed, left: max, block: Vec::new(), start: 0, end: 0 }
    }

    pub(super) const fn ended_cleanly(&self) -> bool {
        self.rest.is_empty() && self.start == self.end
    }

    /// The next compressed block, if any.
    fn next_block(&mut self) -> io::Result<Option<&'a [u8]>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if !self.framed {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let (length, rest) =
            self.rest.split_first_chunk::<4>().ok_or_else(|| invalid("a block's length is cut off"))?;
        let length = usize::try_from(i32::from_be_bytes(*length))
            .map_err(|_| invalid("a block's length is negative"))?;
        let (block, rest) = rest.split_at_checked(length).ok_or_else(|| invalid("a block is cut off"))?;
        self.rest = rest;
        Ok(Some(block))
    }

    fn decompress(&mut self, compressed: &[u8]) -> io::Result<()> {
        let stated = snap::raw::decompress_len(compressed)?;
        if stated > compressed.len().saturating_mul(MAX_EXPANSION) {
            return Err(invalid("a block states a length that it cannot have"));
        }
        self.left = self.left.checked_sub(stated).ok_or(io::ErrorKind::FileTooLarge)?;
        if self.block.len() < stated {
            self.block.resize(stated, 0);
        }
        self.start = 0;
        self.end = snap::raw::Decoder::new().decompress(compressed, &mut self.block[..stated])?;
        Ok(())
    }
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.start == self.end {
            let Some(compressed) = self.next_block()? else { return Ok(0) };
            self.decompress(compressed)?;
        }
        let read = buffer.len().min(self.end - self.start);
        buffer[..read].copy_from_slice(&self.block[self.start..self.start + read]);
        self.start += read;
        Ok(read)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
