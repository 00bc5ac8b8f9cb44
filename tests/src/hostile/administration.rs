//! Requests of administrators, as large and as many as a stranger may send them: elections of everything at once, producers of
//! partitions by the ten thousand, settings padded to their longest, and questions about all that the cluster has.

use std::sync::Arc;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeLogDirsRequest, DescribeProducersRequest, ElectLeadersRequest,
    IncrementalAlterConfigsRequest, ListConfigResourcesRequest, ListGroupsRequest,
    ListPartitionReassignmentsRequest, ListTransactionsRequest, MetadataRequest,
};
use kafka_protocol::protocol::Request;
use tokio::task::JoinSet;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};
use crate::requests::{text, topic_name};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "administration",
    what: "elections, producers, settings and descriptions of everything, in the longest requests and very often",
    cluster: || ClusterOptions::nodes(3),
    prepare: |cluster, size| -> Attack<'_> {
        Box::pin(super::create_wide(cluster, TOPIC, size.choose(200, 10_000)))
    },
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

const TOPIC: &str = "wide";

/// The kinds of resources: Kafka's numbers.
const TOPIC_RESOURCE: i8 = 2;
const GROUP_RESOURCE: i8 = 32;

/// Requests that a connection has open at a time.
const PIPELINED: usize = 8;

/// The longest string of a request.
const LONGEST: usize = 32_767;

async fn attack(cluster: &mut Cluster, size: Size) {
    let crowd = size.choose(4, 24);
    elections(cluster, crowd, size).await;
    producers(cluster, crowd, size).await;
    padded_settings(cluster, crowd, size).await;
    descriptions(cluster, crowd, size).await;
}

/// Sends a request from `crowd` connections to each node, some times from each. Every one is answered.
async fn ask<R: Request + Clone + Send + Sync + 'static>(cluster: &Cluster, crowd: usize, request: R)
where
    R::Response: Send,
{
    let request = Arc::new(request);
    let mut clients = JoinSet::new();
    for id in cluster.ids().into_iter().flat_map(|id| std::iter::repeat_n(id, crowd)) {
        let (connection, request) = (cluster.connect(id).await, Arc::clone(&request));
        clients.spawn(async move {
            let mut open = Vec::new();
            for _ in 0..PIPELINED {
                open.push(connection.enqueue((*request).clone()).await.expect("the node takes requests"));
            }
            for answer in open {
                answer.answer().await.unwrap_or_else(|error| panic!("{}: {error}", R::KEY));
            }
        });
    }
    clients.join_all().await;
}

async fn elections(cluster: &Cluster, crowd: usize, size: Size) {
    let all = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(1_000);
    ask(cluster, crowd, all.clone()).await;
    let partitions = (0..size.choose(2_000, 60_000)).collect();
    let topic = TopicPartitions::default().with_topic(topic_name(TOPIC)).with_partitions(partitions);
    ask(cluster, crowd, all.with_topic_partitions(Some(vec![topic; 2]))).await;
}

async fn producers(cluster: &Cluster, crowd: usize, size: Size) {
    let partitions = (0..size.choose(2_000, 60_000)).collect();
    let topic = TopicRequest::default().with_name(topic_name(TOPIC)).with_partition_indexes(partitions);
    ask(cluster, crowd, DescribeProducersRequest::default().with_topics(vec![topic; 2])).await;
}

/// Values that are as long as strings may be, for groups and a topic, and the longest names.
async fn padded_settings(cluster: &Cluster, crowd: usize, size: Size) {
    let padding = " ".repeat(LONGEST - 10);
    let value = |name: &str, value: String| {
        AlterableConfig::default().with_name(text(name)).with_value(Some(text(&value)))
    };
    let group = |number: usize| {
        AlterConfigsResource::default()
            .with_resource_type(GROUP_RESOURCE)
            .with_resource_name(text(&format!("group-{number}")))
            .with_configs(vec![value("consumer.session.timeout.ms", format!("{padding}45000"))])
    };
    let topic = AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(TOPIC))
        .with_configs(vec![
            value("retention.ms", format!("{padding}604800000")),
            value(&"n".repeat(LONGEST), padding.clone()),
        ]);
    let groups = (0..size.choose(50, 400)).map(group);
    let resources = groups.chain(std::iter::once(topic)).collect();
    ask(cluster, crowd / 4, IncrementalAlterConfigsRequest::default().with_resources(resources)).await;

    let named = |name: usize| {
        let resource = DescribeConfigsResource::default().with_resource_type(GROUP_RESOURCE);
        resource.with_resource_name(text(&format!("group-{name}"))).with_configuration_keys(None)
    };
    let request = DescribeConfigsRequest::default().with_resources((0..50).map(named).collect());
    let answer = cluster.connect(1).await.request(request).await.expect("DescribeConfigs is answered");
    let configs = answer.results.iter().flat_map(|result| &result.configs);
    let longest = configs.filter_map(|config| config.value.as_ref().map(|value| value.len())).max();
    assert!(longest.is_none_or(|longest| longest < 1_000), "a padded value is kept: {longest:?} bytes");
}

/// Everything that there is, in every API that tells it.
async fn descriptions(cluster: &Cluster, crowd: usize, size: Size) {
    ask(cluster, crowd, MetadataRequest::default().with_topics(None)).await;
    ask(cluster, crowd, ListConfigResourcesRequest::default()).await;
    ask(cluster, crowd, ListGroupsRequest::default()).await;
    ask(cluster, crowd, ListTransactionsRequest::default()).await;
    ask(cluster, crowd, DescribeLogDirsRequest::default().with_topics(None)).await;
    let all = ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(1_000);
    ask(cluster, crowd, all).await;
    let named = |name: usize| {
        let resource = DescribeConfigsResource::default().with_resource_type(GROUP_RESOURCE);
        resource.with_resource_name(text(&format!("group-{name}"))).with_configuration_keys(None)
    };
    let resources = (0..size.choose(100, 4_000)).map(named).collect();
    let request = DescribeConfigsRequest::default().with_resources(resources);
    ask(cluster, crowd, request.with_include_synonyms(true).with_include_documentation(true)).await;
}
