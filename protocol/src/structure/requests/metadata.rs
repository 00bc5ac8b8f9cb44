//! What there is: Metadata (3), DescribeQuorum (55), UpdateFeatures (57), DescribeCluster (60), DescribeTopicPartitions
//! (75).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, INT8, INT16, INT32, Schema, UUID, field};

/// v1 asks for all topics with null, v4 may forbid auto-creation, v9 is flexible, v10 knows topic ids
/// (KIP-516).
pub(super) static METADATA: Schema = Schema {
    api_key: 3,
    versions: (0, 13),
    flexible_from: 9,
    fields: &[
        field(
            "topics",
            Array(&Struct(&[field("topic_id", UUID).since(10), field("name", String).nullable()])),
        )
        .nullable(),
        field("allow_auto_topic_creation", BOOL).since(4),
        field("include_cluster_authorized_operations", BOOL).since(8).until(10),
        field("include_topic_authorized_operations", BOOL).since(8),
    ],
};

/// Flexible from the start (KIP-700); v1 asks for brokers or controllers, v2 for fenced brokers too.
pub(super) static DESCRIBE_CLUSTER: Schema = Schema {
    api_key: 60,
    versions: (0, 2),
    flexible_from: 0,
    fields: &[
        field("include_cluster_authorized_operations", BOOL),
        field("endpoint_type", INT8).since(1),
        field("include_fenced_brokers", BOOL).since(2),
    ],
};

/// Flexible from the start (KIP-966).
pub(super) static DESCRIBE_TOPIC_PARTITIONS: Schema = Schema {
    api_key: 75,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[
        field("topics", Array(&Struct(&[field("name", String)]))),
        field("response_partition_limit", INT32),
        field("cursor", Struct(&[field("topic_name", String), field("partition_index", INT32)])).nullable(),
    ],
};

/// Flexible from the start (KIP-595); v1 answers with times (KIP-836), v2 with addresses (KIP-853).
pub(super) static DESCRIBE_QUORUM: Schema = Schema {
    api_key: 55,
    versions: (0, 2),
    flexible_from: 0,
    fields: &[field(
        "topics",
        Array(&Struct(&[
            field("topic_name", String),
            field("partitions", Array(&Struct(&[field("partition_index", INT32)]))),
        ])),
    )],
};

/// Flexible from the start (KIP-584); v1 tells kinds of downgrades apart and may only validate.
pub(super) static UPDATE_FEATURES: Schema = Schema {
    api_key: 57,
    versions: (0, 2),
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        field(
            "feature_updates",
            Array(&Struct(&[
                field("feature", String),
                field("max_version_level", INT16),
                field("allow_downgrade", BOOL).until(0),
                field("upgrade_type", INT8).since(1),
            ])),
        ),
        field("validate_only", BOOL).since(1),
    ],
};
