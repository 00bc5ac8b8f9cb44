//! CreateTopics and DeleteTopics.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest};
use trilog_tests::admin::{NewTopic, delete_topic, topic_metadata};
use trilog_tests::batch::values;
use trilog_tests::cluster::{SharedCluster, shared};
use trilog_tests::requests::{error, only, served, topic_name};
use trilog_tests::waiting::wait_until;
use uuid::Uuid;

/// Asserts that a topic is refused with this code and a message.
async fn assert_refused(cluster: &SharedCluster, topic: NewTopic, code: ResponseError) {
    let answer = topic.clone().try_create(&cluster.connect(1).await).await;
    assert_eq!(error(answer.error_code), Some(code), "{topic:?}: {:?}", answer.error_message);
    assert!(answer.error_message.is_some_and(|message| !message.is_empty()), "{topic:?}: a reason is told");
}

#[tokio::test]
async fn every_version_creates_a_topic() {
    let cluster = shared().await;
    let connection = cluster.connect(2).await;
    for version in served::<CreateTopicsRequest>(&connection) {
        let name = format!("create-v{version}");
        let request = NewTopic::new(&name).partitions(2).replicas(3).request();
        let answer = only(connection.request_at_version(request, version).await.unwrap().topics);
        assert_eq!(error(answer.error_code), None, "version {version}: {:?}", answer.error_message);
        assert_eq!(answer.name, topic_name(&name));
        if version >= 5 {
            assert_eq!((answer.num_partitions, answer.replication_factor), (2, 3), "version {version}");
            let configs = answer.configs.expect("the effective configs are told");
            let effective = configs.iter().find(|entry| &*entry.name == "max.message.bytes");
            assert!(effective.is_some_and(|entry| entry.value.is_some()), "version {version}");
        }
        if version >= 7 {
            cluster.wait_shown(&name).await;
            let shown = only(topic_metadata(&connection, &name).await.unwrap().topics);
            assert_eq!(answer.topic_id, shown.topic_id, "version {version}");
            assert_ne!(answer.topic_id, Uuid::nil());
        }
    }
}

#[tokio::test]
async fn a_new_topic_is_led_and_written_to_at_once() {
    let cluster = shared().await;
    for round in 0..5 {
        let name = format!("create-then-produce-{round}");
        let connection = cluster.connect_any().await;
        NewTopic::new(&name).partitions(3).create(&connection).await;
        let topic = only(topic_metadata(&connection, &name).await.unwrap().topics);
        assert!(topic.partitions.iter().all(|partition| partition.leader_id.0 > 0), "{topic:?}");
        for index in 0..3 {
            let partition = cluster.partition(&name, index).await;
            assert_eq!(partition.produce(values(1, &["first"])).await, 0);
        }
    }
}

#[tokio::test]
async fn defaults_are_the_clusters_and_any_factor_is_accepted() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    let answer = NewTopic::new("create-defaults").try_create(&connection).await;
    assert_eq!((answer.num_partitions, answer.replication_factor), (1, 3));
    for factor in 1..=3_i16 {
        let name = format!("create-rf-{factor}");
        NewTopic::new(&name).partitions(3).replicas(factor).create(&connection).await;
        cluster.wait_shown(&name).await;
        let topic = only(topic_metadata(&connection, &name).await.unwrap().topics);
        let counts = topic.partitions.iter().map(|partition| partition.replica_nodes.len());
        assert!(counts.eq([usize::try_from(factor).unwrap(); 3]), "{topic:?}");
        let partition = cluster.partition(&name, 0).await;
        assert_eq!(partition.produce(values(1, &["a"])).await, 0);
    }
}

#[tokio::test]
async fn replicas_are_placed_as_told() {
    let cluster = shared().await;
    let topic = NewTopic::new("create-assigned").assign(0, &[3, 1]).assign(1, &[2, 3]);
    cluster.create(topic).await;
    cluster.wait_shown("create-assigned").await;
    let shown = cluster.topic("create-assigned").await.expect("it exists");
    for (index, replicas) in [(0, vec![3, 1]), (1, vec![2, 3])] {
        let partition = shown.partitions.iter().find(|row| row.partition_index == index).unwrap();
        assert_eq!(partition.replica_nodes.iter().map(|node| node.0).collect::<Vec<_>>(), replicas);
    }
    cluster.wait_preferred("create-assigned").await;
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let cluster = shared().await;
    let new = || NewTopic::new("create-refused");
    for name in ["", ".", "..", "a b", "a/b", "ä", "x".repeat(250).as_str()] {
        assert_refused(&cluster, NewTopic::new(name), ResponseError::InvalidTopicException).await;
    }
    for count in [0, -5, -2] {
        assert_refused(&cluster, new().partitions(count), ResponseError::InvalidPartitions).await;
    }
    for factor in [0, -2, 4] {
        assert_refused(&cluster, new().replicas(factor), ResponseError::InvalidReplicationFactor).await;
    }
    for assigned in [
        new().assign(0, &[1, 1]),
        new().assign(0, &[1, 9]),
        new().assign(1, &[1, 2]),
        new().assign(0, &[1, 2]).assign(1, &[1]),
        new().assign(0, &[]),
    ] {
        assert_refused(&cluster, assigned, ResponseError::InvalidReplicaAssignment).await;
    }
    assert_refused(&cluster, new().partitions(1).assign(0, &[1]), ResponseError::InvalidRequest).await;
    for (name, value) in
        [("no.such.config", "1"), ("max.message.bytes", "many"), ("min.insync.replicas", "0")]
    {
        assert_refused(&cluster, new().config(name, value), ResponseError::InvalidConfig).await;
    }
    assert!(cluster.topic("create-refused").await.is_none(), "nothing of it was created");
}

