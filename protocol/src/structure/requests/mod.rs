//! The shapes of all requests that kafka-protocol 0.18 decodes and Trilog's broker has, or will have, a use for.
//!
//! The full range of versions that the crate decodes is described, whatever part of it the broker serves.
//! Source: the message definitions of Apache Kafka 4.1 (`clients/src/main/resources/common/message`).

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
    &produce::PRODUCE,
    &fetch::FETCH,
    &offsets::LIST_OFFSETS,
    &metadata::METADATA,
    &offset_commit::OFFSET_COMMIT,
    &offset_commit::OFFSET_FETCH,
    &classic_group::FIND_COORDINATOR,
    &classic_group::JOIN_GROUP,
    &classic_group::HEARTBEAT,
    &classic_group::LEAVE_GROUP,
    &classic_group::SYNC_GROUP,
    &group_admin::DESCRIBE_GROUPS,
    &group_admin::LIST_GROUPS,
    &session::SASL_HANDSHAKE,
    &session::API_VERSIONS,
    &topics::CREATE_TOPICS,
    &topics::DELETE_TOPICS,
    &offsets::DELETE_RECORDS,
    &transactions::INIT_PRODUCER_ID,
    &offsets::OFFSET_FOR_LEADER_EPOCH,
    &transactions::ADD_PARTITIONS_TO_TXN,
    &transactions::ADD_OFFSETS_TO_TXN,
    &transactions::END_TXN,
    &transactions::TXN_OFFSET_COMMIT,
    &security::DESCRIBE_ACLS,
    &configs::DESCRIBE_CONFIGS,
    &configs::ALTER_CONFIGS,
    &topics::DESCRIBE_LOG_DIRS,
    &session::SASL_AUTHENTICATE,
    &topics::CREATE_PARTITIONS,
    &group_admin::DELETE_GROUPS,
    &topics::ELECT_LEADERS,
    &configs::INCREMENTAL_ALTER_CONFIGS,
    &topics::ALTER_PARTITION_REASSIGNMENTS,
    &topics::LIST_PARTITION_REASSIGNMENTS,
    &group_admin::OFFSET_DELETE,
    &security::DESCRIBE_CLIENT_QUOTAS,
    &security::DESCRIBE_USER_SCRAM_CREDENTIALS,
    &metadata::DESCRIBE_QUORUM,
    &metadata::UPDATE_FEATURES,
    &metadata::DESCRIBE_CLUSTER,
    &transactions::DESCRIBE_PRODUCERS,
    &transactions::DESCRIBE_TRANSACTIONS,
    &transactions::LIST_TRANSACTIONS,
    &consumer_group::CONSUMER_GROUP_HEARTBEAT,
    &consumer_group::CONSUMER_GROUP_DESCRIBE,
    &configs::LIST_CONFIG_RESOURCES,
    &metadata::DESCRIBE_TOPIC_PARTITIONS,
];
