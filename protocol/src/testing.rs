//! A small encoder of record batches for tests, of this crate and of those above it. It shares nothing with the code under
//! test but the CRC, and writes the header field by field. Its fields need not make sense.

use std::io::Write;

use crate::batch::{BatchHeader, Codec, crc_of};

/// Why nothing here fails: tests are small, and memory takes all writes.
const FITS: &str = "a test's batch fits, and its codec works";

/// One record to encode. Its fields are written as they are, sensible or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestRecord {
    /// Milliseconds since the batch's base timestamp.
    pub timestamp_delta: i64,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl TestRecord {
    /// A record with a value only.
    pub fn of_value(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A small record at this time.
    pub fn at(timestamp_delta: i64) -> Self {
        Self { timestamp_delta, ..Self::of_value("v") }
    }

    /// The record's encoding as the `offset_delta`th of its batch.
    pub fn encode(&self, offset_delta: i64) -> Vec<u8> {
        let mut body = vec![0];
        put_varint(&mut body, self.timestamp_delta);
        put_varint(&mut body, offset_delta);
        put_nullable(&mut body, self.key.as_deref());
        put_nullable(&mut body, self.value.as_deref());
        put_varint(&mut body, i64::try_from(self.headers.len()).expect(FITS));
        for (key, value) in &self.headers {
            put_nullable(&mut body, Some(key));
            put_nullable(&mut body, value.as_deref());
        }
        let mut record = Vec::new();
        put_varint(&mut record, i64::try_from(body.len()).expect(FITS));
        record.extend(body);
        record
    }
}

/// Appends a zigzag varint.
pub fn put_varint(out: &mut Vec<u8>, number: i64) {
    let mut zigzag = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while zigzag >= 0x80 {
        out.push(u8::try_from(zigzag & 0x7f).expect(FITS) | 0x80);
        zigzag >>= 7;
    }
    out.push(u8::try_from(zigzag).expect(FITS));
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varint(out, bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).expect(FITS)));
    out.extend(bytes.unwrap_or_default());
}

/// The ways to compress that occur in the wild; Snappy has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// One gzip member.
    Gzip,
    /// One raw Snappy block.
    SnappyRaw,
    /// Snappy in the frames of Java's library.
    SnappyXerial,
    /// One LZ4 frame.
    Lz4,
    /// One zstd frame.
    Zstd,
}

impl Packing {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Plain, Self::Gzip, Self::SnappyRaw, Self::SnappyXerial, Self::Lz4, Self::Zstd];

    /// The codec whose dialect it is.
    pub const fn codec(self) -> Codec {
        match self {
            Self::Plain => Codec::None,
            Self::Gzip => Codec::Gzip,
            Self::SnappyRaw | Self::SnappyXerial => Codec::Snappy,
            Self::Lz4 => Codec::Lz4,
            Self::Zstd => Codec::Zstd,
        }
    }

    /// Compresses.
    pub fn pack(self, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => plain.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain).expect(FITS);
                encoder.finish().expect(FITS)
            }
            Self::SnappyRaw => snap::raw::Encoder::new().compress_vec(plain).expect(FITS),
            Self::SnappyXerial => {
                let mut packed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
                for chunk in plain.chunks(32 * 1024) {
                    let block = snap::raw::Encoder::new().compress_vec(chunk).expect(FITS);
                    packed.extend(i32::try_from(block.len()).expect(FITS).to_be_bytes());
                    packed.extend(block);
                }
                packed
            }
            Self::Lz4 => {
                let info =
                    lz4_flex::frame::FrameInfo::new().block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(plain).expect(FITS);
                encoder.finish().expect(FITS)
            }
            Self::Zstd => zstd::encode_all(plain, 3).expect(FITS),
        }
    }
}

