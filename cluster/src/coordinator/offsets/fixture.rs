//! A coordinator whose cluster's topics come and go, for the tests of this room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::controller::{ControllerRecord, MetadataImage, PartitionRecord};
use crate::coordinator::request::{
    CommitOffsets, CommitPartition, CommitTopic, DeleteOffsets, FetchOffsets, FetchedOffset, TopicResults,
};
use crate::coordinator::{CoordinatorState, GroupCoordinator, GroupErrorCode, GroupRecord, GroupSettings};
use crate::ids::{LeaderEpoch, NodeId, Offset, PartitionIndex, TimestampMs, TopicId};

/// How many partitions every topic has.
pub(super) const PARTITIONS: i32 = 3;

/// How long offsets are kept, in milliseconds.
pub(super) const RETENTION_MS: i64 = 1_000;

/// A coordinator, and what it has written.
pub(super) struct Coordinator {
    pub(super) inner: GroupCoordinator,
    pub(super) image: MetadataImage,
    pub(super) written: Vec<GroupRecord>,
}

/// What a simple consumer commits: topic, partition, offset.
pub(super) type Commit<'a> = (&'a str, i32, i64);

pub(super) fn commit_request(group: &str, now: i64, commits: &[Commit<'_>]) -> CommitOffsets {
    let topics = commits.iter().map(|(name, partition, offset)| CommitTopic {
        name: (*name).into(),
        partitions: vec![CommitPartition {
            index: PartitionIndex(*partition),
            offset: Offset(*offset),
            leader_epoch: Some(LeaderEpoch(4)),
            metadata: format!("at {offset}"),
        }],
    });
    CommitOffsets {
        group: group.into(),
        member: "".into(),
        epoch: -1,
        instance: None,
        retention_ms: None,
        knows_epochs: true,
        now: TimestampMs(now),
        topics: topics.collect(),
    }
}

/// The outcomes of all partitions, in order.
pub(super) fn outcomes(results: Vec<TopicResults>) -> Vec<Result<(), GroupErrorCode>> {
    results.into_iter().flat_map(|topic| topic.partitions).map(|(_, outcome)| outcome).collect()
}

impl Coordinator {
    pub(super) fn with_topics(names: &[&str]) -> Self {
        let settings = GroupSettings {
            offsets_retention: Duration::from_millis(RETENTION_MS.unsigned_abs()),
            offset_metadata_max_bytes: 20,
            ..GroupSettings::default()
        };
        let inner = GroupCoordinator::new(
            CoordinatorState::default(),
            Arc::new(settings),
            Arc::default(),
            Duration::ZERO,
        );
        let mut coordinator = Self { inner, image: MetadataImage::default(), written: Vec::new() };
        for name in names {
            coordinator.create_topic(name);
        }
        coordinator
    }

    pub(super) fn create_topic(&mut self, name: &str) {
        let first = self.image.next_group().0;
        let partitions = (first..).take(usize::try_from(PARTITIONS).unwrap());
        self.metadata(&ControllerRecord::TopicCreated {
            name: name.to_owned(),
            id: TopicId(Uuid::from_u128(u128::from(first))),
            partitions: partitions
                .map(|group| PartitionRecord { group, replicas: vec![NodeId(1)] })
                .collect(),
            configs: BTreeMap::new(),
        });
    }

    pub(super) fn delete_topic(&mut self, name: &str) {
        let id = self.image.topic(name).unwrap().id;
        self.metadata(&ControllerRecord::TopicDeleted { id });
        self.inner.topics_deleted(Duration::ZERO);
        self.take_written();
    }

    fn metadata(&mut self, record: &ControllerRecord) {
        self.image.replay(record);
        self.inner.set_image(Arc::new(self.image.clone()));
    }

    pub(super) fn commit(&mut self, request: CommitOffsets) -> Vec<Result<(), GroupErrorCode>> {
        let outcomes = outcomes(self.inner.commit_offsets(request));
        self.take_written();
        outcomes
    }

    pub(super) fn delete(&mut self, group: &str, commits: &[(&str, i32)]) -> Vec<Result<(), GroupErrorCode>> {
        let topics =
            commits.iter().map(|(name, partition)| ((*name).into(), vec![PartitionIndex(*partition)]));
        let request = DeleteOffsets { group: group.into(), topics: topics.collect() };
        let results = self.inner.delete_offsets(request);
        self.take_written();
        results.map_or_else(|error| vec![Err(error)], outcomes)
    }

    pub(super) fn sweep(&mut self, now: i64) {
        self.inner.expire(Duration::ZERO, TimestampMs(now));
        self.take_written();
    }

    /// All offsets of the group, by topic and partition.
    pub(super) fn offsets(&self, group: &str) -> BTreeMap<(String, i32), FetchedOffset> {
        let request =
            FetchOffsets { group: group.into(), member: None, epoch: -1, topics: None, require_stable: true };
        let topics = self.inner.fetch_offsets(&request).unwrap();
        let entries = topics.into_iter().flat_map(|topic| {
            topic.partitions.into_iter().map(move |(partition, fetched)| {
                ((topic.name.to_string(), partition.0), fetched.expect("only what is there is listed"))
            })
        });
        entries.collect()
    }

    fn take_written(&mut self) {
        self.written.extend(self.inner.take_actions().records);
    }
}
