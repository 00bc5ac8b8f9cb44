//! Producer ids and transactions: InitProducerId (22), AddPartitionsToTxn (24), AddOffsetsToTxn (25), EndTxn
//! (26), TxnOffsetCommit (28). Versions above 3 of the latter four belong to KIP-890. Looking after them:
//! DescribeProducers (61), DescribeTransactions (65), ListTransactions (66).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, Field, INT16, INT32, INT64, Schema, field};

/// v2 is flexible; v3 asks for a new epoch of an id (KIP-360).
pub(super) static INIT_PRODUCER_ID: Schema = Schema {
    api_key: 22,
    versions: (0, 5),
    flexible_from: 2,
    fields: &[
        field("transactional_id", String).nullable(),
        field("transaction_timeout_ms", INT32),
        field("producer_id", INT64).since(3),
        field("producer_epoch", INT16).since(3),
    ],
};

const TXN_TOPIC: &[Field] = &[field("name", String), field("partitions", Array(&INT32))];

/// v3 is flexible; v4 is for brokers and takes many transactions at once.
pub(super) static ADD_PARTITIONS_TO_TXN: Schema = Schema {
    api_key: 24,
    versions: (0, 5),
    flexible_from: 3,
    fields: &[
        field(
            "transactions",
            Array(&Struct(&[
                field("transactional_id", String),
                field("producer_id", INT64),
                field("producer_epoch", INT16),
                field("verify_only", BOOL),
                field("topics", Array(&Struct(TXN_TOPIC))),
            ])),
        )
        .since(4),
        field("v3_and_below_transactional_id", String).until(3),
        field("v3_and_below_producer_id", INT64).until(3),
        field("v3_and_below_producer_epoch", INT16).until(3),
        field("v3_and_below_topics", Array(&Struct(TXN_TOPIC))).until(3),
    ],
};

/// v3 is flexible.
pub(super) static ADD_OFFSETS_TO_TXN: Schema = Schema {
    api_key: 25,
    versions: (0, 4),
    flexible_from: 3,
    fields: &[
        field("transactional_id", String),
        field("producer_id", INT64),
        field("producer_epoch", INT16),
        field("group_id", String),
    ],
};

/// v3 is flexible.
pub(super) static END_TXN: Schema = Schema {
    api_key: 26,
    versions: (0, 5),
    flexible_from: 3,
    fields: &[
        field("transactional_id", String),
        field("producer_id", INT64),
        field("producer_epoch", INT16),
        field("committed", BOOL),
    ],
};

/// v2 has the leader epoch, v3 is flexible and names the group's member (KIP-447).
pub(super) static TXN_OFFSET_COMMIT: Schema = Schema {
    api_key: 28,
    versions: (0, 5),
    flexible_from: 3,
    fields: &[
        field("transactional_id", String),
        field("group_id", String),
        field("producer_id", INT64),
        field("producer_epoch", INT16),
        field("generation_id", INT32).since(3),
        field("member_id", String).since(3),
        field("group_instance_id", String).nullable().since(3),
        field(
            "topics",
            Array(&Struct(&[
                field("name", String),
                field(
                    "partitions",
                    Array(&Struct(&[
                        field("partition_index", INT32),
                        field("committed_offset", INT64),
                        field("committed_leader_epoch", INT32).since(2),
                        field("committed_metadata", String).nullable(),
                    ])),
                ),
            ])),
        ),
    ],
};

/// Flexible from the start (KIP-664).
pub(super) static DESCRIBE_PRODUCERS: Schema = Schema {
    api_key: 61,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[field(
        "topics",
        Array(&Struct(&[field("name", String), field("partition_indexes", Array(&INT32))])),
    )],
};

/// Flexible from the start (KIP-664).
pub(super) static DESCRIBE_TRANSACTIONS: Schema = Schema {
    api_key: 65,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[field("transactional_ids", Array(&String))],
};

/// Flexible from the start (KIP-664); v1 filters by duration (KIP-994), v2 by a pattern of ids (KIP-1152).
pub(super) static LIST_TRANSACTIONS: Schema = Schema {
    api_key: 66,
    versions: (0, 2),
    flexible_from: 0,
    fields: &[
        field("state_filters", Array(&String)),
        field("producer_id_filters", Array(&INT64)),
        field("duration_filter", INT64).since(1),
        field("transactional_id_pattern", String).nullable().since(2),
    ],
};
