//! What became of produced batches: Produce (0). v8 names bad records, v10 has leader hints (KIP-951), v13 topic ids.

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{Field, INT16, INT32, INT64, Schema, UUID, field, tagged};

pub(super) static PRODUCE: Schema = Schema {
    api_key: 0,
    versions: (3, 13),
    flexible_from: 9,
    fields: &[
        field("responses", Array(&Struct(PRODUCE_TOPIC))),
        field("throttle_time_ms", INT32),
        tagged(0, "node_endpoints", Array(&Struct(PRODUCE_NODE_ENDPOINT))).since(10),
    ],
};

const PRODUCE_TOPIC: &[Field] = &[
    field("name", String).until(12),
    field("topic_id", UUID).since(13),
    field("partition_responses", Array(&Struct(PRODUCE_PARTITION))),
];

const PRODUCE_PARTITION: &[Field] = &[
    field("index", INT32),
    field("error_code", INT16),
    field("base_offset", INT64),
    field("log_append_time_ms", INT64),
    field("log_start_offset", INT64).since(5),
    field("record_errors", Array(&Struct(PRODUCE_BATCH_INDEX_AND_ERROR_MESSAGE))).since(8),
    field("error_message", String).nullable().since(8),
    tagged(0, "current_leader", Struct(PRODUCE_LEADER_ID_AND_EPOCH)).since(10),
];

const PRODUCE_BATCH_INDEX_AND_ERROR_MESSAGE: &[Field] =
    &[field("batch_index", INT32), field("batch_index_error_message", String).nullable()];

const PRODUCE_LEADER_ID_AND_EPOCH: &[Field] = &[field("leader_id", INT32), field("leader_epoch", INT32)];

const PRODUCE_NODE_ENDPOINT: &[Field] =
    &[field("node_id", INT32), field("host", String), field("port", INT32), field("rack", String).nullable()];
