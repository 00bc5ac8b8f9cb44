//! Metadata (3), versions 0-13: the nodes, and which of them lead which partitions.
//!
//! Every node answers alike, from its own copy of the cluster's metadata and from what leaders say of
//! themselves. The addresses are those of the listener the client came in on, and only nodes heard of lately
//! are named. A partition without a known leader is answered LEADER_NOT_AVAILABLE with leader -1, which makes
//! clients ask again.
//!
//! While partitions that are asked for elect a leader, because theirs has just died, the answer waits for the
//! outcome, which takes milliseconds: a client that is told of no leader asks again only after its back-off.
//!
//! A client whose leader dies asks at once, and may be here before this node has noticed that its own connection is gone.
//! So an answer that names other nodes as leaders waits a moment for such news. librdkafka, told once more of a leader that is
//! dead, looks again only after up to a second.
//!
//! A topic that is named and does not exist is made on the way, if the client and `auto.create.topics.enable`
//! allow it; the answer then waits a while for its leaders, so that the client's first produce request finds
//! one. How fast and how many, [`auto_creation`](super::auto_creation) says.
//!
//! * v1: racks, controller, internal topics; all topics are asked for with null, where v0 has the empty list.
//! * v2: cluster id. v3: throttle time. v4: `allow_auto_topic_creation`; below it, it is allowed.
//! * v5: offline replicas. v6: LISTENER_NOT_FOUND exists. v7: leader epochs. v8: authorized operations
//!   (KIP-430).
//! * v9: flexible; from here on clients rely on leader epochs. v10: topic ids in the answer (KIP-516).
//! * v11: the cluster's authorized operations have moved to DescribeCluster. v12: topics may be asked for by
//!   id.
//! * v13: an error for the whole answer, which is never set here (KIP-1102).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;
use trilog_cluster::controller::{CreateTopics, MetadataImage, NewTopic, Partition, Topic, topic_name};
use trilog_cluster::ids::{RaftGroupId, TopicId};
use trilog_cluster::node::Leadership;
use uuid::Uuid;

use super::admin_deadline::{AdminDeadline, Expected};
use super::authorized_operations;
use super::broker::Broker;
use super::call::{Call, CallContext, Handler, Versions};
use super::create_topics::{self, NamedOutcome};
use super::distinct::keep_first;
use super::endpoints::Endpoints;
use super::item_error::ItemError;
use super::partition_description::PartitionDescription;
use crate::connection::Reply;

/// See the module.
pub(super) struct Metadata;

/// How long an answer waits for the leaders of topics that it has made, in milliseconds. Clients ask again
/// anyway.
const AUTO_CREATION_TIMEOUT_MS: i32 = 3_000;

/// How long after a client a node may notice that a peer has died, which is a matter of the kernel and of who runs first.
const NOTICED_WITHIN: Duration = Duration::from_millis(5);

/// How long an answer waits for elections.
pub(super) const ELECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// What a topic and a partition take in an answer that is built and encoded, in bytes.
const TOPIC_BYTES: usize = 512;
const PARTITION_BYTES: usize = 384;

/// From this version on null, and not the empty list, asks for all topics.
const ALL_IS_NULL_FROM: i16 = 1;
/// From this version on the client says whether topics may be made.
const AUTO_CREATION_ASKED_FROM: i16 = 4;
/// From this version on clients know LISTENER_NOT_FOUND.
const LISTENER_NOT_FOUND_KNOWN_FROM: i16 = 6;
/// The versions whose answer can tell what the client may do to the cluster.
const CLUSTER_OPERATIONS_IN: Versions = Versions::new(8, 10);
/// From this version on topics may be asked for by id. Earlier ones have the field, and must not use it.
const BY_ID_FROM: i16 = 12;

impl Handler for Metadata {
    type Request = MetadataRequest;
    const SERVED: Versions = Versions::new(0, 13);

