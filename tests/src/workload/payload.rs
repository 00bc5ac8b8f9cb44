//! A record's value on the wire: the number as text, filled up with dots.

use crate::history::Seen;

/// Bytes of each value: enough for a batch to be worth compressing, and for a round to write some megabytes.
const SIZE: usize = 200;

/// The values of each client begin at a number of its own.
pub fn first_value(client: u32) -> u64 {
    u64::from(client) << 32
}

/// The bytes of a value.
pub fn payload(value: u64) -> String {
    format!("{value:.<SIZE$}")
}

/// A record with these bytes as its value, if they are ones that were made here.
pub fn seen(offset: i64, payload: Option<&[u8]>) -> Option<Seen> {
    let text = std::str::from_utf8(payload?).ok()?;
    let value = text.trim_end_matches('.').parse().ok()?;
    Some(Seen { offset, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written() {
        for value in [0, 10, first_value(7), u64::MAX] {
            let payload = payload(value);
            assert_eq!(payload.len(), SIZE);
            assert_eq!(seen(3, Some(payload.as_bytes())), Some(Seen { offset: 3, value }));
        }
        assert_eq!((seen(3, None), seen(3, Some(b"x..."))), (None, None));
    }
}
