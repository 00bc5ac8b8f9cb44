//! Where a walk takes its bytes from: a slice, or a decompressor's output.

use std::io::{ErrorKind, Read};

use super::walk::{MAX_DECOMPRESSED_BYTES, WalkError};
use crate::compression::Decompressor;

/// Bytes that are read once, front to back.
pub(super) trait RecordSource {
    /// The next byte.
    fn next_byte(&mut self) -> Result<u8, WalkError>;
    /// Passes over `length` bytes.
    fn skip(&mut self, length: u64) -> Result<(), WalkError>;
    /// How many bytes are read or skipped so far.
    fn position(&self) -> u64;
    /// Proves that nothing follows, and that a compressed stream ended as it should.
    fn expect_end(&mut self) -> Result<(), WalkError>;
}

/// The records of an uncompressed batch. Skipping does not touch the bytes.
pub(super) struct SliceSource<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> SliceSource<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self::at(bytes, 0)
    }

    /// Begins at `position`, which lies within `bytes` or at their end.
    pub(super) const fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// The position as an index.
    pub(super) const fn offset(&self) -> usize {
        self.position
    }
}

impl RecordSource for SliceSource<'_> {
    #[inline]
    fn next_byte(&mut self) -> Result<u8, WalkError> {
        let byte = *self.bytes.get(self.position).ok_or(WalkError::Truncated)?;
        self.position += 1;
        Ok(byte)
    }

    #[inline]
    fn skip(&mut self, length: u64) -> Result<(), WalkError> {
        let left = self.bytes.len() - self.position;
        let length = usize::try_from(length).map_err(|_| WalkError::Truncated)?;
        if length > left {
            return Err(WalkError::Truncated);
        }
        self.position += length;
        Ok(())
    }

    #[inline]
    fn position(&self) -> u64 {
        self.position as u64
    }

    fn expect_end(&mut self) -> Result<(), WalkError> {
        if self.position == self.bytes.len() { Ok(()) } else { Err(WalkError::TrailingData) }
    }
}

/// How much is decompressed at a time.
const BUFFER_LEN: usize = 16 * 1024;

/// The records of a compressed batch, decompressed piece by piece into one fixed buffer.
pub(super) struct DecompressedSource<'a> {
    decompressor: Decompressor<'a>,
    buffer: Box<[u8]>,
    /// The part of `buffer` that is decompressed and not yet read.
    start: usize,
    end: usize,
    /// How many bytes stood before the buffer's first.
    before: u64,
}

impl<'a> DecompressedSource<'a> {
    pub(super) fn new(decompressor: Decompressor<'a>) -> Self {
        Self { decompressor, buffer: vec![0; BUFFER_LEN].into_boxed_slice(), start: 0, end: 0, before: 0 }
    }

    /// Replaces the buffer, all of which is read, by the next piece, and says whether there was one.
    #[cold]
    fn refill(&mut self) -> Result<bool, WalkError> {
        debug_assert_eq!(self.start, self.end, "the buffer is read before it is replaced");
        self.before += self.end as u64;
        self.start = 0;
        self.end = 0;
        self.end = self.decompressor.read(&mut self.buffer).map_err(|error| match error.kind() {
            ErrorKind::FileTooLarge => WalkError::DecompressedTooLarge,
            _ => error.into(),
        })?;
        if self.before + self.end as u64 > MAX_DECOMPRESSED_BYTES {
            return Err(WalkError::DecompressedTooLarge);
        }
        Ok(self.end > 0)
    }
}

impl RecordSource for DecompressedSource<'_> {
    #[inline]
    fn next_byte(&mut self) -> Result<u8, WalkError> {
        if self.start == self.end && !self.refill()? {
            return Err(WalkError::Truncated);
        }
        let byte = self.buffer[self.start];
        self.start += 1;
        Ok(byte)
    }

    fn skip(&mut self, mut length: u64) -> Result<(), WalkError> {
        loop {
            let ready = self.end - self.start;
            match usize::try_from(length) {
                Ok(length) if length <= ready => {
                    self.start += length;
                    return Ok(());
                }
                _ => {}
            }
            length -= ready as u64;
            self.start = self.end;
            if !self.refill()? {
                return Err(WalkError::Truncated);
            }
        }
    }

    #[inline]
    fn position(&self) -> u64 {
        self.before + self.start as u64
    }

    fn expect_end(&mut self) -> Result<(), WalkError> {
        if self.start != self.end || self.refill()? || !self.decompressor.ended_cleanly() {
            return Err(WalkError::TrailingData);
        }
        Ok(())
    }
}
