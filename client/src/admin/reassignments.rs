//! ListPartitionReassignments and AlterPartitionReassignments: replicas that are on the move (KIP-455).

use std::collections::BTreeMap;

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, ListPartitionReassignmentsRequest,
};

use super::requests::{by_topic, checked, nodes, rows};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results, TopicPartition};
use crate::Error;
use crate::messages::millis;

/// A partition whose replicas move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassignment {
    /// The brokers that have a replica.
    pub replicas: Vec<i32>,
    /// The brokers that are getting one.
    pub adding: Vec<i32>,
    /// The brokers that are to lose theirs.
    pub removing: Vec<i32>,
}

impl Admin {
    /// Lists the reassignments that are under way, of these partitions or of all.
    ///
    /// # Errors
    ///
    /// [`Error::NotServed`] with brokers that do not reassign; if no broker answers in time.
    pub async fn list_reassignments(
        &self,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Result<BTreeMap<TopicPartition, Reassignment>, Error> {
        self.run_one(ListReassignments { partitions }, ()).await
    }

    /// Moves partitions to these brokers, the preferred leader first; None cancels a move that is under way, and brings
    /// `NO_REASSIGNMENT_IN_PROGRESS` where there is none. It is done when [`list_reassignments`](Self::list_reassignments) does not
    /// name the partition any more.
    pub async fn alter_reassignments(
        &self,
        targets: impl IntoIterator<Item = (TopicPartition, Option<Vec<i32>>)>,
    ) -> Results<TopicPartition, ()> {
        let targets: BTreeMap<_, _> = targets.into_iter().collect();
        let partitions: Vec<_> = targets.keys().cloned().collect();
        self.run(AlterReassignments { targets }, partitions).await
    }
}

struct AlterReassignments {
    targets: BTreeMap<TopicPartition, Option<Vec<i32>>>,
}

impl Operation for AlterReassignments {
    type Key = TopicPartition;
    type Value = ();
    const POLICY: Policy = Policy::OVERWRITES;

    fn route(&self, _place: &TopicPartition) -> Route {
        Route::Controller
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        places: &[TopicPartition],
    ) -> Result<Results<TopicPartition, ()>, Error> {
        let row = |place: &TopicPartition| {
            let target = self.targets.get(place).cloned().flatten();
            let replicas = target.map(|brokers| brokers.into_iter().map(BrokerId).collect());
            let partition = ReassignablePartition::default().with_partition_index(place.partition);
            (place.clone(), partition.with_replicas(replicas))
        };
        let topics = by_topic(places.iter().map(row), |name, partitions| {
            ReassignableTopic::default().with_name(name).with_partitions(partitions)
        });
        let request = AlterPartitionReassignmentsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(millis(attempt.limit));
        let answer = attempt.connection.request(request).await?;
        checked(answer.error_code, answer.error_message)?;
        Ok(rows(
            answer.responses,
            |topic| (topic.name, topic.partitions),
            |row| (row.partition_index, checked(row.error_code, row.error_message)),
        ))
    }
}

struct ListReassignments {
    partitions: Option<Vec<TopicPartition>>,
}

impl Operation for ListReassignments {
    type Key = ();
    type Value = BTreeMap<TopicPartition, Reassignment>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, (): &()) -> Route {
        Route::Controller
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        _all: &[()],
    ) -> Result<Results<(), BTreeMap<TopicPartition, Reassignment>>, Error> {
        let topics = self.partitions.as_ref().map(|places| {
            let row = |place: &TopicPartition| (place.clone(), place.partition);
            by_topic(places.iter().map(row), |name, partitions| {
                ListPartitionReassignmentsTopics::default().with_name(name).with_partition_indexes(partitions)
            })
        });
        let request = ListPartitionReassignmentsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(millis(attempt.limit));
        let answer = attempt.connection.request(request).await?;
        checked(answer.error_code, answer.error_message)?;
        let moves = rows(
            answer.topics,
            |topic| (topic.name, topic.partitions),
            |row: OngoingPartitionReassignment| {
                let reassignment = Reassignment {
                    replicas: nodes(&row.replicas),
                    adding: nodes(&row.adding_replicas),
                    removing: nodes(&row.removing_replicas),
                };
                (row.partition_index, reassignment)
            },
        );
        Ok([((), Ok(moves))].into())
    }
}
