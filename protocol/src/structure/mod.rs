//! The structure check: is a message's body of the shape that its API and version prescribe?
//!
//! kafka-protocol 0.18 believes the counts it reads. A Metadata request of four body bytes, `7fffffff`, makes
//! it reserve 154 GB, which aborts the process, and an answer can do the same to a client. So every body is walked here first, by
//! a [`Schema`] of its API, and reaches the decoder only if every length and count in it is true.
//!
//! What an accepted body guarantees: every count is followed by that many elements, every length by that many
//! bytes, null stands only where it may, tagged fields that the decoder knows have the size they announce,
//! and there are no more elements than its [`Limits`] allow. A decoded message is therefore at most a fixed size
//! larger than its frame.
//!
//! What it does not guarantee: that strings are UTF-8 ([`repaired`] makes them so), that enumerations hold known values, that a
//! record set is sound. The decoder and its callers see to those.
//!
//! Bytes behind the last field are allowed, as in Kafka, which reads what the version knows and drops the
//! rest.
//!
//! ```
//! use trilog_protocol::structure::{Limits, answer_schema, check};
//!
//! let metadata = answer_schema(3).expect("Metadata is described");
//! let lying = [0x7f, 0xff, 0xff, 0xff];
//! assert!(check(metadata, 1, &lying, Limits::ANSWER).is_err());
//! ```

mod answers;
mod cursor;
mod error;
mod repair;
mod requests;
#[cfg(any(test, feature = "testing"))]
pub mod sample;
mod schema;
#[cfg(test)]
mod tests;
mod walk;

pub use self::cursor::Cursor;
pub use self::error::{Fault, StructureError};
pub use self::repair::repaired;
pub use self::schema::Schema;
pub use self::walk::{Extent, Limits, MAX_ANSWER_ELEMENTS, MAX_ELEMENTS, MAX_STRING};

/// The shape of the requests of this API key, or `None` for an API that no version of Trilog decodes.
#[must_use]
pub fn request_schema(api_key: i16) -> Option<&'static Schema> {
    find(requests::SCHEMAS, api_key)
}

/// The shape of the answers of this API key, or `None` for an API that the client does not speak.
#[must_use]
pub fn answer_schema(api_key: i16) -> Option<&'static Schema> {
    find(answers::SCHEMAS, api_key)
}

fn find(schemas: &'static [&'static Schema], api_key: i16) -> Option<&'static Schema> {
    schemas.iter().copied().find(|schema| schema.api_key == api_key)
}

/// Checks a message's body and returns how much of it the fields take.
///
/// # Errors
///
/// A [`StructureError`] that names the first field that is not as it should be.
///
/// # Panics
///
/// When the schema does not [cover](Schema::covers) `version`.
pub fn check(schema: &Schema, version: i16, body: &[u8], limits: Limits) -> Result<Extent, StructureError> {
    walk::Walk::new(schema, version, body, limits).run(schema.fields)
}
