//! Metadata: brokers, topics, leaders.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use trilog_client::wire::Connection;
use trilog_tests::admin::{NewTopic, topic_metadata};
use trilog_tests::cluster::{CLUSTER_ID, listed, shared};
use trilog_tests::requests::{error, only, served, topic_name};
use trilog_tests::waiting::wait_until;
use uuid::Uuid;

/// Asks about topics by name in a certain version.
async fn ask(connection: &Connection, version: i16, names: &[&str], create: bool) -> MetadataResponse {
    let topics =
        names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name)))).collect();
    let request = MetadataRequest::default().with_topics(Some(topics));
    // Below version 4 there is no such field, and topics are always created; its default is true.
    let request = if version >= 4 { request.with_allow_auto_topic_creation(create) } else { request };
    connection.request_at_version(request, version).await.unwrap()
}

#[tokio::test]
async fn every_version_tells_brokers_topics_and_leaders() {
    let cluster = shared().await;
    let id = cluster.create(NewTopic::new("metadata-versions").partitions(2)).await;
    cluster.wait_shown("metadata-versions").await;
    let connection = cluster.connect(2).await;
    for version in served::<MetadataRequest>(&connection) {
        let answer = ask(&connection, version, &["metadata-versions"], false).await;
        assert_eq!(listed(&answer), cluster.ids(), "version {version}");
        for broker in &answer.brokers {
            let address = format!("{}:{}", broker.host, broker.port);
            assert_eq!(address, cluster.node(broker.node_id.0).address(), "version {version}");
        }
        if version >= 1 {
            assert!(cluster.ids().contains(&answer.controller_id.0), "version {version}");
        }
        if version >= 2 {
            assert_eq!(answer.cluster_id.as_deref(), Some(CLUSTER_ID), "version {version}");
        }
        let topic = only(answer.topics);
        assert_eq!((error(topic.error_code), topic.is_internal), (None, false), "version {version}");
        assert_eq!(topic.name, Some(topic_name("metadata-versions")));
        assert_eq!(topic.topic_id, if version >= 10 { id } else { Uuid::nil() }, "version {version}");
        assert_eq!(topic.partitions.len(), 2);
        for partition in topic.partitions {
            assert_eq!(error(partition.error_code), None, "version {version}");
            assert!(partition.replica_nodes.contains(&partition.leader_id));
            assert!(partition.isr_nodes.contains(&partition.leader_id));
            assert_eq!(partition.replica_nodes.len(), 3, "the default factor is 3 on three nodes");
            assert!(partition.offline_replicas.is_empty());
            assert!(if version >= 7 { partition.leader_epoch >= 0 } else { partition.leader_epoch == -1 });
        }
    }
}

#[tokio::test]
async fn no_list_means_all_topics_and_an_empty_one_none() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("metadata-all")).await;
    cluster.wait_shown("metadata-all").await;
    let connection = cluster.connect(1).await;
    let names = async |topics, version| {
        let request = MetadataRequest::default().with_topics(topics);
        let answer = connection.request_at_version(request, version).await.unwrap();
        answer.topics.into_iter().filter_map(|topic| topic.name).collect::<Vec<_>>()
    };
    for version in served::<MetadataRequest>(&connection) {
        let wanted = topic_name("metadata-all");
        match version {
            // Version 0 cannot send a null list.
            0 => assert!(names(Some(Vec::new()), 0).await.contains(&wanted)),
            _ => {
                assert!(names(None, version).await.contains(&wanted), "version {version}");
                assert!(names(Some(Vec::new()), version).await.is_empty(), "version {version}");
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_topic_is_not_created_where_the_client_forbids_it() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    for version in 4..=*served::<MetadataRequest>(&connection).end() {
        let topic = only(ask(&connection, version, &["metadata-forbidden"], false).await.topics);
        assert_eq!(
            error(topic.error_code),
            Some(ResponseError::UnknownTopicOrPartition),
            "version {version}"
        );
        assert_eq!(topic.name, Some(topic_name("metadata-forbidden")), "the name comes back");
    }
    let all = connection.request(MetadataRequest::default().with_topics(None)).await.unwrap();
    assert!(all.topics.iter().all(|topic| topic.name != Some(topic_name("metadata-forbidden"))));
}

#[tokio::test]
async fn an_unknown_topic_is_created_with_the_defaults_where_the_client_allows_it() {
    let cluster = shared().await;
    let connection = cluster.connect(3).await;
    let newest = *served::<MetadataRequest>(&connection).end();
    for (version, name) in [(1, "metadata-auto-1"), (4, "metadata-auto-4"), (newest, "metadata-auto-newest")]
    {
        let topic = wait_until("the topic is created", async || {
            let topic = only(ask(&connection, version, &[name], true).await.topics);
            match error(topic.error_code) {
                None => Some(topic),
                Some(ResponseError::LeaderNotAvailable | ResponseError::UnknownTopicOrPartition) => None,
                other => panic!("{other:?}"),
            }
        })
        .await;
        assert_eq!(only(topic.partitions).replica_nodes.len(), 3, "version {version}");
    }
}

#[tokio::test]
async fn names_that_kafka_refuses_are_refused() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "ä", &long] {
        for create in [true, false] {
            let topic = only(ask(&connection, 9, &[name], create).await.topics);
            let code = error(topic.error_code);
            let refused = matches!(
                code,
                Some(ResponseError::InvalidTopicException | ResponseError::UnknownTopicOrPartition)
            );
            assert!(refused, "{name:?}: {code:?}");
            assert!(!create || code == Some(ResponseError::InvalidTopicException), "{name:?}: {code:?}");
        }
    }
}

#[tokio::test]
async fn a_topic_is_found_by_its_id() {
    let cluster = shared().await;
    let id = cluster.create(NewTopic::new("metadata-by-id")).await;
    cluster.wait_shown("metadata-by-id").await;
    let connection = cluster.connect(1).await;
    // Before version 12 the name could not be left out.
    for version in 12..=*served::<MetadataRequest>(&connection).end() {
        for (asked, code) in [(id, None), (Uuid::from_u128(77), Some(ResponseError::UnknownTopicId))] {
            let topic = MetadataRequestTopic::default().with_name(None).with_topic_id(asked);
            let request = MetadataRequest::default().with_topics(Some(vec![topic]));
            let answer = connection.request_at_version(request, version).await.unwrap();
            let topic = only(answer.topics);
            assert_eq!(error(topic.error_code), code, "version {version}");
            assert_eq!(topic.topic_id, asked);
            assert_eq!(topic.name, code.is_none().then(|| topic_name("metadata-by-id")));
        }
    }
}

#[tokio::test]
async fn leaders_are_spread_over_the_nodes_from_the_start() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("metadata-spread").partitions(6)).await;
    let connection = cluster.connect(1).await;
    // Elections may give a partition to another replica at first; it goes to the preferred one by itself.
    wait_until("each node leads two of six partitions", async || {
        let topic = only(topic_metadata(&connection, "metadata-spread").await.unwrap().topics);
        let mut led = BTreeMap::new();
        for partition in topic.partitions {
            *led.entry(partition.leader_id.0).or_insert(0) += 1;
        }
        (led == BTreeMap::from([(1, 2), (2, 2), (3, 2)])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn all_replicas_come_in_sync_and_every_node_says_so() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("metadata-isr").partitions(3)).await;
    for node in cluster.ids() {
        wait_until("all replicas are in sync", async || {
            let topic = cluster.topic_at(node, "metadata-isr").await?;
            topic.partitions.iter().all(|partition| partition.isr_nodes.len() == 3).then_some(())
        })
        .await;
    }
}
