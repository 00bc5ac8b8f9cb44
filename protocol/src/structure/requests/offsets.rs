//! Questions about a partition's offsets: ListOffsets (2), DeleteRecords (21), OffsetForLeaderEpoch (23).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{INT8, INT32, INT64, Schema, field};

/// v2 has an isolation level, v4 the leader epoch, v6 is flexible, v10 has a timeout (KIP-1075).
pub(super) static LIST_OFFSETS: Schema = Schema {
    api_key: 2,
    versions: (1, 10),
    flexible_from: 6,
    fields: &[
        field("replica_id", INT32),
        field("isolation_level", INT8).since(2),
        field(
            "topics",
            Array(&Struct(&[
                field("name", String),
                field(
                    "partitions",
                    Array(&Struct(&[
                        field("partition_index", INT32),
                        field("current_leader_epoch", INT32).since(4),
                        field("timestamp", INT64),
                    ])),
                ),
            ])),
        ),
        field("timeout_ms", INT32).since(10),
    ],
};

/// v2 is flexible.
pub(super) static DELETE_RECORDS: Schema = Schema {
    api_key: 21,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[
        field(
            "topics",
            Array(&Struct(&[
                field("name", String),
                field(
                    "partitions",
                    Array(&Struct(&[field("partition_index", INT32), field("offset", INT64)])),
                ),
            ])),
        ),
        field("timeout_ms", INT32),
    ],
};

/// v3 names the asking replica, v4 is flexible.
pub(super) static OFFSET_FOR_LEADER_EPOCH: Schema = Schema {
    api_key: 23,
    versions: (2, 4),
    flexible_from: 4,
    fields: &[
        field("replica_id", INT32).since(3),
        field(
            "topics",
            Array(&Struct(&[
                field("topic", String),
                field(
                    "partitions",
                    Array(&Struct(&[
                        field("partition", INT32),
                        field("current_leader_epoch", INT32),
                        field("leader_epoch", INT32),
                    ])),
                ),
            ])),
        ),
    ],
};
