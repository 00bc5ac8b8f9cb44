//! Requests about one partition, in any version.
//!
//! From some version on a topic is named by its id instead of its name (Produce 13, Fetch 13); the codec refuses the
//! field a version lacks, so each of these knows both and sets the one that is due.

use std::ops::RangeInclusive;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_records_response::DeleteRecordsPartitionResult;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::EpochEndOffset;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, FetchResponse, GroupId, ListOffsetsRequest,
    ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, ProduceResponse,
    TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use trilog_client::wire::{Api, Connection};
use uuid::Uuid;

/// The first version of Produce and of Fetch that names topics by id (KIP-516).
const BY_ID: i16 = 13;

/// Which partition a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The topic's name.
    pub topic: String,
    /// The topic's id.
    pub id: Uuid,
    /// The partition's number.
    pub partition: i32,
}

/// What a Fetch asks for.
#[derive(Debug, Clone, Copy)]
pub struct FetchPlan {
    /// Where to start.
    pub offset: i64,
    /// How long to wait for `min_bytes`, in ms.
    pub max_wait_ms: i32,
    /// How much is worth an answer.
    pub min_bytes: i32,
    /// The bound on the whole answer.
    pub max_bytes: i32,
    /// The bound on this partition.
    pub partition_max_bytes: i32,
    /// The epoch the client believes the leader to have, -1 for none.
    pub leader_epoch: i32,
}

impl FetchPlan {
    /// Everything from an offset on, at once.
    pub fn from(offset: i64) -> Self {
        Self {
            offset,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 64 << 20,
            partition_max_bytes: 64 << 20,
            leader_epoch: -1,
        }
    }
}

/// A text as the messages carry it.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic's name as the messages carry it.
pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A consumer group's name as the messages carry it.
pub fn group_id(name: &str) -> GroupId {
    GroupId(text(name))
}

impl Target {
    /// A Produce of one record set.
    pub fn produce(&self, version: i16, acks: i16, records: Bytes) -> ProduceRequest {
        let data = PartitionProduceData::default().with_index(self.partition).with_records(Some(records));
        let topic = TopicProduceData::default().with_partition_data(vec![data]);
        let topic = match version {
            BY_ID.. => topic.with_topic_id(self.id),
            _ => topic.with_name(topic_name(&self.topic)),
        };
        ProduceRequest::default().with_acks(acks).with_timeout_ms(20_000).with_topic_data(vec![topic])
    }

    /// A DeleteRecords of everything below an offset, -1 for the high watermark.
    pub fn delete_records(&self, before: i64) -> DeleteRecordsRequest {
        let partition =
            DeleteRecordsPartition::default().with_partition_index(self.partition).with_offset(before);
        let topic = DeleteRecordsTopic::default().with_name(topic_name(&self.topic));
        let topic = topic.with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_timeout_ms(20_000).with_topics(vec![topic])
    }

    /// A Fetch without a session.
    pub fn fetch(&self, version: i16, plan: FetchPlan) -> FetchRequest {
        FetchRequest::default()
            .with_max_wait_ms(plan.max_wait_ms)
            .with_min_bytes(plan.min_bytes)
            .with_max_bytes(plan.max_bytes)
            .with_session_epoch(-1)
            .with_topics(vec![self.fetch_topic(version, plan)])
    }

    /// This partition's part of a Fetch.
    pub fn fetch_topic(&self, version: i16, plan: FetchPlan) -> FetchTopic {
        let epoch = if version >= 9 { plan.leader_epoch } else { -1 };
        let partition = FetchPartition::default()
            .with_partition(self.partition)
            .with_fetch_offset(plan.offset)
            .with_current_leader_epoch(epoch)
            .with_partition_max_bytes(plan.partition_max_bytes);
        let topic = FetchTopic::default().with_partitions(vec![partition]);
        match version {
            BY_ID.. => topic.with_topic_id(self.id),
            _ => topic.with_topic(topic_name(&self.topic)),
        }
    }

    /// A ListOffsets: -2 is the earliest, -1 the latest offset, -3 that of the greatest timestamp.
    pub fn list_offsets(&self, timestamp: i64) -> ListOffsetsRequest {
        let partition =
            ListOffsetsPartition::default().with_partition_index(self.partition).with_timestamp(timestamp);
        let topic =
            ListOffsetsTopic::default().with_name(topic_name(&self.topic)).with_partitions(vec![partition]);
        ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
    }

    /// An OffsetForLeaderEpoch: where did this epoch end?
    pub fn epoch_end(&self, epoch: i32) -> OffsetForLeaderEpochRequest {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(self.partition)
            .with_current_leader_epoch(-1)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(topic_name(&self.topic))
            .with_partitions(vec![partition]);
        OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
    }
}

/// Kafka's name of an error code, `None` for 0.
pub fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

/// Every version of an API that both this codec and the broker speak.
///
/// # Panics
/// If there is none.
pub fn served<R: Request>(connection: &Connection) -> RangeInclusive<i16> {
    let listed = connection.versions().get(Api::of::<R>()).expect("the API is listed");
    let common = listed.intersect(&R::VERSIONS);
    assert!(!common.is_empty(), "no common version of {}", Api::of::<R>());
    common.min..=common.max
}

/// The one element of a list that must have just one.
///
/// # Panics
/// If it has none or several.
pub fn only<T>(list: Vec<T>) -> T {
    let count = list.len();
    let mut list = list.into_iter();
    match (list.next(), list.next()) {
        (Some(one), None) => one,
        _ => panic!("one element is due, {count} came"),
    }
}

/// The answer about the one partition asked for.
pub fn produced(response: ProduceResponse) -> PartitionProduceResponse {
    only(only(response.responses).partition_responses)
}

/// The answer about the one partition asked for.
///
/// # Panics
/// If the whole request failed.
pub fn fetched(response: FetchResponse) -> PartitionData {
    assert_eq!((response.error_code, response.session_id), (0, 0), "no error and no session");
    only(only(response.responses).partitions)
}

/// The answer about the one partition asked for.
pub fn listed_offset(response: ListOffsetsResponse) -> ListOffsetsPartitionResponse {
    only(only(response.topics).partitions)
}

/// The answer about the one partition asked for.
pub fn records_deleted(response: DeleteRecordsResponse) -> DeleteRecordsPartitionResult {
    only(only(response.topics).partitions)
}

/// The answer about the one partition asked for.
pub fn epoch_ended(response: OffsetForLeaderEpochResponse) -> EpochEndOffset {
    only(only(response.topics).partitions)
}
