//! What comes of an AlterTopicConfigs request.

use super::*;
use crate::controller::fixtures::Cluster;
use crate::controller::limits::MAX_TOPIC_CONFIG_BYTES;
use crate::controller::requests::{
    ConfigAlteration, ConfigChange, ConfigOperation, ControllerRequest, DeleteTopics, TopicRef,
};

use ConfigOperation::{Append, Delete, Set, Subtract};

fn changes(changes: &[(&str, ConfigOperation, Option<&str>)]) -> ConfigChange {
    let change = |(name, operation, value): &(&str, ConfigOperation, Option<&str>)| ConfigAlteration {
        name: (*name).to_owned(),
        operation: *operation,
        value: value.map(str::to_owned),
    };
    ConfigChange::Incremental(changes.iter().map(change).collect())
}

fn replacement(configs: &[(&str, Option<&str>)]) -> ConfigChange {
    let config = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
    ConfigChange::Replace(configs.iter().map(config).collect())
}

fn request(alterations: Vec<(&str, ConfigChange)>, validate_only: bool) -> ControllerRequest {
    let topics = alterations
        .into_iter()
        .map(|(name, change)| TopicAlteration { name: name.to_owned(), change })
        .collect();
    ControllerRequest::AlterTopicConfigs(AlterTopicConfigs { topics, validate_only })
}

