//! IncrementalAlterConfigs (44), versions 0-1: single settings of a topic are set, unset, or changed as lists
//! (KIP-339).
//!
//! See [`config_alteration`](super::config_alteration) for what can be changed.
//!
//! * v1: flexible.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use trilog_cluster::controller::{ConfigAlteration, ConfigChange, ConfigOperation};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::config_alteration::{Altered, Resource, alter};
use super::item_error::{ItemError, parts};
use crate::connection::Reply;

/// See the module.
pub(super) struct IncrementalAlterConfigs;

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const SERVED: Versions = Versions::new(0, 1);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let broker = Arc::clone(broker);
        let client = context.connection.peer.ip();
        let resources: Vec<_> = request.resources.into_iter().map(resource).collect();
        context.later(async move {
            let altered = alter(&broker, client, resources, request.validate_only).await;
            let responses = altered.into_iter().map(response).collect();
            IncrementalAlterConfigsResponse::default().with_responses(responses)
        })
    }
}

fn resource(resource: AlterConfigsResource) -> Resource {
    let alterations: Result<Vec<_>, _> = resource.configs.into_iter().map(alteration).collect();
    Resource {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        change: alterations.map(ConfigChange::Incremental),
    }
}

fn alteration(config: AlterableConfig) -> Result<ConfigAlteration, ItemError> {
    let operation = match config.config_operation {
        0 => ConfigOperation::Set,
        1 => ConfigOperation::Delete,
        2 => ConfigOperation::Append,
        3 => ConfigOperation::Subtract,
        other => {
            let message = format!("Unknown operation type {other} for config {}", config.name.as_str());
            return Err(ItemError::new(ResponseError::InvalidRequest, message));
        }
    };
    let value = config.value.map(|value| value.to_string());
    Ok(ConfigAlteration { name: config.name.to_string(), operation, value })
}

fn response(altered: Altered) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = parts(&altered.outcome);
    AlterConfigsResourceResponse::default()
        .with_error_code(error_code)
        .with_error_message(error_message)
        .with_resource_type(altered.resource_type)
        .with_resource_name(altered.name)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn asked(operation: i8) -> Resource {
        let config = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("retention.ms"))
            .with_config_operation(operation)
            .with_value(Some(StrBytes::from_static_str("1")));
        resource(AlterConfigsResource::default().with_resource_type(2).with_configs(vec![config]))
    }

    #[test]
    fn operations_are_numbered_as_in_kafka() {
        let operations = [
            ConfigOperation::Set,
            ConfigOperation::Delete,
            ConfigOperation::Append,
            ConfigOperation::Subtract,
        ];
        for (number, expected) in (0..).zip(operations) {
            let Ok(ConfigChange::Incremental(changes)) = asked(number).change else { panic!("{number}") };
            assert_eq!(changes[0].operation, expected);
        }
        assert!(asked(4).change.is_err() && asked(-1).change.is_err());
    }
}
