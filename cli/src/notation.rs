//! Notations that several commands share.

use std::str::FromStr;

/// Bytes that stand between fields or records: text in which `\n`, `\t`, `\r`, `\0`, `\\` and `\xHH` stand for single bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Separator(pub(crate) Vec<u8>);

impl FromStr for Separator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = unescape(text)?;
        if bytes.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self(bytes)) }
    }
}

impl Separator {
    /// Where it first is.
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        let mut from = 0;
        loop {
            let at = from + text[from..].iter().position(|byte| byte == first)?;
            if text[at + 1..].starts_with(rest) {
                return Some(at);
            }
            from = at + 1;
        }
    }
}

/// The bytes that a text with escapes stands for.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escaped = &rest[at + 1..];
        let (byte, length) = match escaped.bytes().next() {
            Some(b'n') => (b'\n', 1),
            Some(b't') => (b'\t', 1),
            Some(b'r') => (b'\r', 1),
            Some(b'0') => (0, 1),
            Some(b'\\') => (b'\\', 1),
            Some(b'x') => (hexadecimal(escaped.get(1..3))?, 3),
            _ => return Err(format!("{:?} is none of \\n, \\t, \\r, \\0, \\\\ and \\xHH", &rest[at..])),
        };
        bytes.push(byte);
        rest = &escaped[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

fn hexadecimal(digits: Option<&str>) -> Result<u8, String> {
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    byte.ok_or_else(|| "\\x is followed by two hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_stand_for_bytes() {
        assert_eq!(unescape(r"a\t\n\r\0\\\x1F=").unwrap(), b"a\t\n\r\0\\\x1f=");
        for wrong in [r"\", r"\q", r"\x1", r"\x+1", r"\xg0", "\\x\u{e9}"] {
            assert!(unescape(wrong).is_err(), "{wrong}");
        }
        assert!("".parse::<Separator>().is_err());
    }

    proptest! {
        #[test]
        fn a_separator_is_found_where_it_first_is(
            text in prop::collection::vec(0..3_u8, 0..30),
            separator in prop::collection::vec(0..3_u8, 1..4),
        ) {
            let expected = text.windows(separator.len()).position(|window| window == separator);
            prop_assert_eq!(Separator(separator).find(&text), expected);
        }

        #[test]
        fn no_text_panics(text in "[\\\\nxé0-9a-f]{0,12}") {
            let _ = unescape(&text);
        }
    }
}
