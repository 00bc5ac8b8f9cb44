//! DescribeProducers: the idempotent and transactional producers that leaders remember (KIP-664).

use kafka_protocol::messages::DescribeProducersRequest;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::ProducerState;

use super::requests::{by_topic, checked, known, rows};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results, TopicPartition};
use crate::Error;

/// A producer that a partition's leader remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The sequence number of its last record.
    pub last_sequence: Option<i32>,
    /// The timestamp of its last record, in milliseconds since 1970.
    pub last_timestamp: Option<i64>,
    /// The epoch of the coordinator that wrote its last transaction marker.
    pub coordinator_epoch: Option<i32>,
    /// The first offset of its open transaction.
    pub transaction_start: Option<i64>,
}

impl Admin {
    /// Describes the producers of partitions.
    pub async fn describe_producers(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Results<TopicPartition, Vec<ActiveProducer>> {
        self.run(DescribeProducers, partitions).await
    }
}

struct DescribeProducers;

impl Operation for DescribeProducers {
    type Key = TopicPartition;
    type Value = Vec<ActiveProducer>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, place: &TopicPartition) -> Route {
        Route::Leader(place.clone())
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        places: &[TopicPartition],
    ) -> Result<Results<TopicPartition, Vec<ActiveProducer>>, Error> {
        let row = |place: &TopicPartition| (place.clone(), place.partition);
        let topics = by_topic(places.iter().map(row), |name, partitions| {
            TopicRequest::default().with_name(name).with_partition_indexes(partitions)
        });
        let request = DescribeProducersRequest::default().with_topics(topics);
        let answer = attempt.connection.request(request).await?;
        let rows = rows(
            answer.topics,
            |topic| (topic.name, topic.partitions),
            |row| {
                let producers = row.active_producers.iter().map(producer).collect();
                (row.partition_index, checked(row.error_code, row.error_message).map(|()| producers))
            },
        );
        Ok(rows)
    }
}

fn producer(row: &ProducerState) -> ActiveProducer {
    ActiveProducer {
        producer_id: row.producer_id.0,
        producer_epoch: row.producer_epoch,
        last_sequence: known(row.last_sequence),
        last_timestamp: known(row.last_timestamp),
        coordinator_epoch: known(row.coordinator_epoch),
        transaction_start: known(row.current_txn_start_offset),
    }
}
