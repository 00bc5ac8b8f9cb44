//! The cluster: its brokers and its controller.

use kafka_protocol::messages::{DescribeClusterRequest, MetadataRequest};

use super::requests::{checked, known};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results};
use crate::Error;
use crate::metadata::NodeId;
use crate::wire::Api;

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id, if it has one.
    pub cluster_id: Option<String>,
    /// The broker to send changes to. Kafka with KRaft names one at random, which passes them on.
    pub controller: Option<i32>,
    /// The brokers that are up, by id.
    pub brokers: Vec<BrokerDescription>,
}

/// A broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerDescription {
    /// Its id.
    pub id: i32,
    /// Where it listens: the host.
    pub host: String,
    /// Where it listens: the port.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

impl Admin {
    /// Describes the cluster.
    ///
    /// # Errors
    ///
    /// If no broker answers in time.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        self.run_one(DescribeCluster, ()).await
    }

    /// The ids of the brokers that are up.
    pub(super) async fn broker_ids(&self) -> Result<Vec<NodeId>, Error> {
        let cluster = self.describe_cluster().await?;
        Ok(cluster.brokers.into_iter().map(|broker| broker.id).collect())
    }
}

struct DescribeCluster;

impl Operation for DescribeCluster {
    type Key = ();
    type Value = ClusterDescription;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, (): &()) -> Route {
        Route::Any
    }

    async fn ask(&self, attempt: Attempt<'_>, _all: &[()]) -> Result<Results<(), ClusterDescription>, Error> {
        let is_served = attempt.connection.versions().get(Api::of::<DescribeClusterRequest>()).is_some();
        let mut cluster = if is_served { described(attempt).await? } else { from_metadata(attempt).await? };
        cluster.brokers.sort_unstable_by_key(|broker| broker.id);
        Ok([((), Ok(cluster))].into())
    }
}

async fn described(attempt: Attempt<'_>) -> Result<ClusterDescription, Error> {
    let answer = attempt.connection.request(DescribeClusterRequest::default()).await?;
    checked(answer.error_code, answer.error_message)?;
    let brokers = answer.brokers.into_iter().map(|row| BrokerDescription {
        id: row.broker_id.0,
        host: row.host.to_string(),
        port: row.port,
        rack: row.rack.map(|rack| rack.to_string()),
    });
    Ok(ClusterDescription {
        cluster_id: Some(answer.cluster_id.to_string()),
        controller: known(answer.controller_id.0),
        brokers: brokers.collect(),
    })
}

/// As brokers before Kafka 2.8 tell.
async fn from_metadata(attempt: Attempt<'_>) -> Result<ClusterDescription, Error> {
    let request = MetadataRequest::default().with_topics(Some(Vec::new()));
    let answer = attempt.connection.request(request).await?;
    let brokers = answer.brokers.into_iter().map(|row| BrokerDescription {
        id: row.node_id.0,
        host: row.host.to_string(),
        port: row.port,
        rack: row.rack.map(|rack| rack.to_string()),
    });
    Ok(ClusterDescription {
        cluster_id: answer.cluster_id.map(|id| id.to_string()),
        controller: known(answer.controller_id.0),
        brokers: brokers.collect(),
    })
}
