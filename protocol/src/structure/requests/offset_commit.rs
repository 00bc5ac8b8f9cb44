//! A group's committed offsets: OffsetCommit (8), OffsetFetch (9).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, INT32, INT64, Schema, field};

/// v5 drops the retention time, v6 has the leader epoch, v7 static members, v8 is flexible, v9 is KIP-848's.
pub(super) static OFFSET_COMMIT: Schema = Schema {
    api_key: 8,
    versions: (2, 9),
    flexible_from: 8,
    fields: &[
        field("group_id", String),
        field("generation_id_or_member_epoch", INT32),
        field("member_id", String),
        field("group_instance_id", String).nullable().since(7),
        field("retention_time_ms", INT64).until(4),
        field(
            "topics",
            Array(&Struct(&[
                field("name", String),
                field(
                    "partitions",
                    Array(&Struct(&[
                        field("partition_index", INT32),
                        field("committed_offset", INT64),
                        field("committed_leader_epoch", INT32).since(6),
                        field("committed_metadata", String).nullable(),
                    ])),
                ),
            ])),
        ),
    ],
};

/// v2 asks for all topics with null, v6 is flexible, v8 asks for many groups at once (KIP-709), v9 is
/// KIP-848's.
pub(super) static OFFSET_FETCH: Schema = Schema {
    api_key: 9,
    versions: (1, 9),
    flexible_from: 6,
    fields: &[
        field("group_id", String).until(7),
        field("topics", Array(&Struct(&[field("name", String), field("partition_indexes", Array(&INT32))])))
            .nullable()
            .until(7),
        field(
            "groups",
            Array(&Struct(&[
                field("group_id", String),
                field("member_id", String).nullable().since(9),
                field("member_epoch", INT32).since(9),
                field(
                    "topics",
                    Array(&Struct(&[field("name", String), field("partition_indexes", Array(&INT32))])),
                )
                .nullable(),
            ])),
        )
        .since(8),
        field("require_stable", BOOL).since(7),
    ],
};
