//! DescribeClientQuotas (48), versions 0-1: the quotas of users, clients and addresses (KIP-546). There are none; a filter is
//! checked all the same.
//!
//! * v1: flexible.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::item_error::{ItemError, parts};
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeClientQuotas;

/// Kafka's kinds of entities that may have quotas.
const IP: &str = "ip";
const USER: &str = "user";
const CLIENT_ID: &str = "client-id";

impl Handler for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    const SERVED: Versions = Versions::new(0, 1);

    fn handle(_: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        context.now(&answer(&check(&request.components)))
    }
}

fn answer(outcome: &Result<(), ItemError>) -> DescribeClientQuotasResponse {
    let (error_code, message) = parts(outcome);
    DescribeClientQuotasResponse::default()
        .with_error_code(error_code)
        .with_error_message(message)
        .with_entries(outcome.is_ok().then(Vec::new))
}

fn check(components: &[ComponentData]) -> Result<(), ItemError> {
    let invalid = |why: String| Err(ItemError::new(ResponseError::InvalidRequest, why));
    let mut kinds = BTreeSet::new();
    for component in components {
        let kind = component.entity_type.as_str();
        if !kinds.insert(kind) {
            return invalid(format!("Entity type {kind} cannot appear more than once in the filter."));
        }
        if kind.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if ![IP, USER, CLIENT_ID].contains(&kind) {
            let why = format_args!("Unsupported entity type {kind}");
            return Err(ItemError::new(ResponseError::UnsupportedVersion, why));
        }
        match (component.match_type, component._match.is_some()) {
            (0, true) | (1 | 2, false) => {}
            (0, false) => {
                return invalid(
                    "Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned(),
                );
            }
            (1, true) => {
                return invalid(
                    "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.".to_owned(),
                );
            }
            (2, true) => {
                return invalid(
                    "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.".to_owned(),
                );
            }
            (other, _) => return invalid(format!("Unknown match type {other}")),
        }
    }
    if kinds.contains(IP) && kinds.len() > 1 {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used with user or \
             clientId filter component."
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    fn component(kind: &'static str, match_type: i8, text: Option<&'static str>) -> ComponentData {
        ComponentData::default()
            .with_entity_type(StrBytes::from_static_str(kind))
            .with_match_type(match_type)
            .with_match(text.map(StrBytes::from_static_str))
    }

    #[test]
    fn a_filter_is_checked_and_finds_nothing() {
        let code = |components: &[ComponentData]| answer(&check(components)).error_code;
        assert_eq!(code(&[]), 0);
        assert_eq!(code(&[component(USER, 0, Some("u")), component(CLIENT_ID, 2, None)]), 0);
        assert_eq!(code(&[component(USER, 2, None), component(USER, 1, None)]), 42);
        assert_eq!(code(&[component("group", 2, None)]), 35);
        for wrong in [component(USER, 0, None), component(USER, 1, Some("u")), component(USER, 7, None)] {
            assert_eq!(code(&[wrong]), 42);
        }
        assert_eq!(code(&[component(IP, 1, None), component(USER, 1, None)]), 42);
    }

    #[test]
    fn every_version_can_carry_either() {
        for version in DescribeClientQuotas::SERVED.min..=DescribeClientQuotas::SERVED.max {
            for outcome in [check(&[]), check(&[component("", 2, None)])] {
                let response = answer(&outcome);
                assert_eq!(response.entries.is_some(), response.error_code == 0);
                response.encode(&mut BytesMut::new(), version).unwrap();
            }
        }
    }
}
