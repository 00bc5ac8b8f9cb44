//! Frames: what stands around a message on the wire.
//!
//! ```text
//! request   length: i32 | api key: i16 | version: i16 | correlation id: i32 | client id | [tags] | body
//! response  length: i32 | correlation id: i32 | [tags] | body
//! ```
//!
//! The length counts what follows it. Tags stand only in the headers of flexible versions (KIP-482); which version has
//! which header is the codec's knowledge. The answer to ApiVersions never has tags, in no version, because a client
//! must be able to read it before it knows what the broker speaks.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use thiserror::Error;
use trilog_protocol::structure::{Cursor, Limits, StructureError, answer_schema, check};

use crate::wire::error::{ClientError, CodecError};
use crate::wire::versions::Api;

/// Bytes of the length prefix.
pub const LENGTH_PREFIX: usize = 4;

/// Bytes of the correlation id at the head of every response.
const CORRELATION_ID: usize = 4;

/// A length prefix that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is negative.
    #[error("a frame states the negative length {length}")]
    Negative {
        /// The length read.
        length: i32,
    },
    /// The length is above the bound; nothing of the frame was allocated.
    #[error("a frame of {length} bytes is above the limit of {limit} bytes")]
    TooLarge {
        /// The length read.
        length: usize,
        /// The bound in force.
        limit: usize,
    },
    /// The first bytes are those of another protocol, which would be a length above the bound.
    #[error("it speaks {protocol}, {}", advice(.protocol))]
    Foreign {
        /// The protocol: HTTP or TLS.
        protocol: &'static str,
    },
}

/// What to do about another protocol.
fn advice(protocol: &str) -> &'static str {
    match protocol {
        "TLS" => "and this client does not: set security.protocol to SSL or SASL_SSL",
        _ => "not the Kafka protocol",
    }
}

/// The protocol that begins with these bytes, of those that are often met on a wrong port.
fn foreign(prefix: [u8; LENGTH_PREFIX]) -> Option<&'static str> {
    match prefix {
        [b'H', b'T', b'T', b'P'] => Some("HTTP"),
        // A record of the handshake, or an alert.
        [0x15 | 0x16, 3, 0..=4, _] => Some("TLS"),
        _ => None,
    }
}

/// Cuts the next whole frame, without its length prefix, from what has been read so far. `None` means that more bytes
/// are needed.
///
/// # Errors
/// [`FrameError`] as soon as the prefix is there and outside `0..=limit`; the stream cannot be followed any further.
pub fn take_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_PREFIX>() else { return Ok(None) };
    let stated = i32::from_be_bytes(*prefix);
    let length = usize::try_from(stated).map_err(|_| FrameError::Negative { length: stated })?;
    if length > limit {
        let foreign = foreign(*prefix).map(|protocol| FrameError::Foreign { protocol });
        return Err(foreign.unwrap_or(FrameError::TooLarge { length, limit }));
    }
    if buffer.len() < LENGTH_PREFIX + length {
        return Ok(None);
    }
    buffer.advance(LENGTH_PREFIX);
    let frame = buffer.split_to(length).freeze();
    assert_eq!(frame.len(), length, "a frame is exactly as long as its prefix states");
    Ok(Some(frame))
}

/// How many bytes of the frame begun in `buffer` have not come. `None` before its length has, or if that makes no sense.
pub(crate) fn bytes_lacking(buffer: &[u8]) -> Option<usize> {
    let length = usize::try_from(i32::from_be_bytes(*buffer.first_chunk::<LENGTH_PREFIX>()?)).ok()?;
    Some((LENGTH_PREFIX + length).saturating_sub(buffer.len()))
}

/// Encodes a request with its header and length prefix, ready for the socket.
///
/// # Errors
/// [`ClientError::Encode`] if a field is set that `version` cannot carry.
pub fn encode_request<R: Request>(
    body: &R,
    version: i16,
    correlation_id: i32,
    client_id: &StrBytes,
) -> Result<BytesMut, ClientError> {
    let refused = |source: CodecError| ClientError::Encode { api: Api::of::<R>(), version, source };
    let mut frame = request_head::<R>(version, correlation_id, client_id)?;
    body.encode(&mut frame, version).map_err(|e| refused(e.into()))?;
    state_length(&mut frame, 0).map_err(refused)?;
    Ok(frame)
}

/// A request whose body is encoded already, in pieces, with its header and length prefix in a piece before them.
///
/// # Errors
/// [`ClientError::Encode`] if it is longer than a frame can be.
pub(crate) fn frame_in_pieces<R: Request>(
    body: Vec<Bytes>,
    version: i16,
    correlation_id: i32,
    client_id: &StrBytes,
) -> Result<Vec<Bytes>, ClientError> {
    let mut head = request_head::<R>(version, correlation_id, client_id)?;
    let behind = body.iter().map(Bytes::len).sum();
    let refused = |source| ClientError::Encode { api: Api::of::<R>(), version, source };
    state_length(&mut head, behind).map_err(refused)?;
    Ok(std::iter::once(head.freeze()).chain(body).collect())
}

/// Room for the length prefix, and a request's header.
fn request_head<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: &StrBytes,
) -> Result<BytesMut, ClientError> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(client_id.clone()));
    let refused = |source: CodecError| ClientError::Encode { api: Api::of::<R>(), version, source };
    let mut head = BytesMut::new();
    head.put_i32(0);
    header.encode(&mut head, R::header_version(version)).map_err(|e| refused(e.into()))?;
    Ok(head)
}

/// Fills in the length of a frame of which `behind` bytes follow elsewhere.
fn state_length(frame: &mut [u8], behind: usize) -> Result<(), CodecError> {
    let length = i32::try_from(frame.len() - LENGTH_PREFIX + behind)?;
    frame[..LENGTH_PREFIX].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The correlation id at the head of a response frame, `None` if the frame is too short to have one.
pub fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk::<CORRELATION_ID>().map(|id| i32::from_be_bytes(*id))
}

