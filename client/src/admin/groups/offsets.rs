//! Committed offsets of groups: listed, altered, deleted.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};
use kafka_protocol::protocol::StrBytes;
use trilog_protocol::ErrorCode;

use crate::Error;
use crate::admin::requests::{by_topic, checked, known, rows};
use crate::admin::rounds::Policy;
use crate::admin::route::{Coordinated, Route};
use crate::admin::run::{Attempt, Operation};
use crate::admin::{Admin, Results};
use crate::consumer::{CommitOffset, TopicPartition};
use crate::messages::{group_id, text, version};

/// From this version on, several groups are asked for at once (KIP-709).
const MANY_FROM: i16 = 8;
/// From this version on, a commit has the leader epoch of its offset (KIP-320).
const EPOCHS_FROM: i16 = 6;
/// From version 10 on, topics are numbered.
const HIGHEST_BY_NAME: i16 = 9;

/// The committed offsets of a group.
type Committed = Results<TopicPartition, CommitOffset>;

impl Admin {
    /// Lists the committed offsets of groups. A group that does not exist has none.
    pub async fn list_group_offsets<G: Into<String>>(
        &self,
        groups: impl IntoIterator<Item = G>,
    ) -> Results<String, Results<TopicPartition, CommitOffset>> {
        self.run(ListOffsets, groups.into_iter().map(Into::into)).await
    }

    /// Commits offsets for a group that has no members. A group that has some is `UNKNOWN_MEMBER_ID`.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: BTreeMap<TopicPartition, CommitOffset>,
    ) -> Results<TopicPartition, ()> {
        let partitions: Vec<_> = offsets.keys().cloned().collect();
        self.run(AlterOffsets { group: group.to_owned(), offsets }, partitions).await
    }

    /// Deletes committed offsets. A topic that members of the group subscribe to is `GROUP_SUBSCRIBED_TO_TOPIC`.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Results<TopicPartition, ()> {
        self.run(DeleteOffsets { group: group.to_owned() }, partitions).await
    }
}

struct ListOffsets;

impl Operation for ListOffsets {
    type Key = String;
    type Value = Committed;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, group: &String) -> Route {
        Route::Coordinator(Coordinated::Group(group.clone()))
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        groups: &[String],
    ) -> Result<Results<String, Committed>, Error> {
        let version = version::<OffsetFetchRequest>(attempt.connection, HIGHEST_BY_NAME)?;
        if version < MANY_FROM {
            return one_by_one(attempt, groups, version).await;
        }
        let group = |group: &String| {
            OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(None)
        };
        let request = OffsetFetchRequest::default().with_groups(groups.iter().map(group).collect());
        let answer = attempt.connection.request_at_version(request, version).await?;
        let found = answer.groups.into_iter().map(|row| {
            let committed = checked(row.error_code, None).map(|()| {
                let committed = rows(
                    row.topics,
                    |topic| (topic.name, topic.partitions),
                    |row| {
                        let offset = (row.committed_offset, row.committed_leader_epoch);
                        (row.partition_index, committed(offset, row.metadata, row.error_code))
                    },
                );
                present(committed)
            });
            (row.group_id.to_string(), committed)
        });
        Ok(found.collect())
    }
}

async fn one_by_one(
    attempt: Attempt<'_>,
    groups: &[String],
    version: i16,
) -> Result<Results<String, Committed>, Error> {
    let mut found = Results::new();
    for group in groups {
        let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(None);
        let answer = attempt.connection.request_at_version(request, version).await?;
        let row = checked(answer.error_code, None).map(|()| {
            let committed = rows(
                answer.topics,
                |topic| (topic.name, topic.partitions),
                |row| {
                    let offset = (row.committed_offset, row.committed_leader_epoch);
                    (row.partition_index, committed(offset, row.metadata, row.error_code))
                },
            );
            present(committed)
        });
        found.insert(group.clone(), row);
    }
    Ok(found)
}

/// A row of an answer; None where nothing is committed.
fn committed(
    (offset, leader_epoch): (i64, i32),
    metadata: Option<StrBytes>,
    code: i16,
) -> Result<Option<CommitOffset>, Error> {
    checked(code, None)?;
    Ok(known(offset).map(|offset| CommitOffset {
        offset,
        leader_epoch: known(leader_epoch),
        metadata: metadata.map(|metadata| metadata.to_string()).unwrap_or_default(),
    }))
}

fn present(rows: BTreeMap<TopicPartition, Result<Option<CommitOffset>, Error>>) -> Committed {
    rows.into_iter().filter_map(|(place, row)| row.transpose().map(|row| (place, row))).collect()
}

struct AlterOffsets {
    group: String,
    offsets: BTreeMap<TopicPartition, CommitOffset>,
}

impl Operation for AlterOffsets {
    type Key = TopicPartition;
    type Value = ();
    const POLICY: Policy = Policy::OVERWRITES;

    fn route(&self, _place: &TopicPartition) -> Route {
        Route::Coordinator(Coordinated::Group(self.group.clone()))
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        places: &[TopicPartition],
    ) -> Result<Results<TopicPartition, ()>, Error> {
        let version = version::<OffsetCommitRequest>(attempt.connection, HIGHEST_BY_NAME)?;
        let partitions = places.iter().filter_map(|place| {
            let commit = self.offsets.get(place)?;
            let mut row = OffsetCommitRequestPartition::default()
                .with_partition_index(place.partition)
                .with_committed_offset(commit.offset)
                .with_committed_metadata(Some(text(&commit.metadata)));
            if version >= EPOCHS_FROM {
                row.committed_leader_epoch = commit.leader_epoch.unwrap_or(-1);
            }
            Some((place.clone(), row))
        });
        let topics = by_topic(partitions, |name, rows| {
            OffsetCommitRequestTopic::default().with_name(name).with_partitions(rows)
        });
        // Generation -1 without a member: only a group without members takes that.
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics);
        let answer = attempt.connection.request_at_version(request, version).await?;
        let rows = rows(
            answer.topics,
            |topic| (topic.name, topic.partitions),
            |row| (row.partition_index, altered(row.error_code)),
        );
        Ok(rows)
    }
}

fn altered(code: i16) -> Result<(), Error> {
    let words = (ErrorCode(code) == ErrorCode::UNKNOWN_MEMBER_ID)
        .then(|| StrBytes::from_static_str("the group has members, which commit for themselves"));
    checked(code, words)
}

struct DeleteOffsets {
    group: String,
}

impl Operation for DeleteOffsets {
    type Key = TopicPartition;
    type Value = ();
    const POLICY: Policy = Policy::OVERWRITES;

    fn route(&self, _place: &TopicPartition) -> Route {
        Route::Coordinator(Coordinated::Group(self.group.clone()))
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        places: &[TopicPartition],
    ) -> Result<Results<TopicPartition, ()>, Error> {
        let row = |place: &TopicPartition| {
            let row = OffsetDeleteRequestPartition::default().with_partition_index(place.partition);
            (place.clone(), row)
        };
        let topics = by_topic(places.iter().map(row), |name, rows| {
            OffsetDeleteRequestTopic::default().with_name(name).with_partitions(rows)
        });
        let request = OffsetDeleteRequest::default().with_group_id(group_id(&self.group)).with_topics(topics);
        let answer = attempt.connection.request(request).await?;
        checked(answer.error_code, None)?;
        let rows = rows(
            answer.topics,
            |topic| (topic.name, topic.partitions),
            |row| (row.partition_index, checked(row.error_code, None)),
        );
        Ok(rows)
    }
}