fn outcomes(cluster: &mut Cluster, request: &ControllerRequest) -> Vec<Result<(), ControllerError>> {
    match cluster.handle(request) {
        ControllerResponse::AlterTopicConfigs(results) => {
            results.into_iter().map(|result| result.outcome).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn becomes(cluster: &mut Cluster, change: ConfigChange, configs: &[(&str, &str)]) {
    assert_eq!(outcomes(cluster, &request(vec![("t", change)], false)), [Ok(())]);
    let kept: Vec<_> = cluster.image.topic("t").unwrap().configs.iter().collect();
    let kept: Vec<_> = kept.into_iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(kept, configs);
}

#[track_caller]
fn refused(cluster: &mut Cluster, change: ConfigChange, code: ErrorCode, message: &str) {
    let before = cluster.image.clone();
    let results = outcomes(cluster, &request(vec![("t", change)], false));
    assert_eq!(results, [Err(ControllerError::new(code, message))]);
    assert_eq!(cluster.image, before);
}

#[test]
fn the_settings_of_all_topics_are_bounded() {
    const NAME: &str = "leader.replication.throttled.replicas";
    let value = vec!["0:1"; 8_000].join(",");
    let most = MAX_TOPIC_CONFIG_BYTES / (NAME.len() + value.len());
    let names: Vec<_> = (0..=most).map(|number| format!("t{number}")).collect();
    let mut cluster = Cluster::of(1).with_topics(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let cluster = &mut cluster;
    let set = |value: &str| changes(&[(NAME, Set, Some(value))]);
    // Also within one request.
    let all = names.iter().map(|name| (name.as_str(), set(&value))).collect();
    let results = outcomes(cluster, &request(all, false));
    assert!(results[..most].iter().all(Result::is_ok));
    assert_eq!(results[most].as_ref().unwrap_err().code, ErrorCode::PolicyViolation);
    let one = |cluster: &mut Cluster, topic: &str, value: &str| {
        outcomes(cluster, &request(vec![(topic, set(value))], false)).remove(0).map_err(|error| error.code)
    };
    let last = names[most].as_str();
    assert_eq!(one(cluster, last, &value), Err(ErrorCode::PolicyViolation));
    assert_eq!(one(cluster, "t0", &value[4..]), Ok(()), "what is less is taken");
    let decoded = MetadataImage::decode(&cluster.image.encode()).unwrap();
    assert_eq!(decoded, cluster.image, "and counted again after a start");
    let gone = DeleteTopics { topics: vec![TopicRef::Name("t1".into())] };
    cluster.handle(&ControllerRequest::DeleteTopics(gone));
    assert_eq!(one(cluster, last, &value), Ok(()), "a deleted topic's are free");
}

#[test]
fn settings_change_one_by_one() {
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let cluster = &mut cluster;
    becomes(
        cluster,
        changes(&[("retention.ms", Set, Some("5")), ("preallocate", Set, Some("true"))]),
        &[("preallocate", "true"), ("retention.ms", "5")],
    );
    becomes(cluster, changes(&[("preallocate", Delete, None)]), &[("retention.ms", "5")]);
    becomes(cluster, changes(&[("flush.ms", Delete, Some("ignored"))]), &[("retention.ms", "5")]);
}

#[test]
fn lists_grow_and_shrink_from_their_default() {
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let cluster = &mut cluster;
    let policy = |operation, value| changes(&[("cleanup.policy", operation, Some(value))]);
    becomes(cluster, policy(Append, "compact"), &[("cleanup.policy", "delete,compact")]);
    becomes(cluster, policy(Append, "compact,delete"), &[("cleanup.policy", "delete,compact")]);
    becomes(cluster, policy(Subtract, "delete"), &[("cleanup.policy", "compact")]);
    becomes(cluster, policy(Subtract, "compact"), &[("cleanup.policy", "")]);
}

#[test]
fn settings_are_replaced() {
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    becomes(&mut cluster, replacement(&[("retention.ms", Some("5"))]), &[("retention.ms", "5")]);
    becomes(&mut cluster, replacement(&[("flush.ms", Some("1"))]), &[("flush.ms", "1")]);
    becomes(&mut cluster, replacement(&[]), &[]);
}

#[test]
fn what_changes_nothing_is_not_written() {
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let set = request(vec![("t", replacement(&[("flush.ms", Some("1"))]))], false);
    assert_eq!(cluster.decide(&set).records.len(), 1);
    cluster.handle(&set);
    assert_eq!(cluster.decide(&set).records, []);
}

#[test]
fn what_is_wrong_is_refused() {
    use ErrorCode::{InvalidConfig, InvalidRequest};
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let cluster = &mut cluster;
    refused(
        cluster,
        changes(&[("flush.ms", Set, Some("soon"))]),
        InvalidConfig,
        "Invalid value soon for configuration flush.ms: Not a number of type LONG",
    );
    refused(
        cluster,
        changes(&[("nonsense", Set, Some("1"))]),
        InvalidConfig,
        "Unknown topic config name: nonsense",
    );
    refused(
        cluster,
        changes(&[("flush.ms", Append, Some("1"))]),
        InvalidConfig,
        "Can't APPEND to key flush.ms because its type is not LIST.",
    );
    refused(
        cluster,
        changes(&[("nonsense", Subtract, Some("1"))]),
        InvalidConfig,
        "Can't SUBTRACT to key nonsense because its type is not LIST.",
    );
    refused(
        cluster,
        changes(&[("flush.ms", Set, Some("1")), ("flush.ms", Delete, None)]),
        InvalidRequest,
        "Error due to duplicate config keys",
    );
    refused(
        cluster,
        changes(&[("flush.ms", Set, None), ("flush.messages", Set, Some("1"))]),
        InvalidRequest,
        "Null value not supported for : flush.ms",
    );
    refused(
        cluster,
        replacement(&[("flush.ms", None)]),
        InvalidRequest,
        "Null value not supported for : flush.ms",
    );
    refused(
        cluster,
        replacement(&[("flush.ms", Some("1")), ("flush.ms", Some("2"))]),
        InvalidRequest,
        "Error due to duplicate config keys",
    );
}

#[test]
fn each_topic_stands_for_itself() {
    let mut cluster = Cluster::of(3).with_topics(&["t", "u"]);
    let set = || changes(&[("flush.ms", Set, Some("1"))]);
    let results = outcomes(
        &mut cluster,
        &request(vec![("t", set()), ("gone", set()), ("u", set()), ("u", set())], false),
    );
    assert_eq!(results[0], Ok(()));
    assert_eq!(results[1], Err(unknown_topic()));
    for twice in &results[2..] {
        assert_eq!(*twice, Err(invalid_request("Each resource must appear at most once.")));
    }
    assert!(cluster.image.topic("u").unwrap().configs.is_empty());
}

#[test]
fn validating_changes_nothing() {
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let good = changes(&[("flush.ms", Set, Some("1"))]);
    let decision = cluster.decide(&request(vec![("t", good)], true));
    assert_eq!(decision.records, []);
    let bad = request(vec![("t", changes(&[("flush.ms", Set, Some("x"))]))], true);
    assert_eq!(outcomes(&mut cluster, &bad)[0].as_ref().unwrap_err().code, ErrorCode::InvalidConfig);
}
