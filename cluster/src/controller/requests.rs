//! What the controller is asked and what it answers. Both travel between nodes, as any node forwards what a client
//! sends it to the controller's leader.
//!
//! Requests hold what the client said, unchecked, numbers below zero included: what is wrong with it is decided in one
//! place. A response has one result for each item of the request, in its order.

use serde::{Deserialize, Serialize};

use super::configs::{ConfigSource, Configs};
use super::errors::ControllerError;
use super::quorum::{Handover, Quorum};
use super::records::Broker;
use crate::encoding::{self, DecodeError};
use crate::ids::{NodeId, ProducerId, TopicId};

/// A request to the controller. Variants are numbered by their order on the wire: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControllerRequest {
    /// A node says that it has started, and how clients reach it.
    RegisterBroker(Broker),
    /// Topics are to be made.
    CreateTopics(CreateTopics),
    /// Topics are to be deleted, with their data.
    DeleteTopics(DeleteTopics),
    /// Topics are to have more partitions (KIP-195).
    CreatePartitions(CreatePartitions),
    /// Topics' settings are to change.
    AlterTopicConfigs(AlterTopicConfigs),
    /// A node needs producer ids to hand out (KIP-730).
    AllocateProducerIds,
    /// How the controller's own group stands (KIP-595).
    DescribeQuorum,
    /// The leaderships of these Raft groups are to go to their preferred replicas (KIP-460). Put to the node that leads them,
    /// whether it is the controller or not.
    HandToPreferred(Vec<u64>),
    /// Settings of nodes or groups are to change while the cluster runs.
    AlterConfigs(AlterConfigs),
}

/// The answer, of the request's kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControllerResponse {
    /// To [`ControllerRequest::RegisterBroker`].
    RegisterBroker(Result<(), ControllerError>),
    /// To [`ControllerRequest::CreateTopics`].
    CreateTopics(Vec<ItemResult<String, CreatedTopic>>),
    /// To [`ControllerRequest::DeleteTopics`].
    DeleteTopics(Vec<ItemResult<TopicRef, TopicRef>>),
    /// To [`ControllerRequest::CreatePartitions`].
    CreatePartitions(Vec<ItemResult<String, NewPartitions>>),
    /// To [`ControllerRequest::AlterTopicConfigs`].
    AlterTopicConfigs(Vec<ItemResult<String, ()>>),
    /// To [`ControllerRequest::AllocateProducerIds`].
    AllocateProducerIds(Result<ProducerIdBlock, ControllerError>),
    /// To [`ControllerRequest::DescribeQuorum`].
    DescribeQuorum(Quorum),
    /// To [`ControllerRequest::HandToPreferred`].
    HandToPreferred(Vec<Handover>),
    /// To [`ControllerRequest::AlterConfigs`].
    AlterConfigs(Vec<ItemResult<ConfigResource, ()>>),
}

impl ControllerResponse {
    /// Refuses everything that was granted.
    pub(super) fn refuse(&mut self, error: &ControllerError) {
        match self {
            Self::RegisterBroker(outcome) => refuse(outcome, error),
            Self::CreateTopics(results) => refuse_all(results, error),
            Self::DeleteTopics(results) => refuse_all(results, error),
            Self::CreatePartitions(results) => refuse_all(results, error),
            Self::AlterTopicConfigs(results) => refuse_all(results, error),
            Self::AllocateProducerIds(outcome) => refuse(outcome, error),
            Self::AlterConfigs(results) => refuse_all(results, error),
            Self::DescribeQuorum(_) | Self::HandToPreferred(_) => {}
        }
    }
}

fn refuse_all<K, T>(results: &mut [ItemResult<K, T>], error: &ControllerError) {
    for result in results {
        refuse(&mut result.outcome, error);
    }
}

fn refuse<T>(outcome: &mut Result<T, ControllerError>, error: &ControllerError) {
    if outcome.is_ok() {
        *outcome = Err(error.clone());
    }
}

/// What became of one item of a request: the item as the client named it, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemResult<K, T> {
    /// The item as the request names it.
    pub item: K,
    /// What came of it.
    pub outcome: Result<T, ControllerError>,
}

/// Topics to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTopics {
    /// The topics.
    pub topics: Vec<NewTopic>,
    /// Only to say what would come of it.
    pub validate_only: bool,
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 for the cluster's default, and with `assignments`.
    pub num_partitions: i32,
    /// How many replicas a partition; -1 for the cluster's default, and with `assignments`.
    pub replication_factor: i16,
    /// Which partition goes to which nodes. Empty: the controller chooses.
    pub assignments: Vec<Assignment>,
    /// Settings. A null value is an error that the client has to be told of.
    pub configs: Vec<(String, Option<String>)>,
}

/// Where a partition's replicas are to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The partition's number within its topic.
    pub partition: i32,
    /// Broker ids, the preferred leader first.
    pub replicas: Vec<i32>,
}

/// A topic that was made, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedTopic {
    /// Its identity. Of a topic that only would be made, nothing ever has it.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many replicas a partition has.
    pub replication_factor: usize,
    /// All its settings as they are in force, sorted by name.
    pub configs: Vec<ConfigEntry>,
}

/// A setting in a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigEntry {
    /// Kafka's name.
    pub name: String,
    /// The value in force.
    pub value: String,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// Topics to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteTopics {
    /// The topics.
    pub topics: Vec<TopicRef>,
}

/// A topic as a client names it. In the result of a deletion, the other of its two names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id (KIP-516).
    Id(TopicId),
}

