//! Settings of nodes and groups that change while the cluster runs, and levels of loggers.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest, MetadataRequest,
};
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::cluster::{Cluster, ClusterOptions, connection_options};
use trilog_tests::http::sum;
use trilog_tests::requests::{group_id, only, text, topic_name};
use trilog_tests::waiting::wait_until;

const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const GROUP: i8 = 32;

/// Sets a setting, with no value deletes it, and returns the error code.
async fn alter(connection: &Connection, kind: i8, name: &str, setting: &str, value: Option<&str>) -> i16 {
    let config = AlterableConfig::default()
        .with_name(text(setting))
        .with_config_operation(i8::from(value.is_none()))
        .with_value(value.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    only(connection.request(request).await.expect("IncrementalAlterConfigs is answered").responses).error_code
}

/// A setting's value and the number of its source, as one node tells it.
async fn told(connection: &Connection, kind: i8, name: &str, setting: &str) -> Option<(String, i8)> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(vec![text(setting)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let result = only(connection.request(request).await.expect("DescribeConfigs is answered").results);
    let config = result.configs.into_iter().next()?;
    Some((config.value?.to_string(), config.config_source))
}

#[tokio::test]
async fn a_nodes_settings_take_effect_at_once_and_survive_a_restart() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("dynamic").assign(0, &[2, 1, 3]).assign(1, &[1, 2, 3])).await;
    let largest = |bytes: usize| BatchBuilder::new(vec![Record::new(1, vec![b'x'; bytes])]).build();
    let (led_by_2, led_by_1) = (cluster.partition("dynamic", 0).await, cluster.partition("dynamic", 1).await);

    let one = cluster.connect(1).await;
    assert_eq!(alter(&one, BROKER, "", "message.max.bytes", Some("2000")).await, 0);
    assert_eq!(alter(&led_by_2.connection, BROKER, "2", "message.max.bytes", Some("1000")).await, 0);
    let refused = ResponseError::MessageTooLarge.code();
    wait_until("each node has its own bound", async || {
        let first = led_by_1.try_produce(largest(1_500)).await.error_code;
        let second = led_by_2.try_produce(largest(1_500)).await.error_code;
        let beyond = led_by_1.try_produce(largest(2_500)).await.error_code;
        ((first, second, beyond) == (0, refused, refused)).then_some(())
    })
    .await;

    for node in 1..=3 {
        cluster.kill(node);
    }
    for node in 1..=3 {
        cluster.start_node(node);
    }
    cluster.wait_ready().await.expect("all nodes come up");
    for (node, expected) in [(1, ("2000", 3)), (2, ("1000", 2)), (3, ("2000", 3))] {
        let connection = cluster.connect(node).await;
        let told = told(&connection, BROKER, &node.to_string(), "message.max.bytes").await.unwrap();
        assert_eq!((told.0.as_str(), told.1), expected, "node {node}");
    }
    let two = cluster.connect(2).await;
    assert_eq!(alter(&two, BROKER, "2", "message.max.bytes", None).await, 0);
    assert_eq!(alter(&two, BROKER, "", "message.max.bytes", None).await, 0);
    wait_until("the default is back", async || {
        let told = told(&two, BROKER, "2", "message.max.bytes").await;
        (told == Some(("1048588".to_owned(), 5))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_number_of_connections_changes_and_closes_none() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let (first, second) = (cluster.connect(1).await, cluster.connect(1).await);
    let set = async |value| {
        assert_eq!(alter(&first, BROKER, "1", "max.connections", Some(value)).await, 0);
        let changed = format!("max.connections was changed clients={value}");
        wait_until(&changed, async || cluster.node(1).log().contains(&changed).then_some(())).await;
    };
    set("2").await;
    let address = cluster.node(1).address().to_owned();
    let waiting = tokio::spawn(async move { Connection::connect(&address, &connection_options()).await });
    wait_until("a connection waits", async || {
        let samples = cluster.node(1).scrape().await;
        (sum(&samples, "trilog_connections_rejected_total", &[]) > 0.0).then_some(())
    })
    .await;
    second.request(MetadataRequest::default()).await.expect("those that are there are served");
    second.close();
    let third = waiting.await.unwrap().expect("the one that waited is served");
    set("3").await;
    cluster.connect(1).await.request(MetadataRequest::default()).await.expect("one more is served");
    third.request(MetadataRequest::default()).await.expect("so is the one before");
}

#[tokio::test]
async fn a_group_has_settings_of_its_own() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let connection = cluster.connect(1).await;
    assert_eq!(alter(&connection, GROUP, "g", "consumer.heartbeat.interval.ms", Some("7000")).await, 0);
    wait_until("the setting is told", async || {
        let told = told(&connection, GROUP, "g", "consumer.heartbeat.interval.ms").await;
        (told == Some(("7000".to_owned(), 8))).then_some(())
    })
    .await;
    let listed = ListConfigResourcesRequest::default().with_resource_types(vec![GROUP]);
    let listed = connection.request(listed).await.unwrap();
    assert_eq!(only(listed.config_resources).resource_name.as_str(), "g");

    cluster.create(NewTopic::new("grouped").partitions(1)).await;
    let interval = async |group: &str| {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group_id(group))
            .with_member_id(text("AAAAAAAAAAAAAAAAAAAAAA"))
            .with_member_epoch(0)
            .with_rebalance_timeout_ms(60_000)
            .with_subscribed_topic_names(Some(vec![topic_name("grouped")]))
            .with_topic_partitions(Some(Vec::new()));
        connection.request(request).await.unwrap().heartbeat_interval_ms
    };
    // A group that is moving is asked to come back sooner, by the same part of its interval.
    let (own, inherited) = (interval("g").await, interval("other").await);
    assert_eq!(own * 5, inherited * 7, "{own} {inherited}");
}

#[tokio::test]
async fn the_levels_of_loggers_are_the_logs_filter() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let connection = cluster.connect(1).await;
    assert_eq!(alter(&connection, BROKER_LOGGER, "1", "trilog_cluster", Some("DEBUG")).await, 0);
    let level = told(&connection, BROKER_LOGGER, "1", "trilog_cluster").await;
    assert_eq!(level, Some(("DEBUG".to_owned(), 6)));
    assert_eq!(alter(&connection, BROKER_LOGGER, "1", "trilog_cluster", None).await, 0);
    let root = told(&connection, BROKER_LOGGER, "1", "root").await.unwrap();
    assert_eq!(told(&connection, BROKER_LOGGER, "1", "trilog_cluster").await, Some(root));
}