#[tokio::test]
async fn a_name_exists_once() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("create-once")).await;
    assert_refused(&cluster, NewTopic::new("create-once"), ResponseError::TopicAlreadyExists).await;
    cluster.create(NewTopic::new("create.dotted")).await;
    // Metrics replace dots by underscores, so that Kafka takes these for the same.
    assert_refused(&cluster, NewTopic::new("create_dotted"), ResponseError::InvalidTopicException).await;
}

#[tokio::test]
async fn a_name_given_twice_in_one_request_is_refused() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    let mut request = NewTopic::new("create-twice").request();
    request.topics.push(request.topics[0].clone());
    let answer = connection.request(request).await.unwrap();
    let codes = answer.topics.iter().map(|topic| error(topic.error_code));
    assert!(codes.into_iter().all(|code| code == Some(ResponseError::InvalidRequest)), "{answer:?}");
}

#[tokio::test]
async fn validation_creates_nothing() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    let good = NewTopic::new("create-validated").partitions(4).request().with_validate_only(true);
    assert_eq!(error(only(connection.request(good).await.unwrap().topics).error_code), None);
    let bad = NewTopic::new("create-validated").partitions(0).request().with_validate_only(true);
    let code = error(only(connection.request(bad).await.unwrap().topics).error_code);
    assert_eq!(code, Some(ResponseError::InvalidPartitions));
    assert!(cluster.topic("create-validated").await.is_none());
}

#[tokio::test]
async fn every_version_deletes_a_topic_by_name() {
    let cluster = shared().await;
    let connection = cluster.connect(3).await;
    for version in served::<DeleteTopicsRequest>(&connection) {
        let name = format!("delete-v{version}");
        cluster.create(NewTopic::new(&name)).await;
        let request = DeleteTopicsRequest::default().with_timeout_ms(30_000);
        let request = match version {
            6.. => request.with_topics(vec![DeleteTopicState::default().with_name(Some(topic_name(&name)))]),
            _ => request.with_topic_names(vec![topic_name(&name)]),
        };
        let answer = connection.request_at_version(request, version).await.unwrap();
        let answer = only(answer.responses);
        assert_eq!(error(answer.error_code), None, "version {version}");
        assert_eq!(answer.name, Some(topic_name(&name)));
        wait_until("no node shows it any more", async || {
            let mut shown = false;
            for node in cluster.ids() {
                shown |= cluster.topic_at(node, &name).await.is_some();
            }
            (!shown).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_topic_is_deleted_by_id() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    let id = cluster.create(NewTopic::new("delete-by-id")).await;
    let by_id = |id| {
        let state = DeleteTopicState::default().with_name(None).with_topic_id(id);
        DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(30_000)
    };
    let answer = only(connection.request_at_version(by_id(id), 6).await.unwrap().responses);
    assert_eq!((error(answer.error_code), answer.topic_id), (None, id));
    assert_eq!(answer.name, Some(topic_name("delete-by-id")));
    let answer = only(connection.request_at_version(by_id(id), 6).await.unwrap().responses);
    assert_eq!(error(answer.error_code), Some(ResponseError::UnknownTopicId));
    let code = delete_topic(&connection, "delete-by-id").await;
    assert_eq!(error(code), Some(ResponseError::UnknownTopicOrPartition));
}

#[tokio::test]
async fn a_name_used_again_is_another_topic() {
    let cluster = shared().await;
    let first = cluster.new_partition("delete-and-create").await;
    first.produce(values(1, &["old"])).await;
    let connection = cluster.connect_any().await;
    assert_eq!(error(delete_topic(&connection, "delete-and-create").await), None);
    wait_until("the name is free", async || {
        let answer = NewTopic::new("delete-and-create").try_create(&connection).await;
        match error(answer.error_code) {
            None => Some(()),
            Some(ResponseError::TopicAlreadyExists) => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    let second = cluster.partition("delete-and-create", 0).await;
    assert_ne!(second.target.id, first.target.id);
    assert_eq!(second.end().await, 0, "nothing of the old topic is left");
    assert_eq!(second.produce(values(1, &["new"])).await, 0);
    assert_eq!(second.read_values().await, ["new"]);
}

#[tokio::test]
async fn many_topics_in_one_request_are_each_answered() {
    let cluster = shared().await;
    let connection = cluster.connect(2).await;
    let mut request = NewTopic::new("create-many-good").request();
    request.topics.extend(NewTopic::new("create-many-bad").partitions(0).request().topics);
    let answer = connection.request(request).await.unwrap();
    let code = |name: &str| {
        let topic = answer.topics.iter().find(|topic| topic.name == topic_name(name)).unwrap();
        error(topic.error_code)
    };
    assert_eq!(code("create-many-good"), None);
    assert_eq!(code("create-many-bad"), Some(ResponseError::InvalidPartitions));
    cluster.wait_shown("create-many-good").await;
    let all = connection.request(MetadataRequest::default().with_topics(None)).await.unwrap();
    let shown = |name: &str| all.topics.iter().any(|topic| topic.name == Some(topic_name(name)));
    assert!(shown("create-many-good") && !shown("create-many-bad"));
}
