//! ListOffsets (2), versions 1-10: the offset that belongs to a time, or to the beginning or the end.
//!
//! | timestamp | from | answer |
//! | --- | --- | --- |
//! | ≥ 0 | v1 | the first record at or after that time, with its own time; offset -1 without one |
//! | -1 latest | v1 | the high watermark, which is also the last stable offset |
//! | -2 earliest | v1 | the log start offset |
//! | -3 maximum | v7 | the record with the greatest timestamp (KIP-734); offset -1 in an empty partition |
//! | -4 earliest local | v8 | the log start offset, as all of the log is local (KIP-405) |
//! | -5 latest tiered | v9 | offset -1, as nothing is tiered (KIP-1005) |
//!
//! Other negative values, and these below their version, are answered UNSUPPORTED_VERSION. A time and the
//! greatest timestamp are looked up on disk, on a thread that may wait; the rest is known.
//!
//! A client with an older leader epoch is answered NOT_LEADER_OR_FOLLOWER where Kafka says FENCED_LEADER_EPOCH. Both tell it to
//! refresh its metadata, and clients treat them alike, but for librdkafka's AdminClient (2.12, 2.16): it refreshes upon the first
//! one only. A leadership that went away and came back to the same node, as with each restart, would have it refused until its
//! metadata is 15 minutes old (`metadata.max.age.ms`).
//!
//! * v2: isolation level. v4: leader epochs. v5: OFFSET_NOT_AVAILABLE exists. v6: flexible.
//! * v10: a timeout for tiered storage.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, TopicName};
use trilog_cluster::controller::{MetadataImage, Topic};
use trilog_cluster::ids::{LeaderEpoch, Offset, TimestampMs};
use trilog_cluster::node::Confirmed;
use trilog_cluster::replica::Replica;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one, repeated};
use super::led_partition::{LedPartition, confirm_all, group_of};
use crate::connection::Reply;

/// See the module.
pub(super) struct ListOffsets;

/// From this version on answers bear leader epochs.
const EPOCHS_FROM: i16 = 4;

impl Handler for ListOffsets {
    type Request = ListOffsetsRequest;
    const SERVED: Versions = Versions::new(1, 10);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        let version = context.version;
        let repeated = repeated_partitions(&request.topics);
        keep_one(&mut request.topics, Counts::First);
        let named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.partition_index))
        });
        let confirming = confirm_all(broker, &broker.image(), named);
        let broker = Arc::clone(broker);
        context.later(async move {
            let confirmed = confirming.await;
            let look =
                Look { image: &broker.image(), broker: &broker, confirmed: &confirmed, repeated, version };
            let topics: Vec<FoundTopic> =
                request.topics.into_iter().map(|topic| look.up_topic(topic)).collect();
            if !topics.iter().any(FoundTopic::is_on_disk) {
                return answer(topics, version);
            }
            let answered = tokio::task::spawn_blocking(move || answer(topics, version)).await;
            // A panic there has been reported; the client may try another time.
            answered.unwrap_or_default()
        })
    }
}

asked_topic!(ListOffsetsTopic: name, ListOffsetsPartition: partition_index);

/// What a timestamp in a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    At(TimestampMs),
    Latest,
    Earliest,
    Max,
    EarliestLocal,
    LatestTiered,
}

/// What `timestamp` asks for, in a version that has it.
fn wanted(timestamp: i64, version: i16) -> Option<Wanted> {
    match timestamp {
        0.. => Some(Wanted::At(TimestampMs(timestamp))),
        -1 => Some(Wanted::Latest),
        -2 => Some(Wanted::Earliest),
        -3 if version >= 7 => Some(Wanted::Max),
        -4 if version >= 8 => Some(Wanted::EarliestLocal),
        -5 if version >= 9 => Some(Wanted::LatestTiered),
        _ => None,
    }
}

/// A position in a partition, as the answer tells it. Times and epochs that are not known are -1 on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    offset: Offset,
    timestamp: Option<TimestampMs>,
    epoch: Option<LeaderEpoch>,
}

/// What the first look at a partition has found.
enum Found {
    Position(Option<Position>),
    OnDisk(Arc<Replica>, Wanted),
}

struct FoundTopic {
    name: TopicName,
    found: Vec<(i32, Result<Found, ResponseError>)>,
}

impl FoundTopic {
    /// Whether any of it has to be looked up on disk.
    fn is_on_disk(&self) -> bool {
        self.found.iter().any(|(_, found)| matches!(found, Ok(Found::OnDisk(..))))
    }
}

/// A first look at what this node knows, without the disk.
struct Look<'a> {
    broker: &'a Broker,
    image: &'a MetadataImage,
    confirmed: &'a Confirmed,
    /// The partitions that the request names more than once.
    repeated: HashSet<(TopicName, i32)>,
    version: i16,
}