    fn answer_bytes(broker: &Broker, request: &Self::Request, version: i16) -> usize {
        let image = broker.image();
        let bytes = |topic: &Arc<Topic>| TOPIC_BYTES + topic.partitions.len() * PARTITION_BYTES;
        match named(request, version) {
            None => image.topics().map(bytes).sum(),
            Some(topics) => {
                let mut asked: Vec<_> = topics.iter().map(identity).collect();
                asked.sort_unstable();
                asked.dedup();
                asked.iter().filter_map(|(name, id)| find(&image, name.as_ref(), *id)).map(bytes).sum()
            }
        }
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        if let Some(topics) = &mut request.topics {
            keep_first(topics, identity);
        }
        let missing = if broker.settings().auto_create_topics_enable {
            topics_to_make(&broker.image(), &request, context.version)
        } else {
            BTreeSet::new()
        };
        let (missing, refused) = admit(broker, missing);
        let electing = |broker: &Broker, request: &MetadataRequest, version| {
            asked_partitions(&broker.image(), request, version, |partition| {
                broker.node.is_electing(partition)
            })
        };
        let is_led_elsewhere = asked_partitions(&broker.image(), &request, context.version, |partition| {
            broker.node.leadership(partition.group).is_some_and(|known| known.leader != broker.node.id())
        });
        if missing.is_empty() && !is_led_elsewhere && !electing(broker, &request, context.version) {
            return context.now(&answer(broker, &request, &context, refused.as_ref()));
        }
        let broker = Arc::clone(broker);
        Reply::later(async move {
            let mut refused = refused;
            if !missing.is_empty() {
                refused.get_or_insert_default().extend(make(&broker, missing).await);
            }
            if is_led_elsewhere {
                tokio::time::sleep(NOTICED_WITHIN).await;
            }
            let settled = || !electing(&broker, &request, context.version);
            broker.node.await_published(ELECTION_TIMEOUT, settled).await;
            context.answer(&answer(&broker, &request, &context, refused.as_ref()))
        })
    }
}

/// What a topic is asked for by. Beside an id its name is not looked at.
fn identity(asked: &MetadataRequestTopic) -> (Option<TopicName>, Uuid) {
    (asked.name.clone().filter(|_| asked.topic_id.is_nil()), asked.topic_id)
}

/// The names asked for, unless all topics are.
fn named(request: &MetadataRequest, version: i16) -> Option<&[MetadataRequestTopic]> {
    let topics = request.topics.as_deref()?;
    (version >= ALL_IS_NULL_FROM || !topics.is_empty()).then_some(topics)
}

/// The topic of that name, or of that id.
fn find<'a>(image: &'a MetadataImage, name: Option<&TopicName>, id: Uuid) -> Option<&'a Arc<Topic>> {
    let by_name = name.and_then(|name| image.topic(name));
    by_name.or_else(|| image.topic_by_id(TopicId(id)))
}

/// Whether any partition that is asked for is so.
fn asked_partitions(
    image: &MetadataImage,
    request: &MetadataRequest,
    version: i16,
    is_so: impl Fn(&Partition) -> bool,
) -> bool {
    let any = |topic: &Arc<Topic>| topic.partitions.iter().any(&is_so);
    match named(request, version) {
        None => image.topics().any(any),
        Some(topics) => {
            topics.iter().any(|asked| find(image, asked.name.as_ref(), asked.topic_id).is_some_and(any))
        }
    }
}

/// The topics that this request brings into being, as far as the client goes.
fn topics_to_make(image: &MetadataImage, request: &MetadataRequest, version: i16) -> BTreeSet<String> {
    if version >= AUTO_CREATION_ASKED_FROM && !request.allow_auto_topic_creation {
        return BTreeSet::new();
    }
    let names = named(request, version).into_iter().flatten().filter_map(|topic| topic.name.as_ref());
    let missing = names.filter(|name| image.topic(name).is_none() && topic_name::check(name).is_ok());
    missing.map(|name| name.to_string()).collect()
}

/// Why topics that were to be made are not, by name. Those that are there by now have no entry.
type Refused = BTreeMap<String, ItemError>;

/// Which topics are to be made now, and why others are not, if there are any of those.
fn admit(broker: &Broker, missing: BTreeSet<String>) -> (BTreeSet<String>, Option<Refused>) {
    if missing.is_empty() {
        return (missing, None);
    }
    let (there, each) = (broker.image().partition_count(), broker.settings().num_partitions);
    let (admitted, refused) = broker.auto_creation.admit(missing, Instant::now(), there, each);
    (admitted, (!refused.is_empty()).then(|| refused.into_iter().collect()))
}

