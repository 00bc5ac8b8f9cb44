//! DeleteRecords (21), versions 0-2: a partition's oldest records go, all below an offset (KIP-107).
//!
//! The log start is part of the replicated state. The answer names the new one and comes when a majority has
//! it. It waits for the request's timeout, and 5 s at least. The disks get their space back later. The offset -1 means the high
//! watermark. To delete what is deleted already is no error.
//!
//! Not deleted are records of the cluster's own topics (INVALID_TOPIC_EXCEPTION), those of topics that are only compacted
//! (POLICY_VIOLATION), and those of partitions that this node does not lead.
//!
//! * v1: nothing new on the wire. v2: flexible.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse, TopicName};
use tokio::time::{Instant, timeout_at};
use trilog_cluster::controller::{MetadataImage, Topic, topic_name};
use trilog_cluster::ids::{Offset, RaftGroupId};
use trilog_cluster::node::{DeleteRecordsError, DeleteRecordsFuture};

use super::admin_deadline::AdminDeadline;
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::led_partition::group_of;
use crate::connection::Reply;

/// See the module.
pub(super) struct DeleteRecords;

/// Stands for the high watermark in a request, and for no offset in an answer.
const HIGH_WATERMARK: i64 = -1;
const NO_OFFSET: i64 = -1;

impl Handler for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const SERVED: Versions = Versions::new(0, 2);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_one(&mut request.topics, Counts::Last);
        let deadline = AdminDeadline::after(request.timeout_ms).commit();
        let image = broker.image();
        let topics = request.topics.into_iter().filter(|topic| !topic.partitions.is_empty());
        let topics: Vec<_> = topics.map(|topic| take_in(broker, &image, topic)).collect();
        context.later(async move {
            let mut results = Vec::with_capacity(topics.len());
            for topic in topics {
                results.push(topic.result(deadline).await);
            }
            DeleteRecordsResponse::default().with_topics(results)
        })
    }
}

asked_topic!(DeleteRecordsTopic: name, DeleteRecordsPartition: partition_index);

/// A topic's deletions, each refused or on its way into the log.
struct TopicDeletions {
    name: TopicName,
    partitions: Vec<(i32, Result<DeleteRecordsFuture, ResponseError>)>,
}

fn take_in(broker: &Broker, image: &MetadataImage, asked: DeleteRecordsTopic) -> TopicDeletions {
    let topic = image.topic(&asked.name);
    let deletion = |asked: DeleteRecordsPartition| {
        let group = check(broker, image, topic, asked.partition_index);
        let before = (asked.offset != HIGH_WATERMARK).then_some(Offset(asked.offset));
        (asked.partition_index, group.map(|group| broker.node.delete_records(group, before)))
    };
    let partitions = asked.partitions.into_iter().map(deletion).collect();
    TopicDeletions { name: asked.name, partitions }
}

/// The group of a partition whose records clients may delete. Whether this node leads it, the partition itself says.
fn check(
    broker: &Broker,
    image: &MetadataImage,
    topic: Option<&Arc<Topic>>,
    index: i32,
) -> Result<RaftGroupId, ResponseError> {
    let group = group_of(topic, index)?;
    let topic = topic.ok_or(ResponseError::UnknownTopicOrPartition)?;
    if topic_name::is_internal(&topic.name) {
        return Err(ResponseError::InvalidTopicException);
    }
    let settings = broker.topic_settings(image, topic);
    if settings.clients_may_delete { Ok(group) } else { Err(ResponseError::PolicyViolation) }
}

impl TopicDeletions {
    async fn result(self, deadline: Instant) -> DeleteRecordsTopicResult {
        let mut results = Vec::with_capacity(self.partitions.len());
        for (index, deletion) in self.partitions {
            let outcome = match deletion {
                Ok(deletion) => outcome_of(deletion, deadline).await,
                Err(error) => Err(error),
            };
            results.push(partition_result(index, outcome));
        }
        DeleteRecordsTopicResult::default().with_name(self.name).with_partitions(results)
    }
}

async fn outcome_of(deletion: DeleteRecordsFuture, deadline: Instant) -> Result<Offset, ResponseError> {
    let deleted = timeout_at(deadline, deletion).await;
    deleted.map_err(|_| ResponseError::RequestTimedOut)?.map_err(|error| match error {
        DeleteRecordsError::NotLeader => ResponseError::NotLeaderOrFollower,
        DeleteRecordsError::OffsetOutOfRange => ResponseError::OffsetOutOfRange,
    })
}

fn partition_result(index: i32, outcome: Result<Offset, ResponseError>) -> DeleteRecordsPartitionResult {
    let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
    match outcome {
        Ok(low_watermark) => result.with_low_watermark(low_watermark.0),
        Err(error) => result.with_low_watermark(NO_OFFSET).with_error_code(error.code()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    #[test]
    fn every_version_can_carry_either() {
        let results =
            [Ok(Offset(7)), Err(ResponseError::OffsetOutOfRange)].map(|one| partition_result(3, one));
        assert_eq!((results[0].error_code, results[0].low_watermark), (0, 7));
        assert_eq!((results[1].error_code, results[1].low_watermark), (1, -1));
        let topic = DeleteRecordsTopicResult::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(results.into());
        let response = DeleteRecordsResponse::default().with_topics(vec![topic]);
        for version in DeleteRecords::SERVED.min..=DeleteRecords::SERVED.max {
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
