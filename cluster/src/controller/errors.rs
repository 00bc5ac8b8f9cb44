//! How a request is refused: one of Kafka's errors and a sentence for the person who reads it.

use serde::{Deserialize, Serialize};

/// The longest message that is sent, in bytes. A string of an older Kafka message holds no more than 32,767, and a
/// client's own oversized name quoted back must not push a response over that.
const MAX_MESSAGE: usize = 1_024;

/// Kafka's errors that the controller answers with, by Kafka's names. The numbers belong to the wire, which maps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorCode {
    /// A setting that does not exist, or a value that it cannot have.
    InvalidConfig,
    /// A number of partitions that a topic cannot have.
    InvalidPartitions,
    /// Replicas assigned by hand to nodes that cannot have them, or not to all partitions alike.
    InvalidReplicaAssignment,
    /// A number of replicas that is none, or more than there are nodes.
    InvalidReplicationFactor,
    /// A request that contradicts itself.
    InvalidRequest,
    /// A name that a topic cannot have, or that is too like another topic's.
    InvalidTopicException,
    /// A bound on what one request or the cluster may hold is reached.
    PolicyViolation,
    /// The name is taken.
    TopicAlreadyExists,
    /// The name belongs to the cluster itself.
    TopicAuthorizationFailed,
    /// `delete.topic.enable` is false.
    TopicDeletionDisabled,
    /// What ought not to happen has happened.
    UnknownServerError,
    /// No topic has the id.
    UnknownTopicId,
    /// No topic has the name.
    UnknownTopicOrPartition,
    /// There is no room on the disks.
    KafkaStorageError,
}

/// A refusal: what Kafka calls it, and what was wrong in the words that Kafka uses where it has any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerError {
    /// Which of Kafka's errors it is.
    pub code: ErrorCode,
    /// One sentence for the client's log, at most a kibibyte.
    pub message: String,
}

impl ControllerError {
    /// A refusal with `code`. A message above a kibibyte is cut at a character boundary.
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let mut end = message.len().min(MAX_MESSAGE);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        Self { code, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        let error = ControllerError::new(ErrorCode::InvalidRequest, format!("a{}", "é".repeat(1_000)));
        assert_eq!(error.message.len(), MAX_MESSAGE - 1);
    }
}
