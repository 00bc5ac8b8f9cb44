//! Looking after groups: DescribeGroups (15), ListGroups (16), DeleteGroups (42), OffsetDelete (47).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, INT32, Schema, field};

/// v3 may ask for authorized operations, v5 is flexible.
pub(super) static DESCRIBE_GROUPS: Schema = Schema {
    api_key: 15,
    versions: (0, 6),
    flexible_from: 5,
    fields: &[field("groups", Array(&String)), field("include_authorized_operations", BOOL).since(3)],
};

/// v3 is flexible, v4 filters by state (KIP-518), v5 by type (KIP-848).
pub(super) static LIST_GROUPS: Schema = Schema {
    api_key: 16,
    versions: (0, 5),
    flexible_from: 3,
    fields: &[
        field("states_filter", Array(&String)).since(4),
        field("types_filter", Array(&String)).since(5),
    ],
};

/// v2 is flexible.
pub(super) static DELETE_GROUPS: Schema = Schema {
    api_key: 42,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[field("groups_names", Array(&String))],
};

/// Never flexible (KIP-496).
pub(super) static OFFSET_DELETE: Schema = Schema {
    api_key: 47,
    versions: (0, 0),
    flexible_from: i16::MAX,
    fields: &[
        field("group_id", String),
        field(
            "topics",
            Array(&Struct(&[
                field("name", String),
                field("partitions", Array(&Struct(&[field("partition_index", INT32)]))),
            ])),
        ),
    ],
};
