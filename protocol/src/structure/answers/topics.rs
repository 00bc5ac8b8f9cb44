//! Answers about changed topics and placed replicas: CreateTopics (19), DeleteTopics (20), DescribeLogDirs (35),
//! CreatePartitions (37), ElectLeaders (43), AlterPartitionReassignments (45), ListPartitionReassignments (46).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, Field, INT8, INT16, INT32, INT64, Schema, UUID, field, tagged};

pub(super) static CREATE_TOPICS: Schema = Schema {
    api_key: 19,
    versions: (2, 7),
    flexible_from: 5,
    fields: &[field("throttle_time_ms", INT32), field("topics", Array(&Struct(CREATE_TOPICS_TOPIC_RESULT)))],
};

const CREATE_TOPICS_TOPIC_RESULT: &[Field] = &[
    field("name", String),
    field("topic_id", UUID).since(7),
    field("error_code", INT16),
    field("error_message", String).nullable(),
    tagged(0, "topic_config_error_code", INT16).since(5),
    field("num_partitions", INT32).since(5),
    field("replication_factor", INT16).since(5),
    field("configs", Array(&Struct(CREATE_TOPICS_TOPIC_CONFIGS))).nullable().since(5),
];

const CREATE_TOPICS_TOPIC_CONFIGS: &[Field] = &[
    field("name", String),
    field("value", String).nullable(),
    field("read_only", BOOL),
    field("config_source", INT8),
    field("is_sensitive", BOOL),
];

pub(super) static DELETE_TOPICS: Schema = Schema {
    api_key: 20,
    versions: (1, 6),
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32),
        field("responses", Array(&Struct(DELETE_TOPICS_TOPIC_RESULT))),
    ],
};

const DELETE_TOPICS_TOPIC_RESULT: &[Field] = &[
    field("name", String).nullable(),
    field("topic_id", UUID).since(6),
    field("error_code", INT16),
    field("error_message", String).nullable().since(5),
];

pub(super) static CREATE_PARTITIONS: Schema = Schema {
    api_key: 37,
    versions: (0, 3),
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("results", Array(&Struct(CREATE_PARTITIONS_TOPIC_RESULT))),
    ],
};

const CREATE_PARTITIONS_TOPIC_RESULT: &[Field] =
    &[field("name", String), field("error_code", INT16), field("error_message", String).nullable()];

pub(super) static LIST_PARTITION_REASSIGNMENTS: Schema = Schema {
    api_key: 46,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("topics", Array(&Struct(LIST_PARTITION_REASSIGNMENTS_ONGOING_TOPIC_REASSIGNMENT))),
    ],
};

const LIST_PARTITION_REASSIGNMENTS_ONGOING_TOPIC_REASSIGNMENT: &[Field] = &[
    field("name", String),
    field("partitions", Array(&Struct(LIST_PARTITION_REASSIGNMENTS_ONGOING_PARTITION_REASSIGNMENT))),
];

const LIST_PARTITION_REASSIGNMENTS_ONGOING_PARTITION_REASSIGNMENT: &[Field] = &[
    field("partition_index", INT32),
    field("replicas", Array(&INT32)),
    field("adding_replicas", Array(&INT32)),
    field("removing_replicas", Array(&INT32)),
];

pub(super) static DESCRIBE_LOG_DIRS: Schema = Schema {
    api_key: 35,
    versions: (1, 4),
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16).since(3),
        field("results", Array(&Struct(DESCRIBE_LOG_DIRS_RESULT))),
    ],
};

const DESCRIBE_LOG_DIRS_RESULT: &[Field] = &[
    field("error_code", INT16),
    field("log_dir", String),
    field("topics", Array(&Struct(DESCRIBE_LOG_DIRS_TOPIC))),
    field("total_bytes", INT64).since(4),
    field("usable_bytes", INT64).since(4),
];

const DESCRIBE_LOG_DIRS_TOPIC: &[Field] =
    &[field("name", String), field("partitions", Array(&Struct(DESCRIBE_LOG_DIRS_PARTITION)))];

const DESCRIBE_LOG_DIRS_PARTITION: &[Field] = &[
    field("partition_index", INT32),
    field("partition_size", INT64),
    field("offset_lag", INT64),
    field("is_future_key", BOOL),
];

pub(super) static ELECT_LEADERS: Schema = Schema {
    api_key: 43,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16).since(1),
        field("replica_election_results", Array(&Struct(ELECT_LEADERS_REPLICA_ELECTION_RESULT))),
    ],
};

const ELECT_LEADERS_REPLICA_ELECTION_RESULT: &[Field] =
    &[field("topic", String), field("partition_result", Array(&Struct(ELECT_LEADERS_PARTITION_RESULT)))];

const ELECT_LEADERS_PARTITION_RESULT: &[Field] =
    &[field("partition_id", INT32), field("error_code", INT16), field("error_message", String).nullable()];

pub(super) static ALTER_PARTITION_REASSIGNMENTS: Schema = Schema {
    api_key: 45,
    versions: (0, 1),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("allow_replication_factor_change", BOOL).since(1),
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("responses", Array(&Struct(ALTER_PARTITION_REASSIGNMENTS_REASSIGNABLE_TOPIC))),
    ],
};

const ALTER_PARTITION_REASSIGNMENTS_REASSIGNABLE_TOPIC: &[Field] = &[
    field("name", String),
    field("partitions", Array(&Struct(ALTER_PARTITION_REASSIGNMENTS_REASSIGNABLE_PARTITION))),
];

const ALTER_PARTITION_REASSIGNMENTS_REASSIGNABLE_PARTITION: &[Field] =
    &[field("partition_index", INT32), field("error_code", INT16), field("error_message", String).nullable()];
