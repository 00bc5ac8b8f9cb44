//! Records go when their time is over, or when they are too many, and stay where nobody wants them gone.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record, values};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::partition::{EARLIEST, MAX_TIMESTAMP, Partition};
use trilog_tests::waiting::wait_until;

/// Longer ago than any of these topics keeps its records.
const LONG_AGO: i64 = 1;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    i64::try_from(since.as_millis()).expect("a time")
}

/// Records with keys, as a compacted topic wants them.
fn keyed(timestamp: i64, values: &[&str]) -> Bytes {
    let record = |value: &&str| Record {
        key: Some((*value).to_owned().into()),
        ..Record::new(timestamp, (*value).to_owned())
    };
    BatchBuilder::new(values.iter().map(record).collect()).build()
}

async fn starts_at(partition: &Partition, offset: i64) {
    wait_until(&format!("{} starts at {offset}", partition.target.topic), async || {
        (partition.list_offset(EARLIEST).await.0 == offset).then_some(())
    })
    .await;
}

#[tokio::test]
async fn records_go_by_age_and_by_size() {
    let options = ClusterOptions::nodes(3).set("log.retention.check.interval.ms", "200");
    let cluster = Cluster::start(options).await;
    let topic = async |name: &str, configs: &[(&str, &str)]| {
        let topic = configs
            .iter()
            .fold(NewTopic::new(name).partitions(1), |topic, (name, value)| topic.config(name, value));
        cluster.create(topic).await;
        cluster.partition(name, 0).await
    };
    // The node's own setting keeps records for ever; two topics keep them and say so in other words.
    let kept = topic("kept", &[]).await;
    let compacted = topic("compacted", &[("cleanup.policy", "compact"), ("retention.ms", "1000")]).await;
    let by_time = topic("by-time", &[("retention.ms", "3600000")]).await;
    let by_size = topic("by-size", &[("retention.bytes", "1000000")]).await;
    for partition in [&kept, &compacted, &by_time] {
        partition.produce(keyed(LONG_AGO, &["a", "b"])).await;
        partition.produce(keyed(LONG_AGO, &["c"])).await;
    }
    starts_at(&by_time, 3).await;
    by_time.produce(values(now(), &["d"])).await;
    // What is younger than a record that stays, or behind it, stays.
    by_time.produce(values(LONG_AGO, &["e"])).await;
    for _ in 0..5 {
        by_size.produce(BatchBuilder::new(vec![Record::new(LONG_AGO, vec![7; 400_000])]).build()).await;
    }
    // No less than a million bytes: three of the five.
    starts_at(&by_size, 2).await;
    by_size.produce(BatchBuilder::new(vec![Record::new(LONG_AGO, vec![7; 400_000])]).build()).await;
    starts_at(&by_size, 3).await;
    assert_eq!(by_time.read_values().await, ["d", "e"]);
    // A record from the future keeps what is behind it only as long as it is there itself.
    let any_time = ("message.timestamp.after.max.ms", "9223372036854775807");
    let ahead = topic("ahead", &[("retention.ms", "3600000"), any_time]).await;
    ahead.produce(values(now() + 1_000_000_000, &["f"])).await;
    for _ in 0..4 {
        ahead.produce(values(LONG_AGO, &["g"])).await;
    }
    assert_eq!(ahead.list_offset(MAX_TIMESTAMP).await.0, 0);
    assert_eq!(ahead.delete_records(1).await, 1);
    starts_at(&ahead, 5).await;
    assert_eq!(ahead.list_offset(MAX_TIMESTAMP).await.0, -1);
    for partition in [&kept, &compacted] {
        assert_eq!(partition.read_values().await, ["a", "b", "c"], "{}", partition.target.topic);
    }
}
