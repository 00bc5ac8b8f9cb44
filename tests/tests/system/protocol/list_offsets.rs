//! ListOffsets: earliest, latest, by timestamp, and the greatest timestamp (KIP-79, KIP-734).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ListOffsetsRequest;
use trilog_tests::batch::{BatchBuilder, Codec, Record, values};
use trilog_tests::cluster::shared;
use trilog_tests::partition::{EARLIEST, LATEST, MAX_TIMESTAMP, Partition};
use trilog_tests::requests::{Target, error, listed_offset, served};

/// Nothing as late as that: no offset, no timestamp.
const NONE: (i64, i64) = (-1, -1);

async fn fill(partition: &Partition, codec: Codec) {
    // Within a batch and between batches, time does not always go forward.
    for timestamps in [&[100, 200, 300][..], &[250, 400, 350], &[400, 120]] {
        let records = timestamps.iter().map(|timestamp| Record::new(*timestamp, "x")).collect();
        partition.produce(BatchBuilder::new(records).codec(codec).build()).await;
    }
}

#[tokio::test]
async fn every_version_answers() {
    let cluster = shared().await;
    let partition = cluster.new_partition("list-versions").await;
    fill(&partition, Codec::None).await;
    for version in served::<ListOffsetsRequest>(&partition.connection) {
        for (asked, offset, timestamp) in [(EARLIEST, 0, -1), (LATEST, 8, -1), (250, 2, 300)] {
            let request = partition.target.list_offsets(asked);
            let answer = partition.connection.request_at_version(request, version).await.unwrap();
            let answer = listed_offset(answer);
            assert_eq!(error(answer.error_code), None, "version {version}, {asked}");
            assert_eq!((answer.offset, answer.timestamp), (offset, timestamp), "version {version}, {asked}");
            assert!(if version >= 4 { answer.leader_epoch >= 0 } else { answer.leader_epoch == -1 });
        }
    }
}

#[tokio::test]
async fn a_timestamp_finds_the_first_record_as_late_as_that() {
    let cluster = shared().await;
    for codec in Codec::ALL {
        let partition = cluster.new_partition(&format!("list-by-time-{}", codec.name())).await;
        fill(&partition, codec).await;
        for (asked, found) in [
            (0, (0, 100)),
            (100, (0, 100)),
            (101, (1, 200)),
            (200, (1, 200)),
            (201, (2, 300)),
            (300, (2, 300)),
            (301, (4, 400)),
            (400, (4, 400)),
            (401, NONE),
        ] {
            assert_eq!(partition.list_offset(asked).await, found, "{codec:?}, {asked}");
        }
        assert_eq!(
            partition.list_offset(MAX_TIMESTAMP).await,
            (4, 400),
            "{codec:?}: the first of the latest"
        );
    }
}

#[tokio::test]
async fn an_empty_partition_has_ends_and_nothing_else() {
    let cluster = shared().await;
    let partition = cluster.new_partition("list-empty").await;
    assert_eq!(partition.list_offset(EARLIEST).await, (0, -1));
    assert_eq!(partition.list_offset(LATEST).await, (0, -1));
    assert_eq!(partition.list_offset(0).await, NONE);
    assert_eq!(partition.list_offset(MAX_TIMESTAMP).await, NONE);
}

#[tokio::test]
async fn many_batches_are_searched() {
    let cluster = shared().await;
    let partition = cluster.new_partition("list-many").await;
    for step in 0..40 {
        let batches = (0..25).map(|n| values((step * 25 + n) * 10, &["x"]));
        partition.produce_in_flight(batches).await;
    }
    for offset in [1, 2, 499, 500, 998, 999] {
        assert_eq!(partition.list_offset(offset * 10).await, (offset, offset * 10));
        assert_eq!(partition.list_offset(offset * 10 - 9).await, (offset, offset * 10));
    }
    assert_eq!(partition.list_offset(9_991).await, NONE);
    assert_eq!(partition.list_offset(MAX_TIMESTAMP).await, (999, 9_990));
}

#[tokio::test]
async fn unknown_partitions_and_followers_say_so() {
    let cluster = shared().await;
    let partition = cluster.new_partition("list-known").await;
    for (topic, index) in [("list-known", 5), ("list-unknown", 0)] {
        let target = Target { topic: topic.to_owned(), partition: index, ..partition.target.clone() };
        let unknown = Partition { connection: partition.connection.clone(), target };
        let code = error(unknown.try_list_offset(LATEST).await.error_code);
        assert_eq!(code, Some(ResponseError::UnknownTopicOrPartition), "{topic}-{index}");
    }
    let leader = cluster.leader("list-known", 0).await;
    for node in cluster.ids().into_iter().filter(|node| *node != leader) {
        let other = Partition { connection: cluster.connect(node).await, target: partition.target.clone() };
        for asked in [EARLIEST, LATEST, 0, MAX_TIMESTAMP] {
            let code = error(other.try_list_offset(asked).await.error_code);
            assert_eq!(code, Some(ResponseError::NotLeaderOrFollower), "node {node}, {asked}");
        }
    }
}
