//! Answers in words, short enough for a line.

use std::fmt::{Debug, Display, Write};

use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::protocol::StrBytes;
use trilog_tests::requests::error;

/// Kafka's name of an error code.
pub(crate) fn code(code: i16) -> String {
    match error(code) {
        None if code == 0 => "done".to_owned(),
        None => format!("error {code}"),
        Some(error) => format!("{error:?}"),
    }
}

/// The same of an error that may be none.
pub(crate) fn refusal(refusal: Option<impl Debug>) -> String {
    refusal.map_or_else(|| "done".to_owned(), |error| format!("{error:?}"))
}

/// An error and whether it comes with words. Null and no letters are alike.
pub(crate) fn explained(error: i16, message: Option<&StrBytes>) -> String {
    let message = if message.is_some_and(|message| !message.is_empty()) { ", explained" } else { "" };
    format!("{}{message}", code(error))
}

/// What came of a batch. Trilog explains more refusals than Kafka, so the words are left out.
pub(crate) fn produced(answer: &PartitionProduceResponse) -> String {
    let mut text = code(answer.error_code);
    if answer.error_code == 0 {
        write!(text, ", offset {}", answer.base_offset).expect("a text takes words");
    }
    if !answer.record_errors.is_empty() {
        let blamed = answer.record_errors.iter().map(|row| row.batch_index);
        write!(text, ", records {}", list(blamed)).expect("a text takes words");
    }
    text
}

/// Items with commas between.
pub(crate) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// The same in the items' order.
pub(crate) fn sorted(items: impl IntoIterator<Item = String>) -> String {
    let mut items: Vec<_> = items.into_iter().collect();
    items.sort();
    items.join(", ")
}
