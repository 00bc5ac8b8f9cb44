//! Offsets of a group set to somewhere else: a plan first, which changes nothing.

use std::collections::BTreeMap;

use trilog_protocol::ErrorCode;

use crate::Error;
use crate::admin::offsets::{Isolation, OffsetSpec};
use crate::admin::{Admin, Results};
use crate::consumer::{CommitOffset, TopicPartition};

/// Where a group is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At the first record of this time (milliseconds since 1970) or later; behind the last record if there is none.
    Time(i64),
    /// At this offset.
    Offset(i64),
    /// This far from the committed offset, backwards if negative.
    Shift(i64),
    /// At the committed offset; behind the last record where none is committed.
    Current,
}

/// What a reset would do to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedReset {
    /// The offset that is committed now.
    pub from: Option<i64>,
    /// The offset to commit.
    pub to: i64,
}

/// What is known of a partition whose offset is reset.
#[derive(Clone, Copy, Debug)]
struct Known {
    committed: Option<i64>,
    earliest: i64,
    latest: i64,
    /// The offset for the time asked for, if there is one.
    at_time: Option<i64>,
}

impl Known {
    /// The offset to commit: within the log, as in Kafka's own tools.
    fn target(&self, to: ResetTo) -> Result<i64, Error> {
        let wanted = match to {
            ResetTo::Earliest => self.earliest,
            ResetTo::Latest => self.latest,
            ResetTo::Time(_) => self.at_time.unwrap_or(self.latest),
            ResetTo::Offset(offset) => offset,
            ResetTo::Current => self.committed.unwrap_or(self.latest),
            ResetTo::Shift(by) => {
                let committed = self.committed.ok_or_else(|| Error::Broker {
                    code: ErrorCode::OFFSET_OUT_OF_RANGE,
                    message: Some("nothing is committed that could be shifted".to_owned()),
                })?;
                committed.saturating_add(by)
            }
        };
        Ok(wanted.min(self.latest).max(self.earliest))
    }
}

impl Admin {
    /// Says which offsets a reset would commit, and changes nothing.
    pub async fn plan_reset(
        &self,
        group: &str,
        partitions: impl IntoIterator<Item = TopicPartition>,
        to: ResetTo,
    ) -> Results<TopicPartition, PlannedReset> {
        let places: Vec<_> = partitions.into_iter().collect();
        let failed = |error: Error| places.iter().map(|place| (place.clone(), Err(error.clone()))).collect();
        let committed = match self.list_group_offsets([group]).await.remove(group) {
            Some(Ok(committed)) => committed,
            Some(Err(error)) => return failed(error),
            None => return failed(Error::code(ErrorCode::GROUP_ID_NOT_FOUND)),
        };
        let all = |spec| places.iter().map(move |place| (place.clone(), spec));
        let earliest = self.list_offsets(all(OffsetSpec::Earliest), Isolation::ReadUncommitted).await;
        let latest = self.list_offsets(all(OffsetSpec::Latest), Isolation::ReadUncommitted).await;
        let at_time = match to {
            ResetTo::Time(time) => {
                self.list_offsets(all(OffsetSpec::Time(time)), Isolation::ReadUncommitted).await
            }
            _ => Results::new(),
        };
        let plan = |place: &TopicPartition| -> Result<PlannedReset, Error> {
            let offset = |listed: &Results<_, Option<crate::admin::ListedOffset>>| match listed.get(place) {
                Some(found) => found.clone().map(|found| found.map(|found| found.offset)),
                None => Ok(None),
            };
            let known = Known {
                committed: committed.get(place).cloned().transpose()?.map(|commit| commit.offset),
                earliest: offset(&earliest)?.unwrap_or(0),
                latest: offset(&latest)?.unwrap_or(0),
                at_time: offset(&at_time)?,
            };
            Ok(PlannedReset { from: known.committed, to: known.target(to)? })
        };
        places.iter().map(|place| (place.clone(), plan(place))).collect()
    }

    /// Commits what was planned. The group must have no members.
    pub async fn reset_group_offsets(
        &self,
        group: &str,
        plan: &BTreeMap<TopicPartition, PlannedReset>,
    ) -> Results<TopicPartition, ()> {
        let offsets = plan.iter().map(|(place, plan)| (place.clone(), CommitOffset::at(plan.to)));
        self.alter_group_offsets(group, offsets.collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known { committed: Some(50), earliest: 10, latest: 90, at_time: Some(30) };

    fn target(to: ResetTo) -> i64 {
        KNOWN.target(to).unwrap()
    }

    #[test]
    fn each_place_is_found() {
        assert_eq!(target(ResetTo::Earliest), 10);
        assert_eq!(target(ResetTo::Latest), 90);
        assert_eq!(target(ResetTo::Time(7)), 30);
        assert_eq!(target(ResetTo::Offset(40)), 40);
        assert_eq!(target(ResetTo::Shift(-5)), 45);
        assert_eq!(target(ResetTo::Current), 50);
    }

    #[test]
    fn no_offset_lies_outside_the_log() {
        assert_eq!(target(ResetTo::Offset(5)), 10);
        assert_eq!(target(ResetTo::Offset(i64::MAX)), 90);
        assert_eq!(target(ResetTo::Shift(i64::MIN)), 10);
        assert_eq!(target(ResetTo::Shift(i64::MAX)), 90);
    }

    #[test]
    fn what_is_not_there_has_a_way_out_or_an_error() {
        let nothing = Known { committed: None, at_time: None, ..KNOWN };
        assert_eq!(nothing.target(ResetTo::Time(7)).unwrap(), 90);
        assert_eq!(nothing.target(ResetTo::Current).unwrap(), 90);
        assert!(nothing.target(ResetTo::Shift(1)).is_err());
    }
}
