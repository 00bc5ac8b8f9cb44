//! Answers about groups: DescribeGroups (15), ListGroups (16), DeleteGroups (42), OffsetDelete (47).

use super::super::schema::Kind::{Array, Bytes, String, Struct};
use super::super::schema::{Field, INT16, INT32, Schema, field};

pub(super) static DESCRIBE_GROUPS: Schema = Schema {
    api_key: 15,
    versions: (0, 6),
    flexible_from: 5,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("groups", Array(&Struct(DESCRIBE_GROUPS_GROUP))),
    ],
};

const DESCRIBE_GROUPS_GROUP: &[Field] = &[
    field("error_code", INT16),
    field("error_message", String).nullable().since(6),
    field("group_id", String),
    field("group_state", String),
    field("protocol_type", String),
    field("protocol_data", String),
    field("members", Array(&Struct(DESCRIBE_GROUPS_MEMBER))),
    field("authorized_operations", INT32).since(3),
];

const DESCRIBE_GROUPS_MEMBER: &[Field] = &[
    field("member_id", String),
    field("group_instance_id", String).nullable().since(4),
    field("client_id", String),
    field("client_host", String),
    field("member_metadata", Bytes),
    field("member_assignment", Bytes),
];

pub(super) static LIST_GROUPS: Schema = Schema {
    api_key: 16,
    versions: (0, 5),
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("error_code", INT16),
        field("groups", Array(&Struct(LIST_GROUPS_GROUP))),
    ],
};

const LIST_GROUPS_GROUP: &[Field] = &[
    field("group_id", String),
    field("protocol_type", String),
    field("group_state", String).since(4),
    field("group_type", String).since(5),
];

pub(super) static DELETE_GROUPS: Schema = Schema {
    api_key: 42,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[field("throttle_time_ms", INT32), field("results", Array(&Struct(DELETE_GROUPS_RESULT)))],
};

const DELETE_GROUPS_RESULT: &[Field] = &[field("group_id", String), field("error_code", INT16)];

pub(super) static OFFSET_DELETE: Schema = Schema {
    api_key: 47,
    versions: (0, 0),
    flexible_from: i16::MAX,
    fields: &[
        field("error_code", INT16),
        field("throttle_time_ms", INT32),
        field("topics", Array(&Struct(OFFSET_DELETE_TOPIC))),
    ],
};

const OFFSET_DELETE_TOPIC: &[Field] =
    &[field("name", String), field("partitions", Array(&Struct(OFFSET_DELETE_PARTITION)))];

const OFFSET_DELETE_PARTITION: &[Field] = &[field("partition_index", INT32), field("error_code", INT16)];
