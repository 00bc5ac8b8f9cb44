//! A group's committed offsets: OffsetCommit (8), OffsetFetch (9).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{Field, INT16, INT32, INT64, Schema, UUID, field};

pub(super) static OFFSET_COMMIT: Schema = Schema {
    api_key: 8,
    versions: (2, 10),
    flexible_from: 8,
    fields: &[
        field("throttle_time_ms", INT32).since(3),
        field("topics", Array(&Struct(OFFSET_COMMIT_TOPIC))),
    ],
};

const OFFSET_COMMIT_TOPIC: &[Field] = &[
    field("name", String).until(9),
    field("topic_id", UUID).since(10),
    field("partitions", Array(&Struct(OFFSET_COMMIT_PARTITION))),
];

const OFFSET_COMMIT_PARTITION: &[Field] = &[field("partition_index", INT32), field("error_code", INT16)];

pub(super) static OFFSET_FETCH: Schema = Schema {
    api_key: 9,
    versions: (1, 10),
    flexible_from: 6,
    fields: &[
        field("throttle_time_ms", INT32).since(3),
        field("topics", Array(&Struct(OFFSET_FETCH_TOPIC))).until(7),
        field("error_code", INT16).since(2).until(7),
        field("groups", Array(&Struct(OFFSET_FETCH_GROUP))).since(8),
    ],
};

const OFFSET_FETCH_TOPIC: &[Field] =
    &[field("name", String), field("partitions", Array(&Struct(OFFSET_FETCH_PARTITION)))];

const OFFSET_FETCH_PARTITION: &[Field] = &[
    field("partition_index", INT32),
    field("committed_offset", INT64),
    field("committed_leader_epoch", INT32).since(5),
    field("metadata", String).nullable(),
    field("error_code", INT16),
];

const OFFSET_FETCH_GROUP: &[Field] = &[
    field("group_id", String),
    field("topics", Array(&Struct(OFFSET_FETCH_TOPICS))),
    field("error_code", INT16),
];

const OFFSET_FETCH_TOPICS: &[Field] = &[
    field("name", String).until(9),
    field("topic_id", UUID).since(10),
    field("partitions", Array(&Struct(OFFSET_FETCH_PARTITIONS))),
];

const OFFSET_FETCH_PARTITIONS: &[Field] = &[
    field("partition_index", INT32),
    field("committed_offset", INT64),
    field("committed_leader_epoch", INT32),
    field("metadata", String).nullable(),
    field("error_code", INT16),
];
