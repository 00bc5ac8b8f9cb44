//! Kafka's messages that several calls need, and how their rows are read and written.

pub(super) mod coordinator;
pub(super) mod metadata;

use std::collections::BTreeMap;

use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use trilog_protocol::ErrorCode;

use super::TopicPartition;
use crate::Error;
use crate::messages::topic_name;

/// An item's code with the broker's own words.
pub(super) fn checked(code: i16, message: Option<StrBytes>) -> Result<(), Error> {
    let message = message.map(|message| message.to_string()).filter(|message| !message.is_empty());
    ErrorCode(code).check().map_err(|code| Error::Broker { code, message })
}

/// Rows of partitions, by topic, as requests list them.
pub(super) fn by_topic<P, T>(
    rows: impl IntoIterator<Item = (TopicPartition, P)>,
    topic: impl Fn(TopicName, Vec<P>) -> T,
) -> Vec<T> {
    let mut topics = BTreeMap::<_, Vec<P>>::new();
    for (place, row) in rows {
        topics.entry(place.topic).or_default().push(row);
    }
    topics.into_iter().map(|(name, rows)| topic(topic_name(&name), rows)).collect()
}

/// The rows of an answer that lists partitions by topic.
pub(super) fn rows<T, P, V>(
    topics: impl IntoIterator<Item = T>,
    open: impl Fn(T) -> (TopicName, Vec<P>),
    row: impl Fn(P) -> (i32, V),
) -> BTreeMap<TopicPartition, V> {
    let mut found = BTreeMap::new();
    for topic in topics {
        let (name, partitions) = open(topic);
        let name = std::sync::Arc::<str>::from(name.as_str());
        for partition in partitions {
            let (partition, value) = row(partition);
            found.insert(TopicPartition { topic: name.clone(), partition }, value);
        }
    }
    found
}

/// A number of the protocol of which negative ones stand for "none".
pub(super) fn known<N: PartialOrd + Default>(number: N) -> Option<N> {
    (number >= N::default()).then_some(number)
}

/// The ids of brokers.
pub(super) fn nodes(nodes: &[BrokerId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition::new(topic, partition)
    }

    #[test]
    fn partitions_are_written_and_read_by_topic() {
        let items = [(place("b", 1), 'x'), (place("a", 0), 'y'), (place("b", 0), 'z')];
        let topics = by_topic(items, |name, rows| (name, rows));
        assert_eq!(topics, [(topic_name("a"), vec!['y']), (topic_name("b"), vec!['x', 'z'])]);
        let answer = [(topic_name("a"), vec![(0, 'y')]), (topic_name("b"), vec![(1, 'x'), (0, 'z')])];
        assert_eq!(rows(answer, |topic| topic, |row| row), items_by_place());
    }

    fn items_by_place() -> BTreeMap<TopicPartition, char> {
        [(place("a", 0), 'y'), (place("b", 0), 'z'), (place("b", 1), 'x')].into()
    }

    #[test]
    fn a_broker_s_words_are_kept_unless_there_are_none() {
        let words = |text: &'static str| Some(StrBytes::from_static_str(text));
        assert!(checked(0, words("ignored")).is_ok());
        for (said, kept) in [(words("why"), Some("why")), (words(""), None), (None, None)] {
            let Err(Error::Broker { message, .. }) = checked(42, said) else { panic!("an error") };
            assert_eq!(message.as_deref(), kept);
        }
    }
}
