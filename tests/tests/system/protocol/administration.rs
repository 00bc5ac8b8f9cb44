//! What administrators' tools ask beside topics, settings and groups.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, DescribeAclsRequest, DescribeClientQuotasRequest,
    DescribeLogDirsRequest, DescribeProducersRequest, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeTransactionsRequest, DescribeUserScramCredentialsRequest, ElectLeadersRequest,
    InitProducerIdRequest, ListConfigResourcesRequest, ListPartitionReassignmentsRequest,
    ListTransactionsRequest, UpdateFeaturesRequest,
};
use kafka_protocol::protocol::Request;
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record, values};
use trilog_tests::cluster::{Cluster, ClusterOptions, shared};
use trilog_tests::requests::{error, only, served, topic_name};
use trilog_tests::waiting::wait_until;

async fn asked<R: Request>(connection: &Connection, request: R) -> R::Response {
    connection.request(request).await.unwrap_or_else(|error| panic!("{}: {error}", R::KEY))
}

async fn log_dir(
    connection: &Connection,
    topics: Option<Vec<DescribableLogDirTopic>>,
) -> DescribeLogDirsResult {
    let answer = asked(connection, DescribeLogDirsRequest::default().with_topics(topics)).await;
    assert_eq!(answer.error_code, 0);
    only(answer.results)
}

/// The size of a partition on the node that is asked, if the node tells of it.
fn size_of(directory: &DescribeLogDirsResult, topic: &str, partition: i32) -> Option<i64> {
    let topic = directory.topics.iter().find(|row| row.name == topic_name(topic))?;
    let row = topic.partitions.iter().find(|row| row.partition_index == partition)?;
    assert_eq!((row.offset_lag, row.is_future_key), (0, false));
    Some(row.partition_size)
}

#[tokio::test]
async fn every_replica_tells_how_large_it_is() {
    let cluster = shared().await;
    let partition = cluster.new_partition("log-dirs").await;
    let batch = values(1, &["a", "b"]);
    for _ in 0..3 {
        partition.produce(batch.clone()).await;
    }
    let expected = i64::try_from(3 * batch.len()).unwrap();
    for node in cluster.started() {
        let connection = cluster.connect(node).await;
        wait_until("a follower has it all", async || {
            let directory = log_dir(&connection, None).await;
            (size_of(&directory, "log-dirs", 0) == Some(expected)).then_some(())
        })
        .await;
        let asked = DescribableLogDirTopic::default()
            .with_topic(topic_name("log-dirs"))
            .with_partitions(vec![0, 0, 7, -1]);
        let unknown =
            DescribableLogDirTopic::default().with_topic(topic_name("none")).with_partitions(vec![0]);
        let directory = log_dir(&connection, Some(vec![asked, unknown])).await;
        assert_eq!(only(directory.topics.clone()).partitions.len(), 1, "what is not here is left out");
        assert!(directory.log_dir.starts_with('/'), "{}", directory.log_dir.as_str());
        assert!(directory.usable_bytes > 0 && directory.total_bytes > directory.usable_bytes);
        assert!(log_dir(&connection, Some(Vec::new())).await.topics.is_empty());
    }
    assert_eq!(partition.try_delete_records(6).await.error_code, 0);
    assert_eq!(size_of(&log_dir(&partition.connection, None).await, "log-dirs", 0), Some(0));
}

async fn quorum(connection: &Connection, topic: &str, partition: i32) -> DescribeQuorumResponse {
    let partition = PartitionData::default().with_partition_index(partition);
    let topic = TopicData::default().with_topic_name(topic_name(topic)).with_partitions(vec![partition]);
    asked(connection, DescribeQuorumRequest::default().with_topics(vec![topic])).await
}

#[tokio::test]
async fn every_node_knows_the_quorum_of_the_metadata() {
    let cluster = shared().await;
    for node in cluster.started() {
        let connection = cluster.connect(node).await;
        let answer = quorum(&connection, "__cluster_metadata", 0).await;
        assert_eq!((answer.error_code, answer.nodes.len()), (0, 3));
        let partition = only(only(answer.topics).partitions);
        assert!(partition.high_watermark > 0 && partition.leader_epoch > 0 && partition.observers.is_empty());
        assert_eq!(partition.current_voters.len(), 3);
        let leader = partition.current_voters.iter().find(|voter| voter.replica_id == partition.leader_id);
        assert!(leader.unwrap().log_end_offset >= partition.high_watermark);
        for voter in &partition.current_voters {
            assert!(voter.last_fetch_timestamp > 1_700_000_000_000, "{voter:?}");
        }
        let other = quorum(&connection, "__cluster_metadata", 1).await;
        let code = only(only(other.topics).partitions).error_code;
        assert_eq!(error(code), Some(ResponseError::UnknownTopicOrPartition));
    }
}

/// Elects leaders of the first partitions of `topic`, of all topics if there is none, and returns what is told of them.
async fn elect(connection: &Connection, kind: i8, topic: Option<(&str, &[i32])>) -> Vec<(i32, i16)> {
    let named = topic.map(|(topic, partitions)| {
        vec![TopicPartitions::default().with_topic(topic_name(topic)).with_partitions(partitions.to_vec())]
    });
    let request = ElectLeadersRequest::default()
        .with_election_type(kind)
        .with_topic_partitions(named)
        .with_timeout_ms(20_000);
    let answer = asked(connection, request).await;
    assert_eq!(answer.error_code, 0);
    let partitions = answer.replica_election_results.into_iter().flat_map(|topic| topic.partition_result);
    partitions.map(|row| (row.partition_id, row.error_code)).collect()
}

