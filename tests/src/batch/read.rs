//! Reading batches back. What cannot be read fails the test.

use std::ops::Range;

use bytes::{Buf, Bytes};

use super::{Codec, HEADER, Record, field, varint};

/// A batch as it came from a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// All its bytes.
    pub bytes: Bytes,
}

impl Batch {
    /// Splits a record set into its batches.
    ///
    /// # Panics
    /// If it is not a sequence of whole batches of magic 2.
    pub fn split(records: &Bytes) -> Vec<Self> {
        let mut rest = records.clone();
        let mut batches = Vec::new();
        while rest.has_remaining() {
            assert!(rest.len() >= HEADER, "{} bytes are no batch", rest.len());
            let length = (&rest[field::LENGTH]).get_i32();
            let length = field::LENGTH.end + usize::try_from(length).expect("a batch's length is positive");
            assert!(length <= rest.len(), "a batch of {length} bytes is cut off after {}", rest.len());
            let bytes = rest.split_to(length);
            assert_eq!(bytes[field::MAGIC], 2, "the format of today");
            batches.push(Self { bytes });
        }
        batches
    }

    fn field(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> i64 {
        self.field(field::BASE_OFFSET).get_i64()
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset() + i64::from(self.field(field::LAST_OFFSET_DELTA).get_i32())
    }

    /// The epoch of the leader that took the batch.
    pub fn leader_epoch(&self) -> i32 {
        self.field(field::LEADER_EPOCH).get_i32()
    }

    /// The greatest timestamp, in ms.
    pub fn max_timestamp(&self) -> i64 {
        self.field(field::MAX_TIMESTAMP).get_i64()
    }

    /// Whether the timestamp is the time of appending (`message.timestamp.type=LogAppendTime`).
    pub fn is_log_append_time(&self) -> bool {
        self.field(field::ATTRIBUTES).get_i16() & 8 != 0
    }

    /// What the records are compressed with.
    pub fn codec(&self) -> Codec {
        let number = self.field(field::ATTRIBUTES).get_i16() & 7;
        *Codec::ALL.iter().find(|codec| codec.number() == number).expect("a codec Kafka knows")
    }

    /// Whether the CRC is that of the bytes.
    pub fn crc_is_right(&self) -> bool {
        self.field(field::CRC).get_u32() == crc32c::crc32c(&self.bytes[field::CRC.end..])
    }

    /// The batch as its producer sent it: without what a broker writes into the header.
    pub fn as_sent(&self) -> Bytes {
        let mut bytes = self.bytes.to_vec();
        bytes[field::BASE_OFFSET].copy_from_slice(&0_i64.to_be_bytes());
        bytes[field::LEADER_EPOCH].copy_from_slice(&(-1_i32).to_be_bytes());
        bytes.into()
    }

    /// The records, decompressed.
    pub fn records(&self) -> Vec<Record> {
        let base = self.field(field::BASE_TIMESTAMP).get_i64();
        let count = self.field(field::RECORD_COUNT).get_i32();
        let mut plain = Bytes::from(self.codec().decompress(&self.bytes[HEADER..]));
        let records = (0..count).map(|_| get_record(&mut plain, base)).collect();
        assert!(plain.is_empty(), "{} bytes are left over behind the records", plain.len());
        records
    }

    /// The records' values as text.
    pub fn values(&self) -> Vec<String> {
        let text = |record: Record| {
            String::from_utf8_lossy(&record.value.expect("a record with a value")).into_owned()
        };
        self.records().into_iter().map(text).collect()
    }
}

fn get_record(buffer: &mut Bytes, base_timestamp: i64) -> Record {
    let length = usize::try_from(varint::get(buffer)).expect("a record's length is positive");
    let mut record = buffer.split_to(length);
    record.advance(1);
    let timestamp = base_timestamp + varint::get(&mut record);
    varint::get(&mut record);
    let key = get_bytes(&mut record);
    let value = get_bytes(&mut record);
    let headers = (0..varint::get(&mut record))
        .map(|_| (get_bytes(&mut record).expect("a header has a key"), get_bytes(&mut record)))
        .collect();
    assert!(record.is_empty(), "{} bytes are left over in a record", record.len());
    Record { timestamp, key, value, headers }
}

fn get_bytes(buffer: &mut Bytes) -> Option<Bytes> {
    usize::try_from(varint::get(buffer)).ok().map(|length| buffer.split_to(length))
}
