//! The structure check: is a request's body of the shape that its API and version prescribe?
//!
//! kafka-protocol 0.18 believes the counts it reads. A Metadata request of four body bytes, `7fffffff`, makes
//! it reserve 154 GB, which aborts the process. So every body is walked here first, by a [`Schema`] of its
//! API, and reaches the decoder only if every length and count in it is true.
//!
//! What an accepted body guarantees: every count is followed by that many elements, every length by that many
//! bytes, null stands only where it may, tagged fields that the decoder knows have the size they announce,
//! and there are at most [`walk::MAX_ELEMENTS`] elements. A decoded request is therefore at most a fixed size
//! larger than its frame.
//!
//! What it does not guarantee: that strings are UTF-8 ([`repair`] makes them so), that enumerations hold known values, that a record set
//! is sound. The decoder and the handlers see to those.
//!
//! Bytes behind the last field are allowed, as in Kafka, which reads what the version knows and drops the
//! rest.

mod api;
mod cursor;
mod error;
mod repair;
mod schema;
#[cfg(test)]
mod tests;
mod walk;

use kafka_protocol::messages::ApiKey;

pub(super) use self::cursor::Cursor;
pub(crate) use self::error::StructureError;
pub(super) use self::repair::repaired;
pub(crate) use self::schema::Schema;
pub(crate) use self::walk::Extent;

/// The shape of this API's requests, or `None` for an API that no version of Trilog decodes.
pub(crate) fn schema_of(api_key: ApiKey) -> Option<&'static Schema> {
    api::SCHEMAS.iter().copied().find(|schema| schema.api_key == api_key)
}

/// Checks a request's body and returns how much of it the fields take.
///
/// # Errors
///
/// A [`StructureError`] that names the first field that is not as it should be.
///
/// # Panics
///
/// When the schema does not [cover](Schema::covers) `version`.
pub(crate) fn check(schema: &Schema, version: i16, body: &[u8]) -> Result<Extent, StructureError> {
    walk::Walk::new(schema, version, body).run(schema.fields)
}

/// The constants that `docs/bounds.md` lists.
#[cfg(test)]
pub(super) mod bounds {
    pub(crate) use super::walk::{MAX_ELEMENTS, MAX_STRING};
}