/// Topics to have more partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePartitions {
    /// The topics.
    pub topics: Vec<TopicGrowth>,
    /// Only to say what would come of it.
    pub validate_only: bool,
}

/// A topic to have more partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicGrowth {
    /// Its name.
    pub name: String,
    /// How many partitions it is to have afterwards, the present ones included.
    pub count: i32,
    /// For each new partition the broker ids of its replicas. None: the controller chooses.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// A topic that has more partitions, or would have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPartitions {
    /// The topic's identity.
    pub id: TopicId,
    /// How many it has in all.
    pub partitions: usize,
}

/// Topics' settings to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterTopicConfigs {
    /// The topics.
    pub topics: Vec<TopicAlteration>,
    /// Only to say what would come of it.
    pub validate_only: bool,
}

/// A topic's settings to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicAlteration {
    /// The topic's name.
    pub name: String,
    /// What is to change.
    pub change: ConfigChange,
}

/// Settings of nodes or groups to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterConfigs {
    /// Whose.
    pub resources: Vec<ResourceAlteration>,
    /// Only to say what would come of it.
    pub validate_only: bool,
}

/// Settings of a node, of all nodes, or of a group to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceAlteration {
    /// Whose.
    pub resource: ConfigResource,
    /// What is to change.
    pub change: ConfigChange,
}

/// What has settings beside topics. Variants are numbered by their order on the wire: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConfigResource {
    /// All nodes.
    Cluster,
    /// One node.
    Node(NodeId),
    /// A consumer group.
    Group(String),
}

/// How settings change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigChange {
    /// Setting by setting (IncrementalAlterConfigs, KIP-339).
    Incremental(Vec<ConfigAlteration>),
    /// All settings are to be these and no others (AlterConfigs). A null value is an error that the client has to
    /// be told of.
    Replace(Vec<(String, Option<String>)>),
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigAlteration {
    /// The setting's name.
    pub name: String,
    /// What to do.
    pub operation: ConfigOperation,
    /// With what. Only `Delete` needs none.
    pub value: Option<String>,
}

/// What to do with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigOperation {
    /// Give it the value.
    Set,
    /// Leave it to the brokers' settings.
    Delete,
    /// Add the value's parts to a list.
    Append,
    /// Take the value's parts off a list.
    Subtract,
}

/// Producer ids that one node may hand out and no other will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: ProducerId,
    /// How many there are.
    pub count: u32,
}

impl ControllerRequest {
    /// The request as bytes for another node.
    pub fn encode(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// The request in `bytes`. Never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode(bytes)
    }
}

impl ControllerResponse {
    /// The response as bytes for another node.
    pub fn encode(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// The response in `bytes`. Never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode(bytes)
    }
}

/// Settings without their null values, or the names of those that have one.
pub(super) fn without_nulls(configs: &[(String, Option<String>)]) -> Result<Configs, Vec<&str>> {
    let nulls: Vec<_> =
        configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
    if nulls.is_empty() {
        Ok(configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect())
    } else {
        Err(nulls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Voter;

    fn alteration(resource: ConfigResource) -> ControllerRequest {
        let change =
            ConfigAlteration { name: "n".into(), operation: ConfigOperation::Set, value: Some("v".into()) };
        let change = ConfigChange::Incremental(vec![change]);
        let resources = vec![ResourceAlteration { resource, change }];
        ControllerRequest::AlterConfigs(AlterConfigs { resources, validate_only: true })
    }

    /// Nodes of another release read these bytes.
    #[test]
    fn what_nodes_say_to_each_other_stays_as_it_is() {
        let requests = [
            (ControllerRequest::AllocateProducerIds, vec![2, 5]),
            (ControllerRequest::DescribeQuorum, vec![2, 6]),
            (ControllerRequest::HandToPreferred(vec![3, 300]), vec![2, 7, 2, 3, 0xac, 2]),
            (alteration(ConfigResource::Cluster), vec![2, 8, 1, 0, 0, 1, 1, b'n', 0, 1, 1, b'v', 1]),
            (
                alteration(ConfigResource::Node(NodeId(3))),
                vec![2, 8, 1, 1, 3, 0, 1, 1, b'n', 0, 1, 1, b'v', 1],
            ),
        ];
        for (request, bytes) in requests {
            assert_eq!(request.encode(), bytes);
            assert_eq!(ControllerRequest::decode(&bytes), Ok(request));
        }
        let voter = Voter { node: NodeId(2), log_end: 9, silent_ms: Some(5), behind_ms: None };
        let quorum = Quorum { leader: Some(NodeId(1)), epoch: 4, high_watermark: 9, voters: vec![voter] };
        let handovers =
            vec![Handover::UnderWay, Handover::NotNeeded, Handover::NotLeader, Handover::Unavailable];
        let responses = [
            (ControllerResponse::DescribeQuorum(quorum), vec![2, 6, 1, 1, 8, 9, 1, 2, 9, 1, 5, 0]),
            (ControllerResponse::HandToPreferred(handovers), vec![2, 7, 4, 0, 1, 2, 3]),
            (
                ControllerResponse::AlterConfigs(vec![ItemResult {
                    item: ConfigResource::Group("g".into()),
                    outcome: Ok(()),
                }]),
                vec![2, 8, 1, 2, 1, b'g', 0],
            ),
        ];
        for (response, bytes) in responses {
            assert_eq!(response.encode(), bytes);
            assert_eq!(ControllerResponse::decode(&bytes), Ok(response));
        }
    }
}
