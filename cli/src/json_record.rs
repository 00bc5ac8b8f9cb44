//! A record as one line of JSON, as `consume --output json` prints it and `produce --input json` takes it.
//!
//! ```json
//! {"topic":"orders","partition":0,"offset":17,"timestamp":1767225600000,"key":"customer-7","value":"three",
//!  "headers":[{"key":"trace","value":"4711"}]}
//! ```
//!
//! Null is null. What is no UTF-8 has another name, `key_base64` or `value_base64`, so that every byte survives.

use std::str;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use trilog_client::{Header, Record};

/// The timestamp of a record without one, as in Kafka.
const NO_TIMESTAMP: i64 = -1;

/// Bytes on their way out: as text, if they are text and text is wanted, else as base64.
#[derive(Debug)]
enum Shown<'a> {
    Text(Option<&'a str>),
    Base64(String),
}

impl<'a> Shown<'a> {
    fn of(bytes: Option<&'a [u8]>, base64: bool) -> Self {
        let Some(bytes) = bytes else { return Self::Text(None) };
        match str::from_utf8(bytes) {
            Ok(text) if !base64 => Self::Text(Some(text)),
            _ => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// The two fields, of which one is there.
    fn split(self) -> (Option<Option<&'a str>>, Option<String>) {
        match self {
            Self::Text(text) => (Some(text), None),
            Self::Base64(text) => (None, Some(text)),
        }
    }
}

/// A header on its way out.
#[derive(Debug, Serialize)]
struct HeaderOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

/// A record on its way out.
#[derive(Debug, Serialize)]
pub(crate) struct RecordOut<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    headers: Vec<HeaderOut<'a>>,
}

/// What a record is made of, and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header],
}

impl<'a> RecordOut<'a> {
    /// A record as JSON has it: with `base64`, keys and values always are.
    pub(crate) fn of(found: Found<'a>, base64: bool) -> Self {
        let (key, key_base64) = Shown::of(found.key, base64).split();
        let (value, value_base64) = Shown::of(found.value, base64).split();
        let headers = found.headers.iter().map(|header| {
            let (key, key_base64) = Shown::of(Some(&header.key), false).split();
            let (value, value_base64) = Shown::of(header.value.as_deref(), base64).split();
            HeaderOut { key, key_base64, value, value_base64 }
        });
        let Found { topic, partition, offset, timestamp, .. } = found;
        let headers = headers.collect();
        Self { topic, partition, offset, timestamp, key, key_base64, value, value_base64, headers }
    }
}

/// A field that tells null from not being there.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(field).map(Some)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderIn {
    key: Option<String>,
    key_base64: Option<String>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Option<String>>,
    value_base64: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordIn {
    topic: Option<String>,
    partition: Option<i32>,
    #[serde(rename = "offset")]
    _offset: Option<IgnoredAny>,
    timestamp: Option<i64>,
    key: Option<String>,
    key_base64: Option<String>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Option<String>>,
    value_base64: Option<String>,
    #[serde(default)]
    headers: Vec<HeaderIn>,
}

/// Reads a line. `topic` wins over the line's own, which is needed without one.
///
/// # Errors
///
/// What is wrong with the line.
pub(crate) fn parse(line: &[u8], topic: Option<&str>) -> Result<Record, String> {
    let read: RecordIn = serde_json::from_slice(line).map_err(|error| json_error(&error))?;
    let topic = topic.map(str::to_owned).or(read.topic);
    let topic = topic.ok_or("it names no topic, and neither does the command line")?;
    let mut record = Record::to(topic);
    record.partition = read.partition.filter(|partition| *partition >= 0);
    record.timestamp = read.timestamp.filter(|timestamp| *timestamp != NO_TIMESTAMP);
    record.key = either("key", read.key.map(Some), read.key_base64)?.flatten();
    let value = either("value", read.value, read.value_base64)?;
    record.value = value.ok_or("it has no \"value\"; null is written as null")?;
    for header in read.headers {
        let key = either("key", header.key.map(Some), header.key_base64)?.flatten();
        let key = key.ok_or("a header has no \"key\"")?;
        let value = either("value", header.value, header.value_base64)?;
        record.headers.push(Header { key, value: value.flatten() });
    }
    Ok(record)
}

