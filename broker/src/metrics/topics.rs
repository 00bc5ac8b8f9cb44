//! Topics: what clients write and read, and how much is there.
//!
//! Clients write to leaders and read from leaders alone, and each node tells of what it leads, so that a sum over all
//! nodes counts everything once. Replicas keep the count themselves, beside what a request looks at anyway; here they are
//! added up. When a partition's leader moves, its count goes on at the new leader, and the old one's stands still.

use std::collections::BTreeMap;
use std::sync::Arc;

use trilog_cluster::controller::MetadataImage;
use trilog_cluster::ids::TopicName;
use trilog_cluster::node::Node;
use trilog_cluster::replica::{Replica, TrafficCounts};

use super::families::{Families, Samples};

/// How many topics have series of their own.
pub(super) const MAX_TOPICS: usize = 1_000;

/// One topic on this node.
#[derive(Clone, Copy, Debug, Default)]
struct Topic {
    traffic: TrafficCounts,
    /// Records from the log start to the high watermark, in the partitions led here.
    records: u64,
    /// Partitions led here.
    led: u64,
}

impl Topic {
    fn count(&mut self, replica: &Replica) {
        let counts = replica.traffic().counts();
        self.traffic.bytes_in += counts.bytes_in;
        self.traffic.records_in += counts.records_in;
        self.traffic.bytes_out += counts.bytes_out;
        self.traffic.records_out += counts.records_out;
        let status = replica.status();
        if status.leading.is_some() {
            self.led += 1;
            let records = status.high_watermark.0 - status.log_start_offset.0;
            self.records += u64::try_from(records).unwrap_or(0);
        }
    }
}

/// Every topic of which this node has a replica. Returns how many were left out.
pub(super) fn look_up(node: &Node, image: &MetadataImage, families: &mut Families) -> usize {
    let mut topics: BTreeMap<&TopicName, Topic> = BTreeMap::new();
    let replicas: Vec<Arc<Replica>> = node.replicas();
    for replica in &replicas {
        if let Some(view) = image.partition_of(replica.group()) {
            topics.entry(&view.topic.name).or_default().count(replica);
        }
    }
    let left_out = topics.len().saturating_sub(MAX_TOPICS);
    let samples = |figure: fn(&Topic) -> u64| {
        let mut samples = Samples::default();
        for (name, topic) in topics.iter().take(MAX_TOPICS) {
            samples.add_count(&[("topic", name)], figure(topic));
        }
        samples
    };
    families.counters(
        "trilog_topic_records_in_total",
        "Records taken in from producers by this node.",
        samples(|topic| topic.traffic.records_in),
    );
    families.counters(
        "trilog_topic_bytes_in_total",
        "Bytes of record batches taken in from producers by this node.",
        samples(|topic| topic.traffic.bytes_in),
    );
    families.counters(
        "trilog_topic_records_out_total",
        "Records sent to consumers by this node.",
        samples(|topic| topic.traffic.records_out),
    );
    families.counters(
        "trilog_topic_bytes_out_total",
        "Bytes of record batches sent to consumers by this node.",
        samples(|topic| topic.traffic.bytes_out),
    );
    families.gauges(
        "trilog_topic_records",
        "Records from the log start to the high watermark, in partitions led by this node.",
        samples(|topic| topic.records),
    );
    families.gauges(
        "trilog_topic_partitions_led",
        "Partitions led by this node.",
        samples(|topic| topic.led),
    );
    left_out
}
