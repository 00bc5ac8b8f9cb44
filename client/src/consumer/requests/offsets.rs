//! Committed offsets: read and written.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use trilog_protocol::ErrorCode;

use super::{ask, group_id, text, topic_name, version};
use crate::Error;
use crate::consumer::CommitOffset;
use crate::consumer::group::classic::Identity;
use crate::consumer::ledger::Committable;
use crate::consumer::partition::{TopicPartition, by_topic};
use crate::wire::Connection;

/// From this version on, a group waits for transactions that commit its offsets (KIP-447).
const STABLE_FROM: i16 = 7;

/// What was committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::consumer) struct Committed {
    pub(in crate::consumer) offset: Committable,
    pub(in crate::consumer) metadata: String,
}

/// The group's committed offsets of these partitions. None where there is none.
pub(in crate::consumer) async fn committed(
    connection: &Connection,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Result<Option<Committed>, ErrorCode>>, Error> {
    let topics = by_topic(partitions).into_iter().map(|(topic, partitions)| {
        OffsetFetchRequestTopic::default().with_name(topic_name(&topic)).with_partition_indexes(partitions)
    });
    // Version 8 asks for many groups at once.
    let version = version::<OffsetFetchRequest>(connection, 7)?;
    let request = OffsetFetchRequest::default()
        .with_group_id(group_id(group))
        .with_topics(Some(topics.collect()))
        .with_require_stable(version >= STABLE_FROM);
    let answer = connection.request_at_version(request, version).await?;
    ErrorCode(answer.error_code).check().map_err(Error::code)?;
    let mut committed = BTreeMap::new();
    for topic in answer.topics {
        let name: Arc<str> = topic.name.as_str().into();
        for row in topic.partitions {
            let place = TopicPartition { topic: name.clone(), partition: row.partition_index };
            let found = (row.committed_offset >= 0).then(|| Committed {
                offset: Committable {
                    offset: row.committed_offset,
                    leader_epoch: Some(row.committed_leader_epoch).filter(|epoch| *epoch >= 0),
                },
                metadata: row.metadata.map(|metadata| metadata.to_string()).unwrap_or_default(),
            });
            committed.insert(place, ErrorCode(row.error_code).check().map(|()| found));
        }
    }
    Ok(committed)
}

/// Commits offsets as this member, and returns each partition's code.
pub(in crate::consumer) async fn commit(
    connection: &Connection,
    group: &str,
    identity: &Identity,
    offsets: &BTreeMap<TopicPartition, CommitOffset>,
) -> Result<BTreeMap<TopicPartition, ErrorCode>, Error> {
    let version = version::<OffsetCommitRequest>(connection, 9)?;
    let mut topics = BTreeMap::<&str, Vec<OffsetCommitRequestPartition>>::new();
    for (TopicPartition { topic, partition }, commit) in offsets {
        let mut row = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(commit.offset)
            .with_committed_metadata(Some(text(&commit.metadata)));
        if version >= 6 {
            row.committed_leader_epoch = commit.leader_epoch.unwrap_or(-1);
        }
        topics.entry(topic).or_default().push(row);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(identity.generation)
        .with_member_id(text(&identity.member_id))
        .with_group_instance_id(identity.instance.as_deref().filter(|_| version >= 7).map(text))
        .with_topics(topics.collect());
    let answer = ask(connection, request, version).await?;
    let mut codes = BTreeMap::new();
    for topic in answer.topics {
        let name: Arc<str> = topic.name.as_str().into();
        for row in topic.partitions {
            let place = TopicPartition { topic: name.clone(), partition: row.partition_index };
            codes.insert(place, ErrorCode(row.error_code));
        }
    }
    Ok(codes)
}
