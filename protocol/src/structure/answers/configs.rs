//! Answers about settings: DescribeConfigs (32), AlterConfigs (33), IncrementalAlterConfigs (44), ListConfigResources (74).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{BOOL, Field, INT8, INT16, INT32, Schema, field};

pub(super) static DESCRIBE_CONFIGS: Schema = Schema {
    api_key: 32,
    versions: (1, 4),
    flexible_from: 4,
    fields: &[field("throttle_time_ms", INT32), field("results", Array(&Struct(DESCRIBE_CONFIGS_RESULT)))],
};

const DESCRIBE_CONFIGS_RESULT: &[Field] = &[
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("resource_type", INT8),
    field("resource_name", String),
    field("configs", Array(&Struct(DESCRIBE_CONFIGS_RESOURCE_RESULT))),
];

const DESCRIBE_CONFIGS_RESOURCE_RESULT: &[Field] = &[
    field("name", String),
    field("value", String).nullable(),
    field("read_only", BOOL),
    field("config_source", INT8),
    field("is_sensitive", BOOL),
    field("synonyms", Array(&Struct(DESCRIBE_CONFIGS_SYNONYM))),
    field("config_type", INT8).since(3),
    field("documentation", String).nullable().since(3),
];

const DESCRIBE_CONFIGS_SYNONYM: &[Field] =
    &[field("name", String), field("value", String).nullable(), field("source", INT8)];

pub(super) static ALTER_CONFIGS: Schema = Schema {
    api_key: 33,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[field("throttle_time_ms", INT32), field("responses", Array(&Struct(ALTER_CONFIGS_RESOURCE)))],
};

const ALTER_CONFIGS_RESOURCE: &[Field] = &[
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("resource_type", INT8),
    field("resource_name", String),
];

pub(super) static INCREMENTAL_ALTER_CONFIGS: Schema = Schema {
    api_key: 44,
    versions: (0, 1),
    flexible_from: 1,
    fields: &[
        field("throttle_time_ms", INT32),
        field("responses", Array(&Struct(INCREMENTAL_ALTER_CONFIGS_RESOURCE))),
    ],
};

const INCREMENTAL_ALTER_CONFIGS_RESOURCE: &[Field] = &[
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("resource_type", INT8),
    field("resource_name", String),
];

pub(super) static LIST_CONFIG_RESOURCES: Schema = Schema {
    api_key: 74,
    versions: (0, 1),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("config_resources", Array(&Struct(LIST_CONFIG_RESOURCES_RESOURCE))),
    ],
};

const LIST_CONFIG_RESOURCES_RESOURCE: &[Field] =
    &[field("resource_name", String), field("resource_type", INT8).since(1)];
