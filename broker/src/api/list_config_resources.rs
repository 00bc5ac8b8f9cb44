//! ListConfigResources (74), versions 0-1: what there are settings of, by kind (KIP-1142).
//!
//! Topics and nodes have settings whether any was set or not, and nodes have loggers under the same names. Groups are listed
//! that settings were given for. Clients' metrics are not collected, so nothing is listed of that kind, which is the only one
//! in version 0. A kind that Kafka has no list of is answered with UNSUPPORTED_VERSION for the whole request.
//!
//! * v1: all kinds, and a filter by them.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::MetadataImage;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::config_description::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::connection::Reply;

/// See the module.
pub(super) struct ListConfigResources;

/// What a resource takes in an answer that is built and encoded, in bytes.
const RESOURCE_BYTES: usize = 384;

/// From this version on there is more than the metrics of clients.
const KINDS_FROM: i16 = 1;

impl Handler for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    const SERVED: Versions = Versions::new(0, 1);

    fn answer_bytes(broker: &Broker, _: &Self::Request, version: i16) -> usize {
        let image = broker.image();
        let resources = image.topics().len() + 2 * image.brokers().len() + image.groups_with_configs().len();
        if version < KINDS_FROM { 0 } else { resources * RESOURCE_BYTES }
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let kinds = kinds(request.resource_types, context.version);
        context.now(&answer(&broker.image(), kinds))
    }
}

/// The kinds that are asked for, each once.
///
/// # Errors
///
/// UNSUPPORTED_VERSION for a kind that is none.
fn kinds(asked: Vec<i8>, version: i16) -> Result<BTreeSet<i8>, ResponseError> {
    let all = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
    let known = if version < KINDS_FROM { &[CLIENT_METRICS][..] } else { &all };
    if asked.is_empty() {
        return Ok(known.iter().copied().collect());
    }
    let asked: BTreeSet<i8> = asked.into_iter().collect();
    let are_known = asked.iter().all(|kind| known.contains(kind));
    if are_known { Ok(asked) } else { Err(ResponseError::UnsupportedVersion) }
}

fn answer(image: &MetadataImage, kinds: Result<BTreeSet<i8>, ResponseError>) -> ListConfigResourcesResponse {
    match kinds {
        Ok(kinds) => ListConfigResourcesResponse::default()
            .with_config_resources(kinds.into_iter().flat_map(|kind| resources(image, kind)).collect()),
        Err(error) => ListConfigResourcesResponse::default().with_error_code(error.code()),
    }
}

fn resources(image: &MetadataImage, kind: i8) -> Vec<ConfigResource> {
    let resource = |name: String| {
        ConfigResource::default().with_resource_name(StrBytes::from_string(name)).with_resource_type(kind)
    };
    match kind {
        TOPIC => image.topics().map(|topic| resource(topic.name.to_string())).collect(),
        BROKER | BROKER_LOGGER => image.brokers().map(|broker| resource(broker.node.to_string())).collect(),
        GROUP => image.groups_with_configs().cloned().map(resource).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::controller::{
        Broker as Registration, ControllerRecord, PartitionRecord, configs::Configs,
    };
    use trilog_cluster::ids::{NodeId, TopicId};
    use uuid::Uuid;

    use super::*;

    /// Node 1 and topic `t`.
    fn image() -> MetadataImage {
        let mut image = MetadataImage::default();
        image.replay(&ControllerRecord::BrokerRegistered(Registration {
            node: NodeId(1),
            incarnation: Uuid::nil(),
            listeners: Vec::new(),
            rack: None,
        }));
        image.replay(&ControllerRecord::TopicCreated {
            name: "t".into(),
            id: TopicId(Uuid::from_u128(7)),
            partitions: vec![PartitionRecord { group: 1, replicas: vec![NodeId(1)] }],
            configs: Configs::new(),
        });
        image
    }

    fn told(asked: &[i8], version: i16) -> (i16, Vec<(i8, String)>) {
        let answer = answer(&image(), kinds(asked.to_vec(), version));
        answer.encode(&mut BytesMut::new(), version).unwrap();
        let name = |resource: &ConfigResource| (resource.resource_type, resource.resource_name.to_string());
        (answer.error_code, answer.config_resources.iter().map(name).collect())
    }

    #[test]
    fn resources_are_listed_by_kind() {
        let topic = || (TOPIC, "t".to_owned());
        assert_eq!(told(&[TOPIC, TOPIC], 1), (0, vec![topic()]));
        assert_eq!(
            told(&[], 1),
            (0, vec![topic(), (BROKER, "1".to_owned()), (BROKER_LOGGER, "1".to_owned())])
        );
        assert_eq!(told(&[], 0), (0, vec![]));
        assert_eq!(told(&[TOPIC, 3], 1), (35, vec![]));
    }
}
