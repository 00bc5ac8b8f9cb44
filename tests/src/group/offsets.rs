//! Offsets of a group: committed, fetched, deleted, in any version.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchResponse,
};
use trilog_client::wire::ClientError;

use super::Group;
use crate::requests::{error, group_id, only, text, topic_name};

/// The first version of OffsetFetch that asks for several groups.
const SEVERAL_GROUPS: i16 = 8;

/// An offset that a member, or somebody outside the group, commits.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The member's id, empty for a consumer that is in no group.
    pub member: String,
    /// The static member's name.
    pub instance: Option<String>,
    /// The member's generation or epoch, -1 for a consumer that is in no group.
    pub epoch: i32,
    /// Which topic.
    pub topic: String,
    /// Which partition.
    pub partition: i32,
    /// The next offset to consume.
    pub offset: i64,
    /// The leader epoch of the last record consumed, -1 for none.
    pub leader_epoch: i32,
    /// What comes back as given.
    pub metadata: Option<String>,
}

impl Commit {
    /// An offset of somebody who is in no group.
    pub fn outside(topic: &str, partition: i32, offset: i64) -> Self {
        Self {
            member: String::new(),
            instance: None,
            epoch: -1,
            topic: topic.to_owned(),
            partition,
            offset,
            leader_epoch: -1,
            metadata: Some(String::new()),
        }
    }

    /// The same from a member, by its id and its generation or epoch.
    #[must_use]
    pub fn by(mut self, member: &str, epoch: i32) -> Self {
        member.clone_into(&mut self.member);
        self.epoch = epoch;
        self
    }

    /// The same with metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: Option<&str>) -> Self {
        self.metadata = metadata.map(ToOwned::to_owned);
        self
    }

    /// The request, in any version: fields that it lacks are left out.
    pub fn request(&self, group: &str, version: i16) -> OffsetCommitRequest {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(self.partition)
            .with_committed_offset(self.offset)
            .with_committed_leader_epoch(if version >= 6 { self.leader_epoch } else { -1 })
            .with_committed_metadata(self.metadata.as_deref().map(text));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(&self.topic))
            .with_partitions(vec![partition]);
        let instance = if version >= 7 { self.instance.as_deref() } else { None };
        OffsetCommitRequest::default()
            .with_group_id(group_id(group))
            .with_member_id(text(&self.member))
            .with_generation_id_or_member_epoch(self.epoch)
            .with_group_instance_id(instance.map(text))
            .with_topics(vec![topic])
    }
}

/// The error about the one partition of a commit.
pub fn committed(answer: OffsetCommitResponse) -> Option<ResponseError> {
    error(only(only(answer.topics).partitions).error_code)
}

/// An OffsetFetch in any version: these partitions of one topic, or all that the group has.
pub fn fetch_request(group: &str, topic: Option<(&str, &[i32])>, version: i16) -> OffsetFetchRequest {
    if version >= SEVERAL_GROUPS {
        return OffsetFetchRequest::default().with_groups(vec![fetch_group(group, topic)]);
    }
    let topics = topic.map(|(name, partitions)| {
        let topic = OffsetFetchRequestTopic::default().with_name(topic_name(name));
        vec![topic.with_partition_indexes(partitions.to_vec())]
    });
    OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(topics)
}

/// One group's part of an OffsetFetch for several.
pub fn fetch_group(group: &str, topic: Option<(&str, &[i32])>) -> OffsetFetchRequestGroup {
    let topics = topic.map(|(name, partitions)| {
        let topic = OffsetFetchRequestTopics::default().with_name(topic_name(name));
        vec![topic.with_partition_indexes(partitions.to_vec())]
    });
    let group = OffsetFetchRequestGroup::default().with_group_id(group_id(group));
    group.with_member_epoch(-1).with_topics(topics)
}

