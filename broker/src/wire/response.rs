//! A response on its way out: length prefix, header and body, ready to be written.
//!
//! A response header is the correlation id (v0), followed by tagged fields in flexible versions (v1), of
//! which there are none. ApiVersions always has v0, because its reader does not know yet what the broker
//! speaks (KIP-511).

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Encodable;
use thiserror::Error;

use super::frame::PREFIX_BYTES;

/// Bytes of a response header v1: the correlation id and a count of no tagged fields.
const FLEXIBLE_HEADER_BYTES: usize = 5;

/// A response that cannot be put on the wire: a fault of the broker's, or a body above 2 GiB.
#[derive(Debug, Error)]
#[error("{api_key:?} v{api_version} response cannot be encoded: {reason}")]
pub(crate) struct EncodeError {
    api_key: ApiKey,
    api_version: i16,
    reason: String,
}

/// A whole response frame, as a list of slices: a fetch's record batches stand here as they came from the
/// log, uncopied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponseFrame {
    parts: Vec<Bytes>,
    length: usize,
    is_covered: bool,
}

impl ResponseFrame {
    /// Encodes a response that was decoded from, or is made as, kafka-protocol's message.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a field is set that the version lacks and that may not be left out, or a value is
    /// too long for its length field.
    pub(crate) fn encode<R: Encodable>(
        api_key: ApiKey,
        api_version: i16,
        correlation_id: i32,
        response: &R,
    ) -> Result<Self, EncodeError> {
        let unencodable =
            |error: &dyn std::fmt::Display| EncodeError { api_key, api_version, reason: error.to_string() };
        let body_bytes = response.compute_size(api_version).map_err(|error| unencodable(&error))?;
        let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + FLEXIBLE_HEADER_BYTES + body_bytes);
        buffer.put_bytes(0, PREFIX_BYTES);
        put_header(&mut buffer, api_key, api_version, correlation_id);
        response.encode(&mut buffer, api_version).map_err(|error| unencodable(&error))?;

        let content = i32::try_from(buffer.len() - PREFIX_BYTES).map_err(|error| unencodable(&error))?;
        buffer[..PREFIX_BYTES].copy_from_slice(&content.to_be_bytes());
        Ok(Self { length: buffer.len(), parts: vec![buffer.freeze()], is_covered: false })
    }

    /// Frames a body that is encoded already, in as many slices as it happens to lie in.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the body is above 2 GiB.
    pub(crate) fn from_body(
        api_key: ApiKey,
        api_version: i16,
        correlation_id: i32,
        body: impl IntoIterator<Item = Bytes>,
    ) -> Result<Self, EncodeError> {
        let mut head = BytesMut::with_capacity(PREFIX_BYTES + FLEXIBLE_HEADER_BYTES);
        head.put_bytes(0, PREFIX_BYTES);
        put_header(&mut head, api_key, api_version, correlation_id);

        // The head's place comes first, its length is known last.
        let mut parts = vec![Bytes::new()];
        parts.extend(body.into_iter().filter(|part| !part.is_empty()));
        let length = head.len() + parts.iter().map(Bytes::len).sum::<usize>();
        let content = i32::try_from(length - PREFIX_BYTES).map_err(|error| EncodeError {
            api_key,
            api_version,
            reason: error.to_string(),
        })?;
        head[..PREFIX_BYTES].copy_from_slice(&content.to_be_bytes());
        parts[0] = head.freeze();
        Ok(Self { parts, length, is_covered: false })
    }

    /// The frame, with something that is dropped when its last slice is.
    pub(crate) fn covered_by<C: Send + 'static>(mut self, cover: C) -> Self {
        let last = self.parts.pop().map(|bytes| Bytes::from_owner(Covered { bytes, _cover: cover }));
        self.parts.extend(last);
        self.is_covered = true;
        self
    }

    /// Whether something covers it.
    pub(crate) const fn is_covered(&self) -> bool {
        self.is_covered
    }

    /// Bytes of the whole frame, its length prefix included.
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// The frame's slices, none of them empty, in the order to write them.
    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }
}

/// A frame's last slice, which is written last.
struct Covered<C> {
    bytes: Bytes,
    _cover: C,
}

impl<C> AsRef<[u8]> for Covered<C> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Appends the response header of this API and version.
fn put_header(buffer: &mut BytesMut, api_key: ApiKey, api_version: i16, correlation_id: i32) {
    buffer.put_i32(correlation_id);
    if api_key.response_header_version(api_version) > 0 {
        buffer.put_u8(0);
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{ApiVersionsResponse, HeartbeatResponse};

    use super::*;

    fn bytes_of(frame: ResponseFrame) -> Vec<u8> {
        let length = frame.len();
        let bytes = frame.into_parts().concat();
        assert_eq!(bytes.len(), length);
        bytes
    }

    #[test]
    fn a_flexible_response_has_header_v1() {
        let response = HeartbeatResponse::default().with_throttle_time_ms(1).with_error_code(2);
        let v3 = ResponseFrame::encode(ApiKey::Heartbeat, 3, 7, &response).unwrap();
        assert_eq!(bytes_of(v3), [0, 0, 0, 10, 0, 0, 0, 7, 0, 0, 0, 1, 0, 2]);
        let v4 = ResponseFrame::encode(ApiKey::Heartbeat, 4, 7, &response).unwrap();
        assert_eq!(bytes_of(v4), [0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 2, 0]);
    }

    #[test]
    fn api_versions_has_header_v0_in_every_version() {
        for version in 0..=4 {
            let frame =
                ResponseFrame::encode(ApiKey::ApiVersions, version, 9, &ApiVersionsResponse::default());
            let bytes = bytes_of(frame.unwrap());
            // The error code stands right behind the correlation id.
            assert_eq!(bytes[4..10], [0, 0, 0, 9, 0, 0], "version {version}");
        }
    }

    #[test]
    fn a_body_in_slices_gives_the_same_frame() {
        let response = HeartbeatResponse::default().with_error_code(27);
        let whole = ResponseFrame::encode(ApiKey::Heartbeat, 4, 7, &response).unwrap();
        let mut body = BytesMut::new();
        response.encode(&mut body, 4).unwrap();
        let body = body.freeze();
        let slices = [body.slice(..3), Bytes::new(), body.slice(3..)];
        let sliced = ResponseFrame::from_body(ApiKey::Heartbeat, 4, 7, slices).unwrap();
        assert_eq!(bytes_of(sliced), bytes_of(whole));
    }

    #[test]
    fn a_field_that_the_version_lacks_is_an_error() {
        let response = HeartbeatResponse::default();
        let error = ResponseFrame::encode(ApiKey::Heartbeat, 99, 7, &response).unwrap_err();
        assert!(error.to_string().starts_with("Heartbeat v99 response cannot be encoded"), "{error}");
    }
}
