//! Answers about the cluster and its topics: Metadata (3), DescribeQuorum (55), UpdateFeatures (57), DescribeCluster (60),
//! DescribeTopicPartitions (75).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, Field, INT8, INT16, INT32, INT64, Schema, UUID, field};

pub(super) static METADATA: Schema = Schema {
    api_key: 3,
    versions: (0, 13),
    flexible_from: 9,
    fields: &[
        field("throttle_time_ms", INT32).since(3),
        field("brokers", Array(&Struct(METADATA_BROKER))),
        field("cluster_id", String).nullable().since(2),
        field("controller_id", INT32).since(1),
        field("topics", Array(&Struct(METADATA_TOPIC))),
        field("cluster_authorized_operations", INT32).since(8).until(10),
        field("error_code", INT16).since(13),
    ],
};

const METADATA_BROKER: &[Field] = &[
    field("node_id", INT32),
    field("host", String),
    field("port", INT32),
    field("rack", String).nullable().since(1),
];

const METADATA_TOPIC: &[Field] = &[
    field("error_code", INT16),
    field("name", String).nullable(),
    field("topic_id", UUID).since(10),
    field("is_internal", BOOL).since(1),
    field("partitions", Array(&Struct(METADATA_PARTITION))),
    field("topic_authorized_operations", INT32).since(8),
];

const METADATA_PARTITION: &[Field] = &[
    field("error_code", INT16),
    field("partition_index", INT32),
    field("leader_id", INT32),
    field("leader_epoch", INT32).since(7),
    field("replica_nodes", Array(&INT32)),
    field("isr_nodes", Array(&INT32)),
    field("offline_replicas", Array(&INT32)).since(5),
];

pub(super) static DESCRIBE_CLUSTER: Schema = Schema {
    api_key: 60,
    versions: (0, 2),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("endpoint_type", INT8).since(1),
        field("cluster_id", String),
        field("controller_id", INT32),
        field("brokers", Array(&Struct(DESCRIBE_CLUSTER_BROKER))),
        field("cluster_authorized_operations", INT32),
    ],
};

const DESCRIBE_CLUSTER_BROKER: &[Field] = &[
    field("broker_id", INT32),
    field("host", String),
    field("port", INT32),
    field("rack", String).nullable(),
    field("is_fenced", BOOL).since(2),
];

pub(super) static DESCRIBE_TOPIC_PARTITIONS: Schema = Schema {
    api_key: 75,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("topics", Array(&Struct(DESCRIBE_TOPIC_PARTITIONS_TOPIC))),
        field("next_cursor", Struct(DESCRIBE_TOPIC_PARTITIONS_CURSOR)).nullable(),
    ],
};

const DESCRIBE_TOPIC_PARTITIONS_TOPIC: &[Field] = &[
    field("error_code", INT16),
    field("name", String).nullable(),
    field("topic_id", UUID),
    field("is_internal", BOOL),
    field("partitions", Array(&Struct(DESCRIBE_TOPIC_PARTITIONS_PARTITION))),
    field("topic_authorized_operations", INT32),
];

const DESCRIBE_TOPIC_PARTITIONS_PARTITION: &[Field] = &[
    field("error_code", INT16),
    field("partition_index", INT32),
    field("leader_id", INT32),
    field("leader_epoch", INT32),
    field("replica_nodes", Array(&INT32)),
    field("isr_nodes", Array(&INT32)),
    field("eligible_leader_replicas", Array(&INT32)).nullable(),
    field("last_known_elr", Array(&INT32)).nullable(),
    field("offline_replicas", Array(&INT32)),
];

const DESCRIBE_TOPIC_PARTITIONS_CURSOR: &[Field] =
    &[field("topic_name", String), field("partition_index", INT32)];

pub(super) static DESCRIBE_QUORUM: Schema = Schema {
    api_key: 55,
    versions: (0, 2),
    flexible_from: 0,
    fields: &[
        field("error_code", INT16),
        field("error_message", String).nullable().since(2),
        field("topics", Array(&Struct(DESCRIBE_QUORUM_TOPIC_DATA))),
        field("nodes", Array(&Struct(DESCRIBE_QUORUM_NODE))).since(2),
    ],
};

const DESCRIBE_QUORUM_TOPIC_DATA: &[Field] =
    &[field("topic_name", String), field("partitions", Array(&Struct(DESCRIBE_QUORUM_PARTITION_DATA)))];

const DESCRIBE_QUORUM_PARTITION_DATA: &[Field] = &[
    field("partition_index", INT32),
    field("error_code", INT16),
    field("error_message", String).nullable().since(2),
    field("leader_id", INT32),
    field("leader_epoch", INT32),
    field("high_watermark", INT64),
    field("current_voters", Array(&Struct(DESCRIBE_QUORUM_REPLICA_STATE))),
    field("observers", Array(&Struct(DESCRIBE_QUORUM_REPLICA_STATE))),
];

const DESCRIBE_QUORUM_REPLICA_STATE: &[Field] = &[
    field("replica_id", INT32),
    field("replica_directory_id", UUID).since(2),
    field("log_end_offset", INT64),
    field("last_fetch_timestamp", INT64).since(1),
    field("last_caught_up_timestamp", INT64).since(1),
];

const DESCRIBE_QUORUM_NODE: &[Field] =
    &[field("node_id", INT32), field("listeners", Array(&Struct(DESCRIBE_QUORUM_LISTENER)))];

const DESCRIBE_QUORUM_LISTENER: &[Field] =
    &[field("name", String), field("host", String), field("port", INT16)];

pub(super) static UPDATE_FEATURES: Schema = Schema {
    api_key: 57,
    versions: (0, 2),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("results", Array(&Struct(UPDATE_FEATURES_FEATURE_RESULT))).until(1),
    ],
};

const UPDATE_FEATURES_FEATURE_RESULT: &[Field] =
    &[field("feature", String), field("error_code", INT16), field("error_message", String).nullable()];
