//! Making and removing topics: CreateTopics (19), DeleteTopics (20), CreatePartitions (37), and
//! ListPartitionReassignments (46), which tools ask for beside a topic's description.

use kafka_protocol::messages::ApiKey;

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, INT16, INT32, Schema, UUID, field};

/// v5 is flexible and answers with the topic's configuration (KIP-525); v7 answers with its id.
pub(super) static CREATE_TOPICS: Schema = Schema {
    api_key: ApiKey::CreateTopics,
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
    api_key: ApiKey::DeleteTopics,
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
    api_key: ApiKey::CreatePartitions,
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
    api_key: ApiKey::ListPartitionReassignments,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        field("topics", Array(&Struct(&[field("name", String), field("partition_indexes", Array(&INT32))])))
            .nullable(),
    ],
};
