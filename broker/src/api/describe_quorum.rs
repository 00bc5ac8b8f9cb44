//! DescribeQuorum (55), versions 0-2: the controller's own group, which Kafka knows as the one partition of
//! `__cluster_metadata` (KIP-595).
//!
//! Any node answers, after it has asked the controller's leader. Offsets count the entries of the controller's Raft log. All
//! nodes are voters, so that there are no observers. Without a controller within the time that clients give a request,
//! the whole answer is REQUEST_TIMED_OUT, and they ask again.
//!
//! * v1: when voters were last heard and had everything (KIP-836). v2: error messages, and addresses (KIP-853).

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_quorum_request::{
    PartitionData as AskedPartition, TopicData as AskedTopic,
};
use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{MetadataImage, Quorum, Voter};
use trilog_cluster::ids::TimestampMs;
use trilog_cluster::node::{SubmitError, wall_clock};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::endpoints::broker_id;
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeQuorum;

/// The name that Kafka gives the log of the metadata.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// How long the controller's leader is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// From this version on there are error messages and addresses.
const ADDRESSES_FROM: i16 = 2;

/// From this version on there are times.
const TIMES_FROM: i16 = 1;

/// Kafka's number for "never".
const NEVER: i64 = -1;

impl Handler for DescribeQuorum {
    type Request = DescribeQuorumRequest;
    const SERVED: Versions = Versions::new(0, 2);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_one(&mut request.topics, Counts::First);
        let version = context.version;
        let broker = Arc::clone(broker);
        context.later(async move {
            if !is_the_metadata(&request.topics) {
                return unknown(request.topics, version);
            }
            match broker.node.quorum(PATIENCE).await {
                Ok(quorum) => describe(&quorum, &broker.image(), wall_clock(), version),
                Err(error) => refused(error, version),
            }
        })
    }
}

asked_topic!(AskedTopic: topic_name, AskedPartition: partition_index);

fn is_the_metadata(topics: &[AskedTopic]) -> bool {
    matches!(topics, [topic] if topic.topic_name.as_str() == METADATA_TOPIC
        && matches!(topic.partitions[..], [AskedPartition { partition_index: 0, .. }]))
}

/// No group but the controller's is described this way.
fn unknown(topics: Vec<AskedTopic>, version: i16) -> DescribeQuorumResponse {
    let error = ResponseError::UnknownTopicOrPartition;
    let partition = |asked: AskedPartition| {
        PartitionData::default()
            .with_partition_index(asked.partition_index)
            .with_error_code(error.code())
            .with_error_message(message(&"This server does not host this topic-partition.", version))
    };
    let topic = |asked: AskedTopic| {
        TopicData::default()
            .with_topic_name(asked.topic_name)
            .with_partitions(asked.partitions.into_iter().map(partition).collect())
    };
    DescribeQuorumResponse::default().with_topics(topics.into_iter().map(topic).collect())
}

fn refused(error: SubmitError, version: i16) -> DescribeQuorumResponse {
    DescribeQuorumResponse::default()
        .with_error_code(ResponseError::RequestTimedOut.code())
        .with_error_message(message(&error, version))
}

fn message(message: &impl ToString, version: i16) -> Option<StrBytes> {
    (version >= ADDRESSES_FROM).then(|| StrBytes::from_string(message.to_string()))
}

fn describe(
    quorum: &Quorum,
    image: &MetadataImage,
    now: TimestampMs,
    version: i16,
) -> DescribeQuorumResponse {
    let voters = quorum.voters.iter().map(|voter| voter_state(voter, now, version));
    let partition = PartitionData::default()
        .with_leader_id(quorum.leader.map_or(BrokerId(-1), broker_id))
        .with_leader_epoch(quorum.epoch)
        .with_high_watermark(offset(quorum.high_watermark))
        .with_current_voters(voters.collect());
    let topic = TopicData::default()
        .with_topic_name(StrBytes::from_static_str(METADATA_TOPIC).into())
        .with_partitions(vec![partition]);
    let nodes = if version < ADDRESSES_FROM { Vec::new() } else { nodes(quorum, image) };
    DescribeQuorumResponse::default().with_topics(vec![topic]).with_nodes(nodes)
}

fn voter_state(voter: &Voter, now: TimestampMs, version: i16) -> ReplicaState {
    let since = |ago: Option<u64>| {
        let ago = ago.filter(|_| version >= TIMES_FROM)?;
        Some(now.0.saturating_sub(offset(ago)))
    };
    ReplicaState::default()
        .with_replica_id(broker_id(voter.node))
        .with_log_end_offset(offset(voter.log_end))
        .with_last_fetch_timestamp(since(voter.silent_ms).unwrap_or(NEVER))
        .with_last_caught_up_timestamp(since(voter.behind_ms).unwrap_or(NEVER))
}

fn nodes(quorum: &Quorum, image: &MetadataImage) -> Vec<Node> {
    let listener = |listener: &trilog_cluster::controller::Listener| {
        Listener::default()
            .with_name(StrBytes::from_string(listener.name.clone()))
            .with_host(StrBytes::from_string(listener.host.clone()))
            .with_port(listener.port)
    };
    let node = |voter: &Voter| {
        let listeners =
            image.broker(voter.node).map(|broker| broker.listeners.iter().map(listener).collect());
        Node::default().with_node_id(broker_id(voter.node)).with_listeners(listeners.unwrap_or_default())
    };
    quorum.voters.iter().map(node).collect()
}

fn offset(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::ids::NodeId;

    use super::*;

    fn asked(topic: &'static str, partition: i32) -> Vec<AskedTopic> {
        let partition = AskedPartition::default().with_partition_index(partition);
        let name = StrBytes::from_static_str(topic).into();
        vec![AskedTopic::default().with_topic_name(name).with_partitions(vec![partition])]
    }

    fn quorum() -> Quorum {
        let voter =
            |node, log_end, silent_ms, behind_ms| Voter { node: NodeId(node), log_end, silent_ms, behind_ms };
        let voters =
            vec![voter(1, 70, Some(0), Some(0)), voter(2, 60, Some(5), None), voter(3, 0, None, None)];
        Quorum { leader: Some(NodeId(1)), epoch: 4, high_watermark: 69, voters }
    }

    #[test]
    fn only_the_metadata_is_described() {
        assert!(is_the_metadata(&asked(METADATA_TOPIC, 0)));
        for other in [asked(METADATA_TOPIC, 1), asked("t", 0), vec![]] {
            assert!(!is_the_metadata(&other));
        }
        assert_eq!(unknown(asked("t", 0), 2).topics[0].partitions[0].error_code, 3);
    }

    #[test]
    fn every_version_can_carry_it() {
        for version in DescribeQuorum::SERVED.min..=DescribeQuorum::SERVED.max {
            let described = describe(&quorum(), &MetadataImage::default(), TimestampMs(1_000), version);
            let voters = &described.topics[0].partitions[0].current_voters;
            let times: Vec<_> = voters
                .iter()
                .map(|voter| (voter.last_fetch_timestamp, voter.last_caught_up_timestamp))
                .collect();
            let known = [(1_000, 1_000), (995, NEVER), (NEVER, NEVER)];
            assert_eq!(times, if version == 0 { [(NEVER, NEVER); 3] } else { known });
            described.encode(&mut BytesMut::new(), version).unwrap();
            unknown(asked("t", 0), version).encode(&mut BytesMut::new(), version).unwrap();
            refused(SubmitError::TimedOut, version).encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
