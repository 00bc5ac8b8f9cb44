//! Settings of brokers and groups on a cluster of nodes 1 to 3.

use super::*;
use crate::controller::fixtures::Cluster;
use crate::controller::requests::{ConfigAlteration, ConfigOperation, ControllerRequest, ResourceAlteration};
use crate::ids::NodeId;

fn one(
    resource: ConfigResource,
    operation: ConfigOperation,
    name: &str,
    value: Option<&str>,
) -> ResourceAlteration {
    let change = ConfigAlteration { name: name.into(), operation, value: value.map(str::to_owned) };
    ResourceAlteration { resource, change: ConfigChange::Incremental(vec![change]) }
}

fn set(resource: ConfigResource, name: &str, value: &str) -> ResourceAlteration {
    one(resource, ConfigOperation::Set, name, Some(value))
}

fn alter(cluster: &mut Cluster, resources: Vec<ResourceAlteration>) -> Vec<Result<(), ControllerError>> {
    let request = ControllerRequest::AlterConfigs(AlterConfigs { resources, validate_only: false });
    match cluster.handle(&request) {
        ControllerResponse::AlterConfigs(results) => {
            results.into_iter().map(|result| result.outcome).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn code(cluster: &mut Cluster, alteration: ResourceAlteration) -> Option<ErrorCode> {
    alter(cluster, vec![alteration]).remove(0).err().map(|error| error.code)
}

fn group(name: &str) -> ConfigResource {
    ConfigResource::Group(name.into())
}

const SESSION: &str = "consumer.session.timeout.ms";

#[test]
fn settings_of_all_nodes_of_one_and_of_a_group_are_kept() {
    let mut cluster = Cluster::of(3);
    let outcomes = alter(
        &mut cluster,
        vec![
            set(ConfigResource::Cluster, "message.max.bytes", "7"),
            set(ConfigResource::Node(NodeId(2)), "message.max.bytes", "8"),
            set(group("g"), SESSION, "50000"),
        ],
    );
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let value = |configs: &Configs, name| configs.get(name).cloned();
    assert_eq!(value(cluster.image.cluster_configs(), "message.max.bytes").as_deref(), Some("7"));
    assert_eq!(value(cluster.image.node_configs(NodeId(2)), "message.max.bytes").as_deref(), Some("8"));
    assert!(cluster.image.node_configs(NodeId(1)).is_empty());
    assert_eq!(value(cluster.image.group_configs("g"), SESSION).as_deref(), Some("50000"));

    let delete = |resource, name| one(resource, ConfigOperation::Delete, name, None);
    let outcomes = alter(
        &mut cluster,
        vec![delete(ConfigResource::Node(NodeId(2)), "message.max.bytes"), delete(group("g"), SESSION)],
    );
    assert!(outcomes.iter().all(Result::is_ok));
    assert!(cluster.image.node_configs(NodeId(2)).is_empty());
    assert_eq!(cluster.image.groups_with_configs().len(), 0, "nothing is kept of a group without settings");
}

#[test]
fn lists_start_as_their_defaults() {
    let mut cluster = Cluster::of(3);
    let append = one(ConfigResource::Cluster, ConfigOperation::Append, "log.cleanup.policy", Some("compact"));
    assert_eq!(code(&mut cluster, append), None);
    let policy = cluster.image.cluster_configs().get("log.cleanup.policy").map(String::as_str);
    assert_eq!(policy, Some("delete,compact"));
    let append = one(ConfigResource::Cluster, ConfigOperation::Append, "message.max.bytes", Some("1"));
    assert_eq!(code(&mut cluster, append), Some(ErrorCode::InvalidConfig));
}

#[test]
fn refusals_are_kafkas() {
    let mut cluster = Cluster::of(3);
    let nodes = ConfigResource::Cluster;
    let invalid_request = Some(ErrorCode::InvalidRequest);
    assert_eq!(code(&mut cluster, set(nodes.clone(), "num.partitions", "3")), invalid_request);
    assert_eq!(code(&mut cluster, set(nodes.clone(), "message.max.bytes", "x")), invalid_request);
    assert_eq!(code(&mut cluster, set(nodes, "no.such.config", "x")), Some(ErrorCode::InvalidConfig));
    let nobody = ConfigResource::Node(NodeId(9));
    assert_eq!(code(&mut cluster, set(nobody, "message.max.bytes", "1")), invalid_request);
    assert_eq!(code(&mut cluster, set(group("g"), SESSION, "1")), Some(ErrorCode::InvalidConfig));
    assert_eq!(code(&mut cluster, set(group(""), SESSION, "50000")), invalid_request);
    let twice = vec![set(group("g"), SESSION, "50000"), set(group("g"), SESSION, "51000")];
    assert!(alter(&mut cluster, twice).iter().all(Result::is_err));
}

#[test]
fn groups_with_settings_are_bounded() {
    let mut cluster = Cluster::of(1);
    let named = |numbers: std::ops::Range<usize>| -> Vec<_> {
        numbers.map(|number| set(group(&number.to_string()), SESSION, "50000")).collect()
    };
    for first in (0..MAX_GROUPS_WITH_CONFIGS).step_by(MAX_GROUPS_PER_REQUEST) {
        assert!(alter(&mut cluster, named(first..first + MAX_GROUPS_PER_REQUEST)).iter().all(Result::is_ok));
    }
    let too_many = Some(ErrorCode::PolicyViolation);
    assert_eq!(code(&mut cluster, set(group("one more"), SESSION, "50000")), too_many);
    let outcomes = alter(&mut cluster, named(0..MAX_GROUPS_PER_REQUEST + 1));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1, "the last one of so many");
    assert_eq!(code(&mut cluster, set(group(&"g".repeat(MAX_GROUP_NAME + 1)), SESSION, "50000")), too_many);
    assert_eq!(
        code(&mut cluster, set(group("0"), SESSION, "51000")),
        None,
        "a group that has some may change them"
    );
}

#[test]
fn padded_values_are_kept_as_they_are_read_and_long_ones_refused() {
    let mut cluster = Cluster::of(3);
    let padded = format!("{} ", "0".repeat(30_000));
    assert_eq!(code(&mut cluster, set(ConfigResource::Cluster, "message.max.bytes", &padded)), None);
    assert_eq!(cluster.image.cluster_configs()["message.max.bytes"], "0");
    assert_eq!(code(&mut cluster, set(group("g"), SESSION, &format!(" {}50000", "0".repeat(30_000)))), None);
    assert_eq!(cluster.image.group_configs("g")[SESSION], "50000");
    let long = format!("{}50000", "0".repeat(33_000));
    assert_eq!(code(&mut cluster, set(group("h"), SESSION, &long)), Some(ErrorCode::InvalidConfig));
    assert_eq!(
        code(&mut cluster, set(ConfigResource::Cluster, "message.max.bytes", &long)),
        Some(ErrorCode::InvalidRequest)
    );
}
