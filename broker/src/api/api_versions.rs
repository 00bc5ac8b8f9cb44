//! ApiVersions (18), versions 0-4: what this node speaks. The first request on nearly every connection.
//!
//! Answered from the table that dispatches. A request of a version above ours is answered too, in the format
//! of v0, with UNSUPPORTED_VERSION and this API's own range, so that the client can ask again (KIP-511). No
//! features are listed: each that Kafka has names an agreement on something Trilog does not do.
//!
//! * v1: throttle time. v2: nothing new on the wire.
//! * v3: flexible; the client says which software it is; features.
//! * v4: features whose lowest version is 0 may be listed.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::Request as RequestMessage;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::table;
use crate::connection::Reply;

/// See the module.
pub(super) struct ApiVersions;

/// From this version on clients name their software.
const SOFTWARE_NAMED_FROM: i16 = 3;

impl Handler for ApiVersions {
    type Request = ApiVersionsRequest;
    const SERVED: Versions = Versions::new(0, 4);

    fn handle(_: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let named =
            is_software(&request.client_software_name) && is_software(&request.client_software_version);
        if context.version >= SOFTWARE_NAMED_FROM && !named {
            let refusal =
                ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
            return context.now(&refusal);
        }
        tracing::debug!(
            connection = context.connection.id,
            client_id = context.client_id.as_deref(),
            software = %*request.client_software_name,
            version = %*request.client_software_version,
            "a client introduces itself"
        );
        context.now(&ApiVersionsResponse::default().with_api_keys(table::listed().collect()))
    }
}

/// What a client hears that asked in a version nobody here knows: which ones it may ask in. To be sent as v0.
pub(super) fn unsupported_version() -> ApiVersionsResponse {
    let own = table::listed().filter(|api| api.api_key == ApiVersionsRequest::KEY);
    ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(own.collect())
}

/// Whether a text can be the name or the version of a client's software: letters, digits, `.` and `-`,
/// beginning and ending with a letter or digit.
fn is_software(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()].into_iter().flatten();
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        && ends.into_iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_is_named_as_kafka_wants_it() {
        for name in ["librdkafka", "apache-kafka-java", "2.13.0", "a", "v3.9.0-rc1"] {
            assert!(is_software(name), "{name}");
        }
        for name in ["", "-", "a-", ".a", "a b", "a_b", "\u{e9}"] {
            assert!(!is_software(name), "{name}");
        }
    }

    #[test]
    fn an_unknown_version_is_told_this_apis_range() {
        let response = unsupported_version();
        assert_eq!(response.error_code, 35);
        let ranges: Vec<_> =
            response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        assert_eq!(ranges, [(18, 0, 4)]);
    }
}
