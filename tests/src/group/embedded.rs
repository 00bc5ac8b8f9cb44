//! What members of classic groups say to one another: the protocol embedded in JoinGroup and SyncGroup.
//!
//! A coordinator reads it where a group goes from one protocol to the other, and to know which topics a group consumes.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName,
    consumer_protocol_assignment as assignment, consumer_protocol_subscription as subscription,
};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::librdkafka::Place;
use crate::requests::{text, topic_name};

/// The version that is written: the one that the Java client writes.
const VERSION: i16 = 3;

/// A subscription to topics, from a member that owns these partitions.
///
/// # Panics
/// Never: this version can be encoded.
pub fn subscription(topics: &[&str], owned: &[Place]) -> Bytes {
    let owned = by_topic(owned).into_iter().map(|(topic, partitions)| {
        subscription::TopicPartition::default().with_topic(topic).with_partitions(partitions)
    });
    let subscription = ConsumerProtocolSubscription::default()
        .with_topics(topics.iter().map(|topic| text(topic)).collect())
        .with_owned_partitions(owned.collect());
    let mut bytes = BytesMut::new();
    bytes.put_i16(VERSION);
    subscription.encode(&mut bytes, VERSION).expect("a subscription can be encoded");
    bytes.freeze()
}

/// An assignment of these partitions.
///
/// # Panics
/// Never: this version can be encoded.
pub fn assignment(places: &[Place]) -> Bytes {
    let assigned = by_topic(places).into_iter().map(|(topic, partitions)| {
        assignment::TopicPartition::default().with_topic(topic).with_partitions(partitions)
    });
    let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(assigned.collect());
    let mut bytes = BytesMut::new();
    bytes.put_i16(VERSION);
    assignment.encode(&mut bytes, VERSION).expect("an assignment can be encoded");
    bytes.freeze()
}

fn by_topic(places: &[Place]) -> BTreeMap<TopicName, Vec<i32>> {
    let mut by_topic = BTreeMap::<_, Vec<i32>>::new();
    for (topic, partition) in places {
        by_topic.entry(topic_name(topic)).or_default().push(*partition);
    }
    by_topic
}

/// The topics of a subscription.
///
/// # Panics
/// If it is none.
pub fn read_subscription(bytes: &Bytes) -> Vec<String> {
    let mut bytes = bytes.clone();
    let version = bytes.get_i16();
    let subscription = ConsumerProtocolSubscription::decode(&mut bytes, version).expect("a subscription");
    subscription.topics.iter().map(ToString::to_string).collect()
}

/// The partitions of an assignment, in order; none of an empty one.
///
/// # Panics
/// If it is none.
pub fn read_assignment(bytes: &Bytes) -> Vec<Place> {
    let mut bytes = bytes.clone();
    if bytes.is_empty() {
        return Vec::new();
    }
    let version = bytes.get_i16();
    let assignment = ConsumerProtocolAssignment::decode(&mut bytes, version).expect("an assignment");
    let rows = assignment.assigned_partitions.into_iter().flat_map(|row| {
        let topic = row.topic.to_string();
        row.partitions.into_iter().map(move |partition| (topic.clone(), partition))
    });
    let mut places = rows.collect::<Vec<_>>();
    places.sort();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_read_as_it_was_written() {
        let owned = [("a".to_owned(), 0), ("b".to_owned(), 2), ("a".to_owned(), 1)];
        assert_eq!(read_subscription(&subscription(&["a", "b"], &owned)), ["a", "b"]);
        assert_eq!(read_assignment(&Bytes::new()), []);
        let mut sorted = owned.to_vec();
        sorted.sort();
        assert_eq!(read_assignment(&assignment(&owned)), sorted);
    }
}