/// Makes topics, and waits a while for their leaders. One that is not led in time is told so partition by
/// partition.
async fn make(broker: &Broker, names: BTreeSet<String>) -> Refused {
    let topic = |name: &String| NewTopic {
        name: name.clone(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    let creation = CreateTopics { topics: names.iter().map(topic).collect(), validate_only: false };
    let deadline = AdminDeadline::after(AUTO_CREATION_TIMEOUT_MS);
    let outcomes = match create_topics::submit(broker, creation, deadline).await {
        Ok(outcomes) => outcomes,
        Err(error) => return names.into_iter().map(|name| (name, error.clone())).collect(),
    };
    let there: Vec<_> = outcomes.iter().filter_map(there_by_now).collect();
    deadline.await_leaders(broker, &there).await;
    outcomes.into_iter().filter_map(|(name, outcome)| Some((name, outcome.err()?))).collect()
}

/// The topic, if this request or another one has made it.
fn there_by_now(outcome: &NamedOutcome) -> Option<Expected> {
    match outcome {
        (name, Err(error)) if error.error == ResponseError::TopicAlreadyExists => {
            Some(Expected { name: name.clone(), partitions: 1 })
        }
        _ => create_topics::expected(outcome),
    }
}

/// The answer as of now. `refused` tells what came of the topics that were to be made, if there were any.
fn answer(
    broker: &Broker,
    request: &MetadataRequest,
    context: &CallContext,
    refused: Option<&Refused>,
) -> MetadataResponse {
    let (image, version) = (broker.image(), context.version);
    let endpoints = broker.endpoints(&image, context.listener());
    let view = View {
        image: &image,
        endpoints: &endpoints,
        leadership: &|group| broker.node.leadership(group),
        version,
        operations: if request.include_topic_authorized_operations {
            authorized_operations::TOPIC
        } else {
            authorized_operations::NOT_ASKED
        },
    };
    let topics = match named(request, version) {
        None => image.topics().map(|topic| view.topic(topic)).collect(),
        Some(topics) => topics.iter().map(|topic| view.asked(topic, refused)).collect(),
    };
    let cluster_operations =
        if request.include_cluster_authorized_operations && CLUSTER_OPERATIONS_IN.contain(version) {
            authorized_operations::CLUSTER
        } else {
            authorized_operations::NOT_ASKED
        };
    let brokers = endpoints.reachable().map(|endpoint| {
        MetadataResponseBroker::default()
            .with_node_id(endpoint.node)
            .with_host(endpoint.host.clone())
            .with_port(endpoint.port)
            .with_rack(endpoint.rack.clone())
    });
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(StrBytes::from_string(broker.node.cluster_id().to_owned())))
        .with_controller_id(endpoints.controller(broker.node.controller()))
        .with_topics(topics)
        .with_cluster_authorized_operations(cluster_operations)
}

/// What one answer is made from.
struct View<'a> {
    image: &'a MetadataImage,
    endpoints: &'a Endpoints,
    leadership: &'a dyn Fn(RaftGroupId) -> Option<Leadership>,
    version: i16,
    /// What to tell of the client's rights to a topic.
    operations: i32,
}

impl View<'_> {
    /// The answer for one topic that was asked for.
    fn asked(&self, asked: &MetadataRequestTopic, refused: Option<&Refused>) -> MetadataResponseTopic {
        let MetadataRequestTopic { topic_id, name, .. } = asked;
        if self.version < BY_ID_FROM && (name.is_none() || !topic_id.is_nil()) {
            return missing(name.clone(), *topic_id, ResponseError::InvalidRequest);
        }
        match name {
            _ if !topic_id.is_nil() => match self.image.topic_by_id(TopicId(*topic_id)) {
                Some(topic) => self.topic(topic),
                None => missing(None, *topic_id, ResponseError::UnknownTopicId),
            },
            None => missing(None, *topic_id, ResponseError::UnknownTopicId),
            Some(name) => match self.image.topic(name) {
                Some(topic) => self.topic(topic),
                None => missing(Some(name.clone()), Uuid::nil(), why_missing(name, refused)),
            },
        }
    }

    fn topic(&self, topic: &Topic) -> MetadataResponseTopic {
        let partitions = topic.indexed_partitions().map(|(index, partition)| {
            let described = PartitionDescription::new(
                partition,
                (self.leadership)(partition.group).as_ref(),
                self.endpoints,
            );
            let error_code = match described.error {
                Some(ResponseError::ListenerNotFound) if self.version < LISTENER_NOT_FOUND_KNOWN_FROM => {
                    ResponseError::LeaderNotAvailable.code()
                }
                _ => described.error_code(),
            };
            MetadataResponsePartition::default()
                .with_error_code(error_code)
                .with_partition_index(index.0)
                .with_leader_id(described.leader)
                .with_leader_epoch(described.leader_epoch)
                .with_replica_nodes(described.replicas)
                .with_isr_nodes(described.isr)
                .with_offline_replicas(described.offline)
        });
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
            .with_topic_id(topic.id.0)
            .with_is_internal(topic_name::is_internal(&topic.name))
            .with_partitions(partitions.collect())
            .with_topic_authorized_operations(self.operations)
    }
}

fn missing(name: Option<TopicName>, id: Uuid, error: ResponseError) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_name(name).with_topic_id(id).with_error_code(error.code())
}

/// Why a name that was asked for is not there.
fn why_missing(name: &str, refused: Option<&Refused>) -> ResponseError {
    if topic_name::check(name).is_err() {
        return ResponseError::InvalidTopicException;
    }
    match refused {
        None => ResponseError::UnknownTopicOrPartition,
        // Where it may be there in a moment, the client is to ask again.
        Some(refused) => match refused.get(name).map(|error| error.error) {
            None | Some(ResponseError::TopicAlreadyExists | ResponseError::RequestTimedOut) => {
                ResponseError::LeaderNotAvailable
            }
            Some(error) => error,
        },
    }
}

#[cfg(test)]
mod tests;
