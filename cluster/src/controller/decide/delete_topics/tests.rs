//! What comes of a DeleteTopics request.

use uuid::Uuid;

use super::*;
use crate::controller::configs::BrokerSettings;
use crate::controller::fixtures::Cluster;
use crate::controller::requests::ControllerRequest;

fn name(name: &str) -> TopicRef {
    TopicRef::Name(name.into())
}

fn outcomes(cluster: &mut Cluster, topics: &[TopicRef]) -> Vec<Result<TopicRef, ControllerError>> {
    let request = ControllerRequest::DeleteTopics(DeleteTopics { topics: topics.to_vec() });
    match cluster.handle(&request) {
        ControllerResponse::DeleteTopics(results) => {
            results.into_iter().map(|result| result.outcome).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(cluster: &mut Cluster, topic: TopicRef, code: ErrorCode, message: &str) {
    let before = cluster.image.clone();
    assert_eq!(outcomes(cluster, &[topic]), [Err(ControllerError::new(code, message))]);
    assert_eq!(cluster.image, before);
}

#[test]
fn topics_go_by_name_or_id() {
    let mut cluster = Cluster::of(3).with_topics(&["a", "b", "c"]);
    let id = |cluster: &Cluster, name| TopicRef::Id(cluster.image.topic(name).unwrap().id);
    let (a, b) = (id(&cluster, "a"), id(&cluster, "b"));
    assert_eq!(outcomes(&mut cluster, &[name("a"), b]), [Ok(a), Ok(name("b"))]);
    let left: Vec<_> = cluster.image.topics().map(|topic| topic.name.to_string()).collect();
    assert_eq!(left, ["c"]);
    assert_eq!(cluster.image.partition_count(), 1);
}

#[test]
fn what_is_not_there_cannot_go() {
    let mut cluster = Cluster::of(3);
    refused(
        &mut cluster,
        name("a"),
        ErrorCode::UnknownTopicOrPartition,
        "This server does not host this topic-partition.",
    );
    refused(
        &mut cluster,
        TopicRef::Id(TopicId(Uuid::from_u128(5))),
        ErrorCode::UnknownTopicId,
        "This server does not host this topic ID.",
    );
    refused(
        &mut cluster,
        TopicRef::Id(TopicId(Uuid::nil())),
        ErrorCode::InvalidRequest,
        "Attempt to find topic with an all-zero topic id.",
    );
}

#[test]
fn a_topic_may_be_named_once() {
    let mut cluster = Cluster::of(3).with_topics(&["a", "b"]);
    let a = TopicRef::Id(cluster.image.topic("a").unwrap().id);
    let messages = |results: Vec<Result<TopicRef, ControllerError>>| {
        results.into_iter().map(|result| result.err().map(|error| error.message)).collect::<Vec<_>>()
    };
    let twice = messages(outcomes(&mut cluster, &[name("b"), name("b"), a.clone(), a.clone()]));
    let (names, ids) = (Some("Duplicate topic name.".into()), Some("Duplicate topic id.".into()));
    assert_eq!(twice, [names.clone(), names, ids.clone(), ids]);
    assert_eq!(cluster.image.topics().len(), 2);
    let both = messages(outcomes(&mut cluster, &[name("a"), a]));
    assert_eq!(
        both,
        [None, Some("The provided topic name maps to an ID that was already supplied.".to_owned())]
    );
}

#[test]
fn deletion_can_be_turned_off() {
    let mut cluster = Cluster::of(3).with_topics(&["a"]);
    cluster.settings = BrokerSettings::from_pairs([("delete.topic.enable", "false")]).unwrap();
    refused(&mut cluster, name("a"), ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled.");
}

#[test]
fn the_clusters_own_topics_stay() {
    let mut cluster = Cluster::of(3).with_topics(&["__consumer_offsets"]);
    let id = TopicRef::Id(cluster.image.topic("__consumer_offsets").unwrap().id);
    for topic in [name("__consumer_offsets"), id] {
        let message = "The internal topic __consumer_offsets cannot be deleted.";
        refused(&mut cluster, topic, ErrorCode::InvalidRequest, message);
    }
}