/// A field from its text or its base64. The outer `None`: it is not there.
fn either(
    name: &str,
    text: Option<Option<String>>,
    base64: Option<String>,
) -> Result<Option<Option<Bytes>>, String> {
    match (text, base64) {
        (Some(Some(_)), Some(_)) => Err(format!("it has both \"{name}\" and \"{name}_base64\"")),
        (_, Some(base64)) => match STANDARD.decode(base64) {
            Ok(bytes) => Ok(Some(Some(bytes.into()))),
            Err(error) => Err(format!("\"{name}_base64\" is no base64: {error}")),
        },
        (text, None) => Ok(text.map(|text| text.map(Bytes::from))),
    }
}

/// What is wrong with JSON. Its line is always the first.
fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("no record in JSON: {what}, at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn out(record: &Record, base64: bool) -> String {
        let found = Found {
            topic: &record.topic,
            partition: 3,
            offset: 17,
            timestamp: record.timestamp.unwrap(),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        serde_json::to_string(&RecordOut::of(found, base64)).unwrap()
    }

    #[test]
    fn a_line_has_the_documented_shape() {
        let record = Record::to("t").value("v").header("h", vec![0xff]).timestamp(5);
        let line = r#"{"topic":"t","partition":3,"offset":17,"timestamp":5,"key":null,"value":"v","headers":[{"key":"h","value_base64":"/w=="}]}"#;
        assert_eq!(out(&record, false), line);
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        let error = |line: &str| parse(line.as_bytes(), None).unwrap_err();
        assert!(error("{").contains("at column 1"), "{}", error("{"));
        assert!(error(r#"{"topic":"t"}"#).contains("no \"value\""));
        assert!(error(r#"{"value":"v"}"#).contains("names no topic"));
        assert!(error(r#"{"topic":"t","valeu":"v"}"#).contains("unknown field `valeu`"));
        assert!(error(r#"{"topic":"t","value_base64":"!"}"#).contains("no base64"));
        assert!(error(r#"{"topic":"t","value":"v","value_base64":"dg=="}"#).contains("both"));
        assert!(error(r#"{"topic":"t","value":{}}"#).contains("expected a string"));
    }

    #[test]
    fn a_record_without_a_timestamp_gets_one_when_it_is_produced() {
        let line = out(&Record::to("t").value("v").timestamp(NO_TIMESTAMP), false);
        assert_eq!(parse(line.as_bytes(), None), Ok(Record::to("t").partition(3).value("v")));
    }

    #[test]
    fn the_command_line_s_topic_wins() {
        assert_eq!(parse(br#"{"topic":"a","value":null}"#, Some("b")).unwrap(), Record::to("b"));
    }

    proptest! {
        #[test]
        fn every_record_comes_back(
            key in prop::option::of(prop::collection::vec(any::<u8>(), 0..6)),
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..6)),
            headers in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..4), prop::option::of(".{0,3}")), 0..3),
            timestamp in 0..i64::MAX,
            base64: bool,
        ) {
            let mut record = Record::to("t").partition(3).timestamp(timestamp);
            record.key = key.map(Bytes::from);
            record.value = value.map(Bytes::from);
            let header = |(key, value): (Vec<u8>, Option<String>)| Header { key: key.into(), value: value.map(Bytes::from) };
            record.headers = headers.into_iter().map(header).collect();
            let line = out(&record, base64);
            prop_assert_eq!(parse(line.as_bytes(), None), Ok(record));
        }

        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&line, Some("t"));
        }
    }
}
