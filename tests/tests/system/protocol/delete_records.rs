//! DeleteRecords (KIP-107), and what every other API makes of a log that starts later.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::DeleteRecordsRequest;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use trilog_tests::batch::{BatchBuilder, Record, values};
use trilog_tests::cluster::shared;
use trilog_tests::partition::{EARLIEST, LATEST, MAX_TIMESTAMP, Partition};
use trilog_tests::requests::{FetchPlan, epoch_ended, error, records_deleted, served};

/// The earliest offset on local disks (KIP-405), as ListOffsets takes it.
const EARLIEST_LOCAL: i64 = -4;

async fn deleted(partition: &Partition, before: i64) -> (Option<ResponseError>, i64) {
    let answer = partition.connection.request(partition.target.delete_records(before)).await.unwrap();
    let answer = records_deleted(answer);
    (error(answer.error_code), answer.low_watermark)
}

#[tokio::test]
async fn every_version_deletes_what_it_is_told_to() {
    let cluster = shared().await;
    let partition = cluster.new_partition("delete-versions").await;
    for (before, version) in (1..).zip(served::<DeleteRecordsRequest>(&partition.connection)) {
        partition.produce(values(1, &["a", "b"])).await;
        let request = partition.target.delete_records(before);
        let answer = partition.connection.request_at_version(request, version).await.unwrap();
        let answer = records_deleted(answer);
        assert_eq!((error(answer.error_code), answer.low_watermark), (None, before), "version {version}");
        assert_eq!(partition.list_offset(EARLIEST).await, (before, -1), "version {version}");
    }
}

#[tokio::test]
async fn a_timeout_of_nothing_still_tells_what_is_done() {
    let cluster = shared().await;
    let partition = cluster.new_partition("delete-at-once").await;
    for before in 1..20 {
        partition.produce(values(1, &["a"])).await;
        let mut request = partition.target.delete_records(before);
        request.timeout_ms = 0;
        let answer = records_deleted(partition.connection.request(request).await.unwrap());
        assert_eq!((error(answer.error_code), answer.low_watermark), (None, before));
    }
}

#[tokio::test]
async fn what_is_deleted_cannot_be_read_and_the_rest_can() {
    let cluster = shared().await;
    let partition = cluster.new_partition("delete-and-read").await;
    partition.produce(values(1, &["a", "b", "c"])).await;
    partition.produce(values(1, &["d"])).await;
    assert_eq!(deleted(&partition, 2).await, (None, 2));

    let refused = partition.try_fetch(FetchPlan::from(1)).await;
    assert_eq!(error(refused.error_code), Some(ResponseError::OffsetOutOfRange));
    let fetched = partition.try_fetch(FetchPlan::from(2)).await;
    assert_eq!((error(fetched.error_code), fetched.log_start_offset), (None, 2));
    // The batch that the offset is in comes whole, and clients pass over what lies before it.
    assert_eq!(partition.fetch(2).await[0].base_offset(), 0);
    assert_eq!(partition.fetch(3).await[0].base_offset(), 3);
    assert_eq!(partition.list_offset(EARLIEST).await.0, 2);
    assert_eq!(partition.list_offset(EARLIEST_LOCAL).await.0, 2);
    assert_eq!(partition.list_offset(LATEST).await.0, 4);

    assert_eq!(deleted(&partition, -1).await, (None, 4), "everything");
    assert!(partition.fetch(4).await.is_empty());
    assert_eq!(partition.list_offset(EARLIEST).await.0, 4);
    assert_eq!(partition.produce(values(1, &["e"])).await, 4);
    assert_eq!(partition.read_values().await, ["e"]);
}

#[tokio::test]
async fn times_are_looked_up_among_what_is_left() {
    let cluster = shared().await;
    let partition = cluster.new_partition("delete-by-time").await;
    for timestamps in [&[900, 100][..], &[200], &[300, 150], &[250]] {
        let records = timestamps.iter().map(|timestamp| Record::new(*timestamp, "x")).collect();
        partition.produce(BatchBuilder::new(records).build()).await;
    }
    assert_eq!(partition.list_offset(MAX_TIMESTAMP).await, (0, 900));
    assert_eq!(deleted(&partition, 1).await, (None, 1));
    assert_eq!(partition.list_offset(MAX_TIMESTAMP).await, (3, 300));
    for (asked, found) in [(50, (1, 100)), (101, (2, 200)), (201, (3, 300)), (301, (-1, -1))] {
        assert_eq!(partition.list_offset(asked).await, found, "{asked}");
    }
    assert_eq!(deleted(&partition, 4).await, (None, 4));
    assert_eq!(partition.list_offset(MAX_TIMESTAMP).await, (5, 250));
    assert_eq!(partition.list_offset(0).await, (4, 150));
    assert_eq!(deleted(&partition, 6).await, (None, 6));
    assert_eq!(partition.list_offset(MAX_TIMESTAMP).await, (-1, -1));
    assert_eq!(partition.list_offset(0).await, (-1, -1));
}

#[tokio::test]
async fn an_epoch_that_is_still_there_begins_with_the_log() {
    let cluster = shared().await;
    let partition = cluster.new_partition("delete-epochs").await;
    partition.produce(values(1, &["a", "b"])).await;
    let epoch = partition.fetch(0).await[0].leader_epoch();
    assert_eq!(deleted(&partition, -1).await, (None, 2));
    let ended = partition.connection.request(partition.target.epoch_end(epoch)).await.unwrap();
    let ended = epoch_ended(ended);
    assert_eq!((ended.leader_epoch, ended.end_offset), (epoch, 2));
    let earliest = partition.try_list_offset(EARLIEST).await;
    assert_eq!((earliest.offset, earliest.leader_epoch), (2, epoch));
}

#[tokio::test]
async fn librdkafka_deletes_records() {
    let cluster = shared().await;
    let partition = cluster.new_partition("delete-librdkafka").await;
    partition.produce(values(1, &["a", "b", "c"])).await;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("delete-librdkafka", 0, Offset::Offset(2)).unwrap();
    let results = admin.delete_records(&offsets, &AdminOptions::new()).await.unwrap();
    assert_eq!(results.elements()[0].offset(), Offset::Offset(2));
    assert_eq!(partition.list_offset(EARLIEST).await.0, 2);
}
