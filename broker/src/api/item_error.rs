//! An error of one item of a request, whatever found it, as clients are told it.

use std::fmt;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{ControllerError, ControllerResponse, ErrorCode};
use trilog_cluster::node::SubmitError;

/// An error of one item of a request: Kafka's number, and a sentence for people where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ItemError {
    /// Which of Kafka's errors it is.
    pub(super) error: ResponseError,
    /// What was wrong.
    pub(super) message: Option<StrBytes>,
}

impl ItemError {
    /// An error that its name explains.
    pub(super) const fn bare(error: ResponseError) -> Self {
        Self { error, message: None }
    }

    /// An error with an explanation that takes no memory, however many items have it.
    pub(super) const fn fixed(error: ResponseError, message: &'static str) -> Self {
        Self { error, message: Some(StrBytes::from_static_str(message)) }
    }

    /// An error with an explanation.
    pub(super) fn new(error: ResponseError, message: impl fmt::Display) -> Self {
        Self { error, message: Some(StrBytes::from_string(message.to_string())) }
    }

    /// The controller answered something else than it was asked: a fault of the broker's.
    pub(super) fn unexpected(response: &ControllerResponse) -> Self {
        tracing::error!(?response, "the controller answered something else than was asked");
        Self::bare(ResponseError::UnknownServerError)
    }
}

impl From<ControllerError> for ItemError {
    fn from(error: ControllerError) -> Self {
        Self::new(response_error(error.code), error.message)
    }
}

/// A request that did not get through to the controller may yet take effect, and the client may send it
/// again: that is what REQUEST_TIMED_OUT says. One that was too large was not sent.
impl From<SubmitError> for ItemError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::TooLarge => Self::new(ResponseError::PolicyViolation, error),
            SubmitError::TimedOut | SubmitError::BadAnswer | SubmitError::Ended => {
                Self::new(ResponseError::RequestTimedOut, error)
            }
        }
    }
}

/// The number and the message to put into a response.
pub(super) fn parts<T>(outcome: &Result<T, ItemError>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(_) => (0, None),
        Err(item) => (item.error.code(), item.message.clone()),
    }
}

const fn response_error(code: ErrorCode) -> ResponseError {
    match code {
        ErrorCode::InvalidConfig => ResponseError::InvalidConfig,
        ErrorCode::InvalidPartitions => ResponseError::InvalidPartitions,
        ErrorCode::InvalidReplicaAssignment => ResponseError::InvalidReplicaAssignment,
        ErrorCode::InvalidReplicationFactor => ResponseError::InvalidReplicationFactor,
        ErrorCode::KafkaStorageError => ResponseError::KafkaStorageError,
        ErrorCode::InvalidRequest => ResponseError::InvalidRequest,
        ErrorCode::InvalidTopicException => ResponseError::InvalidTopicException,
        ErrorCode::PolicyViolation => ResponseError::PolicyViolation,
        ErrorCode::TopicAlreadyExists => ResponseError::TopicAlreadyExists,
        ErrorCode::TopicAuthorizationFailed => ResponseError::TopicAuthorizationFailed,
        ErrorCode::TopicDeletionDisabled => ResponseError::TopicDeletionDisabled,
        ErrorCode::UnknownServerError => ResponseError::UnknownServerError,
        ErrorCode::UnknownTopicId => ResponseError::UnknownTopicId,
        ErrorCode::UnknownTopicOrPartition => ResponseError::UnknownTopicOrPartition,
    }
}
