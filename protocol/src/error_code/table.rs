//! Every error code that Kafka 4.2 defines, with its meaning and a sentence for people.
//!
//! `Retry` and the two `Refresh` are what Kafka's Java client derives from `RetriableException`.

use super::Meaning::{Abort, Fatal, Fenced, Refresh, RefreshCoordinator, Refused, Rejoin, Retry, Success};
use super::{ErrorCode, Meaning};

/// One row of the table.
pub(super) struct Row {
    pub(super) code: i16,
    pub(super) name: &'static str,
    pub(super) meaning: Meaning,
    pub(super) sentence: &'static str,
}

/// Writes each row down once: as a constant of [`ErrorCode`] and in the table that is searched.
macro_rules! error_codes {
    ($($name:ident = $code:literal, $meaning:ident, $sentence:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Code ", stringify!($code), ": ", $sentence, ".")]
                pub const $name: Self = Self($code);
            )*
        }

        /// By ascending code.
        pub(super) const TABLE: &[Row] = &[
            $(Row { code: $code, name: stringify!($name), meaning: $meaning, sentence: $sentence },)*
        ];
    };
}

error_codes! {
    UNKNOWN_SERVER_ERROR = -1, Refused, "the broker met an error that it has no code for";
    NONE = 0, Success, "no error";
    OFFSET_OUT_OF_RANGE = 1, Refused, "the offset is below the log start or above the high watermark";
    CORRUPT_MESSAGE = 2, Retry, "the record batch was damaged on its way, or makes no sense";
    UNKNOWN_TOPIC_OR_PARTITION = 3, Refresh, "the broker does not have the topic or partition";
    INVALID_FETCH_SIZE = 4, Refused, "the requested fetch size is invalid";
    LEADER_NOT_AVAILABLE = 5, Refresh, "the partition has no leader at the moment";
    NOT_LEADER_OR_FOLLOWER = 6, Refresh, "the broker does not lead the partition, or is no replica of it";
    REQUEST_TIMED_OUT = 7, Retry, "the broker could not complete the request in time";
    BROKER_NOT_AVAILABLE = 8, Refused, "the broker is not available";
    REPLICA_NOT_AVAILABLE = 9, Refresh, "the replica is not available on the broker";
    MESSAGE_TOO_LARGE = 10, Refused, "the record batch is longer than the topic allows";
    STALE_CONTROLLER_EPOCH = 11, Refused, "the controller has moved to another broker";
    OFFSET_METADATA_TOO_LARGE = 12, Refused, "the metadata of the committed offset is too long";
    NETWORK_EXCEPTION = 13, Refresh, "the connection ended before the answer";
    COORDINATOR_LOAD_IN_PROGRESS = 14, Retry, "the coordinator is loading its state";
    COORDINATOR_NOT_AVAILABLE = 15, RefreshCoordinator, "there is no coordinator at the moment";
    NOT_COORDINATOR = 16, RefreshCoordinator, "the broker does not coordinate this group or transaction";
    INVALID_TOPIC_EXCEPTION = 17, Refused, "the topic name is invalid, or the topic cannot be used so";
    RECORD_LIST_TOO_LARGE = 18, Refused, "the record set is longer than a segment may be";
    NOT_ENOUGH_REPLICAS = 19, Retry, "fewer replicas are in sync than the topic demands";
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, Retry, "the records were written to fewer replicas than the topic demands";
    INVALID_REQUIRED_ACKS = 21, Refused, "the value of acks is invalid";
    ILLEGAL_GENERATION = 22, Rejoin, "the group has moved on to another generation";
    INCONSISTENT_GROUP_PROTOCOL = 23, Refused, "the member's protocol type or assignors do not fit those of the group";
    INVALID_GROUP_ID = 24, Refused, "the group id is invalid";
    UNKNOWN_MEMBER_ID = 25, Rejoin, "the coordinator does not know the member";
    INVALID_SESSION_TIMEOUT = 26, Refused, "the session timeout is outside what the broker allows";
    REBALANCE_IN_PROGRESS = 27, Rejoin, "the group is rebalancing, so that the member has to join again";
    INVALID_COMMIT_OFFSET_SIZE = 28, Refused, "the committed offsets are too large";
    TOPIC_AUTHORIZATION_FAILED = 29, Fatal, "the user may not access the topic";
    GROUP_AUTHORIZATION_FAILED = 30, Fatal, "the user may not access the group";
    CLUSTER_AUTHORIZATION_FAILED = 31, Fatal, "the user may not do this to the cluster";
    INVALID_TIMESTAMP = 32, Refused, "the record's timestamp is outside what the topic allows";
    UNSUPPORTED_SASL_MECHANISM = 33, Fatal, "the broker does not support the SASL mechanism";
    ILLEGAL_SASL_STATE = 34, Fatal, "the request is not valid in this state of the SASL exchange";
    UNSUPPORTED_VERSION = 35, Fatal, "the broker does not support the version of the request";
    TOPIC_ALREADY_EXISTS = 36, Refused, "there is a topic of this name";
    INVALID_PARTITIONS = 37, Refused, "the number of partitions is invalid";
    INVALID_REPLICATION_FACTOR = 38, Refused, "the replication factor is below 1 or above the number of brokers";
    INVALID_REPLICA_ASSIGNMENT = 39, Refused, "the replica assignment is invalid";
    INVALID_CONFIG = 40, Refused, "a configuration value is invalid";
    NOT_CONTROLLER = 41, Refresh, "the broker is not the controller";
    INVALID_REQUEST = 42, Refused, "the request makes no sense; the broker's log says why";
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, Refused, "the record format on the broker does not support this";
    POLICY_VIOLATION = 44, Refused, "the broker's policy forbids it";
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, Refused, "the broker received a sequence number out of order";
    DUPLICATE_SEQUENCE_NUMBER = 46, Refused, "the broker received a sequence number twice";
    INVALID_PRODUCER_EPOCH = 47, Fenced, "the producer's epoch is older than the broker's";
    INVALID_TXN_STATE = 48, Fatal, "the transaction is in a state that does not allow this";
    INVALID_PRODUCER_ID_MAPPING = 49, Fatal, "the producer id does not belong to the transactional id";
    INVALID_TRANSACTION_TIMEOUT = 50, Refused, "the transaction timeout is above the broker's limit";
    CONCURRENT_TRANSACTIONS = 51, Retry, "the producer's previous transaction has not ended yet";
    TRANSACTION_COORDINATOR_FENCED = 52, Refused, "the transaction coordinator was replaced by another one";
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, Fatal, "the user may not use the transactional id";
    SECURITY_DISABLED = 54, Refused, "the broker has security turned off";
    OPERATION_NOT_ATTEMPTED = 55, Refused, "the broker did not try it, as another part of the request failed";
    KAFKA_STORAGE_ERROR = 56, Refresh, "the broker cannot access the partition's log on disk";
    LOG_DIR_NOT_FOUND = 57, Refused, "the broker has no such log directory";
    SASL_AUTHENTICATION_FAILED = 58, Fatal, "the broker does not accept the credentials";
    UNKNOWN_PRODUCER_ID = 59, Refused, "the broker has forgotten the producer id";
    REASSIGNMENT_IN_PROGRESS = 60, Refused, "a reassignment of the partition is in progress";
    DELEGATION_TOKEN_AUTH_DISABLED = 61, Refused, "delegation tokens are turned off";
    DELEGATION_TOKEN_NOT_FOUND = 62, Refused, "the broker does not have the delegation token";
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, Refused, "the user does not own the delegation token";
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, Refused, "delegation tokens are not served on this connection";
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, Fatal, "the user may not use the delegation token";
    DELEGATION_TOKEN_EXPIRED = 66, Refused, "the delegation token has expired";
    INVALID_PRINCIPAL_TYPE = 67, Refused, "the type of the principal is not supported";
    NON_EMPTY_GROUP = 68, Refused, "the group has members";
    GROUP_ID_NOT_FOUND = 69, Refused, "there is no such group";
    FETCH_SESSION_ID_NOT_FOUND = 70, Retry, "the broker does not have the fetch session";
    INVALID_FETCH_SESSION_EPOCH = 71, Retry, "the epoch of the fetch session is not the next one";
    LISTENER_NOT_FOUND = 72, Refresh, "the leader has no listener of the name that was asked for";
    TOPIC_DELETION_DISABLED = 73, Refused, "deleting topics is turned off";
    FENCED_LEADER_EPOCH = 74, Refresh, "the leader epoch is older than the broker's";
    UNKNOWN_LEADER_EPOCH = 75, Retry, "the leader epoch is newer than the broker's";
    UNSUPPORTED_COMPRESSION_TYPE = 76, Refused, "the broker does not support the compression codec";
    STALE_BROKER_EPOCH = 77, Refused, "the broker's epoch has changed";
    OFFSET_NOT_AVAILABLE = 78, Retry, "the leader's high watermark has not caught up since it was elected";
    MEMBER_ID_REQUIRED = 79, Rejoin, "the member has to join again with the id that it is given";
    PREFERRED_LEADER_NOT_AVAILABLE = 80, Refresh, "the preferred leader is not available";
    GROUP_MAX_SIZE_REACHED = 81, Refused, "the group has as many members as it may have";
    FENCED_INSTANCE_ID = 82, Fenced, "another member has registered with the same group.instance.id";
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, Refresh, "no replica may become the leader";
    ELECTION_NOT_NEEDED = 84, Refresh, "the partition has its preferred leader already";
    NO_REASSIGNMENT_IN_PROGRESS = 85, Refused, "no reassignment of the partition is in progress";
    GROUP_SUBSCRIBED_TO_TOPIC = 86, Refused, "the group consumes the topic";
    INVALID_RECORD = 87, Refused, "the broker does not accept a record";
    UNSTABLE_OFFSET_COMMIT = 88, Retry, "a transaction that commits the offset has not ended yet";
    THROTTLING_QUOTA_EXCEEDED = 89, Retry, "the quota is exceeded";
    PRODUCER_FENCED = 90, Fenced, "a newer producer with the same transactional id has taken over";
    RESOURCE_NOT_FOUND = 91, Refused, "there is no such resource";
    DUPLICATE_RESOURCE = 92, Refused, "the request names a resource twice";
    UNACCEPTABLE_CREDENTIAL = 93, Refused, "the credential does not meet the broker's demands";
    INCONSISTENT_VOTER_SET = 94, Refused, "the sender or the receiver is not among the voters";
    INVALID_UPDATE_VERSION = 95, Refused, "the update version is invalid";
    FEATURE_UPDATE_FAILED = 96, Refused, "a feature could not be updated";
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, Refused, "the forwarded principal cannot be read";
    SNAPSHOT_NOT_FOUND = 98, Refused, "the broker does not have the snapshot";
    POSITION_OUT_OF_RANGE = 99, Refused, "the position is beyond the snapshot's end";
    UNKNOWN_TOPIC_ID = 100, Refresh, "the broker does not know the topic id";
    DUPLICATE_BROKER_REGISTRATION = 101, Refused, "a broker of this id is registered";
    BROKER_ID_NOT_REGISTERED = 102, Refused, "no broker of this id is registered";
    INCONSISTENT_TOPIC_ID = 103, Refresh, "the topic id in the log differs from that of the request";
    INCONSISTENT_CLUSTER_ID = 104, Refused, "the cluster id is not that of the cluster";
    TRANSACTIONAL_ID_NOT_FOUND = 105, Refused, "there is no such transactional id";
    FETCH_SESSION_TOPIC_ID_ERROR = 106, Retry, "the fetch session was made with other topic ids";
    INELIGIBLE_REPLICA = 107, Refused, "the new in-sync replica may not be one";
    NEW_LEADER_ELECTED = 108, Refused, "the change of the in-sync set has elected another leader";
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, Refused, "the offset has moved to tiered storage";
    FENCED_MEMBER_EPOCH = 110, Rejoin, "the coordinator has fenced the member, which has to join again";
    UNRELEASED_INSTANCE_ID = 111, Refused, "another member of the group uses the instance id";
    UNSUPPORTED_ASSIGNOR = 112, Refused, "the group does not support the assignor";
    STALE_MEMBER_EPOCH = 113, Refused, "the member's epoch is not that of the coordinator; its next heartbeat tells the right one";
    MISMATCHED_ENDPOINT_TYPE = 114, Refused, "the request was sent to the wrong kind of endpoint";
    UNSUPPORTED_ENDPOINT_TYPE = 115, Refused, "the kind of endpoint is not supported";
    UNKNOWN_CONTROLLER_ID = 116, Refused, "the controller id is unknown";
    UNKNOWN_SUBSCRIPTION_ID = 117, Refused, "the telemetry subscription is not that of the broker";
    TELEMETRY_TOO_LARGE = 118, Refused, "the telemetry is larger than the broker accepts";
    INVALID_REGISTRATION = 119, Refused, "the controller does not accept the broker's registration";
    TRANSACTION_ABORTABLE = 120, Abort, "the transaction met an error and has to be aborted";
    INVALID_RECORD_STATE = 121, Refused, "the record's state does not allow the acknowledgement";
    SHARE_SESSION_NOT_FOUND = 122, Retry, "the broker does not have the share session";
    INVALID_SHARE_SESSION_EPOCH = 123, Retry, "the epoch of the share session is not the next one";
    FENCED_STATE_EPOCH = 124, Refused, "the share coordinator's epoch is older than the known one";
    INVALID_VOTER_KEY = 125, Refused, "the voter's key is not that of the receiver";
    DUPLICATE_VOTER = 126, Refused, "the voter is among the voters already";
    VOTER_NOT_FOUND = 127, Refused, "the voter is not among the voters";
    INVALID_REGULAR_EXPRESSION = 128, Refused, "the regular expression is invalid";
    REBOOTSTRAP_REQUIRED = 129, Refresh, "the client's metadata is too old: it has to begin with its bootstrap servers";
    STREAMS_INVALID_TOPOLOGY = 130, Refused, "the topology is invalid";
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, Refused, "the topology epoch is invalid";
    STREAMS_TOPOLOGY_FENCED = 132, Fenced, "the topology epoch is older than the group's";
    SHARE_SESSION_LIMIT_REACHED = 133, Retry, "the broker has as many share sessions as it may have";
}
