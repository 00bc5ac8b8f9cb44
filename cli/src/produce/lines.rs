//! Lines, or other pieces of the input, as records.

use bytes::Bytes;
use trilog_client::{Header, Record};

use crate::json_record;
use crate::notation::Separator;

/// How a piece becomes a record.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The topic, unless each piece names its own.
    pub(super) topic: Option<String>,
    pub(super) is_json: bool,
    pub(super) partition: Choice,
    /// What ends the headers at the beginning of a line.
    pub(super) header_separator: Option<Separator>,
    /// What ends the key.
    pub(super) key_separator: Option<Separator>,
    /// What stands for null.
    pub(super) null: Option<Vec<u8>>,
    /// What every record has.
    pub(super) headers: Vec<Header>,
}

/// Who chooses the partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// The piece, if it says one; else the key.
    #[default]
    Piece,
    /// The key, whatever the piece says.
    Key,
    /// The command line.
    Fixed(i32),
}

impl Shape {
    /// The record of a piece, `None` for a blank line among JSON.
    ///
    /// # Errors
    ///
    /// What is wrong with the piece.
    pub(super) fn record(&self, piece: Bytes) -> Result<Option<Record>, String> {
        let mut record = if self.is_json {
            if piece.trim_ascii().is_empty() {
                return Ok(None);
            }
            json_record::parse(&piece, self.topic.as_deref())?
        } else {
            self.line(piece)?
        };
        record.headers.extend_from_slice(&self.headers);
        match self.partition {
            Choice::Piece => {}
            Choice::Key => record.partition = None,
            Choice::Fixed(partition) => record.partition = Some(partition),
        }
        Ok(Some(record))
    }

    fn line(&self, mut line: Bytes) -> Result<Record, String> {
        let mut record = Record::to(self.topic.as_deref().unwrap_or_default());
        if let Some(separator) = &self.header_separator {
            let headers = cut(&mut line, separator, "header")?;
            record.headers = self.headers(&headers)?;
        }
        if let Some(separator) = &self.key_separator {
            let key = cut(&mut line, separator, "key")?;
            record.key = self.field(key);
        }
        record.value = self.field(line);
        Ok(record)
    }

    fn field(&self, bytes: Bytes) -> Option<Bytes> {
        (self.null.as_deref() != Some(&bytes[..])).then_some(bytes)
    }

    /// `name=value,name=value`.
    fn headers(&self, text: &Bytes) -> Result<Vec<Header>, String> {
        let fields = text.split(|byte| *byte == b',').filter(|field| !field.is_empty());
        let header = |field: &[u8]| -> Result<Header, String> {
            let at = field.iter().position(|byte| *byte == b'=').ok_or("a header is not NAME=VALUE")?;
            let value = self.field(text.slice_ref(&field[at + 1..]));
            Ok(Header { key: text.slice_ref(&field[..at]), value })
        };
        fields.map(header).collect()
    }
}

/// Takes what is before a separator, and the separator, off a line.
fn cut(line: &mut Bytes, separator: &Separator, what: &str) -> Result<Bytes, String> {
    let missing = || format!("it has no {what} separator {:?}", String::from_utf8_lossy(&separator.0));
    let at = separator.find(line).ok_or_else(missing)?;
    let before = line.split_to(at);
    let _ = line.split_to(separator.0.len());
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            topic: Some("t".to_owned()),
            is_json: false,
            partition: Choice::Piece,
            header_separator: None,
            key_separator: None,
            null: None,
            headers: Vec::new(),
        }
    }

    fn record(shape: &Shape, line: &'static str) -> Result<Record, String> {
        shape.record(Bytes::from_static(line.as_bytes())).map(|record| record.expect("a record"))
    }

    #[test]
    fn a_line_is_a_value_an_empty_one_too() {
        assert_eq!(record(&shape(), "a:b").unwrap(), Record::to("t").value("a:b"));
        assert_eq!(record(&shape(), "").unwrap(), Record::to("t").value(""));
    }

    #[test]
    fn headers_and_key_stand_before_the_value() {
        let mut shape = shape();
        shape.header_separator = Some("\\t".parse().unwrap());
        shape.key_separator = Some(":".parse().unwrap());
        shape.null = Some(b"NULL".to_vec());
        let wanted = Record::to("t").key("k").value("v:w").header("a", "1").header("b", "=");
        assert_eq!(record(&shape, "a=1,b==\tk:v:w").unwrap(), wanted);
        let mut wanted = Record::to("t");
        wanted.headers.push(Header::null("a"));
        assert_eq!(record(&shape, "a=NULL\tNULL:NULL").unwrap(), wanted);
        assert_eq!(record(&shape, "\t:").unwrap(), Record::to("t").key("").value(""));
        assert!(record(&shape, "k:v").unwrap_err().contains("no header separator \"\\t\""));
        assert!(record(&shape, "\tv").unwrap_err().contains("no key separator \":\""));
        assert!(record(&shape, "a\tk:v").unwrap_err().contains("not NAME=VALUE"));
    }

    #[test]
    fn the_command_line_chooses_the_partition_or_leaves_it_to_the_key() {
        let mut shape = shape();
        shape.is_json = true;
        let line = r#"{"partition":4,"value":"v"}"#;
        let mut partition = |choice| {
            shape.partition = choice;
            record(&shape, line).unwrap().partition
        };
        assert_eq!(partition(Choice::Piece), Some(4));
        assert_eq!(partition(Choice::Key), None);
        assert_eq!(partition(Choice::Fixed(1)), Some(1));
        assert_eq!(shape.record(Bytes::from_static(b"  \r")), Ok(None));
    }
}
