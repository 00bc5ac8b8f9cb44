//! Writing a record batch, record by record.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::stamp::stamp_crc_of_parts;
use super::{Attributes, HEADER_LEN, LENGTH_PREFIX, MAGIC};
use crate::compression::Compression;
use crate::ids::{ProducerEpoch, ProducerId, TimestampMs};
use crate::records::RecordRef;

/// The most bytes a batch may have: its length field is an INT32.
const MAX_BATCH_LEN: usize = i32::MAX as usize;

/// Who a batch comes from, and which number its first record has (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOrigin {
    /// The idempotent producer, -1 for none.
    pub producer_id: ProducerId,
    /// The producer's epoch, -1 for none.
    pub producer_epoch: ProducerEpoch,
    /// The sequence number of the first record, -1 for none.
    pub base_sequence: i32,
    /// Whether the batch is part of a transaction.
    pub transactional: bool,
}

impl BatchOrigin {
    /// A producer without idempotence.
    pub const ANONYMOUS: Self = Self {
        producer_id: ProducerId(-1),
        producer_epoch: ProducerEpoch(-1),
        base_sequence: -1,
        transactional: false,
    };
}

/// Why a record cannot be added to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The batch would have more than 2 GiB, or more records than an INT32 counts.
    #[error("the batch would be longer than the format allows")]
    TooLong,
    /// The record's timestamp is so far from that of the first record that no number holds the difference.
    #[error("the timestamps {first} and {other} do not fit into one batch", first = first.0, other = other.0)]
    Timestamps {
        /// The timestamp of the batch's first record.
        first: TimestampMs,
        /// That of the record to be added.
        other: TimestampMs,
    },
}

/// Why a batch cannot be finished.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// It holds no record.
    #[error("a batch needs a record")]
    Empty,
    /// The codec failed, or made the batch too long.
    #[error("the records cannot be compressed: {0}")]
    Compression(#[from] std::io::Error),
}

/// A batch that is being written. Records are encoded as they are added and compressed as one piece at the end.
#[derive(Clone, Debug, Default)]
pub struct BatchWriter {
    /// The plain records.
    plain: Vec<u8>,
    count: u32,
    base_timestamp: Option<TimestampMs>,
    max_timestamp: Option<TimestampMs>,
}

impl BatchWriter {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for records of so many bytes. Those that do not fit are taken as well.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { plain: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// How many records it holds.
    #[must_use]
    pub const fn record_count(&self) -> u32 {
        self.count
    }

    /// The length of the batch without compression, in bytes.
    #[must_use]
    pub fn uncompressed_len(&self) -> usize {
        HEADER_LEN + self.plain.len()
    }

    /// The length that the batch would have without compression if `record` were added.
    #[must_use]
    pub fn uncompressed_len_with(&self, record: &RecordRef<'_>) -> usize {
        let delta = self.timestamp_delta(record.timestamp).unwrap_or(i64::MAX);
        self.uncompressed_len() + record.encoded_len(delta, self.count)
    }

    /// Adds a record, and returns its offset counted from the batch's first.
    ///
    /// # Errors
    ///
    /// [`AddError`]; the batch is as before.
    pub fn add(&mut self, record: &RecordRef<'_>) -> Result<u32, AddError> {
        let delta = self.timestamp_delta(record.timestamp)?;
        if self.uncompressed_len_with(record) > MAX_BATCH_LEN || i32::try_from(self.count).is_err() {
            return Err(AddError::TooLong);
        }
        record.encode(&mut self.plain, delta, self.count);
        self.base_timestamp.get_or_insert(record.timestamp);
        self.max_timestamp = self.max_timestamp.max(Some(record.timestamp));
        self.count += 1;
        Ok(self.count - 1)
    }

    /// The whole batch, ready to be sent. Base offset 0 and leader epoch -1 are the leader's to replace.
    ///
    /// # Errors
    ///
    /// [`FinishError`].
    pub fn finish(&self, compression: Compression, origin: &BatchOrigin) -> Result<BytesMut, FinishError> {
        let compressed = self.compressed(compression)?;
        let records = compressed.as_deref().unwrap_or(&self.plain);
        let mut batch = self.header(records, compression, origin, records.len())?;
        batch.extend_from_slice(records);
        Ok(batch)
    }

