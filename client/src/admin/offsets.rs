//! ListOffsets: the offsets of a partition's ends, and of a time.

use std::collections::BTreeMap;

use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};

use super::requests::{by_topic, checked, known, rows};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results, TopicPartition};
use crate::Error;
use crate::messages::version;

/// From this version on, the offset of the greatest timestamp can be asked for (KIP-734).
const MAX_TIMESTAMP_FROM: i16 = 7;
/// From this version on, open transactions can be left out (KIP-98).
const ISOLATION_FROM: i16 = 2;

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// Of the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// Of the record with the greatest timestamp (Kafka 3.0 and later).
    MaxTimestamp,
    /// Of the first record of this time (milliseconds since 1970) or later.
    Time(i64),
}

impl OffsetSpec {
    const fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Time(time) => time,
        }
    }
}

/// Whether records of open transactions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// They do: the latest offset is the high watermark.
    ReadUncommitted,
    /// They do not: the latest offset is the last stable one.
    ReadCommitted,
}

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset.
    pub offset: i64,
    /// The record's timestamp, where a time was asked for.
    pub timestamp: Option<i64>,
    /// The leader epoch of the record.
    pub leader_epoch: Option<i32>,
}

impl Admin {
    /// Asks the leaders for offsets. None stands for a time after the last record.
    pub async fn list_offsets(
        &self,
        specs: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
        isolation: Isolation,
    ) -> Results<TopicPartition, Option<ListedOffset>> {
        let specs: BTreeMap<_, _> = specs.into_iter().collect();
        let places: Vec<_> = specs.keys().cloned().collect();
        self.run(ListOffsets { specs, isolation }, places).await
    }
}

struct ListOffsets {
    specs: BTreeMap<TopicPartition, OffsetSpec>,
    isolation: Isolation,
}

impl Operation for ListOffsets {
    type Key = TopicPartition;
    type Value = Option<ListedOffset>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, place: &TopicPartition) -> Route {
        Route::Leader(place.clone())
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        places: &[TopicPartition],
    ) -> Result<Results<TopicPartition, Option<ListedOffset>>, Error> {
        // From version 10 on, a broker that reads from tiered storage is told a limit.
        let version = version::<ListOffsetsRequest>(attempt.connection, 9)?;
        let asked: Vec<_> =
            places.iter().filter_map(|place| Some((place.clone(), *self.specs.get(place)?))).collect();
        let needs_newer = asked.iter().any(|(_, spec)| *spec == OffsetSpec::MaxTimestamp);
        if needs_newer && version < MAX_TIMESTAMP_FROM {
            attempt.connection.versions().check::<ListOffsetsRequest>(MAX_TIMESTAMP_FROM)?;
        }
        let partitions = asked.into_iter().map(|(place, spec)| {
            let row = ListOffsetsPartition::default()
                .with_partition_index(place.partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(spec.timestamp());
            (place, row)
        });
        let topics = by_topic(partitions, |name, rows| {
            ListOffsetsTopic::default().with_name(name).with_partitions(rows)
        });
        let mut request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(topics);
        if version >= ISOLATION_FROM {
            request.isolation_level = i8::from(self.isolation == Isolation::ReadCommitted);
        }
        let answer = attempt.connection.request_at_version(request, version).await?;
        let rows = rows(
            answer.topics,
            |topic| (topic.name, topic.partitions),
            |row| {
                let found = known(row.offset).map(|offset| ListedOffset {
                    offset,
                    timestamp: known(row.timestamp),
                    leader_epoch: known(row.leader_epoch),
                });
                (row.partition_index, checked(row.error_code, None).map(|()| found))
            },
        );
        Ok(rows)
    }
}
