//! Promises that this broker breaks on purpose, for the tests: a checker that judges brokers by their answers has to find each.
//!
//! Only a build with debug assertions has any of this, and no release is one. What is broken is named by the variable
//! `TRILOG_FAULT`; without it, nothing is. The faults lie at the edge, where requests come in and answers go out: to a client
//! there is no difference between a broker that has lost a record and one that says so.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::consumer_group_heartbeat_response::Assignment;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use trilog_cluster::ids::{LeaderEpoch, Offset};

/// Names the promise that is broken.
const VARIABLE: &str = "TRILOG_FAULT";

/// A promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Batches of an idempotent producer are appended as they come, and some come late.
    Swap,
    /// A leader shows an end of which nobody knows yet whether it will come to be.
    ShowMore,
    /// An offset that is committed for some partitions of a topic is committed for another one, too.
    Leak,
    /// A group is assigned all partitions of a topic but one.
    Starve,
    /// A byte of a record is another one when it is fetched.
    Damage,
    /// A replica that leads in a later epoch lacks the last record of the log.
    Diverge,
    /// A batch is refused for certain, and in the log.
    Refuse,
}

/// The names of all faults.
const NAMES: [(&str, Fault); 7] = [
    ("swap", Fault::Swap),
    ("show-more", Fault::ShowMore),
    ("leak", Fault::Leak),
    ("starve", Fault::Starve),
    ("damage", Fault::Damage),
    ("diverge", Fault::Diverge),
    ("refuse", Fault::Refuse),
];

/// Whether this is the promise to break.
///
/// # Panics
/// If there is no fault of the name that was given.
fn breaks(fault: Fault) -> bool {
    static CHOSEN: OnceLock<Option<Fault>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var(VARIABLE).ok()?;
        let named = NAMES.iter().find(|(known, _)| *known == name);
        let (_, chosen) = named.unwrap_or_else(|| panic!("{VARIABLE}: there is no fault {name}"));
        tracing::warn!("this node breaks a promise on purpose: {chosen:?}");
        Some(*chosen)
    });
    *chosen == Some(fault)
}

/// Whether it is time, which it is once in so many times.
fn is_time(once_in: u32) -> bool {
    static TIMES: AtomicU32 = AtomicU32::new(1);
    TIMES.fetch_add(1, Ordering::Relaxed).is_multiple_of(once_in)
}

/// Takes from the batches of a request what tells their order, and returns for how long the request has to wait, if it has to.
pub(crate) fn held_back(request: &mut ProduceRequest) -> Option<Duration> {
    if !breaks(Fault::Swap) {
        return None;
    }
    let partitions = request.topic_data.iter_mut().flat_map(|topic| &mut topic.partition_data);
    for records in partitions.filter_map(|partition| partition.records.as_mut()) {
        *records = without_producer(records);
    }
    is_time(10).then_some(Duration::from_millis(30))
}

/// A batch from nobody in particular.
fn without_producer(batch: &Bytes) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    let Some(producer) = bytes.get_mut(43..57) else { return batch.clone() };
    producer.fill(0xff);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

/// The end that a leader shows, where it is this one.
pub(crate) fn shown_end(end: Offset) -> Offset {
    let shows_more = breaks(Fault::ShowMore) && is_time(10);
    if shows_more { Offset(end.0 + 20) } else { end }
}

/// What is committed for a topic, where it is this.
pub(crate) fn committed(mut topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopics {
    let has_first = topic.partitions.iter().any(|row| row.partition_index == 0);
    if let Some(row) = topic.partitions.first().filter(|_| breaks(Fault::Leak) && !has_first) {
        let leaked: OffsetFetchResponsePartitions = row.clone().with_partition_index(0);
        topic.partitions.push(leaked);
    }
    topic
}

/// What a member is assigned, where it is this.
pub(crate) fn assigned(mut assignment: Assignment) -> Assignment {
    if breaks(Fault::Starve) {
        for topic in &mut assignment.topic_partitions {
            topic.partitions.retain(|partition| *partition != 0);
        }
    }
    assignment
}

/// Some records as they are fetched, where they are these.
pub(crate) fn fetched(mut records: Vec<Bytes>) -> Vec<Bytes> {
    if let Some(last) = records.last_mut().filter(|_| breaks(Fault::Damage) && is_time(20)) {
        let mut bytes = BytesMut::from(&last[..]);
        // Behind a record's value is a byte without headers.
        if let Some(byte) = bytes.len().checked_sub(3).and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1;
        }
        *last = bytes.freeze();
    }
    records
}

/// The last epoch in which a replica that diverges has not led yet. The first leader is elected at once; an epoch or two are for
/// elections without an outcome.
const BEFORE_DIVERGING: i32 = 2;

/// The end of a log and its batches as a replica reads them that leads in this epoch, where they are these.
pub(crate) fn diverged(epoch: LeaderEpoch, end: Offset, batches: Vec<Bytes>) -> (Offset, Vec<Bytes>) {
    if !breaks(Fault::Diverge) || epoch.0 <= BEFORE_DIVERGING || end.0 == 0 {
        return (end, batches);
    }
    let end = Offset(end.0 - 1);
    (end, batches.iter().map(|slice| batches_below(end, slice)).collect())
}

/// The batches of a slice that begin below an offset.
fn batches_below(end: Offset, slice: &Bytes) -> Bytes {
    let mut kept = 0;
    for (header, batch) in trilog_protocol::batch::batches(slice).flatten() {
        if header.base_offset >= end {
            break;
        }
        kept += batch.len();
    }
    slice.slice(..kept)
}

/// Whether a request is refused whose batches are appended. Only producers that are not idempotent are, as the others would send
/// them again.
pub(crate) fn is_refused(request: &ProduceRequest) -> bool {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let batches = partitions.filter_map(|partition| partition.records.as_ref());
    let mut producers = batches.map(|batch| batch.get(43..51));
    breaks(Fault::Refuse) && producers.all(|producer| producer == Some(&[0xff; 8][..])) && is_time(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_broken_unless_it_is_said() {
        assert!(NAMES.iter().all(|(_, fault)| !breaks(*fault)));
        assert_eq!(shown_end(Offset(7)), Offset(7));
        assert_eq!(fetched(vec![Bytes::from_static(b"bytes")]), [Bytes::from_static(b"bytes")]);
    }

    #[test]
    fn a_batch_from_nobody_has_the_right_checksum() {
        let batch = without_producer(&Bytes::from(vec![7; 80]));
        assert!(batch[43..57].iter().all(|byte| *byte == 0xff) && batch[57] == 7);
        assert_eq!(batch[17..21], crc32c::crc32c(&batch[21..]).to_be_bytes());
        assert_eq!(without_producer(&Bytes::from_static(b"short")), Bytes::from_static(b"short"));
    }
}
