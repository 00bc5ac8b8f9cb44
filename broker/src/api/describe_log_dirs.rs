//! DescribeLogDirs (35), versions 1-4: what this node's replicas take on its disk.
//!
//! A node has one directory. A replica's size is that of its record batches, counted in whole Raft entries; partitions of
//! `__consumer_offsets` hold none. The lag is 0, as it is in Kafka for a replica in its place: a follower's high watermark is
//! never above what it holds. Partitions that this node has no replica of are left out.
//!
//! * v2: flexible. v3: an error for all. v4: the space of the disk (KIP-827).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{MetadataImage, PartitionView};
use trilog_cluster::replica::{ReadError, Replica};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::led_partition::group_of;
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeLogDirs;

/// What a partition takes in an answer that is built and encoded, in bytes.
const PARTITION_BYTES: usize = 160;

/// Kafka's number for "not known".
const UNKNOWN: i64 = -1;

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const SERVED: Versions = Versions::new(1, 4);

    fn answer_bytes(broker: &Broker, request: &Self::Request, _: i16) -> usize {
        let partitions = match &request.topics {
            Some(topics) => topics.iter().map(|topic| topic.partitions.len()).sum(),
            None => broker.image().partition_count(),
        };
        partitions * PARTITION_BYTES
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        if let Some(topics) = &mut request.topics {
            keep_one(topics, Counts::First);
        }
        let named = replicas(broker, &broker.image(), request.topics);
        let directory = broker.started.data_dir.clone();
        context.later(async move {
            let looked = tokio::task::spawn_blocking(move || look(&directory, named)).await;
            let result = looked.unwrap_or_else(|_| failed());
            DescribeLogDirsResponse::default().with_results(vec![result])
        })
    }
}

asked_topic!(DescribableLogDirTopic: topic, partitions of i32, |partition| *partition);

/// Replicas by their topics.
type Named = BTreeMap<TopicName, Vec<(i32, Arc<Replica>)>>;

/// The replicas of this node among those that are asked for.
fn replicas(broker: &Broker, image: &MetadataImage, asked: Option<Vec<DescribableLogDirTopic>>) -> Named {
    let mut named = Named::new();
    let mut add = |topic: TopicName, index, group| {
        if let Some(replica) = broker.node.replica(group) {
            named.entry(topic).or_default().push((index, replica));
        }
    };
    match asked {
        None => {
            for PartitionView { topic, index, partition } in image.groups_on(broker.node.id()) {
                let name = TopicName(StrBytes::from_string(topic.name.to_string()));
                add(name, index.0, partition.group);
            }
        }
        Some(topics) => {
            for topic in topics {
                let known = image.topic(&topic.topic);
                for index in topic.partitions {
                    if let Ok(group) = group_of(known, index) {
                        add(topic.topic.clone(), index, group);
                    }
                }
            }
        }
    }
    named
}

/// Looks at the disk: on a thread that may wait for it.
fn look(directory: &Path, named: Named) -> DescribeLogDirsResult {
    let mut topics = Vec::with_capacity(named.len());
    for (name, replicas) in named {
        let mut partitions = Vec::with_capacity(replicas.len());
        for (index, replica) in replicas {
            match replica.size() {
                Ok(size) => partitions.push(partition(index, size)),
                Err(error) => return unreadable(directory, &replica, error),
            }
        }
        topics.push(DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions));
    }
    let (total, usable) = space(directory);
    result(directory).with_topics(topics).with_total_bytes(total).with_usable_bytes(usable)
}

fn partition(index: i32, size: u64) -> DescribeLogDirsPartition {
    DescribeLogDirsPartition::default()
        .with_partition_index(index)
        .with_partition_size(i64::try_from(size).unwrap_or(i64::MAX))
        .with_offset_lag(0)
}

fn result(directory: &Path) -> DescribeLogDirsResult {
    let directory = directory.to_string_lossy().into_owned();
    DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(directory))
        .with_total_bytes(UNKNOWN)
        .with_usable_bytes(UNKNOWN)
}

fn unreadable(directory: &Path, replica: &Replica, error: ReadError) -> DescribeLogDirsResult {
    tracing::error!(%error, "the size of a replica cannot be found out");
    replica.fail(error);
    result(directory).with_error_code(ResponseError::KafkaStorageError.code())
}

fn failed() -> DescribeLogDirsResult {
    DescribeLogDirsResult::default().with_error_code(ResponseError::UnknownServerError.code())
}

/// All bytes of the file system, and those that are free for this process.
fn space(directory: &Path) -> (i64, i64) {
    let Ok(space) = rustix::fs::statvfs(directory) else { return (UNKNOWN, UNKNOWN) };
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(space.f_frsize)).unwrap_or(i64::MAX);
    (bytes(space.f_blocks), bytes(space.f_bavail))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn every_version_can_carry_it() {
        let directory = tempfile::tempdir().unwrap();
        let empty = look(directory.path(), Named::new());
        assert!(empty.total_bytes >= empty.usable_bytes && empty.usable_bytes >= 0, "{empty:?}");
        let topic = DescribeLogDirsTopic::default().with_partitions(vec![partition(3, 70_000)]);
        let results = vec![empty.with_topics(vec![topic]), failed()];
        let response = DescribeLogDirsResponse::default().with_results(results);
        for version in DescribeLogDirs::SERVED.min..=DescribeLogDirs::SERVED.max {
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
