//! Decoding the records of a batch, for a consumer: slices, nothing copied but what was compressed.
//!
//! Unlike a producer's batch, one that a consumer is sent may have been compacted: offset deltas leave gaps, and the header's
//! range may reach beyond the last record. Deltas must ascend and stay within the range.

use bytes::Bytes;

use super::source::{RecordSource, SliceSource};
use super::walk::non_negative;
use super::{Header, Record, WalkError, varint};
use crate::batch::{BatchHeader, Codec, HEADER_LEN, TimestampType, UnknownCodec};
use crate::compression::{DecompressError, decompress};
use crate::ids::TimestampMs;

/// The most headers of one record. Each takes 64 bytes of memory, and as few as two of the batch.
const MAX_HEADERS: u64 = 1 << 20;

/// Why the records of a batch cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The header names a codec that does not exist.
    #[error(transparent)]
    UnknownCodec(#[from] UnknownCodec),
    /// They cannot be decompressed, or to too much.
    #[error(transparent)]
    Compression(#[from] DecompressError),
    /// A record makes no sense.
    #[error(transparent)]
    Record(#[from] WalkError),
}

/// The records of one whole batch, in order. Records of a compressed batch are decompressed here, at once, and to at most
/// `max_decompressed` bytes. A record may have 2^20 headers.
///
/// # Errors
///
/// [`RecordsError`], and the iterator's items may be errors as well.
///
/// # Panics
///
/// When `batch` is shorter than a header.
pub fn decode_records(
    header: &BatchHeader,
    batch: &Bytes,
    max_decompressed: usize,
) -> Result<Records, RecordsError> {
    let left =
        u32::try_from(header.record_count).map_err(|_| WalkError::InvalidLength(header.record_count))?;
    let bytes = match header.attributes.codec()? {
        Codec::None => batch.slice(HEADER_LEN..),
        codec => Bytes::from(decompress(codec, &batch[HEADER_LEN..], max_decompressed)?),
    };
    Ok(Records { header: *header, bytes, position: 0, left, next_delta: 0 })
}

/// The iterator that [`decode_records`] returns. It ends after the first error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    header: BatchHeader,
    /// The plain records.
    bytes: Bytes,
    /// Where the next record begins.
    position: usize,
    /// How many records are still to come.
    left: u32,
    /// The least offset delta that the next record may have.
    next_delta: u32,
}

impl Records {
    /// How many bytes the plain records take, which every slice of a record keeps in memory.
    #[must_use]
    pub fn plain_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Iterator for Records {
    type Item = Result<Record, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let trailing = self.position < self.bytes.len();
            self.position = self.bytes.len();
            return trailing.then_some(Err(WalkError::TrailingData));
        }
        self.left -= 1;
        let record = self.take_record();
        if record.is_err() {
            self.left = 0;
            self.position = self.bytes.len();
        }
        Some(record)
    }
}

impl std::iter::FusedIterator for Records {}

impl Records {
    fn take_record(&mut self) -> Result<Record, WalkError> {
        let mut source = SliceSource::at(&self.bytes, self.position);
        let length = non_negative(varint::read_i32(&mut source)?)?;
        let mut fields = Fields { bytes: &self.bytes, end: source.position() + length, source };
        fields.source.next_byte()?; // The attributes, in which no bit has a meaning yet.
        let timestamp_delta = varint::read_i64(&mut fields.source)?;
        let delta = varint::read_i32(&mut fields.source)?;
        let delta = self.offset_delta(delta)?;
        let record = Record {
            offset: self.header.base_offset.plus(i64::from(delta)),
            timestamp: self.timestamp(timestamp_delta),
            key: fields.nullable()?,
            value: fields.nullable()?,
            headers: fields.headers()?,
        };
        if fields.source.position() != fields.end {
            return Err(WalkError::LengthMismatch);
        }
        self.position = fields.source.offset();
        self.next_delta = delta + 1;
        Ok(record)
    }

    /// The delta that a record states, if it may follow the one before.
    fn offset_delta(&self, stated: i32) -> Result<u32, WalkError> {
        let range = self.next_delta..=self.header.last_offset_delta;
        let delta = u32::try_from(stated).ok().filter(|delta| range.contains(delta));
        delta.ok_or(WalkError::OffsetDelta { expected: self.next_delta, found: stated })
    }

    fn timestamp(&self, delta: i64) -> TimestampMs {
        match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => TimestampMs(self.header.base_timestamp.0.wrapping_add(delta)),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        }
    }
}

/// The fields of one record.
struct Fields<'a> {
    bytes: &'a Bytes,
    source: SliceSource<'a>,
    /// Where the record ends.
    end: u64,
}

impl Fields<'_> {
    fn nullable(&mut self) -> Result<Option<Bytes>, WalkError> {
        match varint::read_i32(&mut self.source)? {
            -1 => Ok(None),
            length => self.slice(length).map(Some),
        }
    }

    fn slice(&mut self, length: i32) -> Result<Bytes, WalkError> {
        let length = non_negative(length)?;
        if self.source.position() + length > self.end {
            return Err(WalkError::FieldTooLong);
        }
        let start = self.source.offset();
        self.source.skip(length)?;
        Ok(self.bytes.slice(start..self.source.offset()))
    }

    fn headers(&mut self) -> Result<Vec<Header>, WalkError> {
        let count = non_negative(varint::read_i32(&mut self.source)?)?;
        // A header has at least the two lengths, so that a lie reserves no more than the record has bytes.
        let most = self.end.saturating_sub(self.source.position()) / 2;
        if count > most {
            return Err(WalkError::FieldTooLong);
        }
        if count > MAX_HEADERS {
            return Err(WalkError::TooManyHeaders(count));
        }
        let mut headers = Vec::new();
        for _ in 0..count {
            let key = varint::read_i32(&mut self.source)?;
            headers.push(Header { key: self.slice(key)?, value: self.nullable()? });
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests;
