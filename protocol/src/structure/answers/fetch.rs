//! Fetched records: Fetch (1). v5 has the start of the log, v7 sessions, v11 a preferred replica, v12 diverging epochs, v13
//! topic ids, v16 leader hints (KIP-951).

use super::super::schema::Kind::{Array, Bytes, String, Struct};
use super::super::schema::{Field, INT16, INT32, INT64, Schema, UUID, field, tagged};

pub(super) static FETCH: Schema = Schema {
    api_key: 1,
    versions: (4, 18),
    flexible_from: 12,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16).since(7),
        field("session_id", INT32).since(7),
        field("responses", Array(&Struct(FETCH_TOPIC))),
        tagged(0, "node_endpoints", Array(&Struct(FETCH_NODE_ENDPOINT))).since(16),
    ],
};

const FETCH_TOPIC: &[Field] = &[
    field("topic", String).until(12),
    field("topic_id", UUID).since(13),
    field("partitions", Array(&Struct(FETCH_PARTITION_DATA))),
];

const FETCH_PARTITION_DATA: &[Field] = &[
    field("partition_index", INT32),
    field("error_code", INT16),
    field("high_watermark", INT64),
    field("last_stable_offset", INT64),
    field("log_start_offset", INT64).since(5),
    tagged(0, "diverging_epoch", Struct(FETCH_EPOCH_END_OFFSET)).since(12),
    tagged(1, "current_leader", Struct(FETCH_LEADER_ID_AND_EPOCH)).since(12),
    tagged(2, "snapshot_id", Struct(FETCH_SNAPSHOT_ID)).since(12),
    field("aborted_transactions", Array(&Struct(FETCH_ABORTED_TRANSACTION))).nullable(),
    field("preferred_read_replica", INT32).since(11),
    field("records", Bytes).nullable(),
];

const FETCH_EPOCH_END_OFFSET: &[Field] = &[field("epoch", INT32), field("end_offset", INT64)];

const FETCH_LEADER_ID_AND_EPOCH: &[Field] = &[field("leader_id", INT32), field("leader_epoch", INT32)];

const FETCH_SNAPSHOT_ID: &[Field] = &[field("end_offset", INT64), field("epoch", INT32)];

const FETCH_ABORTED_TRANSACTION: &[Field] = &[field("producer_id", INT64), field("first_offset", INT64)];

const FETCH_NODE_ENDPOINT: &[Field] =
    &[field("node_id", INT32), field("host", String), field("port", INT32), field("rack", String).nullable()];
