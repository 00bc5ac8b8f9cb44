//! The partitions as they were in the end, which is what everything else is held against.

use std::collections::BTreeMap;

use crate::history::{Deed, Entry, History, Micros, Place, Seen};

/// Each partition's records in the order in which they were read when all was over.
#[derive(Debug, Default)]
pub(super) struct FinalLogs<'a> {
    /// By the last reading of each partition.
    pub(super) logs: BTreeMap<&'a Place, &'a [Seen]>,
    /// All readings of each partition, each of another replica, in the order of their ends.
    readings: BTreeMap<&'a Place, Vec<Reading<'a>>>,
}

/// A partition as one of its replicas has it.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) entry: &'a Entry,
    pub(super) log: &'a [Seen],
    values: BTreeMap<i64, u64>,
}

impl Reading<'_> {
    /// Whether a record is there: with an offset at that one, without at any.
    pub(super) fn holds(&self, offset: Option<i64>, value: u64) -> bool {
        match offset {
            Some(offset) => self.values.get(&offset) == Some(&value),
            None => self.values.values().any(|there| *there == value),
        }
    }

    /// The offset behind the last record.
    pub(super) fn end(&self) -> i64 {
        self.log.last().map_or(0, |last| last.offset + 1)
    }
}

impl<'a> FinalLogs<'a> {
    /// All readings in a history.
    pub(super) fn of(history: &'a History) -> Self {
        let mut finals = Self::default();
        for entry in &history.entries {
            if let Deed::Final { place, records: log } = &entry.deed {
                let values = log.iter().map(|seen| (seen.offset, seen.value)).collect();
                finals.logs.insert(place, log);
                finals.readings.entry(place).or_default().push(Reading { entry, log, values });
            }
        }
        finals
    }

    /// All readings of all partitions.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a Place, &Reading<'a>)> {
        self.readings.iter().flat_map(|(place, readings)| readings.iter().map(|reading| (*place, reading)))
    }

    /// The first reading of a partition: what was there when everybody had stopped writing.
    pub(super) fn first(&self, place: &Place) -> &'a [Seen] {
        self.readings.get(place).and_then(|readings| readings.first()).map_or(&[], |reading| reading.log)
    }

    /// The readings of a partition that have to show what was known at a moment: those that began later, and the last one.
    pub(super) fn since(&self, place: &Place, moment: Micros) -> impl Iterator<Item = &Reading<'a>> {
        let readings = self.readings.get(place).map_or(&[][..], Vec::as_slice);
        let earlier = readings.partition_point(|reading| reading.entry.invoked < moment);
        readings[earlier.min(readings.len().saturating_sub(1))..].iter()
    }
}
