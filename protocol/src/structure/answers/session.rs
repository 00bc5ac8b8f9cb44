//! The first answers of a connection: SaslHandshake (17), ApiVersions (18), SaslAuthenticate (36).

use super::super::schema::Kind::{Array, Bytes, String, Struct};
use super::super::schema::{BOOL, Field, INT16, INT32, INT64, Schema, field, tagged};

pub(super) static SASL_HANDSHAKE: Schema = Schema {
    api_key: 17,
    versions: (0, 1),
    flexible_from: i16::MAX,
    fields: &[field("error_code", INT16), field("mechanisms", Array(&String))],
};

pub(super) static API_VERSIONS: Schema = Schema {
    api_key: 18,
    versions: (0, 4),
    flexible_from: 3,
    fields: &[
        field("error_code", INT16),
        field("api_keys", Array(&Struct(API_VERSIONS_VERSION))),
        field("throttle_time_ms", INT32).since(1),
        tagged(0, "supported_features", Array(&Struct(API_VERSIONS_SUPPORTED_FEATURE_KEY))).since(3),
        tagged(1, "finalized_features_epoch", INT64).since(3),
        tagged(2, "finalized_features", Array(&Struct(API_VERSIONS_FINALIZED_FEATURE_KEY))).since(3),
        tagged(3, "zk_migration_ready", BOOL).since(3),
    ],
};

const API_VERSIONS_VERSION: &[Field] =
    &[field("api_key", INT16), field("min_version", INT16), field("max_version", INT16)];

const API_VERSIONS_SUPPORTED_FEATURE_KEY: &[Field] =
    &[field("name", String), field("min_version", INT16), field("max_version", INT16)];

const API_VERSIONS_FINALIZED_FEATURE_KEY: &[Field] =
    &[field("name", String), field("max_version_level", INT16), field("min_version_level", INT16)];

pub(super) static SASL_AUTHENTICATE: Schema = Schema {
    api_key: 36,
    versions: (0, 2),
    flexible_from: 2,
    fields: &[
        field("error_code", INT16),
        field("error_message", String).nullable(),
        field("auth_bytes", Bytes),
        field("session_lifetime_ms", INT64).since(1),
    ],
};
