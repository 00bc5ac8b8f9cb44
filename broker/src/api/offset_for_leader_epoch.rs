//! OffsetForLeaderEpoch (23), versions 2-4: where the records of a leader epoch end (KIP-101, KIP-320).
//!
//! Consumers ask after a change of leader, to find out whether what they have read is still part of the log.
//! The answer is the greatest epoch that is not above the one asked for, and the offset after its last
//! record. All records may be of later epochs, or there may be none: then it is the epoch asked for and the offset at which the
//! log begins. An epoch above the current one gets -1 and -1, which clients read as a truncated log.
//!
//! * v3: the replica that asks. Only consumers do here. v4: flexible.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use trilog_cluster::controller::MetadataImage;
use trilog_cluster::ids::{LeaderEpoch, Offset};
use trilog_cluster::node::Confirmed;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::led_partition::{LedPartition, confirm_all, end_of_epoch, group_of};
use crate::connection::Reply;

/// See the module.
pub(super) struct OffsetForLeaderEpoch;

impl Handler for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    const SERVED: Versions = Versions::new(2, 4);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_one(&mut request.topics, Counts::First);
        let named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| (topic.topic.as_str(), partition.partition))
        });
        let confirming = confirm_all(broker, &broker.image(), named);
        let broker = Arc::clone(broker);
        context.later(async move {
            let confirmed = confirming.await;
            let image = broker.image();
            let topics = request.topics.into_iter().map(|topic| look_up(&broker, &image, &confirmed, topic));
            OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
        })
    }
}

asked_topic!(OffsetForLeaderTopic: topic, OffsetForLeaderPartition: partition);

fn look_up(
    broker: &Broker,
    image: &MetadataImage,
    confirmed: &Confirmed,
    asked: OffsetForLeaderTopic,
) -> OffsetForLeaderTopicResult {
    let topic = image.topic(&asked.topic);
    let partitions = asked.partitions.iter().map(|asked| {
        let led = group_of(topic, asked.partition)
            .and_then(|group| LedPartition::find(broker, confirmed, group, asked.current_leader_epoch));
        let end = led.map(|led| end_of_epoch(&led.status, led.epoch, LeaderEpoch(asked.leader_epoch)));
        answer(asked, end)
    });
    OffsetForLeaderTopicResult::default().with_partitions(partitions.collect()).with_topic(asked.topic)
}

fn answer(
    asked: &OffsetForLeaderPartition,
    found: Result<Option<(LeaderEpoch, Offset)>, ResponseError>,
) -> EpochEndOffset {
    let answer = EpochEndOffset::default().with_partition(asked.partition);
    match found {
        Ok(Some((epoch, end))) => answer.with_leader_epoch(epoch.0).with_end_offset(end.0),
        // The message's defaults are the -1 and -1 of "undefined".
        Ok(None) => answer,
        Err(error) => answer.with_error_code(error.code()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    fn answered(found: Result<Option<(i32, i64)>, ResponseError>) -> EpochEndOffset {
        let asked = OffsetForLeaderPartition::default().with_partition(3);
        answer(&asked, found.map(|found| found.map(|(epoch, end)| (LeaderEpoch(epoch), Offset(end)))))
    }

    #[test]
    fn what_is_not_known_is_undefined() {
        let fields = |answer: &EpochEndOffset| (answer.error_code, answer.leader_epoch, answer.end_offset);
        assert_eq!(fields(&answered(Ok(Some((4, 9))))), (0, 4, 9));
        assert_eq!(fields(&answered(Ok(None))), (0, -1, -1));
        assert_eq!(fields(&answered(Err(ResponseError::FencedLeaderEpoch))), (74, -1, -1));
    }

    #[test]
    fn every_version_can_carry_it() {
        let topic = OffsetForLeaderTopicResult::default()
            .with_topic(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![answered(Ok(Some((4, 9))))]);
        let response = OffsetForLeaderEpochResponse::default().with_topics(vec![topic]);
        for version in OffsetForLeaderEpoch::SERVED.min..=OffsetForLeaderEpoch::SERVED.max {
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