    /// The same as [`finish`](Self::finish) in two pieces: the header and the records. Without compression nothing is copied, and
    /// the second piece keeps the writer alive.
    ///
    /// # Errors
    ///
    /// [`FinishError`].
    pub fn finish_in_pieces(
        self: &Arc<Self>,
        compression: Compression,
        origin: &BatchOrigin,
    ) -> Result<[Bytes; 2], FinishError> {
        let records = match self.compressed(compression)? {
            Some(compressed) => Bytes::from(compressed),
            None => Bytes::from_owner(Plain(Arc::clone(self))),
        };
        let header = self.header(&records, compression, origin, 0)?;
        Ok([header.freeze(), records])
    }

    /// The records as the codec writes them; none if it leaves them as they are.
    fn compressed(&self, compression: Compression) -> Result<Option<Vec<u8>>, FinishError> {
        if compression == Compression::NONE {
            return Ok(None);
        }
        Ok(Some(compression.compress(&self.plain)?))
    }

    /// The header of a batch with these records, with room for `room` bytes behind it.
    fn header(
        &self,
        records: &[u8],
        compression: Compression,
        origin: &BatchOrigin,
        room: usize,
    ) -> Result<BytesMut, FinishError> {
        let (Some(base), Some(max)) = (self.base_timestamp, self.max_timestamp) else {
            return Err(FinishError::Empty);
        };
        let length =
            i32::try_from(HEADER_LEN + records.len() - LENGTH_PREFIX).map_err(std::io::Error::other)?;
        let last_delta = self.count - 1;
        let attributes = Attributes::of_producer(compression.codec(), origin.transactional);
        let mut header = BytesMut::with_capacity(HEADER_LEN + room);
        header.extend_from_slice(&0_i64.to_be_bytes());
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(&(-1_i32).to_be_bytes());
        header.extend_from_slice(&MAGIC.to_be_bytes());
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&attributes.0.to_be_bytes());
        header.extend_from_slice(&last_delta.to_be_bytes());
        header.extend_from_slice(&base.0.to_be_bytes());
        header.extend_from_slice(&max.0.to_be_bytes());
        header.extend_from_slice(&origin.producer_id.0.to_be_bytes());
        header.extend_from_slice(&origin.producer_epoch.0.to_be_bytes());
        header.extend_from_slice(&origin.base_sequence.to_be_bytes());
        header.extend_from_slice(&self.count.to_be_bytes());
        stamp_crc_of_parts(&mut header, records);
        Ok(header)
    }

    fn timestamp_delta(&self, timestamp: TimestampMs) -> Result<i64, AddError> {
        let first = self.base_timestamp.unwrap_or(timestamp);
        let delta = timestamp.0.checked_sub(first.0);
        delta.ok_or(AddError::Timestamps { first, other: timestamp })
    }
}

/// The plain records of a writer that nobody writes to any more.
struct Plain(Arc<BatchWriter>);

impl AsRef<[u8]> for Plain {
    fn as_ref(&self) -> &[u8] {
        &self.0.plain
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch::{BatchHeader, Codec, crc_of, stamp_origin};
    use crate::ids::Offset;
    use crate::records::{Header, Record, decode_records};
    use crate::testing::{BatchBuilder, TestRecord};

    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    fn any_bytes() -> impl Strategy<Value = Option<Bytes>> {
        prop::option::of(prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from))
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let key = prop::collection::vec(any::<u8>(), 0..10).prop_map(Bytes::from);
        let header = (key, any_bytes()).prop_map(|(key, value)| Header { key, value });
        (-1..1_i64 << 60, any_bytes(), any_bytes(), prop::collection::vec(header, 0..4)).prop_map(
            |(timestamp, key, value, headers)| Record {
                offset: Offset(0),
                timestamp: TimestampMs(timestamp),
                key,
                value,
                headers,
            },
        )
    }

