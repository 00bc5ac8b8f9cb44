//! Kafka's error codes, and what may be done about each.
//!
//! A code is data of an answer. [`ErrorCode::meaning`] sorts the codes by what a client does next, where the API that
//! answered does not say otherwise: `OFFSET_OUT_OF_RANGE`, for one, is refused here and reset by a consumer.

mod table;

use std::fmt;

use self::table::{Row, TABLE};

/// An error code, known or not. Prints its name and a sentence.
///
/// ```
/// use trilog_protocol::{ErrorCode, Meaning};
///
/// let code = ErrorCode(6);
/// assert_eq!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
/// assert_eq!(code.meaning(), Meaning::Refresh);
/// assert!(code.is_retriable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

/// What a client may do about an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// No error.
    Success,
    /// The same request may succeed after a while, at the same broker.
    Retry,
    /// What the client knows of topics and leaders is out of date: the request may succeed after new metadata.
    Refresh,
    /// The coordinator is another broker, or not there yet: the request may succeed after FindCoordinator.
    RefreshCoordinator,
    /// The member has to join its group again.
    Rejoin,
    /// Another instance has taken this one's place. It must end.
    Fenced,
    /// The transaction has to be aborted; the producer stays usable.
    Abort,
    /// Nothing of this kind will succeed before somebody changes a right, a password or a configuration.
    Fatal,
    /// This request will not succeed; others may.
    Refused,
}

impl ErrorCode {
    /// No error as `Ok`, anything else as the error.
    ///
    /// # Errors
    ///
    /// The code itself, unless it is 0.
    pub const fn check(self) -> Result<(), Self> {
        if self.0 == 0 { Ok(()) } else { Err(self) }
    }

    /// What a client may do about it. An unknown code is refused: nobody knows whether a retry does harm.
    #[must_use]
    pub fn meaning(self) -> Meaning {
        self.row().map_or(Meaning::Refused, |row| row.meaning)
    }

    /// Whether the request may be sent again, at once or after finding out where to.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        matches!(self.meaning(), Meaning::Retry | Meaning::Refresh | Meaning::RefreshCoordinator)
    }

    /// Its name in Kafka's documentation, if it is known.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.name)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.binary_search_by_key(&self.0, |row| row.code).ok().map(|at| &TABLE[at])
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => write!(f, "{} ({}): {}", row.name, self.0, row.sentence),
            None => write!(f, "error code {}", self.0),
        }
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_gap() {
        let codes: Vec<_> = TABLE.iter().map(|row| row.code).collect();
        assert_eq!(codes, (-1..=133).collect::<Vec<_>>());
    }

    #[test]
    fn codes_print_what_they_are() {
        assert_eq!(
            ErrorCode(16).to_string(),
            "NOT_COORDINATOR (16): the broker does not coordinate this group or transaction"
        );
        assert_eq!(ErrorCode(999).to_string(), "error code 999");
    }

    #[test]
    fn only_what_cannot_do_harm_is_retriable() {
        assert!(ErrorCode::REQUEST_TIMED_OUT.is_retriable());
        assert!(ErrorCode::NOT_COORDINATOR.is_retriable());
        assert!(!ErrorCode::NONE.is_retriable());
        assert!(!ErrorCode::FENCED_INSTANCE_ID.is_retriable());
        assert!(!ErrorCode(999).is_retriable());
    }

    #[test]
    fn a_code_is_checked_in_one_place() {
        assert_eq!(ErrorCode::NONE.check(), Ok(()));
        assert_eq!(ErrorCode(3).check(), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    }
}
