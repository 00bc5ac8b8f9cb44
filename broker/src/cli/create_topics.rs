//! `--create-topic` and `--create-topics`: topics that are to be there when a cluster is used for the first time.
//!
//! `trilog dev` and `trilog serve` make them, `trilog health` waits for them.

use clap::Args;
use thiserror::Error;

use super::new_topic::{NewTopic, NewTopics};

#[derive(Clone, Debug, Default, Args)]
pub(super) struct CreateTopicsArgs {
    /// A topic to create if it does not exist; repeatable, and added to those of --create-topics.
    #[arg(long, value_name = "NAME:PARTITIONS:RF")]
    create_topic: Vec<NewTopic>,

    /// Topics to create if they do not exist: NAME:PARTITIONS:RF, several separated by commas.
    #[arg(long, env = "TRILOG_CREATE_TOPICS", value_name = "LIST")]
    create_topics: Option<NewTopics>,
}

/// The number of nodes, and the flag that it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeCount {
    pub(super) nodes: usize,
    pub(super) flag: &'static str,
}

/// Topics that are right one by one, yet not together or not in this cluster.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum CreateTopicsError {
    /// A topic with more replicas than there are nodes.
    #[error(
        "{flag}: topic {topic} wants replication factor {factor}; from 1 to {nodes} ({counted}) is allowed"
    )]
    TooManyReplicas {
        /// Where the topic came from.
        flag: &'static str,
        /// The topic's name.
        topic: String,
        /// Its replication factor.
        factor: i16,
        /// The number of nodes.
        nodes: usize,
        /// Where that came from.
        counted: &'static str,
    },
    /// A topic that is described twice, of which only one description could be followed.
    #[error("{flag}: topic {topic} is named twice")]
    NamedTwice {
        /// Where the second one came from.
        flag: &'static str,
        /// The topic's name.
        topic: String,
    },
}

impl CreateTopicsArgs {
    /// The topics of both flags.
    ///
    /// # Errors
    ///
    /// [`CreateTopicsError`].
    pub(super) fn into_topics(self, count: NodeCount) -> Result<Vec<NewTopic>, CreateTopicsError> {
        let mut topics: Vec<NewTopic> = Vec::new();
        for (flag, topic) in self.with_flags() {
            if usize::try_from(topic.replication_factor).is_ok_and(|factor| factor > count.nodes) {
                let NewTopic { name: topic, replication_factor: factor, .. } = topic;
                let NodeCount { nodes, flag: counted } = count;
                return Err(CreateTopicsError::TooManyReplicas { flag, topic, factor, nodes, counted });
            }
            if topics.iter().any(|other| other.name == topic.name) {
                return Err(CreateTopicsError::NamedTwice { flag, topic: topic.name });
            }
            topics.push(topic);
        }
        Ok(topics)
    }

    /// The names of the topics of both flags, whatever the cluster makes of them.
    pub(super) fn into_names(self) -> Vec<String> {
        self.with_flags().map(|(_, topic)| topic.name).collect()
    }

    fn with_flags(self) -> impl Iterator<Item = (&'static str, NewTopic)> {
        let listed = self.create_topics.unwrap_or_default().0;
        let listed = listed.into_iter().map(|topic| ("--create-topics", topic));
        listed.chain(self.create_topic.into_iter().map(|topic| ("--create-topic", topic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: NodeCount = NodeCount { nodes: 3, flag: "--peers" };

    fn args(listed: &str, repeated: &[&str]) -> CreateTopicsArgs {
        CreateTopicsArgs {
            create_topic: repeated.iter().map(|topic| topic.parse().unwrap()).collect(),
            create_topics: Some(listed.parse().unwrap()),
        }
    }

    #[test]
    fn topics_of_both_flags_are_joined() {
        let topics = args("b:2:3,c:1:1", &["a:1:1", "d:1:2"]).into_topics(THREE).unwrap();
        assert_eq!(topics.into_iter().map(|topic| topic.name).collect::<Vec<_>>(), ["b", "c", "a", "d"]);
        assert_eq!(args("", &[]).into_topics(THREE), Ok(Vec::new()));
        assert_eq!(args("b:2:9", &["a:1:1"]).into_names(), ["b", "a"]);
    }

    #[test]
    fn too_many_replicas_are_refused_by_either_flag() {
        let refused = args("a:1:4", &[]).into_topics(THREE).unwrap_err().to_string();
        assert!(refused.starts_with("--create-topics: topic a ") && refused.contains("--peers"), "{refused}");
        let refused = args("a:1:3", &["b:1:4"]).into_topics(THREE).unwrap_err().to_string();
        assert!(refused.starts_with("--create-topic: topic b "), "{refused}");
    }

    #[test]
    fn a_topic_is_described_once() {
        let refused = args("a:1:1,b:1:1", &["a:3:3"]).into_topics(THREE).unwrap_err();
        assert_eq!(refused, CreateTopicsError::NamedTwice { flag: "--create-topic", topic: "a".to_owned() });
    }
}
