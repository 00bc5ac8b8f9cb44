//! DescribeProducers (61), version 0: the idempotent producers that a partition remembers (KIP-664).
//!
//! Any replica answers, as in Kafka, with what it has applied. A node works on one such request at a time: it may have to copy all
//! that it remembers. There are no transactions, so that no producer has an open one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};
use trilog_cluster::bounds::{MAX_PRODUCERS_PER_NODE, MAX_PRODUCERS_PER_PARTITION};
use trilog_cluster::controller::{MetadataImage, topic_name};
use trilog_cluster::ids::RaftGroupId;
use trilog_cluster::partition::ActiveProducer;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::item_error::ItemError;
use super::led_partition::group_of;
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeProducers;

/// How long the answer is waited for within the node.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a partition takes in an answer that is built and encoded, in bytes.
const PARTITION_BYTES: usize = 128;

/// What a producer takes in the driver's answer and in one that is built and encoded, in bytes.
const PRODUCER_BYTES: usize = 160;

impl Handler for DescribeProducers {
    type Request = DescribeProducersRequest;
    const SERVED: Versions = Versions::new(0, 0);

    fn answer_bytes(_: &Broker, request: &Self::Request, _: i16) -> usize {
        answer_bytes(request.topics.iter().map(|topic| topic.partition_indexes.len()).sum())
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_one(&mut request.topics, Counts::First);
        let broker = Arc::clone(broker);
        context.later(async move {
            let image = broker.image();
            let groups = request.topics.iter().flat_map(|topic| groups_of(&image, topic)).collect();
            let known = broker.node.producers(groups, PATIENCE).await;
            let topics = request.topics.into_iter().map(|topic| describe(&image, known.as_ref(), topic));
            DescribeProducersResponse::default().with_topics(topics.collect())
        })
    }
}

/// What the answer about so many partitions takes at most.
fn answer_bytes(partitions: usize) -> usize {
    let producers = partitions.saturating_mul(MAX_PRODUCERS_PER_PARTITION).min(MAX_PRODUCERS_PER_NODE);
    partitions * PARTITION_BYTES + producers * PRODUCER_BYTES
}

asked_topic!(TopicRequest: name, partition_indexes of i32, |partition| *partition);

fn groups_of(image: &MetadataImage, asked: &TopicRequest) -> Vec<RaftGroupId> {
    let topic = image.topic(&asked.name);
    asked.partition_indexes.iter().filter_map(|index| group_of(topic, *index).ok()).collect()
}

fn describe(
    image: &MetadataImage,
    known: Option<&BTreeMap<RaftGroupId, Vec<ActiveProducer>>>,
    asked: TopicRequest,
) -> TopicResponse {
    let topic = image.topic(&asked.name);
    let no_topic = topic.is_none().then(|| no_topic(&asked.name));
    let partition = |index: &i32| {
        let producers = group_of(topic, *index).and_then(|group| {
            let known = known.ok_or(ResponseError::RequestTimedOut)?;
            known.get(&group).ok_or(ResponseError::NotLeaderOrFollower)
        });
        let producers = producers.map_err(|error| no_topic.clone().unwrap_or(ItemError::bare(error)));
        partition_response(*index, producers.map(Vec::as_slice))
    };
    let partitions = asked.partition_indexes.iter().map(partition).collect();
    TopicResponse::default().with_partitions(partitions).with_name(asked.name)
}

/// Why there is nothing to tell of a topic that does not exist. No message repeats the name: a request may name very many partitions.
fn no_topic(name: &str) -> ItemError {
    match topic_name::check(name) {
        Ok(()) => ItemError::fixed(ResponseError::UnknownTopicOrPartition, "There is no such topic."),
        Err(_) => ItemError::fixed(ResponseError::InvalidTopicException, "No topic can have this name."),
    }
}

fn partition_response(index: i32, producers: Result<&[ActiveProducer], ItemError>) -> PartitionResponse {
    let response = PartitionResponse::default().with_partition_index(index);
    match producers {
        Ok(producers) => response.with_active_producers(producers.iter().map(state).collect()),
        Err(error) => response.with_error_code(error.error.code()).with_error_message(error.message),
    }
}

fn state(producer: &ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(producer.id.0.into())
        .with_producer_epoch(producer.epoch.0.into())
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_timestamp.0)
        .with_coordinator_epoch(-1)
        .with_current_txn_start_offset(-1)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::ids::{ProducerEpoch, ProducerId, TimestampMs};

    use super::*;

    #[test]
    fn an_answer_claims_what_the_partitions_may_remember() {
        let producers =
            |partitions| (answer_bytes(partitions) - partitions * PARTITION_BYTES) / PRODUCER_BYTES;
        assert_eq!([0, 1, 5].map(producers), [0, MAX_PRODUCERS_PER_PARTITION, MAX_PRODUCERS_PER_NODE]);
        assert!(size_of::<ActiveProducer>() + size_of::<ProducerState>() + 40 <= PRODUCER_BYTES);
    }

    #[test]
    fn producers_are_told_as_they_are() {
        let producer = ActiveProducer {
            id: ProducerId(7),
            epoch: ProducerEpoch(1),
            last_sequence: 41,
            last_timestamp: TimestampMs(1_000),
        };
        let known = partition_response(0, Ok(&[producer]));
        let told = &known.active_producers[0];
        assert_eq!((told.producer_id.0, told.producer_epoch, told.last_sequence), (7, 1, 41));
        assert_eq!((told.last_timestamp, told.current_txn_start_offset), (1_000, -1));
        let unknown = partition_response(1, Err(no_topic("unknown")));
        assert_eq!((unknown.error_code, unknown.active_producers.len()), (3, 0));
        assert_eq!(no_topic("a/b").error, ResponseError::InvalidTopicException);
        let topic = TopicResponse::default().with_partitions(vec![known, unknown]);
        let response = DescribeProducersResponse::default().with_topics(vec![topic]);
        response.encode(&mut BytesMut::new(), DescribeProducers::SERVED.max).unwrap();
    }
}
