//! A small encoder of record batches for the tests of this room. It shares nothing with the code under test but the
//! header's layout, which it writes field by field.

use std::io::Write;

use super::batch::{BatchHeader, Codec, crc_of};

/// One record to encode. Its fields are written as they are, sensible or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestRecord {
    pub(crate) timestamp_delta: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl TestRecord {
    pub(crate) fn of_value(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    pub(crate) fn at(timestamp_delta: i64) -> Self {
        Self { timestamp_delta, ..Self::of_value("v") }
    }

    /// The record's encoding as the `offset_delta`th of its batch.
    pub(crate) fn encode(&self, offset_delta: i64) -> Vec<u8> {
        let mut body = vec![0];
        put_varint(&mut body, self.timestamp_delta);
        put_varint(&mut body, offset_delta);
        put_nullable(&mut body, self.key.as_deref());
        put_nullable(&mut body, self.value.as_deref());
        put_varint(&mut body, i64::try_from(self.headers.len()).unwrap());
        for (key, value) in &self.headers {
            put_nullable(&mut body, Some(key));
            put_nullable(&mut body, value.as_deref());
        }
        let mut record = Vec::new();
        put_varint(&mut record, i64::try_from(body.len()).unwrap());
        record.extend(body);
        record
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, number: i64) {
    let mut zigzag = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while zigzag >= 0x80 {
        out.push(u8::try_from(zigzag & 0x7f).unwrap() | 0x80);
        zigzag >>= 7;
    }
    out.push(u8::try_from(zigzag).unwrap());
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varint(out, bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap()));
    out.extend(bytes.unwrap_or_default());
}

/// The ways to compress that occur in the wild; Snappy has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    SnappyRaw,
    SnappyXerial,
    Lz4,
    Zstd,
}

impl Packing {
    pub(crate) const ALL: [Self; 6] =
        [Self::Plain, Self::Gzip, Self::SnappyRaw, Self::SnappyXerial, Self::Lz4, Self::Zstd];

    pub(crate) const fn codec(self) -> Codec {
        match self {
            Self::Plain => Codec::None,
            Self::Gzip => Codec::Gzip,
            Self::SnappyRaw | Self::SnappyXerial => Codec::Snappy,
            Self::Lz4 => Codec::Lz4,
            Self::Zstd => Codec::Zstd,
        }
    }

    pub(crate) fn pack(self, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => plain.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Self::SnappyRaw => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
            Self::SnappyXerial => {
                let mut packed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
                for chunk in plain.chunks(32 * 1024) {
                    let block = snap::raw::Encoder::new().compress_vec(chunk).unwrap();
                    packed.extend(i32::try_from(block.len()).unwrap().to_be_bytes());
                    packed.extend(block);
                }
                packed
            }
            Self::Lz4 => {
                let info =
                    lz4_flex::frame::FrameInfo::new().block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(plain, 3).unwrap(),
        }
    }
}

/// A batch to encode. Everything not set is what a sensible producer without idempotence would send.
#[derive(Clone, Debug)]
pub(crate) struct BatchBuilder {
    /// The plain encoding of the records.
    plain: Vec<u8>,
    packing: Packing,
    pub(crate) base_offset: i64,
    leader_epoch: i32,
    pub(crate) magic: i8,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: (i64, i16, i32),
    pub(crate) record_count: i32,
}

impl BatchBuilder {
    /// A batch of `count` small records with equal timestamps.
    pub(crate) fn of_count(count: u32) -> Self {
        Self::of_records(&vec![TestRecord::of_value("some value"); count as usize])
    }

    pub(crate) fn of_records(records: &[TestRecord]) -> Self {
        let plain = (0..).zip(records).flat_map(|(delta, record)| record.encode(delta)).collect();
        let mut batch = Self::of_plain(plain, records.len());
        let greatest = records.iter().map(|record| record.timestamp_delta).max().unwrap_or_default();
        batch.max_timestamp = batch.base_timestamp.saturating_add(greatest);
        batch
    }

    /// A batch that claims to hold `count` records and holds these bytes.
    pub(crate) fn of_plain(plain: Vec<u8>, count: usize) -> Self {
        let count = i32::try_from(count).unwrap();
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

    pub(crate) const fn base_offset(mut self, base_offset: i64) -> Self {
        self.base_offset = base_offset;
        self
    }

    pub(crate) const fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = epoch;
        self
    }

    pub(crate) const fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    pub(crate) const fn attributes(mut self, attributes: i16) -> Self {
        self.attributes |= attributes;
        self
    }

    /// Moves all timestamps, so that the base timestamp becomes this.
    pub(crate) const fn timestamp(mut self, base_timestamp: i64) -> Self {
        self.max_timestamp = self.max_timestamp.saturating_add(base_timestamp - self.base_timestamp);
        self.base_timestamp = base_timestamp;
        self
    }

    /// Lets the header state this greatest timestamp, true or not.
    pub(crate) const fn max_timestamp(mut self, max_timestamp: i64) -> Self {
        self.max_timestamp = max_timestamp;
        self
    }

    pub(crate) const fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// The batch's bytes, with a right length and CRC.
    pub(crate) fn build(&self) -> Vec<u8> {
        self.build_around(&self.packing.pack(&self.plain))
    }

    /// The batch around records that are compressed already, or rubbish.
    pub(crate) fn build_around(&self, packed: &[u8]) -> Vec<u8> {
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
        batch.extend(i32::try_from(49 + packed.len()).unwrap().to_be_bytes());
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
pub(crate) fn header_of(batch: &[u8]) -> BatchHeader {
    BatchHeader::parse(batch).unwrap()
}
