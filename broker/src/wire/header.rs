//! The request header: which API, which version, and what to call the answer.
//!
//! Version 1 is API key, API version, correlation id and client id; version 2, used with flexible requests,
//! appends tagged fields. The client id keeps its two-byte length in both, so that a broker can read the
//! header of an ApiVersions request of any version (KIP-511). Version 0, without a client id, belonged to an
//! API that is gone.

use std::ops::Range;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;
use trilog_protocol::structure::{self, Cursor, StructureError};

use super::RequestError;

/// What stands before a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    /// The API asked for.
    pub(crate) api_key: ApiKey,
    /// The version of the request's body and of the answer.
    pub(crate) api_version: i16,
    /// Chosen by the client; the answer carries it back.
    pub(crate) correlation_id: i32,
    /// How the client calls itself, if it does.
    pub(crate) client_id: Option<StrBytes>,
}

/// Reads the header at the start of a frame's content, and returns it with the offset where the body begins.
///
/// # Errors
///
/// [`RequestError`] for a header that is cut short or malformed, or names an API that cannot be decoded at
/// all.
pub(super) fn decode(frame: &Bytes) -> Result<(RequestHeader, usize), RequestError> {
    let mut cursor = Cursor::new(frame);
    let (key, api_version, correlation_id) = leading_numbers(&mut cursor).map_err(RequestError::Header)?;
    let api_key = ApiKey::try_from(key).map_err(|_| RequestError::UnknownApi(key))?;
    let schema = structure::request_schema(key).ok_or(RequestError::Undecodable { api_key, api_version })?;

    let client_id =
        client_id(&mut cursor).map_err(|error| RequestError::Header(error.within("client_id")))?;
    let client_id = client_id.map(|place| text(frame.slice(place)));
    if schema.is_flexible(api_version) {
        cursor.skip_tagged_fields().map_err(|error| RequestError::Header(error.within("tagged fields")))?;
    }
    Ok((RequestHeader { api_key, api_version, correlation_id, client_id }, cursor.offset()))
}

/// API key, API version and correlation id, which stand first in every header.
fn leading_numbers(cursor: &mut Cursor<'_>) -> Result<(i16, i16, i32), StructureError> {
    let api_key = cursor.int16().map_err(|error| error.within("api_key"))?;
    let api_version = cursor.int16().map_err(|error| error.within("api_version"))?;
    let correlation_id = cursor.int32().map_err(|error| error.within("correlation_id"))?;
    Ok((api_key, api_version, correlation_id))
}

/// The text, with U+FFFD for each sequence that is not UTF-8, as in Kafka.
fn text(bytes: Bytes) -> StrBytes {
    let text = StrBytes::from_utf8(bytes.clone());
    text.unwrap_or_else(|_| StrBytes::from_string(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Where in the frame the client id lies, if there is one.
fn client_id(cursor: &mut Cursor<'_>) -> Result<Option<Range<usize>>, StructureError> {
    let Some(length) = cursor.string_length()? else {
        return Ok(None);
    };
    let start = cursor.offset();
    cursor.skip(length)?;
    Ok(Some(start..start + length))
}
