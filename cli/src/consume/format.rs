//! Format strings, with kcat's letters: `%t [%p] at %o: %k = %s\n`.

use std::io::{self, Write};
use std::str::FromStr;

use crate::json_record::Found;
use crate::notation::unescape;

/// A part of what is printed of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    KeyLength,
    Value,
    ValueLength,
    Headers,
}

/// What is printed of each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format(Vec<Part>);

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut pieces = text.split('%');
        parts.push(Part::Text(unescape(pieces.next().unwrap_or_default())?));
        while let Some(piece) = pieces.next() {
            let letter = piece.chars().next();
            let part = match letter {
                Some('t') => Part::Topic,
                Some('p') => Part::Partition,
                Some('o') => Part::Offset,
                Some('T') => Part::Timestamp,
                Some('k') => Part::Key,
                Some('K') => Part::KeyLength,
                Some('s') => Part::Value,
                Some('S') => Part::ValueLength,
                Some('h') => Part::Headers,
                // `%%`: the second one ended an empty piece.
                None => {
                    let behind =
                        pieces.next().ok_or("a single % ends it; a percent sign is written as %%")?;
                    parts.push(Part::Text([b"%", unescape(behind)?.as_slice()].concat()));
                    continue;
                }
                Some(_) => {
                    let letters = "%t %p %o %T %k %K %s %S %h %%";
                    return Err(format!("%{} is none of {letters}", letter.unwrap_or_default()));
                }
            };
            parts.push(part);
            parts.push(Part::Text(unescape(&piece[1..])?));
        }
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self(parts))
    }
}

impl Format {
    /// Values, each behind what is wanted before it, and then a delimiter.
    pub(crate) fn of_lines(headers: Option<&[u8]>, key: Option<&[u8]>, delimiter: &[u8]) -> Self {
        let mut parts = Vec::new();
        if let Some(separator) = headers {
            parts.extend([Part::Headers, Part::Text(separator.to_vec())]);
        }
        if let Some(separator) = key {
            parts.extend([Part::Key, Part::Text(separator.to_vec())]);
        }
        parts.extend([Part::Value, Part::Text(delimiter.to_vec())]);
        Self(parts)
    }

    /// Prints a record. `null` stands for null.
    pub(crate) fn write(&self, out: &mut impl Write, record: &Found<'_>, null: &[u8]) -> io::Result<()> {
        let length =
            |bytes: Option<&[u8]>| bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.len().to_string());
        for part in &self.0 {
            match part {
                Part::Text(text) => out.write_all(text)?,
                Part::Topic => out.write_all(record.topic.as_bytes())?,
                Part::Partition => write!(out, "{}", record.partition)?,
                Part::Offset => write!(out, "{}", record.offset)?,
                Part::Timestamp => write!(out, "{}", record.timestamp)?,
                Part::Key => out.write_all(record.key.unwrap_or(null))?,
                Part::KeyLength => out.write_all(length(record.key).as_bytes())?,
                Part::Value => out.write_all(record.value.unwrap_or(null))?,
                Part::ValueLength => out.write_all(length(record.value).as_bytes())?,
                Part::Headers => {
                    for (at, header) in record.headers.iter().enumerate() {
                        if at > 0 {
                            out.write_all(b",")?;
                        }
                        out.write_all(&header.key)?;
                        out.write_all(b"=")?;
                        out.write_all(header.value.as_deref().unwrap_or(null))?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trilog_client::Header;

    use super::*;

    fn printed(format: &Format, null: &[u8]) -> String {
        let headers = [Header::new("a", "1"), Header::null("b")];
        let record = Found {
            topic: "t",
            partition: 3,
            offset: 17,
            timestamp: 5,
            key: None,
            value: Some(b"value"),
            headers: &headers,
        };
        let mut out = Vec::new();
        format.write(&mut out, &record, null).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn letters_stand_for_parts_of_a_record() {
        let format: Format = r"%t [%p] %o %T %k %K %s %S %h 100%%\n".parse().unwrap();
        assert_eq!(printed(&format, b"NULL"), "t [3] 17 5 NULL -1 value 5 a=1,b=NULL 100%\n");
        let format: Format = "%%%s%%%%".parse().unwrap();
        assert_eq!(printed(&format, b""), "%value%%");
    }

    #[test]
    fn lines_have_what_produce_reads() {
        let format = Format::of_lines(Some(b"\t"), Some(b":"), b"\n");
        assert_eq!(printed(&format, b"-"), "a=1,b=-\t-:value\n");
    }

    #[test]
    fn other_letters_are_refused() {
        assert!("%x".parse::<Format>().unwrap_err().contains("%x is none of"));
        assert!("%".parse::<Format>().is_err());
        assert!(r"%s\q".parse::<Format>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[%tsé\\\\n]{0,10}") {
            let _ = text.parse::<Format>();
        }
    }
}
