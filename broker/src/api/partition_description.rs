//! One partition as Metadata and DescribeTopicPartitions describe it.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::BrokerId;
use trilog_cluster::controller::Partition;
use trilog_cluster::ids::NodeId;
use trilog_cluster::node::Leadership;

use super::endpoints::{Endpoints, broker_id};

/// Kafka's number for "no leader" and "no epoch".
const NONE: i32 = -1;

/// Who leads a partition, who holds it, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartitionDescription {
    /// What keeps a client from using the partition now. All of these pass, so clients ask again.
    pub(super) error: Option<ResponseError>,
    /// The leader; -1 when none can be named.
    pub(super) leader: BrokerId,
    /// The leader's epoch; -1 when no leader is known. Never lower than one told before, as terms only rise.
    pub(super) leader_epoch: i32,
    /// The nodes that hold the partition, preferred leader first.
    pub(super) replicas: Vec<BrokerId>,
    /// Those of them that are caught up; nobody is known to be while there is no leader.
    pub(super) isr: Vec<BrokerId>,
    /// Those of them that have not been heard of lately.
    pub(super) offline: Vec<BrokerId>,
}

impl PartitionDescription {
    /// Describes `partition`, of whose leadership this node knows `leadership`.
    pub(super) fn new(partition: &Partition, leadership: Option<&Leadership>, endpoints: &Endpoints) -> Self {
        let ids = |nodes: &[NodeId]| nodes.iter().copied().map(broker_id).collect();
        let (leader, error) = match leadership {
            None => (BrokerId(NONE), Some(ResponseError::LeaderNotAvailable)),
            Some(Leadership { leader, .. }) if endpoints.get(*leader).is_some() => (broker_id(*leader), None),
            Some(Leadership { leader, .. }) if endpoints.is_live(*leader) => {
                (BrokerId(NONE), Some(ResponseError::ListenerNotFound))
            }
            Some(_) => (BrokerId(NONE), Some(ResponseError::LeaderNotAvailable)),
        };
        let offline = partition.replicas.iter().copied().filter(|&replica| !endpoints.is_live(replica));
        Self {
            error,
            leader,
            leader_epoch: leadership.map_or(NONE, |known| known.epoch.0),
            replicas: ids(&partition.replicas),
            isr: leadership.map_or_else(Vec::new, |known| ids(&known.isr)),
            offline: offline.map(broker_id).collect(),
        }
    }

    /// The error's number, 0 for none.
    pub(super) fn error_code(&self) -> i16 {
        self.error.map_or(0, |error| error.code())
    }
}
