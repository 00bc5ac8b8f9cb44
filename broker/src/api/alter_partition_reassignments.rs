//! AlterPartitionReassignments (45), versions 0-1: partitions are to have other replicas (KIP-455).
//!
//! A partition keeps the replicas that it was made with. So an assignment is checked as in Kafka, and then refused with
//! POLICY_VIOLATION unless it is the one that the partition has. A cancellation finds NO_REASSIGNMENT_IN_PROGRESS.
//!
//! No message repeats the topic's name: a request may name very many partitions of one topic.
//!
//! * v1: a change of the replication factor may be forbidden.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId,
};
use trilog_cluster::controller::{MetadataImage, Partition, Topic};
use trilog_cluster::ids::PartitionIndex;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::endpoints::broker_id;
use super::item_error::{ItemError, parts};
use crate::connection::Reply;

/// See the module.
pub(super) struct AlterPartitionReassignments;

/// What a partition takes in an answer that is built and encoded, in bytes.
const PARTITION_BYTES: usize = 384;

impl Handler for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    const SERVED: Versions = Versions::new(0, 1);

    fn answer_bytes(_: &Broker, request: &Self::Request, _: i16) -> usize {
        request.topics.iter().map(|topic| topic.partitions.len() * PARTITION_BYTES).sum()
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_one(&mut request.topics, Counts::Last);
        let image = broker.image();
        let topics = request.topics.into_iter().map(|topic| topic_response(&image, topic)).collect();
        let response = AlterPartitionReassignmentsResponse::default()
            .with_allow_replication_factor_change(request.allow_replication_factor_change)
            .with_responses(topics);
        context.now(&response)
    }
}

asked_topic!(ReassignableTopic: name, ReassignablePartition: partition_index);

fn topic_response(image: &MetadataImage, asked: ReassignableTopic) -> ReassignableTopicResponse {
    let topic = image.topic(&asked.name);
    let partitions = asked.partitions.iter().map(|partition| {
        let (error_code, message) = parts(&alter(image, topic, partition));
        ReassignablePartitionResponse::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(error_code)
            .with_error_message(message)
    });
    let partitions = partitions.collect();
    ReassignableTopicResponse::default().with_partitions(partitions).with_name(asked.name)
}

fn alter(
    image: &MetadataImage,
    topic: Option<&Arc<Topic>>,
    asked: &ReassignablePartition,
) -> Result<(), ItemError> {
    let unknown = |what| ItemError::fixed(ResponseError::UnknownTopicOrPartition, what);
    let topic = topic.ok_or_else(|| unknown("Unable to find the topic."))?;
    let partition = topic
        .partition(PartitionIndex(asked.partition_index))
        .ok_or_else(|| unknown("Unable to find the partition."))?;
    match &asked.replicas {
        None => Err(ItemError::fixed(
            ResponseError::NoReassignmentInProgress,
            "No partition reassignment is in progress.",
        )),
        Some(replicas) => reassign(image, partition, replicas),
    }
}

fn reassign(image: &MetadataImage, partition: &Partition, wanted: &[BrokerId]) -> Result<(), ItemError> {
    let refuse = |why: String| Err(ItemError::new(ResponseError::InvalidReplicaAssignment, why));
    if wanted.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let known: BTreeSet<i32> = image.brokers().map(|broker| broker_id(broker.node).0).collect();
    let mut seen = BTreeSet::new();
    for BrokerId(id) in wanted {
        if !known.contains(id) {
            return refuse(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered."
            ));
        }
        if !seen.insert(id) {
            return refuse(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
    }
    if partition.replicas.iter().copied().map(broker_id).eq(wanted.iter().copied()) {
        return Ok(());
    }
    let why = "A partition keeps the replicas that it was made with: moving replicas is not supported.";
    Err(ItemError::fixed(ResponseError::PolicyViolation, why))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::protocol::{Encodable, StrBytes};
    use trilog_cluster::controller::{
        Broker as Registration, ControllerRecord, PartitionRecord, configs::Configs,
    };
    use trilog_cluster::ids::{NodeId, TopicId};
    use uuid::Uuid;

    use super::*;

    /// Nodes 1 to 3, and a topic `t` whose one partition is on nodes 1 and 2.
    fn image() -> MetadataImage {
        let mut image = MetadataImage::default();
        for node in 1..=3 {
            image.replay(&ControllerRecord::BrokerRegistered(Registration {
                node: NodeId(node),
                incarnation: Uuid::nil(),
                listeners: Vec::new(),
                rack: None,
            }));
        }
        image.replay(&ControllerRecord::TopicCreated {
            name: "t".into(),
            id: TopicId(Uuid::from_u128(7)),
            partitions: vec![PartitionRecord { group: 1, replicas: vec![NodeId(1), NodeId(2)] }],
            configs: Configs::new(),
        });
        image
    }

    fn response(topic: &'static str, partition: i32, replicas: Option<&[i32]>) -> ReassignableTopicResponse {
        let replicas = replicas.map(|replicas| replicas.iter().copied().map(BrokerId).collect());
        let partition =
            ReassignablePartition::default().with_partition_index(partition).with_replicas(replicas);
        let topic = ReassignableTopic::default()
            .with_name(TopicName(StrBytes::from_static_str(topic)))
            .with_partitions(vec![partition]);
        topic_response(&image(), topic)
    }

    #[test]
    fn each_partition_has_its_reason() {
        let code = |topic, partition, replicas| response(topic, partition, replicas).partitions[0].error_code;
        assert_eq!(code("none", 0, Some(&[1])), 3);
        assert_eq!(code("t", 1, Some(&[1])), 3);
        assert_eq!(code("t", -1, None), 3);
        assert_eq!(code("t", 0, None), 85, "nothing to cancel");
        for impossible in [&[][..], &[9], &[-1], &[1, 1]] {
            assert_eq!(code("t", 0, Some(impossible)), 39, "{impossible:?}");
        }
        assert_eq!(code("t", 0, Some(&[1, 2])), 0, "it has these already");
        assert_eq!(code("t", 0, Some(&[2, 1])), 44);
        assert_eq!(code("t", 0, Some(&[1, 3])), 44);
    }

    #[test]
    fn a_partition_takes_what_is_claimed_for_it_whatever_its_topic_is_called() {
        let name = "x".repeat(32_000);
        let partitions = (0..1_000)
            .map(|index| ReassignablePartition::default().with_partition_index(index).with_replicas(None));
        let topic = ReassignableTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.clone())))
            .with_partitions(partitions.collect());
        let response = AlterPartitionReassignmentsResponse::default()
            .with_responses(vec![topic_response(&image(), topic)]);
        let encoded = response.compute_size(1).unwrap();
        assert!(encoded < name.len() + 1_000 * PARTITION_BYTES / 2, "{encoded}");
    }

    #[test]
    fn every_version_can_carry_it() {
        for version in AlterPartitionReassignments::SERVED.min..=AlterPartitionReassignments::SERVED.max {
            let response = AlterPartitionReassignmentsResponse::default().with_responses(vec![response(
                "t",
                0,
                Some(&[1, 3]),
            )]);
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
