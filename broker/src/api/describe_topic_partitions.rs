//! DescribeTopicPartitions (75), version 0: topics with their partitions, page by page (KIP-966).
//!
//! Topics come sorted by name, whatever order they are asked for in; none asked for means all. A page ends
//! after so many partitions, with a cursor to go on from. There are no eligible leader replicas beyond the
//! in-sync ones, since Raft elects nobody else; both lists are answered empty and not null, which Java
//! clients do not survive.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{MetadataImage, Partition, Topic, topic_name};
use trilog_cluster::ids::PartitionIndex;

use super::authorized_operations;
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::partition_description::PartitionDescription;
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeTopicPartitions;

/// The most partitions of a page: Kafka's default of `max.request.partition.size.limit`.
const MAX_PARTITIONS: usize = 2_000;

/// What a partition takes in an answer that is built and encoded, in bytes.
const PARTITION_BYTES: usize = 512;

impl Handler for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    const SERVED: Versions = Versions::new(0, 0);

    fn answer_bytes(_: &Broker, request: &Self::Request, _: i16) -> usize {
        usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, MAX_PARTITIONS)
            * PARTITION_BYTES
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let image = broker.image();
        let endpoints = broker.endpoints(&image, context.listener());
        let describe = |partition: &Partition| {
            PartitionDescription::new(partition, broker.node.leadership(partition.group).as_ref(), &endpoints)
        };
        context.now(&page(&image, &request, &describe))
    }
}

/// The page that `request` asks for.
fn page(
    image: &MetadataImage,
    request: &DescribeTopicPartitionsRequest,
    describe: &dyn Fn(&Partition) -> PartitionDescription,
) -> DescribeTopicPartitionsResponse {
    let asked = request.topics.iter().map(|topic| topic.name.as_str());
    let names: BTreeSet<&str> = if request.topics.is_empty() {
        image.topics().map(|topic| &*topic.name).collect()
    } else {
        asked.collect()
    };
    let (from_topic, from_partition) = request
        .cursor
        .as_ref()
        .map_or(("", 0), |cursor| (cursor.topic_name.as_str(), cursor.partition_index));
    let mut room = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, MAX_PARTITIONS);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.range(from_topic..) {
        let first =
            if *name == from_topic { PartitionIndex(from_partition.max(0)) } else { PartitionIndex(0) };
        let Some(topic) = image.topic(name) else {
            response.topics.push(missing(name));
            continue;
        };
        if room == 0 {
            response.next_cursor = Some(cursor(name, first));
            break;
        }
        let described = describe_topic(topic, first, room, describe);
        room -= described.partitions.len();
        let next = PartitionIndex(
            first.0.saturating_add(i32::try_from(described.partitions.len()).unwrap_or(i32::MAX)),
        );
        response.topics.push(described);
        if topic.partition(next).is_some() {
            response.next_cursor = Some(cursor(name, next));
            break;
        }
    }
    response
}

fn cursor(topic: &str, partition: PartitionIndex) -> Cursor {
    Cursor::default().with_topic_name(topic_name_of(topic)).with_partition_index(partition.0)
}

fn missing(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match topic_name::check(name) {
        Ok(()) => ResponseError::UnknownTopicOrPartition,
        Err(_) => ResponseError::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name_of(name)))
        .with_error_code(error.code())
}

/// A topic with its partitions from `first` on, at most `room` of them.
fn describe_topic(
    topic: &Topic,
    first: PartitionIndex,
    room: usize,
    describe: &dyn Fn(&Partition) -> PartitionDescription,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = topic.indexed_partitions().skip_while(|(index, _)| *index < first).take(room);
    let partitions = partitions.map(|(index, partition)| {
        let described = describe(partition);
        DescribeTopicPartitionsResponsePartition::default()
            .with_error_code(described.error_code())
            .with_partition_index(index.0)
            .with_leader_id(described.leader)
            .with_leader_epoch(described.leader_epoch)
            .with_replica_nodes(described.replicas)
            .with_isr_nodes(described.isr)
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
            .with_offline_replicas(described.offline)
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name_of(&topic.name)))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic_name::is_internal(&topic.name))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(authorized_operations::TOPIC)
}

