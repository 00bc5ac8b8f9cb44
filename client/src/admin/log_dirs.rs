//! DescribeLogDirs: what replicas take on the brokers' disks.

use kafka_protocol::messages::DescribeLogDirsRequest;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;

use super::requests::{checked, known, rows};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results, TopicPartition};
use crate::Error;
use crate::metadata::NodeId;

/// A directory in which a broker keeps its logs.
#[derive(Clone, Debug)]
pub struct LogDir {
    /// Its path on the broker.
    pub path: String,
    /// Why the broker cannot use it, if it cannot.
    pub failure: Option<Error>,
    /// The size of its file system in bytes, where the broker tells (Kafka 3.3 and later).
    pub total_bytes: Option<i64>,
    /// What is free of that.
    pub usable_bytes: Option<i64>,
    /// The replicas in it, by partition.
    pub replicas: Vec<ReplicaSize>,
}

/// A replica on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSize {
    /// The partition.
    pub partition: TopicPartition,
    /// What its log takes, in bytes.
    pub bytes: i64,
    /// How many records it lacks.
    pub lag: i64,
    /// Whether it is a copy that will replace one in another directory.
    pub future: bool,
}

impl Admin {
    /// Describes the log directories of all brokers, by broker.
    ///
    /// # Errors
    ///
    /// [`Error::NotServed`] if no broker serves that; if the cluster's brokers cannot be found out. Each broker's own error is in the results.
    pub async fn describe_log_dirs(&self) -> Result<Results<i32, Vec<LogDir>>, Error> {
        let brokers = self.broker_ids().await?;
        let by_broker = self.run(DescribeLogDirs, brokers).await;
        let refused = by_broker.values().find_map(|outcome| match outcome {
            Err(error @ Error::NotServed { .. }) => Some(error.clone()),
            _ => None,
        });
        match refused {
            Some(error) if by_broker.values().all(Result::is_err) => Err(error),
            _ => Ok(by_broker),
        }
    }
}

struct DescribeLogDirs;

impl Operation for DescribeLogDirs {
    type Key = NodeId;
    type Value = Vec<LogDir>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, broker: &NodeId) -> Route {
        Route::Broker(*broker)
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        brokers: &[NodeId],
    ) -> Result<Results<NodeId, Vec<LogDir>>, Error> {
        let request = DescribeLogDirsRequest::default().with_topics(None);
        let answer = attempt.connection.request(request).await?;
        checked(answer.error_code, None)?;
        let dirs: Vec<_> = answer.results.into_iter().map(dir).collect();
        Ok(brokers.iter().map(|broker| (*broker, Ok(dirs.clone()))).collect())
    }
}

fn dir(row: DescribeLogDirsResult) -> LogDir {
    let replicas = rows(
        row.topics,
        |topic| (topic.name, topic.partitions),
        |row| (row.partition_index, (row.partition_size, row.offset_lag, row.is_future_key)),
    );
    let replicas = replicas.into_iter().map(|(partition, (bytes, lag, future))| ReplicaSize {
        partition,
        bytes,
        lag,
        future,
    });
    LogDir {
        path: row.log_dir.to_string(),
        failure: checked(row.error_code, None).err(),
        total_bytes: known(row.total_bytes),
        usable_bytes: known(row.usable_bytes),
        replicas: replicas.collect(),
    }
}
