//! How a group request is refused: one of Kafka's errors, with a sentence where the response has room for it.

use std::fmt;

use trilog_protocol::topic_pattern::InvalidPattern;

/// Kafka's errors that a coordinator answers with, by Kafka's names. The numbers belong to the wire, which maps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupErrorCode {
    /// The coordinator cannot carry the request out now; the client asks again.
    CoordinatorNotAvailable,
    /// The member's epoch is not the one it was last told (KIP-848): it has to join again.
    FencedMemberEpoch,
    /// Another member holds the instance id by now (KIP-345).
    FencedInstanceId,
    /// There is no such group.
    GroupIdNotFound,
    /// The group, or the coordinator, holds as many as it may (KIP-389).
    GroupMaxSizeReached,
    /// The group consumes the topic, so its offsets stay (KIP-496).
    GroupSubscribedToTopic,
    /// The generation is not the group's current one.
    IllegalGeneration,
    /// The member supports no protocol that the group's other members do, or speaks the other group protocol.
    InconsistentGroupProtocol,
    /// What is to be committed with one request is more than a record holds.
    InvalidCommitOffsetSize,
    /// A group's name that may not be used for this.
    InvalidGroupId,
    /// The subscription is no regular expression of RE2's syntax (KIP-848).
    InvalidRegularExpression,
    /// The request contradicts itself.
    InvalidRequest,
    /// The session timeout lies outside `group.min.session.timeout.ms` to `group.max.session.timeout.ms`.
    InvalidSessionTimeout,
    /// The member has to join again with the id that it is given (KIP-394).
    MemberIdRequired,
    /// The group has members, so it cannot be deleted (KIP-229).
    NonEmptyGroup,
    /// The offset's metadata is longer than `offset.metadata.max.bytes`.
    OffsetMetadataTooLarge,
    /// The group is being rebalanced: the member has to join again.
    RebalanceInProgress,
    /// The member's epoch is behind the group's (KIP-848): a commit has to wait for the next heartbeat.
    StaleMemberEpoch,
    /// The group has no such member.
    UnknownMemberId,
    /// What ought not to happen has happened.
    UnknownServerError,
    /// There is no such topic or partition.
    UnknownTopicOrPartition,
    /// Another member holds the instance id and has not left (KIP-848).
    UnreleasedInstanceId,
    /// The coordinator has no assignor of that name (KIP-848).
    UnsupportedAssignor,
    /// The version of the request cannot express what this group needs.
    UnsupportedVersion,
}

/// A refusal: what Kafka calls it, and what was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct GroupError {
    /// Which of Kafka's errors it is.
    pub code: GroupErrorCode,
    /// One sentence for the client's log. Empty where the code says it all.
    pub message: String,
}

impl GroupError {
    /// A refusal with a sentence.
    pub(super) fn new(code: GroupErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The subscription is a pattern that cannot be used.
    pub(super) fn invalid_pattern(pattern: &str, error: &InvalidPattern) -> Self {
        let message = format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {error}.");
        Self::new(GroupErrorCode::InvalidRegularExpression, message)
    }
}

impl From<GroupErrorCode> for GroupError {
    fn from(code: GroupErrorCode) -> Self {
        Self { code, message: String::new() }
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.code)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}
