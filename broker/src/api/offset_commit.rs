//! OffsetCommit (8), versions 2-9: how far a group has consumed.
//!
//! Members of both protocols commit with their generation or member epoch, consumers without a group with -1
//! and no member id. Each partition has an error of its own; one that concerns the whole request stands at
//! every partition, as the answer has no other place for it.
//!
//! * v2-4: the client may say how long to keep the offsets; from v5 on that is the broker's setting.
//! * v3: throttle time. v4: throttling is the client's to wait out. v6: the leader epoch of the last record
//!   consumed (KIP-320). v7: static members (KIP-345). v8: flexible.
//! * v9: for members of the consumer protocol (KIP-848), with STALE_MEMBER_EPOCH among the errors.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, TopicName};
use trilog_cluster::coordinator::{
    CommitOffsets, CommitPartition, CommitTopic, GroupRequest, GroupResponse, InstanceId, MemberId,
    TopicResults,
};
use trilog_cluster::ids::{LeaderEpoch, Offset, PartitionIndex};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::group_coordinator::{ask, error_code, group_id, response_error, text};
use crate::connection::Reply;

/// See the module.
pub(super) struct OffsetCommit;

/// Up to this version the client may say how long to keep the offsets.
const RETENTION_UNTIL: i16 = 4;
/// From this version on the client knows the errors of member epochs.
const EPOCHS_KNOWN_FROM: i16 = 9;
/// A client's way of leaving something to the broker, or of saying that it is not known.
const NOT_STATED: i8 = -1;

impl Handler for OffsetCommit {
    type Request = OffsetCommitRequest;
    const SERVED: Versions = Versions::new(2, 9);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_one(&mut request.topics, Counts::Last);
        let asked = ask(broker, GroupRequest::CommitOffsets(commit(&request, context.version)));
        context.later(async move {
            let committed = asked.answer(|response| match response {
                GroupResponse::CommitOffsets(results) => Some(results),
                _ => None,
            });
            match committed.await {
                Ok(results) => answer(results),
                Err(error) => refused(&request.topics, error),
            }
        })
    }
}

asked_topic!(OffsetCommitRequestTopic: name, OffsetCommitRequestPartition: partition_index);

fn commit(request: &OffsetCommitRequest, version: i16) -> CommitOffsets {
    let retention = Some(request.retention_time_ms).filter(|_| version <= RETENTION_UNTIL);
    CommitOffsets {
        group: group_id(&request.group_id),
        member: MemberId::from(&*request.member_id),
        epoch: request.generation_id_or_member_epoch,
        instance: request.group_instance_id.as_deref().map(InstanceId::from),
        retention_ms: retention.filter(|stated| *stated != i64::from(NOT_STATED)),
        knows_epochs: version >= EPOCHS_KNOWN_FROM,
        topics: request.topics.iter().map(commit_topic).collect(),
    }
}

fn commit_topic(topic: &OffsetCommitRequestTopic) -> CommitTopic {
    CommitTopic {
        name: topic.name.as_str().into(),
        partitions: topic.partitions.iter().map(commit_partition).collect(),
    }
}

fn commit_partition(asked: &OffsetCommitRequestPartition) -> CommitPartition {
    let epoch = asked.committed_leader_epoch;
    CommitPartition {
        index: PartitionIndex(asked.partition_index),
        offset: Offset(asked.committed_offset),
        leader_epoch: (epoch != i32::from(NOT_STATED)).then_some(LeaderEpoch(epoch)),
        metadata: asked.committed_metadata.as_deref().unwrap_or_default().to_owned(),
    }
}

fn answer(results: Vec<TopicResults>) -> OffsetCommitResponse {
    let topics = results.into_iter().map(|TopicResults { name, partitions }| {
        let partitions = partitions
            .into_iter()
            .map(|(index, outcome)| answer_partition(index.0, error_code(&outcome.map_err(response_error))));
        answer_topic(TopicName(text(&name)), partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// The answer when no coordinator has decided: every partition is told the same.
fn refused(asked: &[OffsetCommitRequestTopic], error: ResponseError) -> OffsetCommitResponse {
    let topics = asked.iter().map(|topic| {
        let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
        answer_topic(topic.name.clone(), indexes.map(|index| answer_partition(index, error.code())).collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

fn answer_topic(
    name: TopicName,
    partitions: Vec<OffsetCommitResponsePartition>,
) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions)
}

fn answer_partition(index: i32, error_code: i16) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(error_code)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::coordinator::GroupErrorCode;

    use super::*;

    fn request() -> OffsetCommitRequest {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(1)
            .with_committed_offset(7)
            .with_committed_metadata(None);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text("t")))
            .with_partitions(vec![partition]);
        OffsetCommitRequest::default().with_retention_time_ms(1000).with_topics(vec![topic])
    }

    #[test]
    fn what_is_not_stated_is_left_out() {
        let asked = commit(&request(), 4);
        assert_eq!(asked.retention_ms, Some(1000));
        let partition = &asked.topics[0].partitions[0];
        assert_eq!((partition.leader_epoch, partition.metadata.as_str()), (None, ""));
        assert_eq!(commit(&request().with_retention_time_ms(-1), 4).retention_ms, None);
        let latest = commit(&request(), 9);
        assert_eq!((latest.retention_ms, latest.knows_epochs), (None, true));
    }

    #[test]
    fn every_version_can_carry_every_answer() {
        let results = TopicResults {
            name: "t".into(),
            partitions: vec![
                (PartitionIndex(0), Ok(())),
                (PartitionIndex(1), Err(GroupErrorCode::OffsetMetadataTooLarge)),
            ],
        };
        let committed = answer(vec![results]);
        let codes: Vec<_> = committed.topics[0].partitions.iter().map(|of| of.error_code).collect();
        assert_eq!(codes, [0, 12]);
        let elsewhere = refused(&request().topics, ResponseError::NotCoordinator);
        let partition = &elsewhere.topics[0].partitions[0];
        assert_eq!((partition.partition_index, partition.error_code), (1, 16));
        for version in OffsetCommit::SERVED.min..=OffsetCommit::SERVED.max {
            committed.encode(&mut BytesMut::new(), version).unwrap();
            elsewhere.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
