//! Who may do what, and how much: DescribeAcls (29), DescribeClientQuotas (48), DescribeUserScramCredentials (50).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, INT8, Schema, field};

/// v2 is flexible.
pub(super) static DESCRIBE_ACLS: Schema = Schema {
    api_key: 29,
    versions: (1, 3),
    flexible_from: 2,
    fields: &[
        field("resource_type_filter", INT8),
        field("resource_name_filter", String).nullable(),
        field("pattern_type_filter", INT8),
        field("principal_filter", String).nullable(),
        field("host_filter", String).nullable(),
        field("operation", INT8),
        field("permission_type", INT8),
    ],
};

/// v1 is flexible (KIP-546).
pub(super) static DESCRIBE_CLIENT_QUOTAS: Schema = Schema {
    api_key: 48,
    versions: (0, 1),
    flexible_from: 1,
    fields: &[
        field(
            "components",
            Array(&Struct(&[
                field("entity_type", String),
                field("match_type", INT8),
                field("_match", String).nullable(),
            ])),
        ),
        field("strict", BOOL),
    ],
};

/// Flexible from the start (KIP-554).
pub(super) static DESCRIBE_USER_SCRAM_CREDENTIALS: Schema = Schema {
    api_key: 50,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[field("users", Array(&Struct(&[field("name", String)]))).nullable()],
};
