//! DeleteRecords: the beginnings of logs given up.

use std::collections::BTreeMap;

use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};

use super::requests::{by_topic, checked, rows};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results, TopicPartition};
use crate::Error;
use crate::messages::millis;

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

impl Admin {
    /// Deletes the records below an offset, or all records that are committed if it is None. The value is the offset of the first
    /// record that is left.
    pub async fn delete_records(
        &self,
        before: impl IntoIterator<Item = (TopicPartition, Option<i64>)>,
    ) -> Results<TopicPartition, i64> {
        let before: BTreeMap<_, _> = before.into_iter().collect();
        let places: Vec<_> = before.keys().cloned().collect();
        self.run(DeleteRecords { before }, places).await
    }
}

struct DeleteRecords {
    before: BTreeMap<TopicPartition, Option<i64>>,
}

impl Operation for DeleteRecords {
    type Key = TopicPartition;
    type Value = i64;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, place: &TopicPartition) -> Route {
        Route::Leader(place.clone())
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        places: &[TopicPartition],
    ) -> Result<Results<TopicPartition, i64>, Error> {
        let partitions = places.iter().filter_map(|place| {
            let offset = self.before.get(place)?.unwrap_or(HIGH_WATERMARK);
            let row = DeleteRecordsPartition::default();
            Some((place.clone(), row.with_partition_index(place.partition).with_offset(offset)))
        });
        let topics = by_topic(partitions, |name, rows| {
            DeleteRecordsTopic::default().with_name(name).with_partitions(rows)
        });
        let request =
            DeleteRecordsRequest::default().with_topics(topics).with_timeout_ms(millis(attempt.limit));
        let answer = attempt.connection.request(request).await?;
        let rows = rows(
            answer.topics,
            |topic| (topic.name, topic.partitions),
            |row| (row.partition_index, checked(row.error_code, None).map(|()| row.low_watermark)),
        );
        Ok(rows)
    }
}
