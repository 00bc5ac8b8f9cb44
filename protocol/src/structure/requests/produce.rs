//! Produce (0). v9 is flexible; v13 names topics by id (KIP-516).

use super::super::schema::Kind::{Array, Bytes, String, Struct};
use super::super::schema::{INT16, INT32, Schema, UUID, field};

pub(super) static PRODUCE: Schema = Schema {
    api_key: 0,
    versions: (3, 13),
    flexible_from: 9,
    fields: &[
        field("transactional_id", String).nullable(),
        field("acks", INT16),
        field("timeout_ms", INT32),
        field(
            "topic_data",
            Array(&Struct(&[
                field("name", String).until(12),
                field("topic_id", UUID).since(13),
                field(
                    "partition_data",
                    Array(&Struct(&[field("index", INT32), field("records", Bytes).nullable()])),
                ),
            ])),
        ),
    ],
};
