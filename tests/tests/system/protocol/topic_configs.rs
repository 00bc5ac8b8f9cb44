//! The topic configurations a broker acts on when it is written to.

use kafka_protocol::ResponseError;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{Batch, BatchBuilder, Codec, Record, values};
use trilog_tests::cluster::shared;
use trilog_tests::partition::LATEST;
use trilog_tests::requests::error;

#[tokio::test]
async fn a_batch_above_max_message_bytes_is_refused() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("config-max-bytes").config("max.message.bytes", "1000")).await;
    let partition = cluster.partition("config-max-bytes", 0).await;
    let sized = |value: usize| BatchBuilder::new(vec![Record::new(1, vec![b'x'; value])]).build();
    let fits = sized(900);
    assert!(fits.len() <= 1000);
    assert_eq!(partition.produce(fits).await, 0);
    let answer = partition.try_produce(sized(1000)).await;
    assert_eq!(error(answer.error_code), Some(ResponseError::MessageTooLarge));
    assert_eq!(partition.end().await, 1, "nothing of it was appended");
    // What counts is what is stored: compressed, it fits.
    let text = Record::new(1, vec![b'x'; 5000]);
    assert_eq!(partition.produce(BatchBuilder::new(vec![text]).codec(Codec::Gzip).build()).await, 1);
}

#[tokio::test]
async fn the_leaders_clock_is_stamped_where_the_topic_says_so() {
    let cluster = shared().await;
    let topic = NewTopic::new("config-append-time").config("message.timestamp.type", "LogAppendTime");
    cluster.create(topic).await;
    let partition = cluster.partition("config-append-time", 0).await;
    for codec in Codec::ALL {
        let records = vec![Record::new(5, "a"), Record::new(7, "b")];
        let sent = BatchBuilder::new(records).codec(codec).build();
        let answer = partition.try_produce(sent.clone()).await;
        assert_eq!(error(answer.error_code), None, "{codec:?}");
        let stamped = answer.log_append_time_ms;
        assert!(stamped > 1_700_000_000_000, "{stamped} is this decade's time in ms");
        let batch = partition.fetch(answer.base_offset).await.remove(0);
        assert!(batch.is_log_append_time() && batch.crc_is_right(), "{codec:?}");
        assert_eq!(batch.max_timestamp(), stamped, "{codec:?}");
        assert_eq!(batch.codec(), codec);
        assert_eq!(batch.values(), ["a", "b"]);
        assert_eq!(batch.bytes.len(), sent.len());
        assert_eq!(partition.list_offset(0).await.0, 0, "every record is as late as its batch");
        assert_eq!(partition.list_offset(stamped + 3_600_000).await, (-1, -1));
    }
}

#[tokio::test]
async fn the_clients_clock_is_kept_otherwise() {
    let cluster = shared().await;
    let partition = cluster.new_partition("config-create-time").await;
    let answer = partition.try_produce(values(1234, &["a"])).await;
    assert_eq!((error(answer.error_code), answer.log_append_time_ms), (None, -1));
    let batch: Batch = partition.fetch(0).await.remove(0);
    assert!(!batch.is_log_append_time());
    assert_eq!(batch.max_timestamp(), 1234);
}

#[tokio::test]
async fn timestamps_outside_the_topics_bounds_are_refused() {
    let cluster = shared().await;
    let topic = NewTopic::new("config-time-bounds")
        .config("message.timestamp.before.max.ms", "3600000")
        .config("message.timestamp.after.max.ms", "3600000");
    cluster.create(topic).await;
    let partition = cluster.partition("config-time-bounds", 0).await;
    for timestamp in [1000, 99_999_999_999_999] {
        let answer = partition.try_produce(values(timestamp, &["a"])).await;
        assert_eq!(error(answer.error_code), Some(ResponseError::InvalidTimestamp), "{timestamp}");
    }
    assert_eq!(partition.list_offset(LATEST).await.0, 0);
}
