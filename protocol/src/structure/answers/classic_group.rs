//! What brokers answer to members of classic groups: FindCoordinator (10), JoinGroup (11), Heartbeat (12), LeaveGroup (13),
//! SyncGroup (14).

use super::super::schema::Kind::{Array, Bytes, String, Struct};
use super::super::schema::{BOOL, Field, INT16, INT32, Schema, field};

pub(super) static FIND_COORDINATOR: Schema = Schema {
    api_key: 10,
    versions: (0, 6),
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("error_code", INT16).until(3),
        field("error_message", String).nullable().since(1).until(3),
        field("node_id", INT32).until(3),
        field("host", String).until(3),
        field("port", INT32).until(3),
        field("coordinators", Array(&Struct(FIND_COORDINATOR_COORDINATOR))).since(4),
    ],
};

const FIND_COORDINATOR_COORDINATOR: &[Field] = &[
    field("key", String),
    field("node_id", INT32),
    field("host", String),
    field("port", INT32),
    field("error_code", INT16),
    field("error_message", String).nullable(),
];

pub(super) static JOIN_GROUP: Schema = Schema {
    api_key: 11,
    versions: (0, 9),
    flexible_from: 6,
    fields: &[
        field("throttle_time_ms", INT32).since(2),
        field("error_code", INT16),
        field("generation_id", INT32),
        field("protocol_type", String).nullable().since(7),
        field("protocol_name", String).nullable(),
        field("leader", String),
        field("skip_assignment", BOOL).since(9),
        field("member_id", String),
        field("members", Array(&Struct(JOIN_GROUP_MEMBER))),
    ],
};

const JOIN_GROUP_MEMBER: &[Field] = &[
    field("member_id", String),
    field("group_instance_id", String).nullable().since(5),
    field("metadata", Bytes),
];

pub(super) static HEARTBEAT: Schema = Schema {
    api_key: 12,
    versions: (0, 4),
    flexible_from: 4,
    fields: &[field("throttle_time_ms", INT32).since(1), field("error_code", INT16)],
};

pub(super) static LEAVE_GROUP: Schema = Schema {
    api_key: 13,
    versions: (0, 5),
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("error_code", INT16),
        field("members", Array(&Struct(LEAVE_GROUP_MEMBER))).since(3),
    ],
};

const LEAVE_GROUP_MEMBER: &[Field] =
    &[field("member_id", String), field("group_instance_id", String).nullable(), field("error_code", INT16)];

pub(super) static SYNC_GROUP: Schema = Schema {
    api_key: 14,
    versions: (0, 5),
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("error_code", INT16),
        field("protocol_type", String).nullable().since(5),
        field("protocol_name", String).nullable().since(5),
        field("assignment", Bytes),
    ],
};
