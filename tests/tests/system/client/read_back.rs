//! What is in a topic, by another client's word.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use trilog_tests::waiting::PATIENCE;

/// Reads every partition from its beginning to its end; what `take` makes of the records, by partition, in order.
pub(super) fn read_all<T>(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    take: impl Fn(&BorrowedMessage<'_>) -> T,
) -> BTreeMap<i32, Vec<T>> {
    let mut config = ClientConfig::new();
    // The library wants a group for `assign` too; nothing is committed.
    config.set("bootstrap.servers", bootstrap).set("group.id", "unused").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.set("check.crcs", "true").create().unwrap();
    let mut assigned = TopicPartitionList::new();
    let mut missing = 0;
    for partition in 0..partitions {
        assigned.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
        missing += high - low;
    }
    consumer.assign(&assigned).unwrap();
    let mut read: BTreeMap<i32, Vec<T>> = BTreeMap::new();
    let start = Instant::now();
    while missing > 0 {
        assert!(start.elapsed() < PATIENCE, "{missing} records are still missing");
        // Errors are about connections that come and go; what counts is that all records come.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
            read.entry(message.partition()).or_default().push(take(&message));
            missing -= 1;
        }
    }
    read
}
