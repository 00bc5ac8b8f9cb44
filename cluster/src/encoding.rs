//! The envelope around replicated state and its changes, on disk and between nodes: one version byte, then postcard.
//!
//! Postcard does not describe itself, so the version byte is what lets a later release change a type's shape. Enum
//! variants are numbered by their order: new ones go to the end, and a variant's fields never change within a version.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The version that this release writes, and the only one that it reads.
const VERSION: u8 = 2;

/// Why bytes are not what they should be: written by a newer release, or damaged.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// No bytes at all, not even a version.
    #[error("there is nothing")]
    Empty,
    /// The version byte is not one that this release reads.
    #[error("it is of version {0}; this release reads version {VERSION}")]
    UnknownVersion(u8),
    /// The bytes end early, or hold a value that no release writes.
    #[error("it is damaged: {0}")]
    Damaged(#[from] postcard::Error),
    /// A whole value was read, and bytes are left over.
    #[error("it has {0} bytes too many")]
    TrailingBytes(usize),
    /// A record holds what no decision produces.
    #[error("it holds an impossible record: {0}")]
    ImpossibleRecord(&'static str),
}

/// The envelope's beginning, for several values behind each other.
pub(crate) fn header() -> Vec<u8> {
    vec![VERSION]
}

/// Adds a value to an envelope that [`header`] began.
pub(crate) fn extend<T: Serialize + ?Sized>(value: &T, envelope: &mut Vec<u8>) {
    let extended = postcard::to_extend(value, std::mem::take(envelope));
    *envelope =
        extended.expect("a vector takes any number of bytes, and every sequence here knows its length");
}

/// All values in an envelope that [`header`] began. Never panics.
pub(crate) fn decode_all<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, DecodeError> {
    let mut rest = body(bytes)?;
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (value, after) = postcard::take_from_bytes(rest)?;
        values.push(value);
        rest = after;
    }
    Ok(values)
}

/// `value` in the envelope.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION])
        .expect("a vector takes any number of bytes, and every sequence here knows its length")
}

/// The value in the envelope `bytes`. Never panics, and allocates in proportion to `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = postcard::take_from_bytes(body(bytes)?)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::TrailingBytes(rest.len())) }
}

fn body(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => Ok(body),
        Some((&version, _)) => Err(DecodeError::UnknownVersion(version)),
        None => Err(DecodeError::Empty),
    }
}

/// How shared bytes are kept in a record, for `#[serde(with = "blob")]`: their length, then themselves. What is read is a
/// copy, so that a value never holds on to the entry that it came from.
pub(crate) mod blob {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Bytes::copy_from_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back() {
        assert_eq!(decode::<Vec<u32>>(&encode(&vec![1u32, 70_000])), Ok(vec![1, 70_000]));
    }

    #[test]
    fn values_behind_each_other_come_back() {
        let mut envelope = header();
        for value in ["a", "bc"] {
            extend(value, &mut envelope);
        }
        assert_eq!(decode_all::<String>(&envelope), Ok(vec!["a".into(), "bc".into()]));
        assert_eq!(decode_all::<String>(&header()), Ok(vec![]));
        assert!(matches!(decode_all::<String>(&envelope[..4]), Err(DecodeError::Damaged(_))));
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let bytes = encode("topic");
        assert_eq!(decode::<String>(&[]), Err(DecodeError::Empty));
        assert_eq!(decode::<String>(&[9, 0]), Err(DecodeError::UnknownVersion(9)));
        assert!(matches!(decode::<String>(&bytes[..3]), Err(DecodeError::Damaged(_))));
        assert_eq!(decode::<String>(&[bytes, vec![0, 0]].concat()), Err(DecodeError::TrailingBytes(2)));
    }
}
