//! Building a batch.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Codec, HEADER, Record, field, varint};

/// A batch to be. The default is what a producer without idempotence sends.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    records: Vec<Record>,
    codec: Codec,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
}

/// An uncompressed batch of values, all with the same timestamp.
pub fn values(timestamp: i64, values: &[&str]) -> Bytes {
    let records = values.iter().map(|value| Record::new(timestamp, (*value).to_owned())).collect();
    BatchBuilder::new(records).build()
}

impl BatchBuilder {
    /// A batch of these records.
    pub fn new(records: Vec<Record>) -> Self {
        Self { records, codec: Codec::None, producer_id: -1, producer_epoch: -1, base_sequence: -1 }
    }

    /// Compresses the records.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Names the idempotent producer and the sequence of the first record.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// The batch's bytes.
    ///
    /// # Panics
    /// If there are no records: such a batch has no last offset.
    pub fn build(&self) -> Bytes {
        let base = self.records.first().expect("a batch has records").timestamp;
        let max = self.records.iter().map(|record| record.timestamp).max().unwrap_or(base);
        let count = i32::try_from(self.records.len()).expect("a small batch");
        let mut bytes = BytesMut::new();
        bytes.put_i64(0);
        bytes.put_i32(0);
        bytes.put_i32(-1);
        bytes.put_i8(2);
        bytes.put_u32(0);
        bytes.put_i16(self.codec.number());
        bytes.put_i32(count - 1);
        bytes.put_i64(base);
        bytes.put_i64(max);
        bytes.put_i64(self.producer_id);
        bytes.put_i16(self.producer_epoch);
        bytes.put_i32(self.base_sequence);
        bytes.put_i32(count);
        assert_eq!(bytes.len(), HEADER, "the header's size is fixed");
        let mut records = BytesMut::new();
        for (delta, record) in (0_i64..).zip(&self.records) {
            put_record(&mut records, record, record.timestamp - base, delta);
        }
        bytes.extend_from_slice(&self.codec.compress(&records));
        seal(&mut bytes);
        bytes.freeze()
    }
}

/// Makes length and CRC of a batch right after its bytes were tampered with.
pub fn seal(batch: &mut BytesMut) {
    let length = i32::try_from(batch.len() - field::LENGTH.end).expect("a small batch");
    batch[field::LENGTH].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[field::CRC.end..]);
    batch[field::CRC].copy_from_slice(&crc.to_be_bytes());
}

fn put_record(buffer: &mut BytesMut, record: &Record, timestamp_delta: i64, offset_delta: i64) {
    let mut body = BytesMut::new();
    body.put_i8(0);
    varint::put(&mut body, timestamp_delta);
    varint::put(&mut body, offset_delta);
    put_bytes(&mut body, record.key.as_ref());
    put_bytes(&mut body, record.value.as_ref());
    varint::put(&mut body, length(record.headers.len()));
    for (key, value) in &record.headers {
        put_bytes(&mut body, Some(key));
        put_bytes(&mut body, value.as_ref());
    }
    varint::put(buffer, length(body.len()));
    buffer.extend_from_slice(&body);
}

fn put_bytes(buffer: &mut BytesMut, bytes: Option<&Bytes>) {
    varint::put(buffer, bytes.map_or(-1, |bytes| length(bytes.len())));
    buffer.extend_from_slice(bytes.map_or(&[], |bytes| bytes));
}

fn length(length: usize) -> i64 {
    i64::try_from(length).expect("a length fits")
}
