//! Making and removing topics: CreateTopics (19), DeleteTopics (20), CreatePartitions (37). Where their partitions are:
//! DescribeLogDirs (35), ElectLeaders (43), AlterPartitionReassignments (45), and ListPartitionReassignments (46), which
//! tools ask for beside a topic's description.

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, INT8, INT16, INT32, Schema, UUID, field};

/// v5 is flexible and answers with the topic's configuration (KIP-525); v7 answers with its id.
pub(super) static CREATE_TOPICS: Schema = Schema {
    api_key: 19,
    versions: (2, 7),
    flexible_from: 5,
    fields: &[
        field(
            "topics",
            Array(&Struct(&[
                field("name", String),
                field("num_partitions", INT32),
                field("replication_factor", INT16),
                field(
                    "assignments",
                    Array(&Struct(&[field("partition_index", INT32), field("broker_ids", Array(&INT32))])),
                ),
                field("configs", Array(&Struct(&[field("name", String), field("value", String).nullable()]))),
            ])),
        ),
        field("timeout_ms", INT32),
        field("validate_only", BOOL),
    ],
};

/// v4 is flexible; v6 names topics by name or id (KIP-516).
pub(super) static DELETE_TOPICS: Schema = Schema {
    api_key: 20,
    versions: (1, 6),
    flexible_from: 4,
    fields: &[
        field("topics", Array(&Struct(&[field("name", String).nullable(), field("topic_id", UUID)])))
            .since(6),
        field("topic_names", Array(&String)).until(5),
        field("timeout_ms", INT32),
    ],
};

/// v2 is flexible.
pub(super) static CREATE_PARTITIONS: Schema = Schema {
    api_key: 37,
    versions: (0, 3),
    flexible_from: 2,
    fields: &[
        field(
            "topics",
            Array(&Struct(&[
                field("name", String),
                field("count", INT32),
                field("assignments", Array(&Struct(&[field("broker_ids", Array(&INT32))]))).nullable(),
            ])),
        ),
        field("timeout_ms", INT32),
        field("validate_only", BOOL),
    ],
};

/// Flexible from the start (KIP-455).
pub(super) static LIST_PARTITION_REASSIGNMENTS: Schema = Schema {
    api_key: 46,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        field("topics", Array(&Struct(&[field("name", String), field("partition_indexes", Array(&INT32))])))
            .nullable(),
    ],
};

/// v2 is flexible, v3 has an error for all, v4 answers with the space of the disk (KIP-827).
pub(super) static DESCRIBE_LOG_DIRS: Schema = Schema {
    api_key: 35,
    versions: (1, 4),
    flexible_from: 2,
    fields: &[field("topics", Array(&Struct(&[field("topic", String), field("partitions", Array(&INT32))])))
        .nullable()],
};

/// v1 has the kind of election (KIP-460), v2 is flexible.
pub(super) static ELECT_LEADERS: Schema = Schema {
    api_key: 43,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[
        field("election_type", INT8).since(1),
        field(
            "topic_partitions",
            Array(&Struct(&[field("topic", String), field("partitions", Array(&INT32))])),
        )
        .nullable(),
        field("timeout_ms", INT32),
    ],
};

/// Flexible from the start (KIP-455); v1 may forbid a change of the replication factor.
pub(super) static ALTER_PARTITION_REASSIGNMENTS: Schema = Schema {
    api_key: 45,
    versions: (0, 1),
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        field("allow_replication_factor_change", BOOL).since(1),
        field(
            "topics",
            Array(&Struct(&[
                field("name", String),
                field(
                    "partitions",
                    Array(&Struct(&[
                        field("partition_index", INT32),
                        field("replicas", Array(&INT32)).nullable(),
                    ])),
                ),
            ])),
        ),
    ],
};
