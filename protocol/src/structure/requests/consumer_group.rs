//! The consumer group protocol of KIP-848: ConsumerGroupHeartbeat (68), ConsumerGroupDescribe (69).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, INT32, Schema, UUID, field};

/// Flexible from the start; v1 subscribes by regular expression too.
pub(super) static CONSUMER_GROUP_HEARTBEAT: Schema = Schema {
    api_key: 68,
    versions: (0, 1),
    flexible_from: 0,
    fields: &[
        field("group_id", String),
        field("member_id", String),
        field("member_epoch", INT32),
        field("instance_id", String).nullable(),
        field("rack_id", String).nullable(),
        field("rebalance_timeout_ms", INT32),
        field("subscribed_topic_names", Array(&String)).nullable(),
        field("subscribed_topic_regex", String).nullable().since(1),
        field("server_assignor", String).nullable(),
        field(
            "topic_partitions",
            Array(&Struct(&[field("topic_id", UUID), field("partitions", Array(&INT32))])),
        )
        .nullable(),
    ],
};

/// Flexible from the start.
pub(super) static CONSUMER_GROUP_DESCRIBE: Schema = Schema {
    api_key: 69,
    versions: (0, 1),
    flexible_from: 0,
    fields: &[field("group_ids", Array(&String)), field("include_authorized_operations", BOOL)],
};
