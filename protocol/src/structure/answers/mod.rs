//! The shapes of all answers whose requests Trilog's broker or client knows, in all versions that kafka-protocol 0.18 decodes.
//!
//! Source: the message definitions of Apache Kafka 4.1 (`clients/src/main/resources/common/message`). A field is listed as nullable
//! wherever kafka-protocol takes null, in whichever version.

mod classic_group;
mod configs;
mod consumer_group;
mod fetch;
mod group_admin;
mod metadata;
mod offset_commit;
mod offsets;
mod produce;
mod security;
mod session;
mod topics;
mod transactions;

use super::schema::Schema;

/// One schema an API.
pub(super) static SCHEMAS: &[&Schema] = &[
    &classic_group::FIND_COORDINATOR,
    &classic_group::JOIN_GROUP,
    &classic_group::HEARTBEAT,
    &classic_group::LEAVE_GROUP,
    &classic_group::SYNC_GROUP,
    &configs::DESCRIBE_CONFIGS,
    &configs::ALTER_CONFIGS,
    &configs::INCREMENTAL_ALTER_CONFIGS,
    &configs::LIST_CONFIG_RESOURCES,
    &consumer_group::CONSUMER_GROUP_HEARTBEAT,
    &consumer_group::CONSUMER_GROUP_DESCRIBE,
    &fetch::FETCH,
    &group_admin::DESCRIBE_GROUPS,
    &group_admin::LIST_GROUPS,
    &group_admin::DELETE_GROUPS,
    &group_admin::OFFSET_DELETE,
    &metadata::METADATA,
    &metadata::DESCRIBE_CLUSTER,
    &metadata::DESCRIBE_TOPIC_PARTITIONS,
    &metadata::DESCRIBE_QUORUM,
    &metadata::UPDATE_FEATURES,
    &offset_commit::OFFSET_COMMIT,
    &offset_commit::OFFSET_FETCH,
    &offsets::LIST_OFFSETS,
    &offsets::DELETE_RECORDS,
    &offsets::OFFSET_FOR_LEADER_EPOCH,
    &produce::PRODUCE,
    &security::DESCRIBE_ACLS,
    &security::CREATE_ACLS,
    &security::DELETE_ACLS,
    &security::DESCRIBE_CLIENT_QUOTAS,
    &security::ALTER_CLIENT_QUOTAS,
    &security::DESCRIBE_USER_SCRAM_CREDENTIALS,
    &security::ALTER_USER_SCRAM_CREDENTIALS,
    &session::SASL_HANDSHAKE,
    &session::API_VERSIONS,
    &session::SASL_AUTHENTICATE,
    &topics::CREATE_TOPICS,
    &topics::DELETE_TOPICS,
    &topics::CREATE_PARTITIONS,
    &topics::LIST_PARTITION_REASSIGNMENTS,
    &topics::DESCRIBE_LOG_DIRS,
    &topics::ELECT_LEADERS,
    &topics::ALTER_PARTITION_REASSIGNMENTS,
    &transactions::INIT_PRODUCER_ID,
    &transactions::ADD_PARTITIONS_TO_TXN,
    &transactions::ADD_OFFSETS_TO_TXN,
    &transactions::END_TXN,
    &transactions::TXN_OFFSET_COMMIT,
    &transactions::DESCRIBE_PRODUCERS,
    &transactions::DESCRIBE_TRANSACTIONS,
    &transactions::LIST_TRANSACTIONS,
];
