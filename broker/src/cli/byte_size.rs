//! A number of bytes, as a flag takes it: `268435456`, `256MiB`, `1GiB`.

use std::str::FromStr;

use thiserror::Error;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) u64);

/// The text is no number of bytes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no number of bytes, such as 268435456, 256MiB or 1GiB")]
pub(crate) struct ByteSizeError(String);

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let (number, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)]
            .into_iter()
            .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
            .unwrap_or((text, 0));
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let bytes = number.parse::<u64>().ok().filter(|_| digits);
        bytes
            .and_then(|number| number.checked_mul(1 << shift))
            .map(Self)
            .ok_or_else(|| ByteSizeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_multiplies() {
        for (text, bytes) in
            [("0", 0), ("12", 12), ("3KiB", 3 << 10), ("256MiB", 256 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "MiB", "-1", "+1", "1.5GiB", "256 MiB", "256MB", "99999999TiB", "99999999999999999999"]
        {
            assert_eq!(text.parse::<ByteSize>(), Err(ByteSizeError(text.to_owned())));
        }
    }
}
