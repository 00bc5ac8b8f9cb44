//! Reading numbers and lengths from bytes that may lie.
//!
//! Every step is checked against what remains, so that no input makes the cursor panic, and an error knows
//! its offset.

use super::error::{Fault, StructureError};

/// The most bytes an unsigned varint of 32 bits takes.
const MAX_VARINT_BYTES: u32 = 5;

/// A place in a slice, moving forward. Invariant: `offset` never passes the end.
#[derive(Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes passed so far.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes still ahead.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// A fault at this place, not yet named.
    pub(super) const fn fail(&self, fault: Fault) -> StructureError {
        StructureError { path: String::new(), fault, offset: self.offset }
    }

    /// Passes over `needed` bytes.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] when fewer remain; the cursor then stays where it is.
    pub fn skip(&mut self, needed: usize) -> Result<(), StructureError> {
        self.take(needed).map(|_| ())
    }

    /// Passes over `needed` bytes and returns them.
    pub(super) fn take(&mut self, needed: usize) -> Result<&'a [u8], StructureError> {
        let remaining = self.remaining();
        if needed > remaining {
            return Err(self.fail(Fault::Truncated { needed, remaining }));
        }
        let taken = &self.bytes[self.offset..self.offset + needed];
        self.offset += needed;
        assert!(self.offset <= self.bytes.len(), "a cursor stays within its bytes");
        Ok(taken)
    }

    /// Reads exactly `N` bytes.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], StructureError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Reads a number of 8 bits.
    pub(super) fn int8(&mut self) -> Result<i8, StructureError> {
        self.array().map(i8::from_be_bytes)
    }

    /// Reads a number of 16 bits.
    pub fn int16(&mut self) -> Result<i16, StructureError> {
        self.array().map(i16::from_be_bytes)
    }

    /// Reads a number of 32 bits.
    pub fn int32(&mut self) -> Result<i32, StructureError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Reads an unsigned varint of 32 bits, least significant group first.
    ///
    /// # Errors
    ///
    /// [`Fault::VarintTooLong`] when the number does not fit. The crate would drop its upper bits silently,
    /// and then disagree with this check about where the next field begins.
    pub(super) fn unsigned_varint(&mut self) -> Result<u32, StructureError> {
        let mut value = 0u64;
        for group in 0..MAX_VARINT_BYTES {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| self.fail(Fault::VarintTooLong));
            }
        }
        Err(self.fail(Fault::VarintTooLong))
    }

    /// Reads a two-byte length, -1 for null: the form of a string in messages that are not flexible.
    pub fn string_length(&mut self) -> Result<Option<usize>, StructureError> {
        let length = self.int16()?.into();
        self.length_or_null(length)
    }

    /// Reads a four-byte length or count, -1 for null.
    pub(super) fn long_length(&mut self) -> Result<Option<usize>, StructureError> {
        let length = self.int32()?;
        self.length_or_null(length)
    }

    /// Reads a compact length or count: a varint that counts from one, 0 for null.
    pub(super) fn compact_length(&mut self) -> Result<Option<usize>, StructureError> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    /// Passes over a list of tagged fields without looking into them.
    pub fn skip_tagged_fields(&mut self) -> Result<(), StructureError> {
        let count = self.unsigned_varint()?;
        for _ in 0..count {
            self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            self.skip(size)?;
        }
        Ok(())
    }

    fn length_or_null(&self, length: i32) -> Result<Option<usize>, StructureError> {
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.fail(Fault::NegativeLength(length))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(bytes: &[u8]) -> Result<u32, Fault> {
        Cursor::new(bytes).unsigned_varint().map_err(|error| error.fault)
    }

    #[test]
    fn varints_are_read_up_to_32_bits() {
        assert_eq!(varint(&[0]), Ok(0));
        assert_eq!(varint(&[0xac, 0x02]), Ok(300));
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(Fault::VarintTooLong));
        assert_eq!(varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Err(Fault::VarintTooLong));
        assert_eq!(varint(&[0x80]), Err(Fault::Truncated { needed: 1, remaining: 0 }));
    }

    #[test]
    fn a_refused_read_does_not_move_the_cursor() {
        let mut cursor = Cursor::new(&[0, 1, 2]);
        assert_eq!(cursor.int32().unwrap_err().fault, Fault::Truncated { needed: 4, remaining: 3 });
        assert_eq!(cursor.offset(), 0);
        assert_eq!(cursor.int16().unwrap(), 1);
        assert_eq!(cursor.remaining(), 1);
    }
}
