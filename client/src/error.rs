//! What can go wrong, and what may be done about it.
//!
//! One enum serves all clients of this crate. [`Error::class`] sorts its variants, and the codes that brokers answer, by
//! what the application does next.

use std::time::Duration;

use thiserror::Error;
use trilog_protocol::{ErrorCode, Meaning};

use crate::config::ConfigError;
use crate::wire::{Api, ClientError, CloseReason, ConnectError};

/// What an application does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The same call may succeed later. The client has retried already, for as long as its configuration says.
    Retriable,
    /// This call or record will never succeed; the client is as usable as before.
    Refused,
    /// The transaction has to be aborted; the producer is usable afterwards.
    NeedsAbort,
    /// Another instance has taken this one's place. Close the client.
    Fenced,
    /// The client cannot go on: a right is missing, a password or certificate is not accepted, or the broker is too old. Close the
    /// client.
    Fatal,
}

/// Why a call, or a record, failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No broker could be reached.
    #[error("no broker can be reached: {cause}")]
    Unreachable {
        /// The last attempt, with its address.
        cause: String,
    },
    /// The broker does not accept who this client is, or this client does not accept the broker's certificate.
    #[error("not authenticated: {cause}")]
    Authentication {
        /// The broker's address, its reason, and what to set.
        cause: String,
    },
    /// The connection ended before the answer. Whether the broker acted on the request is unknown.
    #[error("the connection was lost: {cause}")]
    Disconnected {
        /// What happened to it.
        cause: String,
    },
    /// Something did not happen in time.
    #[error("{what} took longer than {limit:?}: {cause}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long was waited, by the configuration.
        limit: Duration,
        /// What stood in the way, as far as it is known.
        cause: String,
    },
    /// A broker answered with an error code.
    #[error("{code}{}", with_message(.message))]
    Broker {
        /// Kafka's error code.
        code: ErrorCode,
        /// The broker's own words, if it has any.
        message: Option<String>,
    },
    /// A broker answered something that is not the protocol.
    #[error("a broker's answer makes no sense: {cause}")]
    Malformed {
        /// What is wrong with it.
        cause: String,
    },
    /// The broker does not serve what was asked for.
    #[error("the broker is too old: {cause}")]
    Unsupported {
        /// The request, and the versions of both sides.
        cause: String,
    },
    /// The broker does not serve the request in any version.
    #[error("the broker does not serve {api}")]
    NotServed {
        /// The request.
        api: Api,
    },
    /// A record, its batch included, is longer than `max.request.size` or `buffer.memory`.
    #[error("a record of {size} bytes is above the limit of {limit} bytes (max.request.size, buffer.memory)")]
    RecordTooLarge {
        /// The record's size in a batch of its own, in bytes.
        size: usize,
        /// The smaller of the two limits.
        limit: usize,
    },
    /// The record names a partition that its topic does not have.
    #[error("topic {topic} has {count} partitions: there is no partition {partition}")]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// The partitions that the topic has.
        count: usize,
    },
    /// The application's own partitioner panicked over the record.
    #[error("the partitioner panicked: {cause}")]
    Partitioner {
        /// What the panic said.
        cause: String,
    },
    /// A record that cannot be written in Kafka's format.
    #[error("the record cannot be encoded: {cause}")]
    Unencodable {
        /// What is wrong with it.
        cause: String,
    },
    /// The transaction cannot be committed: a record or an offset of it failed, or a request about it.
    #[error("the transaction has to be aborted: {cause}")]
    NeedsAbort {
        /// What failed first.
        cause: Box<Self>,
    },
    /// The transaction was aborted before this record was sent.
    #[error("the transaction was aborted before the record was sent")]
    TransactionAborted,
    /// The call does not fit the producer's transactions, such as a `send` while none is open.
    #[error("{cause}")]
    TransactionState {
        /// Why it does not, and what would.
        cause: &'static str,
    },
    /// The producer can make no further transaction.
    #[error("the producer can make no further transaction: {cause}")]
    TransactionsEnded {
        /// What a coordinator said.
        cause: Box<Self>,
    },
    /// The client was closed, or its runtime has ended.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// What the application may do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable { .. } | Self::Disconnected { .. } | Self::Timeout { .. } => {
                ErrorClass::Retriable
            }
            Self::Broker { code, .. } => class_of(*code),
            Self::RecordTooLarge { .. }
            | Self::NoSuchPartition { .. }
            | Self::Partitioner { .. }
            | Self::NotServed { .. }
            | Self::TransactionAborted
            | Self::TransactionState { .. }
            | Self::Unencodable { .. } => ErrorClass::Refused,
            Self::NeedsAbort { .. } => ErrorClass::NeedsAbort,
            Self::Config(_)
            | Self::Authentication { .. }
            | Self::Malformed { .. }
            | Self::Unsupported { .. }
            | Self::TransactionsEnded { .. }
            | Self::Closed => ErrorClass::Fatal,
        }
    }

    /// A broker's code without words.
    pub(crate) const fn code(code: ErrorCode) -> Self {
        Self::Broker { code, message: None }
    }
}

fn class_of(code: ErrorCode) -> ErrorClass {
    match code.meaning() {
        Meaning::Success | Meaning::Retry | Meaning::Refresh | Meaning::RefreshCoordinator => {
            ErrorClass::Retriable
        }
        Meaning::Rejoin => ErrorClass::Retriable,
        Meaning::Fenced => ErrorClass::Fenced,
        Meaning::Abort => ErrorClass::NeedsAbort,
        Meaning::Fatal => ErrorClass::Fatal,
        Meaning::Refused => ErrorClass::Refused,
    }
}

fn with_message(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let cause = error.to_string();
        match error {
            ClientError::Timeout { timeout, .. } => {
                Self::Timeout { what: "a request", limit: timeout, cause }
            }
            ClientError::Closed { reason: CloseReason::Refused { cause }, .. } => {
                Self::Authentication { cause }
            }
            ClientError::Closed { .. } => Self::Disconnected { cause },
            ClientError::UnsupportedVersion { api, theirs: None, .. } => Self::NotServed { api },
            ClientError::UnsupportedVersion { .. } => Self::Unsupported { cause },
            ClientError::Encode { .. } => Self::Unencodable { cause },
            ClientError::Decode { .. } | ClientError::TrailingBytes { .. } => Self::Malformed { cause },
        }
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        let cause = error.to_string();
        match error {
            ConnectError::Authentication { .. } => Self::Authentication { cause },
            ConnectError::Security(error) => Self::Config(error),
            _ => Self::Unreachable { cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_s_code_tells_what_to_do() {
        let class = |code| Error::code(code).class();
        assert_eq!(class(ErrorCode::NOT_LEADER_OR_FOLLOWER), ErrorClass::Retriable);
        assert_eq!(class(ErrorCode::MESSAGE_TOO_LARGE), ErrorClass::Refused);
        assert_eq!(class(ErrorCode::INVALID_PRODUCER_EPOCH), ErrorClass::Fenced);
    }

    #[test]
    fn a_broker_s_words_follow_its_code() {
        let message = Some("nobody may".to_owned());
        let error = Error::Broker { code: ErrorCode::INVALID_TOPIC_EXCEPTION, message };
        assert!(error.to_string().ends_with(": nobody may"), "{error}");
    }
}
