//! The classic group protocol: FindCoordinator (10), JoinGroup (11), Heartbeat (12), LeaveGroup (13),
//! SyncGroup (14).

use super::super::schema::Kind::{Array, Bytes, String, Struct};
use super::super::schema::{INT8, INT32, Schema, field};

/// v1 has the key's type, v3 is flexible, v4 asks for many keys at once (KIP-699).
pub(super) static FIND_COORDINATOR: Schema = Schema {
    api_key: 10,
    versions: (0, 6),
    flexible_from: 3,
    fields: &[
        field("key", String).until(3),
        field("key_type", INT8).since(1),
        field("coordinator_keys", Array(&String)).since(4),
    ],
};

/// v1 has a rebalance timeout, v5 static members (KIP-345), v6 is flexible, v8 gives a reason (KIP-800).
pub(super) static JOIN_GROUP: Schema = Schema {
    api_key: 11,
    versions: (0, 9),
    flexible_from: 6,
    fields: &[
        field("group_id", String),
        field("session_timeout_ms", INT32),
        field("rebalance_timeout_ms", INT32).since(1),
        field("member_id", String),
        field("group_instance_id", String).nullable().since(5),
        field("protocol_type", String),
        field("protocols", Array(&Struct(&[field("name", String), field("metadata", Bytes)]))),
        field("reason", String).nullable().since(8),
    ],
};

/// v3 has static members (KIP-345), v4 is flexible.
pub(super) static HEARTBEAT: Schema = Schema {
    api_key: 12,
    versions: (0, 4),
    flexible_from: 4,
    fields: &[
        field("group_id", String),
        field("generation_id", INT32),
        field("member_id", String),
        field("group_instance_id", String).nullable().since(3),
    ],
};

/// v3 takes many members at once (KIP-345), v4 is flexible, v5 gives a reason (KIP-800).
pub(super) static LEAVE_GROUP: Schema = Schema {
    api_key: 13,
    versions: (0, 5),
    flexible_from: 4,
    fields: &[
        field("group_id", String),
        field("member_id", String).until(2),
        field(
            "members",
            Array(&Struct(&[
                field("member_id", String),
                field("group_instance_id", String).nullable(),
                field("reason", String).nullable().since(5),
            ])),
        )
        .since(3),
    ],
};

/// v3 has static members (KIP-345), v4 is flexible, v5 names the protocol (KIP-559).
pub(super) static SYNC_GROUP: Schema = Schema {
    api_key: 14,
    versions: (0, 5),
    flexible_from: 4,
    fields: &[
        field("group_id", String),
        field("generation_id", INT32),
        field("member_id", String),
        field("group_instance_id", String).nullable().since(3),
        field("protocol_type", String).nullable().since(5),
        field("protocol_name", String).nullable().since(5),
        field("assignments", Array(&Struct(&[field("member_id", String), field("assignment", Bytes)]))),
    ],
};
