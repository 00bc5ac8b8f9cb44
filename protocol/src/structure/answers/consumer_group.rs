//! Answers to members of KIP-848 groups and about them: ConsumerGroupHeartbeat (68), ConsumerGroupDescribe (69).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{Field, INT8, INT16, INT32, Schema, UUID, field};

pub(super) static CONSUMER_GROUP_HEARTBEAT: Schema = Schema {
    api_key: 68,
    versions: (0, 1),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("member_id", String).nullable(),
        field("member_epoch", INT32),
        field("heartbeat_interval_ms", INT32),
        field("assignment", Struct(CONSUMER_GROUP_HEARTBEAT_ASSIGNMENT)).nullable(),
    ],
};

const CONSUMER_GROUP_HEARTBEAT_ASSIGNMENT: &[Field] =
    &[field("topic_partitions", Array(&Struct(CONSUMER_GROUP_HEARTBEAT_TOPIC_PARTITIONS)))];

const CONSUMER_GROUP_HEARTBEAT_TOPIC_PARTITIONS: &[Field] =
    &[field("topic_id", UUID), field("partitions", Array(&INT32))];

pub(super) static CONSUMER_GROUP_DESCRIBE: Schema = Schema {
    api_key: 69,
    versions: (0, 1),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("groups", Array(&Struct(CONSUMER_GROUP_DESCRIBE_GROUP))),
    ],
};

const CONSUMER_GROUP_DESCRIBE_GROUP: &[Field] = &[
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("group_id", String),
    field("group_state", String),
    field("group_epoch", INT32),
    field("assignment_epoch", INT32),
    field("assignor_name", String),
    field("members", Array(&Struct(CONSUMER_GROUP_DESCRIBE_MEMBER))),
    field("authorized_operations", INT32),
];

const CONSUMER_GROUP_DESCRIBE_MEMBER: &[Field] = &[
    field("member_id", String),
    field("instance_id", String).nullable(),
    field("rack_id", String).nullable(),
    field("member_epoch", INT32),
    field("client_id", String),
    field("client_host", String),
    field("subscribed_topic_names", Array(&String)),
    field("subscribed_topic_regex", String).nullable(),
    field("assignment", Struct(CONSUMER_GROUP_DESCRIBE_ASSIGNMENT)),
    field("target_assignment", Struct(CONSUMER_GROUP_DESCRIBE_ASSIGNMENT)),
    field("member_type", INT8).since(1),
];

const CONSUMER_GROUP_DESCRIBE_ASSIGNMENT: &[Field] =
    &[field("topic_partitions", Array(&Struct(CONSUMER_GROUP_DESCRIBE_TOPIC_PARTITIONS)))];

const CONSUMER_GROUP_DESCRIBE_TOPIC_PARTITIONS: &[Field] =
    &[field("topic_id", UUID), field("topic_name", String), field("partitions", Array(&INT32))];
