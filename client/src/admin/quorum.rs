//! DescribeQuorum: the Raft group that the cluster's metadata lives in (KIP-595).

use kafka_protocol::messages::DescribeQuorumRequest;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_quorum_response::ReplicaState;

use super::requests::{checked, known};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results};
use crate::Error;
use crate::messages::topic_name;

/// Kafka's name for the log of the metadata, which is its partition 0.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// The metadata's quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quorum {
    /// The node that leads it.
    pub leader: Option<i32>,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// The offset below which all is committed.
    pub high_watermark: i64,
    /// The nodes that vote.
    pub voters: Vec<QuorumReplica>,
    /// The nodes that only follow.
    pub observers: Vec<QuorumReplica>,
}

/// A node of a quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Its id.
    pub id: i32,
    /// The end of its log.
    pub log_end_offset: Option<i64>,
    /// When it last fetched from the leader, in milliseconds since 1970.
    pub last_fetch: Option<i64>,
    /// When it last had all that the leader had, in milliseconds since 1970.
    pub last_caught_up: Option<i64>,
}

impl Admin {
    /// Describes the metadata's quorum (Kafka 3.3 and later).
    ///
    /// # Errors
    ///
    /// [`Error::NotServed`] with brokers that have none; if no broker answers in time.
    pub async fn describe_quorum(&self) -> Result<Quorum, Error> {
        self.run_one(DescribeQuorum, ()).await
    }
}

struct DescribeQuorum;

impl Operation for DescribeQuorum {
    type Key = ();
    type Value = Quorum;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, (): &()) -> Route {
        Route::Controller
    }

    async fn ask(&self, attempt: Attempt<'_>, _all: &[()]) -> Result<Results<(), Quorum>, Error> {
        let partition = PartitionData::default().with_partition_index(0);
        let topic =
            TopicData::default().with_topic_name(topic_name(METADATA_TOPIC)).with_partitions(vec![partition]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let answer = attempt.connection.request(request).await?;
        checked(answer.error_code, answer.error_message)?;
        let row = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
        let row = row.ok_or_else(|| Error::Malformed { cause: "a quorum without a partition".to_owned() })?;
        checked(row.error_code, row.error_message)?;
        let quorum = Quorum {
            leader: known(row.leader_id.0),
            leader_epoch: row.leader_epoch,
            high_watermark: row.high_watermark,
            voters: row.current_voters.iter().map(replica).collect(),
            observers: row.observers.iter().map(replica).collect(),
        };
        Ok([((), Ok(quorum))].into())
    }
}

fn replica(row: &ReplicaState) -> QuorumReplica {
    QuorumReplica {
        id: row.replica_id.0,
        log_end_offset: known(row.log_end_offset),
        last_fetch: known(row.last_fetch_timestamp),
        last_caught_up: known(row.last_caught_up_timestamp),
    }
}
