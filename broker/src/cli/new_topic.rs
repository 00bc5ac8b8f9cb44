//! Topics to create when a local cluster starts: `NAME:PARTITIONS:RF`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use trilog_cluster::controller::topic_name::{self, InvalidTopicName};

/// One `NAME:PARTITIONS:RF`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewTopic {
    /// The topic's name, one that Kafka allows.
    pub(crate) name: String,
    /// How many partitions, at least 1.
    pub(crate) partitions: i32,
    /// On how many nodes each partition lies, at least 1.
    pub(crate) replication_factor: i16,
}

/// Several topics, separated by commas; the value of `TRILOG_CREATE_TOPICS`. An empty text is an empty list, because
/// an environment variable that is set to nothing is how container tools say "not set".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewTopics(pub(crate) Vec<NewTopic>);

/// Why a text does not describe a topic.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NewTopicError {
    /// Not three parts.
    #[error("{0:?} is not NAME:PARTITIONS:RF, such as orders:3:3")]
    Shape(String),
    /// Kafka does not allow the name.
    #[error(transparent)]
    Name(#[from] InvalidTopicName),
    /// The partition count is out of range.
    #[error("topic {topic}: {given:?} partitions; a number from 1 is allowed")]
    Partitions {
        /// The topic's name.
        topic: String,
        /// What stands in place of the count.
        given: String,
    },
    /// The replication factor is out of range.
    #[error("topic {topic}: replication factor {given:?}; a number from 1 to the number of nodes is allowed")]
    ReplicationFactor {
        /// The topic's name.
        topic: String,
        /// What stands in place of the factor.
        given: String,
    },
}

impl FromStr for NewTopic {
    type Err = NewTopicError;

    fn from_str(text: &str) -> Result<Self, NewTopicError> {
        let parts: Vec<&str> = text.trim().split(':').collect();
        let [name, partitions, factor] = parts[..] else {
            return Err(NewTopicError::Shape(text.to_owned()));
        };
        topic_name::check(name)?;
        let topic = name.to_owned();
        match (partitions.parse(), factor.parse()) {
            (Ok(partitions), Ok(replication_factor)) if partitions >= 1 && replication_factor >= 1 => {
                Ok(Self { name: topic, partitions, replication_factor })
            }
            (Ok(1..), _) => Err(NewTopicError::ReplicationFactor { topic, given: factor.to_owned() }),
            _ => Err(NewTopicError::Partitions { topic, given: partitions.to_owned() }),
        }
    }
}

impl fmt::Display for NewTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.partitions, self.replication_factor)
    }
}

impl FromStr for NewTopics {
    type Err = NewTopicError;

    fn from_str(text: &str) -> Result<Self, NewTopicError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        text.split(',').map(str::parse).collect::<Result<Vec<NewTopic>, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn several_topics_are_separated_by_commas() {
        let topics: NewTopics = "orders:3:3, mail:1:2".parse().unwrap();
        assert_eq!(topics.0.iter().map(ToString::to_string).collect::<Vec<_>>(), ["orders:3:3", "mail:1:2"]);
        assert_eq!("".parse::<NewTopics>(), Ok(NewTopics::default()));
    }

    #[test]
    fn wrong_topics_say_what_is_wrong() {
        let refused = |text: &str| text.parse::<NewTopics>().unwrap_err();
        for text in ["orders", "orders:3", "orders:3:3:3", "orders:3:3,"] {
            assert!(matches!(refused(text), NewTopicError::Shape(_)), "{text}");
        }
        for text in [":3:3", "or ders:3:3", "..:3:3"] {
            assert!(matches!(refused(text), NewTopicError::Name(_)), "{text}");
        }
        for text in ["orders:0:3", "orders:-5:3", "orders:many:3"] {
            assert!(matches!(refused(text), NewTopicError::Partitions { .. }), "{text}");
        }
        for text in ["orders:3:0", "orders:3:-1", "orders:3:all", "orders:3:40000"] {
            assert!(matches!(refused(text), NewTopicError::ReplicationFactor { .. }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_prints_the_same(text in "[a-z:0-9,-]{0,30}") {
            if let Ok(topic) = text.parse::<NewTopic>() {
                prop_assert_eq!(topic.to_string().parse::<NewTopic>().unwrap(), topic);
            }
        }
    }
}