/// A batch to encode. Everything not set is what a sensible producer without idempotence would send.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// The plain encoding of the records.
    plain: Vec<u8>,
    packing: Packing,
    /// The offset of the first record.
    pub base_offset: i64,
    leader_epoch: i32,
    /// The format.
    pub magic: i8,
    /// The attribute bits beside the codec.
    pub attributes: i16,
    /// The last record's offset, counted from the base offset.
    pub last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: (i64, i16, i32),
    /// The stated number of records.
    pub record_count: i32,
}

impl BatchBuilder {
    /// A batch of `count` small records with equal timestamps.
    pub fn of_count(count: u32) -> Self {
        Self::of_records(&vec![TestRecord::of_value("some value"); count as usize])
    }

    /// A batch of these records.
    pub fn of_records(records: &[TestRecord]) -> Self {
        let plain = (0..).zip(records).flat_map(|(delta, record)| record.encode(delta)).collect();
        let mut batch = Self::of_plain(plain, records.len());
        let greatest = records.iter().map(|record| record.timestamp_delta).max().unwrap_or_default();
        batch.max_timestamp = batch.base_timestamp.saturating_add(greatest);
        batch
    }

    /// A batch that claims to hold `count` records and holds these bytes.
    pub fn of_plain(plain: Vec<u8>, count: usize) -> Self {
        let count = i32::try_from(count).expect(FITS);
        Self {
            plain,
            packing: Packing::Plain,
            base_offset: 0,
            leader_epoch: -1,
            magic: 2,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 1000,
            max_timestamp: 1000,
            producer: (-1, -1, -1),
            record_count: count,
        }
    }

    /// Sets the offset of the first record.
    #[must_use]
    pub const fn base_offset(mut self, base_offset: i64) -> Self {
        self.base_offset = base_offset;
        self
    }

    /// Sets the leader epoch.
    #[must_use]
    pub const fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// Sets producer id, epoch and first sequence number.
    #[must_use]
    pub const fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    /// Sets these attribute bits.
    #[must_use]
    pub const fn attributes(mut self, attributes: i16) -> Self {
        self.attributes |= attributes;
        self
    }

    /// Moves all timestamps, so that the base timestamp becomes this.
    #[must_use]
    pub const fn timestamp(mut self, base_timestamp: i64) -> Self {
        self.max_timestamp = self.max_timestamp.saturating_add(base_timestamp - self.base_timestamp);
        self.base_timestamp = base_timestamp;
        self
    }

    /// Lets the header state this greatest timestamp, true or not.
    #[must_use]
    pub const fn max_timestamp(mut self, max_timestamp: i64) -> Self {
        self.max_timestamp = max_timestamp;
        self
    }

    /// Sets the compression.
    #[must_use]
    pub const fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// The batch's bytes, with a right length and CRC.
    pub fn build(&self) -> Vec<u8> {
        self.build_around(&self.packing.pack(&self.plain))
    }

    /// The batch around records that are compressed already, or rubbish.
    pub fn build_around(&self, packed: &[u8]) -> Vec<u8> {
        let codec = match self.packing.codec() {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        };
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let mut batch = Vec::with_capacity(61 + packed.len());
        batch.extend(self.base_offset.to_be_bytes());
        batch.extend(i32::try_from(49 + packed.len()).expect(FITS).to_be_bytes());
        batch.extend(self.leader_epoch.to_be_bytes());
        batch.extend(self.magic.to_be_bytes());
        batch.extend([0; 4]);
        batch.extend((self.attributes | codec).to_be_bytes());
        batch.extend(self.last_offset_delta.to_be_bytes());
        batch.extend(self.base_timestamp.to_be_bytes());
        batch.extend(self.max_timestamp.to_be_bytes());
        batch.extend(producer_id.to_be_bytes());
        batch.extend(producer_epoch.to_be_bytes());
        batch.extend(base_sequence.to_be_bytes());
        batch.extend(self.record_count.to_be_bytes());
        batch.extend(packed);
        let crc = crc_of(&batch);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }
}

/// The header of an encoded batch that is known to be sound.
pub fn header_of(batch: &[u8]) -> BatchHeader {
    BatchHeader::parse(batch).expect(FITS)
}
