//! Produce: versions, acks, order, and that a batch comes back as it was sent.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{MetadataRequest, ProduceRequest};
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Codec, Record, values};
use trilog_tests::cluster::shared;
use trilog_tests::requests::{Target, error, only, produced, served};
use trilog_tests::waiting::wait_until;

#[tokio::test]
async fn every_version_appends() {
    let cluster = shared().await;
    let partition = cluster.new_partition("produce-versions").await;
    let mut expected = 0;
    for version in served::<ProduceRequest>(&partition.connection) {
        for acks in [-1, 1] {
            let request = partition.target.produce(version, acks, values(1, &["a", "b", "c"]));
            let answer = partition.connection.request_at_version(request, version).await.unwrap();
            let answer = produced(answer);
            assert_eq!(error(answer.error_code), None, "version {version}, acks {acks}");
            assert_eq!(answer.base_offset, expected, "version {version}, acks {acks}");
            assert_eq!(answer.log_append_time_ms, -1, "the client's time is kept");
            assert_eq!(answer.log_start_offset, if version >= 5 { 0 } else { -1 }, "version {version}");
            assert!(answer.record_errors.is_empty() && answer.error_message.is_none());
            expected += 3;
        }
    }
    wait_until("all of it is committed", async || (partition.end().await == expected).then_some(())).await;
    partition.read_all().await;
}

#[tokio::test]
async fn what_was_sent_comes_back_byte_for_byte() {
    let cluster = shared().await;
    let partition = cluster.new_partition("produce-untouched").await;
    let odd = Record {
        timestamp: 77,
        key: Some(Bytes::from_static(&[0, 255, 128])),
        value: None,
        headers: vec![
            ("same".into(), Some("one".into())),
            ("same".into(), None),
            (Bytes::from_static(&[0xc3, 0x28]), Some(Bytes::from_static(&[0; 300]))),
            (Bytes::new(), Some(Bytes::new())),
        ],
    };
    let empty = Record { timestamp: 0, key: None, value: Some(Bytes::new()), headers: Vec::new() };
    let records = vec![odd, empty, Record::new(50, vec![b'z'; 5000])];
    for codec in Codec::ALL {
        let sent = BatchBuilder::new(records.clone()).codec(codec).build();
        let offset = partition.produce(sent.clone()).await;
        let batch = partition.fetch(offset).await.remove(0);
        assert_eq!(batch.base_offset(), offset);
        assert_eq!(batch.as_sent(), sent, "{codec:?}");
        assert_eq!(batch.records(), records, "{codec:?}");
    }
}

#[tokio::test]
async fn acks_0_is_not_answered() {
    let cluster = shared().await;
    let partition = cluster.new_partition("produce-acks-0").await;
    let connection = &partition.connection;
    let version = connection.versions().negotiate::<ProduceRequest>().unwrap();
    let request = |text| partition.target.produce(version, 0, values(1, &[text]));
    for text in ["a", "b", "c"] {
        connection.send_without_reply(request(text)).await.unwrap();
    }
    // The next answer on this connection is that of the next request that has one.
    connection.request(MetadataRequest::default()).await.unwrap();
    wait_until("the records are there", async || (partition.end().await == 3).then_some(())).await;
    assert_eq!(partition.read_values().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn partitions_of_one_request_succeed_and_fail_apart() {
    let cluster = shared().await;
    let topic = NewTopic::new("produce-apart").assign(0, &[1]).assign(1, &[1]);
    cluster.create(topic).await;
    let partition = cluster.partition("produce-apart", 0).await;
    let mut request = partition.target.produce(9, -1, values(1, &["a"]));
    let second = Target { partition: 1, ..partition.target.clone() };
    let missing = Target { partition: 7, ..partition.target.clone() };
    for (target, records) in [(second, values(1, &["b", "c"])), (missing, values(1, &["d"]))] {
        let data = target.produce(9, -1, records).topic_data.remove(0).partition_data;
        request.topic_data[0].partition_data.extend(data);
    }
    let answer = partition.connection.request_at_version(request, 9).await.unwrap();
    let mut rows = only(answer.responses).partition_responses;
    rows.sort_by_key(|row| row.index);
    let codes = rows.iter().map(|row| (row.index, error(row.error_code))).collect::<Vec<_>>();
    assert_eq!(codes, [(0, None), (1, None), (7, Some(ResponseError::UnknownTopicOrPartition))]);
    assert_eq!((rows[0].base_offset, rows[1].base_offset), (0, 0));
}

#[tokio::test]
async fn requests_in_flight_are_appended_in_order() {
    let cluster = shared().await;
    let partition = cluster.new_partition("produce-in-flight").await;
    let texts = (0..50).map(|number| number.to_string()).collect::<Vec<_>>();
    let answers = partition.produce_in_flight(texts.iter().map(|text| values(1, &[text]))).await;
    assert!(answers.iter().map(|answer| answer.base_offset).eq(0..50));
    assert_eq!(partition.read_values().await, texts);
}