    fn by_reference(record: &Record) -> RecordRef<'_> {
        let Record { timestamp, key, value, headers, .. } = record;
        RecordRef { timestamp: *timestamp, key: key.as_deref(), value: value.as_deref(), headers }
    }

    fn write(records: &[Record]) -> BatchWriter {
        let mut writer = BatchWriter::new();
        for record in records {
            let expected = writer.uncompressed_len_with(&by_reference(record));
            writer.add(&by_reference(record)).unwrap();
            assert_eq!(writer.uncompressed_len(), expected);
        }
        writer
    }

    proptest! {
        #[test]
        fn what_is_written_is_decoded(records in prop::collection::vec(any_record(), 1..20), codec in 0..5_usize) {
            let compression = Compression::of(CODECS[codec]);
            let writer = Arc::new(write(&records));
            let batch = writer.finish(compression, &BatchOrigin::ANONYMOUS).unwrap().freeze();
            let pieces = writer.finish_in_pieces(compression, &BatchOrigin::ANONYMOUS).unwrap();
            prop_assert_eq!(&pieces.concat()[..], &batch[..]);
            let header = BatchHeader::parse(&batch).unwrap();
            prop_assert_eq!(header.total_len(), batch.len());
            prop_assert_eq!(header.crc, crc_of(&batch));
            let decoded = decode_records(&header, &batch, 1 << 20).unwrap();
            let decoded: Vec<_> = decoded.map(Result::unwrap).collect();
            let expected: Vec<_> =
                (0..).zip(records).map(|(offset, record)| Record { offset: Offset(offset), ..record }).collect();
            prop_assert_eq!(decoded, expected);
        }

        /// The tests' encoder, which shares no code with the writer, makes the same bytes.
        #[test]
        fn what_is_written_is_what_the_oracle_writes(records in prop::collection::vec(any_record(), 1..20)) {
            let origin = BatchOrigin {
                producer_id: ProducerId(77),
                producer_epoch: ProducerEpoch(3),
                base_sequence: 9,
                transactional: true,
            };
            let written = write(&records).finish(Compression::NONE, &origin).unwrap();
            let first = records[0].timestamp.0;
            let oracle: Vec<_> = records
                .iter()
                .map(|record| TestRecord {
                    timestamp_delta: record.timestamp.0 - first,
                    key: record.key.as_deref().map(<[u8]>::to_vec),
                    value: record.value.as_deref().map(<[u8]>::to_vec),
                    headers: record
                        .headers
                        .iter()
                        .map(|header| (header.key.to_vec(), header.value.as_deref().map(<[u8]>::to_vec)))
                        .collect(),
                })
                .collect();
            let max = records.iter().map(|record| record.timestamp.0).max().unwrap();
            let oracle = BatchBuilder::of_records(&oracle)
                .timestamp(first)
                .max_timestamp(max)
                .producer(77, 3, 9)
                .attributes(0x10)
                .build();
            prop_assert_eq!(&written[..], &oracle[..]);
        }
    }

    #[test]
    fn an_empty_batch_is_refused() {
        let empty = BatchWriter::new().finish(Compression::NONE, &BatchOrigin::ANONYMOUS);
        assert!(matches!(empty, Err(FinishError::Empty)));
        let in_pieces =
            Arc::new(BatchWriter::new()).finish_in_pieces(Compression::NONE, &BatchOrigin::ANONYMOUS);
        assert!(matches!(in_pieces, Err(FinishError::Empty)));
    }

    #[test]
    fn timestamps_too_far_apart_leave_the_batch_as_it_was() {
        let at =
            |timestamp| RecordRef { timestamp: TimestampMs(timestamp), key: None, value: None, headers: &[] };
        let mut writer = BatchWriter::new();
        writer.add(&at(i64::MAX)).unwrap();
        let before = writer.uncompressed_len();
        assert_eq!(
            writer.add(&at(-2)),
            Err(AddError::Timestamps { first: TimestampMs(i64::MAX), other: TimestampMs(-2) })
        );
        assert_eq!((writer.record_count(), writer.uncompressed_len()), (1, before));
    }

    #[test]
    fn a_batch_can_be_given_another_origin() {
        let mut writer = BatchWriter::new();
        writer
            .add(&RecordRef { timestamp: TimestampMs(5), key: None, value: Some(b"v"), headers: &[] })
            .unwrap();
        let origin = |producer_id, producer_epoch, base_sequence| BatchOrigin {
            producer_id: ProducerId(producer_id),
            producer_epoch: ProducerEpoch(producer_epoch),
            base_sequence,
            transactional: false,
        };
        let mut batch = writer.finish(Compression::of(Codec::Gzip), &origin(1, 2, 3)).unwrap();
        stamp_origin(&mut batch, ProducerId(4), ProducerEpoch(5), 6);
        assert_eq!(batch, writer.finish(Compression::of(Codec::Gzip), &origin(4, 5, 6)).unwrap());
    }
}