impl Look<'_> {
    fn up_topic(&self, asked: ListOffsetsTopic) -> FoundTopic {
        let topic = self.image.topic(&asked.name);
        let is_repeated = |index| self.repeated.contains(&(asked.name.clone(), index));
        let found = asked.partitions.iter().map(|asked| {
            let index = asked.partition_index;
            let found = if !self.repeated.is_empty() && is_repeated(index) {
                Err(ResponseError::InvalidRequest)
            } else {
                self.up_partition(topic, asked)
            };
            (index, found)
        });
        FoundTopic { found: found.collect(), name: asked.name.clone() }
    }

    fn up_partition(
        &self,
        topic: Option<&Arc<Topic>>,
        asked: &ListOffsetsPartition,
    ) -> Result<Found, ResponseError> {
        let group = group_of(topic, asked.partition_index)?;
        let wanted = wanted(asked.timestamp, self.version).ok_or(ResponseError::UnsupportedVersion)?;
        let LedPartition { replica, status, epoch } =
            LedPartition::find(self.broker, self.confirmed, group, asked.current_leader_epoch)
                .map_err(refreshing)?;
        let start = status.log_start_offset;
        Ok(match wanted {
            Wanted::At(_) | Wanted::Max => Found::OnDisk(replica, wanted),
            Wanted::Latest => {
                let offset = status.high_watermark;
                #[cfg(debug_assertions)]
                let offset = crate::faults::shown_end(offset);
                let end = Position { offset, timestamp: None, epoch: Some(epoch) };
                Found::Position(Some(end))
            }
            Wanted::Earliest | Wanted::EarliestLocal => {
                let epoch = status.leader_epochs.epoch_at(start);
                Found::Position(Some(Position { offset: start, timestamp: None, epoch }))
            }
            Wanted::LatestTiered => Found::Position(None),
        })
    }
}

/// The same error as every client knows it for one that calls for newer metadata.
fn refreshing(error: ResponseError) -> ResponseError {
    match error {
        ResponseError::FencedLeaderEpoch => ResponseError::NotLeaderOrFollower,
        other => other,
    }
}

/// The partitions that are named more than once, which Kafka refuses.
fn repeated_partitions(topics: &[ListOffsetsTopic]) -> HashSet<(TopicName, i32)> {
    repeated(
        topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|asked| (topic.name.clone(), asked.partition_index))
        }),
    )
}

/// Completes the answer, from disk where that is needed.
fn answer(topics: Vec<FoundTopic>, version: i16) -> ListOffsetsResponse {
    let topics = topics.into_iter().map(|FoundTopic { name, found }| {
        let partitions =
            found.into_iter().map(|(index, found)| answer_partition(index, found.and_then(read), version));
        ListOffsetsTopicResponse::default().with_partitions(partitions.collect()).with_name(name)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// Reads from disk what has to be read.
fn read(found: Found) -> Result<Option<Position>, ResponseError> {
    let (replica, wanted) = match found {
        Found::Position(position) => return Ok(position),
        Found::OnDisk(replica, wanted) => (replica, wanted),
    };
    let record = match wanted {
        Wanted::At(timestamp) => replica.offset_for_timestamp(timestamp),
        _ => replica.offset_of_max_timestamp(),
    };
    match record {
        Ok(record) => Ok(record.map(|found| Position {
            offset: found.offset,
            timestamp: Some(found.timestamp),
            epoch: Some(found.leader_epoch),
        })),
        Err(error) => {
            replica.fail(error);
            Err(ResponseError::KafkaStorageError)
        }
    }
}

fn answer_partition(
    index: i32,
    position: Result<Option<Position>, ResponseError>,
    version: i16,
) -> ListOffsetsPartitionResponse {
    // The message's defaults are -1 all through.
    let answer = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match position {
        Err(error) => answer.with_error_code(error.code()),
        Ok(None) => answer,
        Ok(Some(Position { offset, timestamp, epoch })) => {
            let epoch = epoch.filter(|_| version >= EPOCHS_FROM);
            answer
                .with_offset(offset.0)
                .with_timestamp(timestamp.map_or(-1, |timestamp| timestamp.0))
                .with_leader_epoch(epoch.map_or(-1, |epoch| epoch.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    #[test]
    fn special_timestamps_have_their_versions() {
        assert_eq!(wanted(0, 1), Some(Wanted::At(TimestampMs(0))));
        assert_eq!(wanted(-1, 1), Some(Wanted::Latest));
        assert_eq!(wanted(-2, 1), Some(Wanted::Earliest));
        for (timestamp, since, expected) in
            [(-3, 7, Wanted::Max), (-4, 8, Wanted::EarliestLocal), (-5, 9, Wanted::LatestTiered)]
        {
            assert_eq!(wanted(timestamp, since - 1), None);
            assert_eq!(wanted(timestamp, since), Some(expected));
        }
        assert_eq!(wanted(-6, 10), None);
        assert_eq!(wanted(i64::MIN, 10), None);
    }

    #[test]
    fn partitions_named_twice_are_found() {
        let asked = |index| ListOffsetsPartition::default().with_partition_index(index);
        let name = |name| TopicName(StrBytes::from_static_str(name));
        let topic =
            |of, asked: &[_]| ListOffsetsTopic::default().with_name(name(of)).with_partitions(asked.to_vec());
        let topics =
            [topic("a", &[asked(1), asked(2), asked(1)]), topic("b", &[asked(2)]), topic("b", &[asked(2)])];
        assert_eq!(repeated_partitions(&topics), HashSet::from([(name("a"), 1), (name("b"), 2)]));
    }

    #[test]
    fn every_version_can_carry_every_answer() {
        let position =
            Position { offset: Offset(7), timestamp: Some(TimestampMs(9)), epoch: Some(LeaderEpoch(3)) };
        for version in ListOffsets::SERVED.min..=ListOffsets::SERVED.max {
            let answers = [Ok(Some(position)), Ok(None), Err(ResponseError::NotLeaderOrFollower)]
                .map(|position| answer_partition(0, position, version));
            assert_eq!((answers[0].offset, answers[0].timestamp), (7, 9));
            assert_eq!((answers[1].offset, answers[1].timestamp, answers[1].leader_epoch), (-1, -1, -1));
            assert_eq!(answers[2].error_code, 6);
            let topic = ListOffsetsTopicResponse::default()
                .with_name(TopicName(StrBytes::from_static_str("t")))
                .with_partitions(answers.into());
            let response = ListOffsetsResponse::default().with_topics(vec![topic]);
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
