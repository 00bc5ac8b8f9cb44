//! Configurations: DescribeConfigs (32), AlterConfigs (33), IncrementalAlterConfigs (44), ListConfigResources (74).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, INT8, Schema, field};

/// v3 may ask for documentation (KIP-569), v4 is flexible.
pub(super) static DESCRIBE_CONFIGS: Schema = Schema {
    api_key: 32,
    versions: (1, 4),
    flexible_from: 4,
    fields: &[
        field(
            "resources",
            Array(&Struct(&[
                field("resource_type", INT8),
                field("resource_name", String),
                field("configuration_keys", Array(&String)).nullable(),
            ])),
        ),
        field("include_synonyms", BOOL),
        field("include_documentation", BOOL).since(3),
    ],
};

/// v2 is flexible.
pub(super) static ALTER_CONFIGS: Schema = Schema {
    api_key: 33,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[
        field(
            "resources",
            Array(&Struct(&[
                field("resource_type", INT8),
                field("resource_name", String),
                field("configs", Array(&Struct(&[field("name", String), field("value", String).nullable()]))),
            ])),
        ),
        field("validate_only", BOOL),
    ],
};

/// v1 is flexible (KIP-339).
pub(super) static INCREMENTAL_ALTER_CONFIGS: Schema = Schema {
    api_key: 44,
    versions: (0, 1),
    flexible_from: 1,
    fields: &[
        field(
            "resources",
            Array(&Struct(&[
                field("resource_type", INT8),
                field("resource_name", String),
                field(
                    "configs",
                    Array(&Struct(&[
                        field("name", String),
                        field("config_operation", INT8),
                        field("value", String).nullable(),
                    ])),
                ),
            ])),
        ),
        field("validate_only", BOOL),
    ],
};

/// Flexible from the start; v0 lists subscriptions of client metrics alone (KIP-1142).
pub(super) static LIST_CONFIG_RESOURCES: Schema = Schema {
    api_key: 74,
    versions: (0, 1),
    flexible_from: 0,
    fields: &[field("resource_types", Array(&INT8)).since(1)],
};
