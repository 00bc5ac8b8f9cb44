//! Offsets of logs: ListOffsets (2), DeleteRecords (21), OffsetForLeaderEpoch (23).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{Field, INT16, INT32, INT64, Schema, field};

pub(super) static LIST_OFFSETS: Schema = Schema {
    api_key: 2,
    versions: (1, 10),
    flexible_from: 6,
    fields: &[field("throttle_time_ms", INT32).since(2), field("topics", Array(&Struct(LIST_OFFSETS_TOPIC)))],
};

const LIST_OFFSETS_TOPIC: &[Field] =
    &[field("name", String), field("partitions", Array(&Struct(LIST_OFFSETS_PARTITION)))];

const LIST_OFFSETS_PARTITION: &[Field] = &[
    field("partition_index", INT32),
    field("error_code", INT16),
    field("timestamp", INT64),
    field("offset", INT64),
    field("leader_epoch", INT32).since(4),
];

pub(super) static DELETE_RECORDS: Schema = Schema {
    api_key: 21,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[field("throttle_time_ms", INT32), field("topics", Array(&Struct(DELETE_RECORDS_TOPIC_RESULT)))],
};

const DELETE_RECORDS_TOPIC_RESULT: &[Field] =
    &[field("name", String), field("partitions", Array(&Struct(DELETE_RECORDS_PARTITION_RESULT)))];

const DELETE_RECORDS_PARTITION_RESULT: &[Field] =
    &[field("partition_index", INT32), field("low_watermark", INT64), field("error_code", INT16)];

pub(super) static OFFSET_FOR_LEADER_EPOCH: Schema = Schema {
    api_key: 23,
    versions: (2, 4),
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32),
        field("topics", Array(&Struct(OFFSET_FOR_LEADER_EPOCH_TOPIC_RESULT))),
    ],
};

const OFFSET_FOR_LEADER_EPOCH_TOPIC_RESULT: &[Field] =
    &[field("topic", String), field("partitions", Array(&Struct(OFFSET_FOR_LEADER_EPOCH_END_OFFSET)))];

const OFFSET_FOR_LEADER_EPOCH_END_OFFSET: &[Field] = &[
    field("error_code", INT16),
    field("partition", INT32),
    field("leader_epoch", INT32),
    field("end_offset", INT64),
];
