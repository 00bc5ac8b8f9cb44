//! The records inside a batch.
//!
//! ```text
//! record  =  length varint
//!            attributes i8 (unused), timestamp delta varlong, offset delta varint
//!            key length varint (-1: null), key
//!            value length varint (-1: null), value
//!            header count varint, then for each: key length varint, key, value length varint (-1: null), value
//! ```
//!
//! All varints are zigzag-encoded. A broker walks them ([`walk_records`]), a consumer decodes them ([`decode_records`]), a
//! producer encodes them ([`RecordRef`], with [`BatchWriter`](crate::batch::BatchWriter)).

mod control;
mod decode;
mod encode;
mod source;
mod varint;
mod walk;

use bytes::Bytes;

pub use self::control::ControlRecord;
pub use self::decode::{Records, RecordsError, decode_records};
pub use self::encode::RecordRef;
pub use self::walk::{MAX_DECOMPRESSED_BYTES, WalkError, WalkedRecord, walk_records};
use crate::ids::{Offset, TimestampMs};

/// A record as a consumer sees it. Key, value and headers are slices: of the batch's bytes where it is not compressed, else of
/// its decompressed records. Each slice keeps all of them in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: Offset,
    /// Its own time, or the time of appending where the batch says so.
    pub timestamp: TimestampMs,
    /// The key. `None` is Kafka's null, which is not an empty key.
    pub key: Option<Bytes>,
    /// The value. `None` is Kafka's null: a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// The headers in their order. A key may repeat.
    pub headers: Vec<Header>,
}

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The key: UTF-8 by convention, which no broker checks.
    pub key: Bytes,
    /// The value. `None` is Kafka's null.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }

    /// A header whose value is null.
    pub fn null(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: None }
    }

    /// The key as text, if it is UTF-8.
    #[must_use]
    pub fn key_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.key).ok()
    }
}
