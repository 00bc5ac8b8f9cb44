//! A coordinator whose cluster's topics come and go, for the tests of this room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::controller::{ControllerRecord, MetadataImage, PartitionRecord};
use crate::coordinator::request::{
    CommitOffsets, CommitPartition, CommitTopic, DeleteOffsets, FetchOffsets, FetchedOffset, GroupResponse,
    JoinGroup, JoinProtocol, TopicResults,
};
use crate::coordinator::{
    CoordinatorRecord, CoordinatorState, GroupCoordinator, GroupErrorCode, GroupSettings,
};
use crate::ids::{LeaderEpoch, NodeId, Offset, PartitionIndex, Ticket, TopicId};

/// How many partitions every topic has.
pub(super) const PARTITIONS: i32 = 3;

/// How long offsets are kept.
pub(super) const RETENTION: Duration = Duration::from_secs(1);

/// A coordinator, and what it has written.
pub(super) struct Coordinator {
    pub(super) inner: GroupCoordinator,
    pub(super) image: MetadataImage,
    pub(super) written: Vec<CoordinatorRecord>,
}

/// What a simple consumer commits: topic, partition, offset.
pub(super) type Commit<'a> = (&'a str, i32, i64);

pub(super) fn commit_request(group: &str, commits: &[Commit<'_>]) -> CommitOffsets {
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
            offsets_retention: RETENTION,
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
        self.inner.topics_deleted(self.inner.now);
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

    /// Lets time pass, and a sweep come.
    pub(super) fn sweep_after(&mut self, time: Duration) {
        self.inner.expire(self.inner.now + time);
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

    /// A member's first request to join, and the error that it is answered with.
    pub(super) fn ask_for_a_member_id(&mut self, group: &str) -> Option<GroupErrorCode> {
        let request = JoinGroup {
            group: group.into(),
            member: "".into(),
            instance: None,
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".into(),
            protocols: vec![JoinProtocol { name: "range".into(), metadata: Bytes::new() }],
            requires_member_id: true,
            supports_skip_assignment: false,
            fresh: Uuid::nil(),
        };
        self.inner.join(Ticket(0), request);
        match self.inner.take_actions().answers.as_slice() {
            [(_, GroupResponse::Join(joined))] => joined.error,
            other => panic!("not one answer to a join: {other:?}"),
        }
    }

    fn take_written(&mut self) {
        self.written.extend(self.inner.take_actions().records);
    }
}
