//! Encoding a record as part of a batch.

use super::{Header, varint};
use crate::ids::TimestampMs;

/// A record to be written, by reference.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Its time.
    pub timestamp: TimestampMs,
    /// The key, `None` for null.
    pub key: Option<&'a [u8]>,
    /// The value, `None` for null.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [Header],
}

impl RecordRef<'_> {
    /// The length of its encoding without the length prefix, in bytes.
    fn body_len(&self, timestamp_delta: i64, offset_delta: u32) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|header| nullable_len(Some(&header.key)) + nullable_len(header.value.as_deref()));
        1 + varint::len(timestamp_delta)
            + varint::len(i64::from(offset_delta))
            + nullable_len(self.key)
            + nullable_len(self.value)
            + varint::len(signed(self.headers.len()))
            + headers.sum::<usize>()
    }

    /// The length of its encoding in bytes.
    pub(crate) fn encoded_len(&self, timestamp_delta: i64, offset_delta: u32) -> usize {
        let body = self.body_len(timestamp_delta, offset_delta);
        varint::len(signed(body)) + body
    }

    /// Appends its encoding.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, timestamp_delta: i64, offset_delta: u32) {
        varint::put(out, signed(self.body_len(timestamp_delta, offset_delta)));
        out.push(0);
        varint::put(out, timestamp_delta);
        varint::put(out, i64::from(offset_delta));
        put_nullable(out, self.key);
        put_nullable(out, self.value);
        varint::put(out, signed(self.headers.len()));
        for header in self.headers {
            put_nullable(out, Some(&header.key));
            put_nullable(out, header.value.as_deref());
        }
    }
}

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(varint::len(-1), |bytes| varint::len(signed(bytes.len())) + bytes.len())
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varint::put(out, bytes.map_or(-1, |bytes| signed(bytes.len())));
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// A length as the format counts it. Whoever encodes has checked before that the batch stays below 2 GiB.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
