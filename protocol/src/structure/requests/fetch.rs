//! Fetch (1). v7 has sessions (KIP-227), v9 leader epochs, v12 is flexible, v13 names topics by id (KIP-516),
//! v15 moves the replica's identity into a tagged field (KIP-903), v17 and v18 add tagged fields that only
//! followers send.

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{Field, INT8, INT32, INT64, Schema, UUID, field, tagged};

pub(super) static FETCH: Schema = Schema {
    api_key: 1,
    versions: (4, 18),
    flexible_from: 12,
    fields: &[
        tagged(0, "cluster_id", String).nullable(),
        tagged(1, "replica_state", Struct(REPLICA_STATE)).since(15),
        field("replica_id", INT32).until(14),
        field("max_wait_ms", INT32),
        field("min_bytes", INT32),
        field("max_bytes", INT32),
        field("isolation_level", INT8),
        field("session_id", INT32).since(7),
        field("session_epoch", INT32).since(7),
        field(
            "topics",
            Array(&Struct(&[
                field("topic", String).until(12),
                field("topic_id", UUID).since(13),
                field("partitions", Array(&Struct(PARTITION))),
            ])),
        ),
        field(
            "forgotten_topics_data",
            Array(&Struct(&[
                field("topic", String).until(12),
                field("topic_id", UUID).since(13),
                field("partitions", Array(&INT32)),
            ])),
        )
        .since(7),
        field("rack_id", String).since(11),
    ],
};

const REPLICA_STATE: &[Field] = &[field("replica_id", INT32), field("replica_epoch", INT64)];

const PARTITION: &[Field] = &[
    field("partition", INT32),
    field("current_leader_epoch", INT32).since(9),
    field("fetch_offset", INT64),
    field("last_fetched_epoch", INT32).since(12),
    field("log_start_offset", INT64).since(5),
    field("partition_max_bytes", INT32),
    tagged(0, "replica_directory_id", UUID).since(17),
    tagged(1, "high_watermark", INT64).since(18),
];