/// Decodes the answer to `R` from a frame without its length prefix.
///
/// The codec reserves memory by the counts that it reads. So the shape of the answer is checked first: every count against the bytes
/// that are there, and the number of elements against [`Limits::ANSWER`].
///
/// # Errors
/// [`ClientError::Decode`] and [`ClientError::TrailingBytes`] if the frame is not such an answer in this version.
pub fn decode_response<R: Request>(mut frame: Bytes, version: i16) -> Result<R::Response, ClientError> {
    let api = Api::of::<R>();
    let unreadable = |source: CodecError| ClientError::Decode { api, version, source };
    let header = header_length(&frame, R::Response::header_version(version));
    frame.advance(header.map_err(|e| unreadable(e.into()))?);
    let schema = answer_schema(R::KEY).filter(|schema| schema.covers(version));
    let schema =
        schema.ok_or_else(|| unreadable("this crate does not know the shape of such answers".into()))?;
    check(schema, version, &frame, Limits::ANSWER).map_err(|e| unreadable(e.into()))?;
    let response = R::Response::decode(&mut frame, version).map_err(|e| unreadable(e.into()))?;
    if frame.has_remaining() {
        return Err(ClientError::TrailingBytes { api, version, count: frame.remaining() });
    }
    Ok(response)
}

/// How long a response's header is: the correlation id, and in version 1 tagged fields, of which none is known.
fn header_length(frame: &[u8], version: i16) -> Result<usize, StructureError> {
    let mut cursor = Cursor::new(frame);
    cursor.int32().map_err(|error| error.within("correlation_id"))?;
    if version > 0 {
        cursor.skip_tagged_fields().map_err(|error| error.within("tagged fields"))?;
    }
    Ok(cursor.offset())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_starts_with_its_header() {
        let frame =
            encode_request(&MetadataRequest::default(), 1, 7, &StrBytes::from_static_str("me")).unwrap();
        assert_eq!(frame[..4], 16_i32.to_be_bytes(), "length counts what follows it");
        assert_eq!(frame[4..], [0, 3, 0, 1, 0, 0, 0, 7, 0, 2, b'm', b'e', 0, 0, 0, 0]);
    }

    #[test]
    fn a_flexible_request_carries_tags_in_its_header() {
        let body = ApiVersionsRequest::default();
        let frame = encode_request(&body, 3, 1, &StrBytes::from_static_str("me")).unwrap();
        assert_eq!(frame[4..], [0, 18, 0, 3, 0, 0, 0, 1, 0, 2, b'm', b'e', 0, 1, 1, 0]);
    }

    #[test]
    fn a_field_the_version_lacks_is_an_error() {
        let body = MetadataRequest::default().with_include_topic_authorized_operations(true);
        let error = encode_request(&body, 1, 1, &StrBytes::new()).unwrap_err();
        assert!(matches!(error, ClientError::Encode { api: Api(3), version: 1, .. }), "{error}");
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        // Correlation id, error code 0, no rows, and one byte too many.
        let frame = Bytes::from_static(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9]);
        let error = decode_response::<ApiVersionsRequest>(frame, 0).unwrap_err();
        assert!(matches!(error, ClientError::TrailingBytes { count: 1, .. }), "{error}");
    }

    #[test]
    fn a_count_that_lies_is_an_error_and_takes_no_memory() {
        // Metadata v1: 2^31 - 1 brokers, for which the codec would reserve more memory than there is.
        let frame = Bytes::from_static(&[0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff]);
        let error = decode_response::<MetadataRequest>(frame, 1).unwrap_err().to_string();
        assert!(error.ends_with("brokers at byte 4: 2147483647 elements cannot fit into 0 bytes"), "{error}");
        // The header of v9: five tagged fields, of which there is none.
        let frame = Bytes::from_static(&[0, 0, 0, 1, 5]);
        let error = decode_response::<MetadataRequest>(frame, 9).unwrap_err().to_string();
        assert!(error.contains("tagged fields at byte 5: 1 bytes needed"), "{error}");
    }

    #[test]
    fn lengths_outside_the_bounds_are_refused_at_once() {
        let mut negative = BytesMut::from(&[0xff, 0xff, 0xff, 0xfe][..]);
        assert_eq!(take_frame(&mut negative, 10), Err(FrameError::Negative { length: -2 }));
        let mut large = BytesMut::from(&[0, 0, 0, 11][..]);
        assert_eq!(take_frame(&mut large, 10), Err(FrameError::TooLarge { length: 11, limit: 10 }));
    }

    #[test]
    fn other_protocols_are_named() {
        let named = |bytes: &[u8]| take_frame(&mut BytesMut::from(bytes), 100 << 20).unwrap_err();
        assert_eq!(named(b"HTTP/1.1 400 Bad Request"), FrameError::Foreign { protocol: "HTTP" });
        let alert = [0x15, 3, 3, 0, 2, 2, 70];
        assert_eq!(named(&alert), FrameError::Foreign { protocol: "TLS" });
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_the_bytes_arrive(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            piece in 1_usize..17,
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
                stream.extend_from_slice(body);
            }
            let mut buffer = BytesMut::new();
            let mut frames = Vec::new();
            for bytes in stream.chunks(piece) {
                buffer.extend_from_slice(bytes);
                while let Some(frame) = take_frame(&mut buffer, 40).unwrap() {
                    frames.push(frame.to_vec());
                }
            }
            prop_assert_eq!(frames, bodies);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take_frame(&mut buffer, 48) {}
        }
    }
}
