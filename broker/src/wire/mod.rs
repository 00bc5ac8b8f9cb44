//! The edge of the Kafka wire: from bytes to a checked request, and from a response to bytes.
//!
//! A frame is four bytes of length and so many bytes of content ([`frame`]). A request's content is a header
//! ([`header`]) and a body. Both are untrusted: [`open`] reads the header, holds the body against the shape
//! of its API and version ([`trilog_protocol::structure`]), and only what passes may be decoded. A response is encoded into a
//! [`ResponseFrame`], which the connection writes as it is.
//!
//! There is no I/O here and no state: everything is a function of its input.

pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod response;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use thiserror::Error;
use trilog_protocol::structure::{self, Extent, Limits, Schema, StructureError};

pub(crate) use self::header::RequestHeader;
pub(crate) use self::response::{EncodeError, ResponseFrame};

/// The constants that `docs/bounds.md` lists.
#[cfg(test)]
pub(crate) mod bounds {
    pub(crate) use trilog_protocol::structure::{MAX_ELEMENTS, MAX_STRING};
}

/// Why a frame is not a request that may be decoded. Each closes the connection, as in Kafka: a peer that
/// sends one either speaks another protocol or could not make sense of an answer.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum RequestError {
    /// The header is cut short or malformed.
    #[error("malformed request header: {0}")]
    Header(#[source] StructureError),
    /// No such API in the protocol.
    #[error("unknown API key {0}")]
    UnknownApi(i16),
    /// An API or version that cannot be decoded, whatever the broker serves.
    #[error("{api_key:?} v{api_version} cannot be decoded")]
    Undecodable {
        /// The API.
        api_key: ApiKey,
        /// The version asked for.
        api_version: i16,
    },
    /// The body does not have the shape of its API and version.
    #[error("malformed {api_key:?} v{api_version}: {error}")]
    Body {
        /// The API.
        api_key: ApiKey,
        /// The version that the body claims to be of.
        api_version: i16,
        /// The first fault.
        #[source]
        error: StructureError,
    },
}

/// Splits a frame's content into header and checked body, with the number of elements in it. The body shares the frame's
/// memory.
///
/// An ApiVersions request of a version that is not known passes with an empty body: it is to be answered with
/// UNSUPPORTED_VERSION in the format of v0, and nobody can tell what its body means (KIP-511).
///
/// # Errors
///
/// [`RequestError`]; the connection must then be closed.
pub(crate) fn open(frame: &Bytes) -> Result<(RequestHeader, Bytes, usize), RequestError> {
    let (header, body_start) = header::decode(frame)?;
    let (api_key, api_version) = (header.api_key, header.api_version);
    let body = frame.slice(body_start..);
    match structure::request_schema(api_key as i16) {
        Some(schema) if schema.covers(api_version) => {
            let elements = check_body(schema, api_version, &body).map_err(|error| RequestError::Body {
                api_key,
                api_version,
                error,
            })?;
            Ok((header, body, elements))
        }
        Some(_) if api_key == ApiKey::ApiVersions => Ok((header, Bytes::new(), 0)),
        _ => Err(RequestError::Undecodable { api_key, api_version }),
    }
}

/// The body with all strings in UTF-8, if that makes a difference: what the decoder refused may be decoded then.
pub(crate) fn repaired(api_key: ApiKey, api_version: i16, body: &Bytes) -> Option<Bytes> {
    let schema = structure::request_schema(api_key as i16).filter(|schema| schema.covers(api_version))?;
    structure::repaired(schema, api_version, body)
}

/// The structure check, with a debug line for bytes that nobody reads: they are legal, and a sign of a
/// confused client.
fn check_body(schema: &Schema, api_version: i16, body: &Bytes) -> Result<usize, StructureError> {
    let Extent { bytes, elements } = structure::check(schema, api_version, body, Limits::REQUEST)?;
    if bytes < body.len() {
        tracing::debug!(unread = body.len() - bytes, "request with bytes behind its last field");
    }
    Ok(elements)
}

#[cfg(test)]
mod tests;
