//! The start of a connection: SaslHandshake (17), ApiVersions (18), SaslAuthenticate (36).

use super::super::schema::Kind::{Bytes, String};
use super::super::schema::{Schema, field};

/// Never flexible.
pub(super) static SASL_HANDSHAKE: Schema =
    Schema { api_key: 17, versions: (0, 1), flexible_from: i16::MAX, fields: &[field("mechanism", String)] };

/// v3 is flexible and names the client (KIP-511).
pub(super) static API_VERSIONS: Schema = Schema {
    api_key: 18,
    versions: (0, 4),
    flexible_from: 3,
    fields: &[
        field("client_software_name", String).since(3),
        field("client_software_version", String).since(3),
    ],
};

/// v2 is flexible.
pub(super) static SASL_AUTHENTICATE: Schema =
    Schema { api_key: 36, versions: (0, 2), flexible_from: 2, fields: &[field("auth_bytes", Bytes)] };
