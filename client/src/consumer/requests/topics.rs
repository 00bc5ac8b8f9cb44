//! All topics of the cluster, for a consumer that matches a regular expression itself.

use std::sync::Arc;

use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use trilog_protocol::ErrorCode;

use crate::Error;
use crate::messages::version_from;
use crate::wire::Connection;

/// Below it, an empty list of topics means all of them, and a broker creates every topic that it is asked for.
const LOWEST: i16 = 4;

/// A topic, as a broker lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::consumer) struct ListedTopic {
    pub(in crate::consumer) name: Arc<str>,
    /// It belongs to the brokers, as `__consumer_offsets` does.
    pub(in crate::consumer) is_internal: bool,
}

/// Lists the topics that the consumer may know of.
pub(in crate::consumer) async fn list(connection: &Connection) -> Result<Vec<ListedTopic>, Error> {
    let version = version_from::<MetadataRequest>(connection, LOWEST)?;
    let request = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
    listed(connection.request_at_version(request, version).await?)
}

fn listed(answer: MetadataResponse) -> Result<Vec<ListedTopic>, Error> {
    ErrorCode(answer.error_code).check().map_err(Error::code)?;
    if answer.brokers.is_empty() {
        // A broker that starts may know of nothing yet. Taken for the truth, that would end all that members do.
        let cause = "the broker that was asked for topics knows of no broker yet".to_owned();
        return Err(Error::Unreachable { cause });
    }
    let is_there = |code: i16| {
        let gone = [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::TOPIC_AUTHORIZATION_FAILED];
        !gone.contains(&ErrorCode(code))
    };
    let topics = answer.topics.into_iter().filter(|topic| is_there(topic.error_code));
    let topic = topics.filter_map(|topic| {
        let name = Arc::from(topic.name?.as_str());
        Some(ListedTopic { name, is_internal: topic.is_internal })
    });
    Ok(topic.collect())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};

    use super::*;
    use crate::messages::topic_name;

    fn answer(topics: &[(&str, ErrorCode)]) -> MetadataResponse {
        let topic = |(name, code): &(&str, ErrorCode)| {
            MetadataResponseTopic::default()
                .with_name(Some(topic_name(name)))
                .with_error_code(code.0)
                .with_is_internal(name.starts_with("__"))
        };
        MetadataResponse::default()
            .with_brokers(vec![MetadataResponseBroker::default()])
            .with_topics(topics.iter().map(topic).collect())
    }

    #[test]
    fn topics_that_are_gone_or_forbidden_are_left_out() {
        let listed = listed(answer(&[
            ("a", ErrorCode::NONE),
            ("gone", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            ("hidden", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
            ("leaderless", ErrorCode::LEADER_NOT_AVAILABLE),
            ("__consumer_offsets", ErrorCode::NONE),
        ]));
        let listed = listed.unwrap().into_iter().map(|topic| (topic.name.to_string(), topic.is_internal));
        let expected = [("a", false), ("leaderless", false), ("__consumer_offsets", true)];
        assert_eq!(
            listed.collect::<Vec<_>>(),
            expected.map(|(name, is_internal)| (name.to_owned(), is_internal))
        );
    }

    #[test]
    fn a_broker_that_knows_of_nothing_yet_lists_nothing() {
        let ignorant = MetadataResponse::default();
        assert_eq!(listed(ignorant).unwrap_err().class(), crate::ErrorClass::Retriable);
        let refused = answer(&[]).with_error_code(ErrorCode::REBOOTSTRAP_REQUIRED.0);
        assert!(listed(refused).is_err());
    }
}
