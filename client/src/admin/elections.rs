//! ElectLeaders: leaderships given to the preferred replicas, or to any that is left.

use kafka_protocol::messages::ElectLeadersRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;

use super::requests::{by_topic, checked, rows};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results, TopicPartition};
use crate::Error;
use crate::messages::{millis, version};

/// From this version on, the kind is told (KIP-460).
const KINDS_FROM: i16 = 1;

/// Which replica may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionKind {
    /// The first replica, if it is in sync.
    Preferred,
    /// Any replica, if none in sync is left. Records may be lost.
    Unclean,
}

impl Admin {
    /// Elects the leaders of these partitions. One that leads already is `ELECTION_NOT_NEEDED`.
    pub async fn elect_leaders(
        &self,
        kind: ElectionKind,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Results<TopicPartition, ()> {
        self.run(ElectSome { kind }, partitions).await
    }

    /// Elects the leaders of all partitions. Those that need no election are left out.
    ///
    /// # Errors
    ///
    /// If the election is refused as a whole, or no broker answers in time.
    pub async fn elect_all_leaders(&self, kind: ElectionKind) -> Result<Results<TopicPartition, ()>, Error> {
        self.run_one(ElectAll { kind }, ()).await
    }
}

struct ElectSome {
    kind: ElectionKind,
}

impl Operation for ElectSome {
    type Key = TopicPartition;
    type Value = ();
    const POLICY: Policy = Policy::FREE;

    fn route(&self, _place: &TopicPartition) -> Route {
        Route::Controller
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        places: &[TopicPartition],
    ) -> Result<Results<TopicPartition, ()>, Error> {
        elect(attempt, self.kind, Some(places)).await
    }
}

struct ElectAll {
    kind: ElectionKind,
}

impl Operation for ElectAll {
    type Key = ();
    type Value = Results<TopicPartition, ()>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, (): &()) -> Route {
        Route::Controller
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        _all: &[()],
    ) -> Result<Results<(), Results<TopicPartition, ()>>, Error> {
        let elected = elect(attempt, self.kind, None).await?;
        Ok([((), Ok(elected))].into())
    }
}

async fn elect(
    attempt: Attempt<'_>,
    kind: ElectionKind,
    places: Option<&[TopicPartition]>,
) -> Result<Results<TopicPartition, ()>, Error> {
    let version = version::<ElectLeadersRequest>(attempt.connection, i16::MAX)?;
    let mut request = ElectLeadersRequest::default().with_timeout_ms(millis(attempt.limit));
    request.topic_partitions = places.map(|places| {
        let row = |place: &TopicPartition| (place.clone(), place.partition);
        by_topic(places.iter().map(row), |topic, partitions| {
            TopicPartitions::default().with_topic(topic).with_partitions(partitions)
        })
    });
    if kind == ElectionKind::Unclean {
        attempt.connection.versions().check::<ElectLeadersRequest>(KINDS_FROM)?;
        request.election_type = 1;
    }
    let answer = attempt.connection.request_at_version(request, version).await?;
    checked(answer.error_code, None)?;
    let rows = rows(
        answer.replica_election_results,
        |topic| (topic.topic, topic.partition_result),
        |row| (row.partition_id, checked(row.error_code, row.error_message)),
    );
    Ok(rows)
}