const NOT_NEEDED: i16 = 84;

#[tokio::test]
async fn the_preferred_replica_leads_again_as_soon_as_it_is_asked_for() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("moved").assign(0, &[2, 1, 3]).assign(1, &[2, 3, 1])).await;
    cluster.wait_preferred("moved").await;
    let connection = cluster.connect(1).await;
    let unavailable = ResponseError::PreferredLeaderNotAvailable.code();
    // Nodes return leaderships by themselves two seconds after the preferred replica is back. On a slow machine they may be faster
    // than the request: then the leaderships are moved away once more.
    let mut elected = 0;
    for _ in 0..5 {
        cluster.kill(2);
        for partition in [0, 1] {
            cluster.leader_where("moved", partition, |leader| leader != 2).await;
        }
        assert_eq!(elect(&connection, 0, Some(("moved", &[0]))).await, [(0, unavailable)]);
        cluster.start_node(2);
        wait_until("the preferred replicas lead", async || {
            let told = elect(&connection, 0, Some(("moved", &[0, 1]))).await;
            elected += told.iter().filter(|(_, code)| *code == 0).count();
            told.iter().all(|(_, code)| [0, NOT_NEEDED].contains(code)).then_some(())
        })
        .await;
        if elected > 0 {
            break;
        }
    }
    assert!(elected > 0, "no election that was asked for moved a leadership");
    let moved = cluster.topic_at(1, "moved").await.unwrap();
    assert!(moved.partitions.iter().all(|row| row.leader_id.0 == 2), "{moved:?}");
}

#[tokio::test]
async fn producers_are_told_by_partition() {
    let cluster = shared().await;
    let partition = cluster.new_partition("producers").await;
    let id = asked(&partition.connection, InitProducerIdRequest::default().with_transactional_id(None)).await;
    let batch = BatchBuilder::new(vec![Record::new(77, "a"), Record::new(78, "b")]);
    partition.produce(batch.producer(id.producer_id.0, id.producer_epoch, 0).build()).await;
    let topic = |name, partitions: &[i32]| {
        TopicRequest::default().with_name(topic_name(name)).with_partition_indexes(partitions.to_vec())
    };
    let topics = vec![topic("producers", &[0, 0, 4]), topic("none", &[0])];
    let answer = asked(&partition.connection, DescribeProducersRequest::default().with_topics(topics)).await;
    let [known, unknown] = &answer.topics[..] else { panic!("{answer:?}") };
    assert_eq!(known.partitions.iter().map(|row| row.error_code).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(unknown.partitions[0].error_code, 3);
    let producer = only(known.partitions[0].active_producers.clone());
    assert_eq!(
        (producer.producer_id, producer.last_sequence, producer.last_timestamp),
        (id.producer_id, 1, 78)
    );
    assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, -1));
}

#[tokio::test]
async fn replicas_stay_where_they_are() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("reassigned").assign(0, &[1, 2, 3])).await;
    cluster.wait_shown("reassigned").await;
    let connection = cluster.connect(3).await;
    let partition = |index, replicas: Option<&[i32]>| {
        ReassignablePartition::default()
            .with_partition_index(index)
            .with_replicas(replicas.map(|nodes| nodes.iter().map(|node| (*node).into()).collect()))
    };
    for (replicas, code) in [(None, 85), (Some(&[1, 2, 3][..]), 0), (Some(&[3, 2, 1]), 44), (Some(&[9]), 39)]
    {
        let topic = ReassignableTopic::default()
            .with_name(topic_name("reassigned"))
            .with_partitions(vec![partition(0, replicas), partition(5, replicas)]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
        let answer = only(asked(&connection, request).await.responses);
        let codes: Vec<_> = answer.partitions.iter().map(|row| row.error_code).collect();
        assert_eq!(codes, [code, 3], "{replicas:?}");
    }
    let under_way = asked(&connection, ListPartitionReassignmentsRequest::default().with_topics(None)).await;
    assert_eq!((under_way.error_code, under_way.topics.len()), (0, 0));
}

/// Every version of an API has an answer.
async fn in_every_version<R: Request + Clone>(connection: &Connection, request: impl Fn(i16) -> R) {
    for version in served::<R>(connection) {
        let answer = connection.request_at_version(request(version), version).await;
        answer.unwrap_or_else(|error| panic!("{} in version {version}: {error}", R::KEY));
    }
}

#[tokio::test]
async fn every_version_is_answered() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    in_every_version(&connection, |_| DescribeLogDirsRequest::default()).await;
    in_every_version(&connection, |_| DescribeQuorumRequest::default()).await;
    in_every_version(&connection, |_| ElectLeadersRequest::default().with_topic_partitions(None)).await;
    in_every_version(&connection, |_| AlterPartitionReassignmentsRequest::default()).await;
    in_every_version(&connection, |_| ListPartitionReassignmentsRequest::default()).await;
    in_every_version(&connection, |_| DescribeProducersRequest::default()).await;
    in_every_version(&connection, |_| DescribeTransactionsRequest::default()).await;
    in_every_version(&connection, |_| ListTransactionsRequest::default()).await;
    in_every_version(&connection, |_| ListConfigResourcesRequest::default()).await;
    in_every_version(&connection, |_| DescribeClientQuotasRequest::default()).await;
    in_every_version(&connection, |_| DescribeUserScramCredentialsRequest::default()).await;
    in_every_version(&connection, |_| DescribeAclsRequest::default()).await;
    in_every_version(&connection, |_| UpdateFeaturesRequest::default()).await;
}
