//! AlterConfigs (33), versions 0-2: all of a topic's settings are replaced by the ones given.
//!
//! Superseded by IncrementalAlterConfigs, which cannot undo what somebody else has set meanwhile; older tools
//! still use this one. See [`config_alteration`](super::config_alteration) for what can be changed.
//!
//! * v1: throttling is the client's to wait out. v2: flexible.

use std::sync::Arc;

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use trilog_cluster::controller::ConfigChange;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::config_alteration::{Altered, Resource, alter};
use super::item_error::parts;
use crate::connection::Reply;

/// See the module.
pub(super) struct AlterConfigs;

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;
    const SERVED: Versions = Versions::new(0, 2);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let broker = Arc::clone(broker);
        let client = context.connection.peer.ip();
        let resources: Vec<_> = request.resources.into_iter().map(resource).collect();
        context.later(async move {
            let altered = alter(&broker, client, resources, request.validate_only).await;
            AlterConfigsResponse::default().with_responses(altered.into_iter().map(response).collect())
        })
    }
}

fn resource(resource: AlterConfigsResource) -> Resource {
    let configs = resource.configs.into_iter();
    let configs =
        configs.map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())));
    Resource {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        change: Ok(ConfigChange::Replace(configs.collect())),
    }
}

fn response(altered: Altered) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = parts(&altered.outcome);
    AlterConfigsResourceResponse::default()
        .with_error_code(error_code)
        .with_error_message(error_message)
        .with_resource_type(altered.resource_type)
        .with_resource_name(altered.name)
}
