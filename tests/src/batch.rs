//! Record batches, built and read byte by byte.
//!
//! A test must be able to build what no client would send, and to compare what comes back with what was sent to the
//! byte, headers with repeated keys included. So the format (magic 2, KIP-98) is spelled out here once more,
//! independently of the broker's own reading of it:
//!
//! ```text
//!  0 base offset i64        21 attributes i16          43 producer id i64
//!  8 length i32             23 last offset delta i32   51 producer epoch i16
//! 12 leader epoch i32       27 base timestamp i64      53 base sequence i32
//! 16 magic i8               35 max timestamp i64       57 record count i32
//! 17 crc u32, of all that follows it                   61 records
//! ```

mod build;
mod codec;
mod read;
mod varint;

use std::ops::Range;

use bytes::Bytes;

pub use build::{BatchBuilder, seal, values};
pub use codec::Codec;
pub use read::Batch;

/// Bytes of a batch before its records.
pub const HEADER: usize = 61;

/// Where each field of the header stands.
pub mod field {
    use super::Range;

    /// Base offset; written by the broker.
    pub const BASE_OFFSET: Range<usize> = 0..8;
    /// Bytes that follow this field.
    pub const LENGTH: Range<usize> = 8..12;
    /// Partition leader epoch; written by the broker.
    pub const LEADER_EPOCH: Range<usize> = 12..16;
    /// Format, 2.
    pub const MAGIC: usize = 16;
    /// CRC-32C of everything behind it.
    pub const CRC: Range<usize> = 17..21;
    /// Codec (bits 0-2), timestamp type (bit 3), transactional (4), control (5).
    pub const ATTRIBUTES: Range<usize> = 21..23;
    /// Offset of the last record, less the base offset.
    pub const LAST_OFFSET_DELTA: Range<usize> = 23..27;
    /// What the records' timestamps are relative to, in ms.
    pub const BASE_TIMESTAMP: Range<usize> = 27..35;
    /// The greatest timestamp, in ms.
    pub const MAX_TIMESTAMP: Range<usize> = 35..43;
    /// -1 without idempotence.
    pub const PRODUCER_ID: Range<usize> = 43..51;
    /// -1 without idempotence.
    pub const PRODUCER_EPOCH: Range<usize> = 51..53;
    /// Sequence of the first record, -1 without idempotence.
    pub const BASE_SEQUENCE: Range<usize> = 53..57;
    /// Number of records.
    pub const RECORD_COUNT: Range<usize> = 57..61;
}

/// One record, as a producer makes it and a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, which may be missing.
    pub key: Option<Bytes>,
    /// The value, which may be missing.
    pub value: Option<Bytes>,
    /// Headers in order; a key may repeat, a value may be missing.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Record {
    /// A record with a value only.
    pub fn new(timestamp: i64, value: impl Into<Bytes>) -> Self {
        Self { timestamp, key: None, value: Some(value.into()), headers: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn record() -> impl Strategy<Value = Record> {
        let headers = prop::collection::vec((bytes(), prop::option::of(bytes())), 0..4);
        (0..1_i64 << 42, prop::option::of(bytes()), prop::option::of(bytes()), headers)
            .prop_map(|(timestamp, key, value, headers)| Record { timestamp, key, value, headers })
    }

    proptest! {
        #[test]
        fn what_is_built_is_read(records in prop::collection::vec(record(), 1..20), codec in 0..5_usize) {
            let built = BatchBuilder::new(records.clone()).codec(Codec::ALL[codec]).build();
            let batches = Batch::split(&built);
            prop_assert_eq!(batches.len(), 1);
            prop_assert!(batches[0].crc_is_right());
            prop_assert_eq!(batches[0].codec(), Codec::ALL[codec]);
            prop_assert_eq!(batches[0].records(), records);
        }
    }

    #[test]
    fn the_codec_of_the_protocol_crate_reads_it_too() {
        let record = Record {
            timestamp: 5,
            key: Some("k".into()),
            value: None,
            headers: vec![("h".into(), Some("v".into()))],
        };
        let built = BatchBuilder::new(vec![Record::new(3, "a"), record]).producer(7, 1, 40).build();
        let mut bytes = built;
        let set = kafka_protocol::records::RecordBatchDecoder::decode(&mut bytes).unwrap();
        let read = set.records;
        assert_eq!((read.len(), read[1].timestamp, read[1].sequence, read[1].producer_id), (2, 5, 41, 7));
        assert_eq!((read[0].value.as_deref(), read[1].key.as_deref()), (Some(&b"a"[..]), Some(&b"k"[..])));
    }
}
