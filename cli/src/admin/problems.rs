//! What went wrong with some items of a command while others went well.

use std::fmt::Display;

use trilog_client::admin::Results;
use trilog_client::{Error, ErrorCode, nearest_name};

use crate::failure::Failure;
use crate::screen::Screen;

/// The most problems that are told beside the last one.
const MOST: usize = 20;

/// The items that failed, each as a sentence.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    /// Adds a sentence.
    pub(super) fn say(&mut self, sentence: String) {
        self.0.push(sentence);
    }

    /// Adds an item's error.
    pub(super) fn add(&mut self, kind: &str, item: impl Display, error: &Error) {
        self.say(format!("{kind} {item}: {}", sentence(error)));
    }

    /// Adds a topic that does not exist.
    pub(super) fn missing_topic<'a>(&mut self, name: &str, known: impl Iterator<Item = &'a str>) {
        let hint = nearest_name(name, known).map(|name| format!("; did you mean {name:?}?"));
        self.say(format!("there is no topic {name:?}{}", hint.unwrap_or_default()));
    }

    /// Sorts outcomes: what went well is given back.
    pub(super) fn sort<K: Display, V>(&mut self, kind: &str, results: Results<K, V>) -> Vec<(K, V)> {
        let mut done = Vec::new();
        for (item, outcome) in results {
            match outcome {
                Ok(value) => done.push((item, value)),
                Err(error) => self.add(kind, item, &error),
            }
        }
        done
    }

    /// Whether all went well.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all problems but the last, which is the command's failure. Results come first.
    pub(super) fn finish(mut self, screen: &mut Screen) -> Result<(), Failure> {
        screen.flush()?;
        let Some(last) = self.0.pop() else { return Ok(()) };
        let untold = self.0.len().saturating_sub(MOST);
        for sentence in self.0.into_iter().take(MOST) {
            Failure::Failed(sentence).tell();
        }
        if untold > 0 {
            Failure::Failed(format!("{untold} more of the kind")).tell();
        }
        Err(Failure::Failed(last))
    }
}

/// Whether a topic does not exist.
pub(super) const fn is_missing_topic(error: &Error) -> bool {
    matches!(
        error,
        Error::Broker { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID, .. }
    )
}

/// An error as a person wants it: the broker's own words if it has any.
fn sentence(error: &Error) -> String {
    match error {
        Error::Broker { code, message: Some(message) } => {
            let name = code.name().map(|name| format!(" ({name})")).unwrap_or_default();
            format!("{}{name}", message.trim_end_matches('.'))
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_topic_brings_the_nearest_name() {
        let mut problems = Problems::default();
        problems.missing_topic("ordrs", ["orders", "payments"].into_iter());
        problems.missing_topic("elsewhere", ["orders"].into_iter());
        let wanted =
            [r#"there is no topic "ordrs"; did you mean "orders"?"#, r#"there is no topic "elsewhere""#];
        assert_eq!(problems.0, wanted);
        let failure = problems.finish(&mut Screen::stdout()).unwrap_err();
        assert_eq!(failure.to_string(), r#"there is no topic "elsewhere""#);
    }

    #[test]
    fn a_broker_s_words_come_first() {
        let message = Some("Unknown topic config name: x.".to_owned());
        let error = Error::Broker { code: ErrorCode::INVALID_CONFIG, message };
        assert_eq!(sentence(&error), "Unknown topic config name: x (INVALID_CONFIG)");
    }

    #[test]
    fn nothing_wrong_is_success() {
        let mut problems = Problems::default();
        let done = problems.sort("topic", Results::from([("a", Ok(1))]));
        assert_eq!(done, [("a", 1)]);
        assert!(problems.finish(&mut Screen::stdout()).is_ok());
    }
}
