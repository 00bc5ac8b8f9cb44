//! DeleteRecords: the beginnings of logs given up.

use std::collections::BTreeMap;

use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};

use super::offsets::{Isolation, ListedOffset, OffsetSpec};
use super::requests::{by_topic, checked, rows};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results, TopicPartition};
use crate::Error;
use crate::messages::millis;

/// Stands for the high watermark in Kafka's notation. Never sent: a broker would take the one of the moment of each attempt.
const HIGH_WATERMARK: i64 = -1;

impl Admin {
    /// Deletes the records below an offset, or all records that are committed if it is None. The value is the offset of the first
    /// record that is left.
    ///
    /// "All" is resolved to an offset once, before anything is deleted: a repeated request never deletes newer records.
    pub async fn delete_records(
        &self,
        before: impl IntoIterator<Item = (TopicPartition, Option<i64>)>,
    ) -> Results<TopicPartition, i64> {
        let wanted: BTreeMap<_, _> = before.into_iter().collect();
        let whole = wanted.iter().filter(|(_, before)| is_all(**before));
        let whole: Vec<_> = whole.map(|(place, _)| (place.clone(), OffsetSpec::Latest)).collect();
        let ends = self.list_offsets(whole, Isolation::ReadUncommitted).await;
        let (before, mut results) = resolved(wanted, ends);
        let places: Vec<_> = before.keys().cloned().collect();
        results.extend(self.run(DeleteRecords { before }, places).await);
        results
    }
}

const fn is_all(before: Option<i64>) -> bool {
    matches!(before, None | Some(HIGH_WATERMARK))
}

/// The offset before which each partition's records go, and the partitions whose end could not be found.
fn resolved(
    wanted: BTreeMap<TopicPartition, Option<i64>>,
    mut ends: Results<TopicPartition, Option<ListedOffset>>,
) -> (BTreeMap<TopicPartition, i64>, Results<TopicPartition, i64>) {
    let (mut before, mut failed) = (BTreeMap::new(), Results::new());
    for (place, offset) in wanted {
        let offset = match offset {
            Some(offset) if !is_all(Some(offset)) => Ok(offset),
            _ => {
                let missing =
                    || Error::Malformed { cause: "the answer has no end of the partition".to_owned() };
                let end = ends.remove(&place).unwrap_or_else(|| Err(missing()));
                end.and_then(|end| end.map(|end| end.offset).ok_or_else(missing))
            }
        };
        match offset {
            Ok(offset) => drop(before.insert(place, offset)),
            Err(error) => drop(failed.insert(place, Err(error))),
        }
    }
    (before, failed)
}

struct DeleteRecords {
    before: BTreeMap<TopicPartition, i64>,
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
            let row = DeleteRecordsPartition::default().with_partition_index(place.partition);
            Some((place.clone(), row.with_offset(*self.before.get(place)?)))
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

#[cfg(test)]
mod tests {
    use trilog_protocol::ErrorCode;

    use super::*;

    #[test]
    fn all_records_are_those_up_to_an_end_that_is_known_before_the_deletion() {
        let place = |number| TopicPartition::new("t", number);
        let wanted = [(0, Some(7)), (1, None), (2, Some(HIGH_WATERMARK)), (3, None), (4, None)];
        let end = |offset| Ok(Some(ListedOffset { offset, timestamp: None, leader_epoch: None }));
        let ends = [(1, end(30)), (2, end(40)), (3, Err(Error::code(ErrorCode::INVALID_TOPIC_EXCEPTION)))];
        let (before, failed) = resolved(
            wanted.map(|(number, before)| (place(number), before)).into(),
            ends.map(|(number, end)| (place(number), end)).into(),
        );
        assert_eq!(before, [(0, 7), (1, 30), (2, 40)].map(|(number, offset)| (place(number), offset)).into());
        assert!(matches!(failed[&place(3)], Err(Error::Broker { .. })));
        assert!(matches!(failed[&place(4)], Err(Error::Malformed { .. })), "never answered with an offset");
    }
}