/// What an OffsetFetch tells about its one group, whatever the version: the error of the whole, and each partition by
/// topic in the order that came.
pub fn fetched_offsets(answer: OffsetFetchResponse, version: i16) -> OffsetFetchResponseGroup {
    if version >= SEVERAL_GROUPS {
        return only(answer.groups);
    }
    let topics = answer.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|row| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(row.partition_index)
                .with_committed_offset(row.committed_offset)
                .with_committed_leader_epoch(row.committed_leader_epoch)
                .with_metadata(row.metadata)
                .with_error_code(row.error_code)
        });
        OffsetFetchResponseTopics::default().with_name(topic.name).with_partitions(partitions.collect())
    });
    OffsetFetchResponseGroup::default().with_error_code(answer.error_code).with_topics(topics.collect())
}

/// The offsets in an answer as `(topic, partition, offset)`, in order, or the first error in it.
fn offsets_of(answer: OffsetFetchResponseGroup) -> Result<Vec<(String, i32, i64)>, ResponseError> {
    let well = |code| error(code).map_or(Ok(()), Err);
    well(answer.error_code)?;
    let mut rows = Vec::new();
    for topic in answer.topics {
        for row in topic.partitions {
            well(row.error_code)?;
            rows.push((topic.name.to_string(), row.partition_index, row.committed_offset));
        }
    }
    rows.sort();
    Ok(rows)
}

impl Group {
    /// Commits in the highest version; the error if it is refused.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer, after which nobody knows.
    pub async fn try_commit(&self, commit: &Commit) -> Result<Option<ResponseError>, ClientError> {
        let version = self.connection.versions().negotiate::<OffsetCommitRequest>()?;
        let request = commit.request(&self.name, version);
        Ok(committed(self.connection.request_at_version(request, version).await?))
    }

    /// Commits in the highest version; the error if it is refused.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn commit(&self, commit: &Commit) -> Option<ResponseError> {
        self.try_commit(commit).await.expect("OffsetCommit is answered")
    }

    /// Fetches offsets in the highest version.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer.
    pub async fn try_fetch_offsets(
        &self,
        topic: Option<(&str, &[i32])>,
    ) -> Result<OffsetFetchResponseGroup, ClientError> {
        let version = self.connection.versions().negotiate::<OffsetFetchRequest>()?;
        let request = fetch_request(&self.name, topic, version);
        Ok(fetched_offsets(self.connection.request_at_version(request, version).await?, version))
    }

    /// All offsets of the group as `(topic, partition, offset)`, in order.
    ///
    /// # Panics
    /// If there is no answer, or an error.
    pub async fn offsets(&self) -> Vec<(String, i32, i64)> {
        let answer = self.try_fetch_offsets(None).await.expect("OffsetFetch is answered");
        offsets_of(answer).expect("the coordinator tells the offsets")
    }

    /// The same, unless the connection breaks or the coordinator refuses, as one that has moved meanwhile.
    pub async fn try_offsets(&self) -> Option<Vec<(String, i32, i64)>> {
        offsets_of(self.try_fetch_offsets(None).await.ok()?).ok()
    }

    /// The offset of one partition, -1 if there is none.
    ///
    /// # Panics
    /// If there is no answer, or an error.
    pub async fn offset(&self, topic: &str, partition: i32) -> i64 {
        let answer = self.try_fetch_offsets(Some((topic, &[partition]))).await;
        let answer = answer.expect("OffsetFetch is answered");
        assert_eq!(error(answer.error_code), None);
        let row = only(only(answer.topics).partitions);
        assert_eq!(error(row.error_code), None);
        row.committed_offset
    }

    /// Deletes the offset of one partition: the error of the whole, else that of the partition.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn delete_offset(&self, topic: &str, partition: i32) -> Option<ResponseError> {
        let row = OffsetDeleteRequestPartition::default().with_partition_index(partition);
        let topic = OffsetDeleteRequestTopic::default().with_name(topic_name(topic));
        let request = OffsetDeleteRequest::default()
            .with_group_id(group_id(&self.name))
            .with_topics(vec![topic.with_partitions(vec![row])]);
        let answer = self.connection.request(request).await.expect("OffsetDelete is answered");
        match error(answer.error_code) {
            None => error(only(only(answer.topics).partitions).error_code),
            whole => whole,
        }
    }
}
