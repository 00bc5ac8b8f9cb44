//! Requests with strings that are not UTF-8: a group's name in Latin-1, commit metadata that is binary.
//!
//! The protocol's strings are UTF-8, and kafka-protocol refuses all others. Kafka replaces what is not valid by U+FFFD and
//! serves the request, and some clients let users put any bytes there. So the body is written anew, with each malformed
//! sequence replaced, when the decoder has refused it.

use bytes::Bytes;

use super::schema::Schema;
use super::walk::{Limits, Walk};

/// The longest body that is repaired. Three bytes stand for one that is replaced, so the copy is at most three times as
/// long, and nobody has claimed memory for it.
const MAX_REPAIRED_BYTES: usize = 1 << 20;

/// The body with all strings in UTF-8. `None` if they are already, if it is longer than 1 MiB, or if a string is
/// too long once it is repaired.
///
/// The announced size of a tagged field stays as it is: the decoder does not look at it where it knows the tag, and tags that
/// it does not know are not looked into.
///
/// # Panics
///
/// When the schema does not [cover](Schema::covers) `version`.
pub fn repaired(schema: &Schema, version: i16, body: &Bytes) -> Option<Bytes> {
    if body.len() > MAX_REPAIRED_BYTES {
        return None;
    }
    let damaged = Walk::new(schema, version, body, Limits::REQUEST).damaged_strings(schema.fields).ok()?;
    if damaged.is_empty() {
        return None;
    }
    let mut repaired = Vec::with_capacity(body.len());
    let mut copied = 0;
    for string in damaged {
        repaired.extend_from_slice(&body[copied..string.start]);
        let text = String::from_utf8_lossy(&body[string.content.clone()]);
        put_length(&mut repaired, text.len(), schema.is_flexible(version))?;
        repaired.extend_from_slice(text.as_bytes());
        copied = string.content.end;
    }
    repaired.extend_from_slice(&body[copied..]);
    Some(repaired.into())
}

/// A string's length as the version writes it; `None` if no string may be as long.
fn put_length(out: &mut Vec<u8>, length: usize, flexible: bool) -> Option<()> {
    let length = i16::try_from(length).ok()?;
    if !flexible {
        out.extend_from_slice(&length.to_be_bytes());
        return Some(());
    }
    let mut rest = u32::from(length.unsigned_abs()) + 1;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & 0x7f);
            return Some(());
        }
        out.push(low | 0x80);
    }
}
