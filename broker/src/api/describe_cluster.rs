//! DescribeCluster (60), versions 0-2: the nodes, for administrators (KIP-700).
//!
//! * v1: brokers or controllers may be asked for (KIP-919). Clients cannot reach the controller by itself, so
//!   asking for controllers is answered as a Kafka broker answers it, with MISMATCHED_ENDPOINT_TYPE.
//! * v2: nodes that are not heard of can be included, and are marked (KIP-1073).

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::MetadataImage;

use super::authorized_operations;
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::endpoints::{Endpoint, Endpoints};
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeCluster;

/// Kafka's numbers for kinds of endpoints.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Handler for DescribeCluster {
    type Request = DescribeClusterRequest;
    const SERVED: Versions = Versions::new(0, 2);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let response = match request.endpoint_type {
            BROKERS => {
                let image = broker.image();
                let endpoints = broker.endpoints(&image, context.listener());
                describe(&image, &endpoints, context.listener(), &request)
                    .with_cluster_id(StrBytes::from_string(broker.node.cluster_id().to_owned()))
                    .with_controller_id(endpoints.controller(broker.node.controller()))
            }
            CONTROLLERS => refused(
                ResponseError::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
            ),
            _ => refused(ResponseError::UnsupportedEndpointType, "Unsupported endpoint type"),
        };
        context.now(&response)
    }
}

/// The nodes of `image`, as clients of `listener` are told of them.
fn describe(
    image: &MetadataImage,
    endpoints: &Endpoints,
    listener: &str,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let brokers = image.brokers().filter_map(|registered| {
        let is_fenced = !endpoints.is_live(registered.node);
        let Endpoint { node, host, port, rack } = Endpoint::of(registered, listener)?;
        (!is_fenced || request.include_fenced_brokers).then(|| {
            DescribeClusterBroker::default()
                .with_broker_id(node)
                .with_host(host)
                .with_port(port)
                .with_rack(rack)
                .with_is_fenced(is_fenced)
        })
    });
    let operations = if request.include_cluster_authorized_operations {
        authorized_operations::CLUSTER
    } else {
        authorized_operations::NOT_ASKED
    };
    DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(operations)
}

fn refused(error: ResponseError, message: &'static str) -> DescribeClusterResponse {
    DescribeClusterResponse::default()
        .with_error_code(error.code())
        .with_error_message(Some(StrBytes::from_static_str(message)))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::controller::{Broker as Registration, ControllerRecord, Listener};
    use trilog_cluster::ids::NodeId;
    use uuid::Uuid;

    use super::*;

    /// Nodes 1 and 2, of which node 2 has not been heard of.
    fn described(include_fenced: bool) -> DescribeClusterResponse {
        let mut image = MetadataImage::default();
        for node in [1, 2] {
            image.replay(&ControllerRecord::BrokerRegistered(Registration {
                node: NodeId(node),
                incarnation: Uuid::nil(),
                listeners: vec![Listener { name: "PLAINTEXT".into(), host: "h".into(), port: 9092 }],
                rack: None,
            }));
        }
        let endpoints = Endpoints::new(&image, "PLAINTEXT", |node| node == NodeId(1));
        let request = DescribeClusterRequest::default().with_include_fenced_brokers(include_fenced);
        describe(&image, &endpoints, "PLAINTEXT", &request)
    }

    #[test]
    fn silent_nodes_are_told_on_request() {
        let nodes = |response: DescribeClusterResponse| -> Vec<_> {
            response.brokers.iter().map(|broker| (broker.broker_id.0, broker.is_fenced)).collect()
        };
        assert_eq!(nodes(described(false)), [(1, false)]);
        assert_eq!(nodes(described(true)), [(1, false), (2, true)]);
    }

    #[test]
    fn every_version_can_carry_it() {
        for version in DescribeCluster::SERVED.min..=DescribeCluster::SERVED.max {
            described(version >= 2).encode(&mut BytesMut::new(), version).unwrap();
            let refusal = refused(ResponseError::MismatchedEndpointType, "brokers only");
            refusal.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
