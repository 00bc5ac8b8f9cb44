//! Answers about rights, quotas and users: DescribeAcls (29), CreateAcls (30), DeleteAcls (31), DescribeClientQuotas (48),
//! AlterClientQuotas (49), DescribeUserScramCredentials (50), AlterUserScramCredentials (51).

use super::super::schema::Kind::{Array, String, Struct};
use super::super::schema::{FLOAT64, Field, INT8, INT16, INT32, Schema, field};

pub(super) static DESCRIBE_ACLS: Schema = Schema {
    api_key: 29,
    versions: (1, 3),
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("resources", Array(&Struct(DESCRIBE_ACLS_RESOURCE))),
    ],
};

const DESCRIBE_ACLS_RESOURCE: &[Field] = &[
    field("resource_type", INT8),
    field("resource_name", String),
    field("pattern_type", INT8),
    field("acls", Array(&Struct(DESCRIBE_ACLS_ACL_DESCRIPTION))),
];

const DESCRIBE_ACLS_ACL_DESCRIPTION: &[Field] = &[
    field("principal", String),
    field("host", String),
    field("operation", INT8),
    field("permission_type", INT8),
];

pub(super) static CREATE_ACLS: Schema = Schema {
    api_key: 30,
    versions: (1, 3),
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("results", Array(&Struct(CREATE_ACLS_ACL_CREATION_RESULT))),
    ],
};

const CREATE_ACLS_ACL_CREATION_RESULT: &[Field] =
    &[field("error_code", INT16), field("error_message", String).nullable()];

pub(super) static DELETE_ACLS: Schema = Schema {
    api_key: 31,
    versions: (1, 3),
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("filter_results", Array(&Struct(DELETE_ACLS_FILTER_RESULT))),
    ],
};

const DELETE_ACLS_FILTER_RESULT: &[Field] = &[
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("matching_acls", Array(&Struct(DELETE_ACLS_MATCHING_ACL))),
];

const DELETE_ACLS_MATCHING_ACL: &[Field] = &[
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("resource_type", INT8),
    field("resource_name", String),
    field("pattern_type", INT8),
    field("principal", String),
    field("host", String),
    field("operation", INT8),
    field("permission_type", INT8),
];

pub(super) static DESCRIBE_CLIENT_QUOTAS: Schema = Schema {
    api_key: 48,
    versions: (0, 1),
    flexible_from: 1,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("entries", Array(&Struct(DESCRIBE_CLIENT_QUOTAS_ENTRY_DATA))).nullable(),
    ],
};

const DESCRIBE_CLIENT_QUOTAS_ENTRY_DATA: &[Field] = &[
    field("entity", Array(&Struct(DESCRIBE_CLIENT_QUOTAS_ENTITY_DATA))),
    field("values", Array(&Struct(DESCRIBE_CLIENT_QUOTAS_VALUE_DATA))),
];

const DESCRIBE_CLIENT_QUOTAS_ENTITY_DATA: &[Field] =
    &[field("entity_type", String), field("entity_name", String).nullable()];

const DESCRIBE_CLIENT_QUOTAS_VALUE_DATA: &[Field] = &[field("key", String), field("value", FLOAT64)];

pub(super) static ALTER_CLIENT_QUOTAS: Schema = Schema {
    api_key: 49,
    versions: (0, 1),
    flexible_from: 1,
    fields: &[
        field("throttle_time_ms", INT32),
        field("entries", Array(&Struct(ALTER_CLIENT_QUOTAS_ENTRY_DATA))),
    ],
};

const ALTER_CLIENT_QUOTAS_ENTRY_DATA: &[Field] = &[
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("entity", Array(&Struct(ALTER_CLIENT_QUOTAS_ENTITY_DATA))),
];

const ALTER_CLIENT_QUOTAS_ENTITY_DATA: &[Field] =
    &[field("entity_type", String), field("entity_name", String).nullable()];

pub(super) static DESCRIBE_USER_SCRAM_CREDENTIALS: Schema = Schema {
    api_key: 50,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("results", Array(&Struct(DESCRIBE_USER_SCRAM_CREDENTIALS_RESULT))),
    ],
};

const DESCRIBE_USER_SCRAM_CREDENTIALS_RESULT: &[Field] = &[
    field("user", String),
    field("error_code", INT16),
    field("error_message", String).nullable(),
    field("credential_infos", Array(&Struct(DESCRIBE_USER_SCRAM_CREDENTIALS_CREDENTIAL_INFO))),
];

const DESCRIBE_USER_SCRAM_CREDENTIALS_CREDENTIAL_INFO: &[Field] =
    &[field("mechanism", INT8), field("iterations", INT32)];

pub(super) static ALTER_USER_SCRAM_CREDENTIALS: Schema = Schema {
    api_key: 51,
    versions: (0, 0),
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("results", Array(&Struct(ALTER_USER_SCRAM_CREDENTIALS_RESULT))),
    ],
};

const ALTER_USER_SCRAM_CREDENTIALS_RESULT: &[Field] =
    &[field("user", String), field("error_code", INT16), field("error_message", String).nullable()];
