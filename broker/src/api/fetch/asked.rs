//! What a client asks of partitions, in the terms of this module: nothing here is a slice of the request's frame.

use std::sync::Arc;

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::ids::Offset;
use uuid::Uuid;

use super::super::led_partition::NO_EPOCH;

/// From this version on topics are named by id.
const BY_ID_FROM: i16 = 13;

/// A topic as a request names it. Clones of a name share its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TopicKey {
    /// By its name, up to version 12.
    Name(Arc<str>),
    /// By its id, from version 13 on.
    Id(Uuid),
}

/// A partition as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PartitionKey {
    /// The topic.
    pub(super) topic: TopicKey,
    /// The partition's index.
    pub(super) index: i32,
}

/// What a client asks of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The first offset to read.
    pub(super) offset: Offset,
    /// The most bytes, one larger batch aside.
    pub(super) max_bytes: usize,
    /// The leader epoch that the client knows; -1 for none.
    pub(super) believed_epoch: i32,
    /// The epoch of the last record that the client has; -1 where it does not say.
    pub(super) last_fetched_epoch: i32,
}

/// Partitions with what is asked of each, in the order asked for.
pub(super) type Partitions = Vec<(PartitionKey, Asked)>;

impl TopicKey {
    /// The topic's name in an answer; empty where the client gave an id.
    pub(super) fn name(&self) -> TopicName {
        match self {
            Self::Name(name) => TopicName(StrBytes::from_string(name.to_string())),
            Self::Id(_) => TopicName::default(),
        }
    }

    /// The topic's id in an answer; zero where the client gave a name.
    pub(super) const fn id(&self) -> Uuid {
        match self {
            Self::Name(_) => Uuid::nil(),
            Self::Id(id) => *id,
        }
    }

    fn new(name: &TopicName, id: Uuid, version: i16) -> Self {
        if is_by_id(version) { Self::Id(id) } else { Self::Name(name.as_str().into()) }
    }
}

/// Whether requests of this version name topics by id.
pub(super) const fn is_by_id(version: i16) -> bool {
    version >= BY_ID_FROM
}

/// The partitions of a request.
pub(super) fn partitions(topics: &[FetchTopic], version: i16) -> Partitions {
    let of_topic = |topic: &FetchTopic| {
        let key = TopicKey::new(&topic.topic, topic.topic_id, version);
        let row = |row: &FetchPartition| {
            (PartitionKey { topic: key.clone(), index: row.partition }, Asked::from(row))
        };
        topic.partitions.iter().map(row).collect::<Partitions>()
    };
    topics.iter().flat_map(of_topic).collect()
}

/// The partitions that a session is to leave out from now on.
pub(super) fn forgotten(topics: &[ForgottenTopic], version: i16) -> Vec<PartitionKey> {
    let of_topic = |topic: &ForgottenTopic| {
        let key = TopicKey::new(&topic.topic, topic.topic_id, version);
        let row = |&index: &i32| PartitionKey { topic: key.clone(), index };
        topic.partitions.iter().map(row).collect::<Vec<_>>()
    };
    topics.iter().flat_map(of_topic).collect()
}

impl From<&FetchPartition> for Asked {
    fn from(row: &FetchPartition) -> Self {
        Self {
            offset: Offset(row.fetch_offset),
            max_bytes: usize::try_from(row.partition_max_bytes).unwrap_or(0),
            // As in Kafka: in a fetch any negative epoch is none.
            believed_epoch: row.current_leader_epoch.max(NO_EPOCH),
            last_fetched_epoch: row.last_fetched_epoch,
        }
    }
}
