//! The partitions as they were in the end, which is what everything else is held against.

use std::collections::BTreeMap;

use crate::history::{Deed, History, Place, Seen};

/// Each partition's records in the order in which they were read when all was over.
#[derive(Debug, Default)]
pub(super) struct FinalLogs<'a> {
    pub(super) logs: BTreeMap<&'a Place, &'a [Seen]>,
}

impl<'a> FinalLogs<'a> {
    /// The last reading of each partition.
    pub(super) fn of(history: &'a History) -> Self {
        let finals = history.entries.iter().filter_map(|entry| match &entry.deed {
            Deed::Final { place, records } => Some((place, records.as_slice())),
            _ => None,
        });
        Self { logs: finals.collect() }
    }

    /// The values of each partition by offset.
    pub(super) fn by_offset(&self) -> BTreeMap<&'a Place, BTreeMap<i64, u64>> {
        let maps = self.logs.iter();
        maps.map(|(place, log)| (*place, log.iter().map(|seen| (seen.offset, seen.value)).collect()))
            .collect()
    }
}
