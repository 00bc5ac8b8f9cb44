//! OffsetDelete (47), version 0: committed offsets are forgotten, partition by partition (KIP-496).
//!
//! Those of topics that the group's members subscribe to stay, and say so.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse, TopicName};
use trilog_cluster::coordinator::{DeleteOffsets, GroupRequest, GroupResponse, TopicResults};
use trilog_cluster::ids::PartitionIndex;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::group_coordinator::{ask, error_code, group_id, response_error, text};
use crate::connection::Reply;

/// See the module.
pub(super) struct OffsetDelete;

impl Handler for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const SERVED: Versions = Versions::new(0, 0);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_one(&mut request.topics, Counts::First);
        let deletion = DeleteOffsets {
            group: group_id(&request.group_id),
            topics: request.topics.iter().map(partitions_of).collect(),
        };
        let asked = ask(broker, GroupRequest::DeleteOffsets(deletion));
        context.later(async move {
            let deleted = asked.outcome(|response| match response {
                GroupResponse::DeleteOffsets(deleted) => Some(deleted),
                _ => None,
            });
            answer(deleted.await)
        })
    }
}

asked_topic!(OffsetDeleteRequestTopic: name, OffsetDeleteRequestPartition: partition_index);

fn partitions_of(topic: &OffsetDeleteRequestTopic) -> (Arc<str>, Vec<PartitionIndex>) {
    let partitions = topic.partitions.iter().map(|partition| PartitionIndex(partition.partition_index));
    (topic.name.as_str().into(), partitions.collect())
}

fn answer(outcome: Result<Vec<TopicResults>, ResponseError>) -> OffsetDeleteResponse {
    let results = match outcome {
        Ok(results) => results,
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
    };
    let topics = results.into_iter().map(|TopicResults { name, partitions }| {
        let partitions = partitions.into_iter().map(|(index, outcome)| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index.0)
                .with_error_code(error_code(&outcome.map_err(response_error)))
        });
        OffsetDeleteResponseTopic::default()
            .with_name(TopicName(text(&name)))
            .with_partitions(partitions.collect())
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::coordinator::GroupErrorCode;

    use super::*;

    #[test]
    fn the_version_can_carry_every_answer() {
        let results = TopicResults {
            name: "t".into(),
            partitions: vec![
                (PartitionIndex(0), Ok(())),
                (PartitionIndex(1), Err(GroupErrorCode::GroupSubscribedToTopic)),
            ],
        };
        let deleted = answer(Ok(vec![results]));
        let codes: Vec<_> = deleted.topics[0].partitions.iter().map(|of| of.error_code).collect();
        assert_eq!(codes, [0, 86]);
        let refused = answer(Err(ResponseError::GroupIdNotFound));
        assert_eq!(refused.error_code, 69);
        for response in [deleted, refused] {
            response.encode(&mut BytesMut::new(), 0).unwrap();
        }
    }
}
