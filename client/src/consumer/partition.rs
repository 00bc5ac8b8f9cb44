//! The name of a partition.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A partition, by its topic's name and its number. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition of this name.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Partitions by topic, as the embedded protocol lists them: topics and partitions in ascending order.
pub(crate) fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> Vec<(String, Vec<i32>)> {
    let mut topics = BTreeMap::<&str, Vec<i32>>::new();
    for TopicPartition { topic, partition } in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let sorted = |(topic, mut partitions): (&str, Vec<i32>)| {
        partitions.sort_unstable();
        (topic.to_owned(), partitions)
    };
    topics.into_iter().map(sorted).collect()
}

/// The partitions of a list by topic.
pub(crate) fn flatten(named: &[(String, Vec<i32>)]) -> impl Iterator<Item = TopicPartition> + '_ {
    named.iter().flat_map(|(topic, partitions)| {
        let topic = Arc::<str>::from(topic.as_str());
        partitions.iter().map(move |&partition| TopicPartition { topic: topic.clone(), partition })
    })
}
