//! Where a log is to start by its [retention](Retention). Reads from disk.
//!
//! Both bounds are found in the offset index, whatever was deleted before and however much there is to give up.

use std::collections::VecDeque;

use super::{ReadError, Replica, ReplicaStatus, lock};
use crate::ids::{Offset, TimestampMs};
use crate::partition::Retention;

/// How many looks at a log are remembered at most, give or take two.
const LOOKS: i64 = 64;

/// How far a log reached when its retention was looked at: what has no timestamp below that is no younger than the look. Kafka has
/// the time of the segment's file for this. It is in memory alone: a node that starts anew counts from then.
#[derive(Debug, Default)]
pub(super) struct Looks(VecDeque<(TimestampMs, Offset)>);

impl Looks {
    /// At `now` the log reaches to `end`. Looks that are close to each other are as good as one.
    fn note(&mut self, now: TimestampMs, end: Offset, retention: Retention) {
        let (Some(time), Some(earliest)) = (retention.time_ms, retention.earliest(now)) else {
            return self.0.clear();
        };
        while self.0.get(1).is_some_and(|(at, _)| *at <= earliest) {
            self.0.pop_front();
        }
        if self.0.back().is_none_or(|(at, _)| now.0.saturating_sub(at.0) >= time / LOOKS) {
            self.0.push_back((now, end));
        }
    }

    /// Where that ends which is not younger than `earliest`, if that is known.
    fn reached_by(&self, earliest: TimestampMs) -> Option<Offset> {
        self.0.iter().rev().find(|(at, _)| *at <= earliest).map(|(_, end)| *end)
    }
}

impl Replica {
    /// Where the log is to start at the time `now`, if that is later than where it does. Offsets below it are either too
    /// old or too many; the rest is to be kept.
    ///
    /// # Errors
    /// A failure of the store, or damage found on the way.
    pub(crate) fn start_by(
        &self,
        retention: Retention,
        now: TimestampMs,
    ) -> Result<Option<Offset>, ReadError> {
        self.look_up(|status| {
            let by_time = match retention.earliest(now) {
                Some(earliest) => self.start_by_time(status, earliest)?,
                None => None,
            };
            lock(&self.looks).note(now, status.high_watermark, retention);
            let start = by_time.max(self.start_by_bytes(status, retention)?);
            Ok(start.filter(|start| *start > status.log_start_offset))
        })
    }

    fn start_by_time(
        &self,
        status: &ReplicaStatus,
        earliest: TimestampMs,
    ) -> Result<Option<Offset>, ReadError> {
        let head = self.head(status)?;
        if head.newest.is_some_and(|newest| newest.timestamp >= earliest) {
            return Ok(None);
        }
        let row = self.reader.first_row_since(self.group, head.end..status.high_watermark, earliest.0)?;
        let start = row.map_or(status.high_watermark, |row| row.base_offset);
        // Where none of what goes has a timestamp, only the looks so far tell how old it is.
        let newest = self.reader.newest_row(self.group, head.end..start)?;
        let is_dated = head.newest.is_some() || newest.is_some_and(|newest| newest.max_timestamp() >= 0);
        if is_dated {
            return Ok(Some(start));
        }
        let reached = lock(&self.looks).reached_by(earliest);
        Ok(reached.map(|end| end.min(start)))
    }

    fn start_by_bytes(
        &self,
        status: &ReplicaStatus,
        retention: Retention,
    ) -> Result<Option<Offset>, ReadError> {
        let last = self.reader.index_floor(self.group, status.high_watermark.plus(-1))?;
        let Some(surplus) = last.and_then(|last| retention.surplus_until(last.bytes_so_far)) else {
            return Ok(None);
        };
        let range = status.log_start_offset..status.high_watermark;
        let row = self.reader.first_index_row(self.group, range, |row| row.bytes_so_far > surplus)?;
        Ok(Some(row.map_or(status.high_watermark, |row| row.base_offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_look_has_seen_is_at_least_as_old_and_few_looks_are_kept() {
        let retention = Retention { time_ms: Some(64_000), bytes: None };
        let mut looks = Looks::default();
        for second in 0..1_000 {
            looks.note(TimestampMs(second * 1_000), Offset(second), retention);
            assert!(looks.0.len() <= 66, "{}", looks.0.len());
        }
        assert_eq!(looks.reached_by(TimestampMs(990_500)), Some(Offset(990)));
        assert_eq!(looks.reached_by(TimestampMs(999_000 - 64_000)), Some(Offset(935)));
        assert_eq!(looks.reached_by(TimestampMs(5)), None, "that is forgotten");
        looks.note(TimestampMs(2_000_000), Offset(5), Retention::default());
        assert_eq!(looks.reached_by(TimestampMs(i64::MAX)), None);
    }
}
