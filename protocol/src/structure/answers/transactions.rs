//! Answers about producer ids and transactions: InitProducerId (22), AddPartitionsToTxn (24), AddOffsetsToTxn (25), EndTxn
//! (26), TxnOffsetCommit (28), DescribeProducers (61), DescribeTransactions (65), ListTransactions (66).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{Field, INT16, INT32, INT64, Schema, field};

pub(super) static INIT_PRODUCER_ID: Schema = Schema {
    api_key: 22,
    versions: (0, 6),
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("producer_id", INT64),
        field("producer_epoch", INT16),
        field("ongoing_txn_producer_id", INT64).since(6),
        field("ongoing_txn_producer_epoch", INT16).since(6),
    ],
};

pub(super) static ADD_PARTITIONS_TO_TXN: Schema = Schema {
    api_key: 24,
    versions: (0, 5),
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16).since(4),
        field("results_by_transaction", Array(&Struct(ADD_PARTITIONS_TO_TXN_RESULT))).since(4),
        field("results_by_topic_v3_and_below", Array(&Struct(ADD_PARTITIONS_TO_TXN_TOPIC_RESULT))).until(3),
    ],
};

const ADD_PARTITIONS_TO_TXN_RESULT: &[Field] = &[
    field("transactional_id", String),
    field("topic_results", Array(&Struct(ADD_PARTITIONS_TO_TXN_TOPIC_RESULT))),
];

const ADD_PARTITIONS_TO_TXN_TOPIC_RESULT: &[Field] = &[
    field("name", String),
    field("results_by_partition", Array(&Struct(ADD_PARTITIONS_TO_TXN_PARTITION_RESULT))),
];

const ADD_PARTITIONS_TO_TXN_PARTITION_RESULT: &[Field] =
    &[field("partition_index", INT32), field("partition_error_code", INT16)];

pub(super) static ADD_OFFSETS_TO_TXN: Schema = Schema {
    api_key: 25,
    versions: (0, 4),
    flexible_from: 3,
    fields: &[field("throttle_time_ms", INT32), field("error_code", INT16)],
};

pub(super) static END_TXN: Schema = Schema {
    api_key: 26,
    versions: (0, 5),
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("producer_id", INT64).since(5),
        field("producer_epoch", INT16).since(5),
    ],
};

pub(super) static TXN_OFFSET_COMMIT: Schema = Schema {
    api_key: 28,
    versions: (0, 5),
    flexible_from: 3,
    fields: &[field("throttle_time_ms", INT32), field("topics", Array(&Struct(TXN_OFFSET_COMMIT_TOPIC)))],
};

const TXN_OFFSET_COMMIT_TOPIC: &[Field] =
    &[field("name", String), field("partitions", Array(&Struct(TXN_OFFSET_COMMIT_PARTITION)))];

const TXN_OFFSET_COMMIT_PARTITION: &[Field] = &[field("partition_index", INT32), field("error_code", INT16)];

pub(super) static DESCRIBE_PRODUCERS: Schema = Schema {
    api_key: 61,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[field("throttle_time_ms", INT32), field("topics", Array(&Struct(DESCRIBE_PRODUCERS_TOPIC)))],
};

const DESCRIBE_PRODUCERS_TOPIC: &[Field] =
    &[field("name", String), field("partitions", Array(&Struct(DESCRIBE_PRODUCERS_PARTITION)))];

const DESCRIBE_PRODUCERS_PARTITION: &[Field] = &[
    field("partition_index", INT32),
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("active_producers", Array(&Struct(DESCRIBE_PRODUCERS_PRODUCER_STATE))),
];

const DESCRIBE_PRODUCERS_PRODUCER_STATE: &[Field] = &[
    field("producer_id", INT64),
    field("producer_epoch", INT32),
    field("last_sequence", INT32),
    field("last_timestamp", INT64),
    field("coordinator_epoch", INT32),
    field("current_txn_start_offset", INT64),
];

pub(super) static DESCRIBE_TRANSACTIONS: Schema = Schema {
    api_key: 65,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("transaction_states", Array(&Struct(DESCRIBE_TRANSACTIONS_TRANSACTION_STATE))),
    ],
};

const DESCRIBE_TRANSACTIONS_TRANSACTION_STATE: &[Field] = &[
    field("error_code", INT16),
    field("transactional_id", String),
    field("transaction_state", String),
    field("transaction_timeout_ms", INT32),
    field("transaction_start_time_ms", INT64),
    field("producer_id", INT64),
    field("producer_epoch", INT16),
    field("topics", Array(&Struct(DESCRIBE_TRANSACTIONS_TOPIC_DATA))),
];

const DESCRIBE_TRANSACTIONS_TOPIC_DATA: &[Field] =
    &[field("topic", String), field("partitions", Array(&INT32))];

pub(super) static LIST_TRANSACTIONS: Schema = Schema {
    api_key: 66,
    versions: (0, 2),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("unknown_state_filters", Array(&String)),
        field("transaction_states", Array(&Struct(LIST_TRANSACTIONS_TRANSACTION_STATE))),
    ],
};

const LIST_TRANSACTIONS_TRANSACTION_STATE: &[Field] =
    &[field("transactional_id", String), field("producer_id", INT64), field("transaction_state", String)];