fn topic_name_of(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::describe_topic_partitions_request::{Cursor as AskedCursor, TopicRequest};
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::controller::configs::Configs;
    use trilog_cluster::controller::{ControllerRecord, PartitionRecord};
    use trilog_cluster::ids::{NodeId, TopicId};
    use uuid::Uuid;

    use super::super::endpoints::Endpoints;
    use super::*;

    /// Topics `a`, `b` and `c` of three partitions each.
    fn image() -> MetadataImage {
        let mut image = MetadataImage::default();
        for (number, name) in (0u64..).zip(["a", "b", "c"]) {
            let partition = |at| PartitionRecord { group: 1 + 3 * number + at, replicas: vec![NodeId(1)] };
            image.replay(&ControllerRecord::TopicCreated {
                name: name.into(),
                id: TopicId(Uuid::from_u128(u128::from(number) + 1)),
                partitions: (0..3).map(partition).collect(),
                configs: Configs::new(),
            });
        }
        image
    }

    fn paged(
        names: &[&'static str],
        limit: i32,
        cursor: Option<(&'static str, i32)>,
    ) -> DescribeTopicPartitionsResponse {
        let topics =
            names.iter().map(|name| TopicRequest::default().with_name(topic_name_of(name))).collect();
        let cursor = cursor.map(|(name, partition)| {
            AskedCursor::default().with_topic_name(topic_name_of(name)).with_partition_index(partition)
        });
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(topics)
            .with_response_partition_limit(limit)
            .with_cursor(cursor);
        let image = image();
        let nobody = Endpoints::new(&image, "PLAINTEXT", |_| false);
        page(&image, &request, &|partition| PartitionDescription::new(partition, None, &nobody))
    }

    fn shape(response: &DescribeTopicPartitionsResponse) -> Vec<(&str, Vec<i32>)> {
        let partitions = |topic: &DescribeTopicPartitionsResponseTopic| {
            topic.partitions.iter().map(|partition| partition.partition_index).collect()
        };
        response
            .topics
            .iter()
            .map(|topic| (topic.name.as_ref().unwrap().as_str(), partitions(topic)))
            .collect()
    }

    fn next(response: &DescribeTopicPartitionsResponse) -> Option<(&str, i32)> {
        response.next_cursor.as_ref().map(|cursor| (cursor.topic_name.as_str(), cursor.partition_index))
    }

    #[test]
    fn pages_join_without_gap_or_overlap() {
        let first = paged(&[], 4, None);
        assert_eq!(shape(&first), [("a", vec![0, 1, 2]), ("b", vec![0])]);
        assert_eq!(next(&first), Some(("b", 1)));
        let second = paged(&[], 5, Some(("b", 1)));
        assert_eq!(shape(&second), [("b", vec![1, 2]), ("c", vec![0, 1, 2])]);
        assert_eq!(next(&second), None);
    }

    #[test]
    fn a_page_that_ends_with_a_topic_goes_on_with_the_next() {
        let first = paged(&["c", "a"], 3, None);
        assert_eq!(shape(&first), [("a", vec![0, 1, 2])]);
        assert_eq!(next(&first), Some(("c", 0)));
    }

    #[test]
    fn unknown_topics_are_told_apart() {
        let response = paged(&["nope", "no such name"], 10, None);
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [17, 3], "sorted by name");
        response.encode(&mut BytesMut::new(), 0).unwrap();
    }

    #[test]
    fn lists_of_replicas_are_empty_and_not_null() {
        let response = paged(&["a"], 1, None);
        let partition = &response.topics[0].partitions[0];
        assert_eq!(
            (&partition.eligible_leader_replicas, &partition.last_known_elr),
            (&Some(vec![]), &Some(vec![]))
        );
    }
}
