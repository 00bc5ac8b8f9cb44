//! Stage one of a produce request: a record set is checked and put in line.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use trilog_cluster::controller::configs::TopicSettings;
use trilog_cluster::controller::{MetadataImage, Topic, topic_name};
use trilog_cluster::ids::{RaftGroupId, TimestampMs};
use trilog_cluster::node::{Append, AppendError, AppendFuture, Held, wall_clock};
use trilog_cluster::partition::record_check::{InvalidReason, MAX_FAULTS};
use trilog_cluster::partition::{
    BatchHeader, CheckedBatch, ProducerError, RecordError, RecordLimits, TimestampType, check_record_set,
};
use trilog_protocol::batch::Codec;

use super::super::broker::Broker;
use super::super::call::CallContext;
use super::super::item_error::ItemError;
use super::super::led_partition::group_of;
use super::answer::Refusal;

/// From this version on producers know zstd.
const ZSTD_FROM: i16 = 7;

/// Checking a compressed record set above this size, in bytes, may take milliseconds. It is still done in the
/// request's turn, for the sake of order, but other connections are moved off the thread.
const LARGE_COMPRESSED: usize = 16 << 10;

/// A record set that has had its turn.
pub(super) enum Pending {
    /// It is on its way into the log of this group.
    Appending(RaftGroupId, AppendFuture),
    /// It is not, and never will be. The group, where there is one.
    Refused(Refusal, Option<RaftGroupId>),
}

/// What is the same for all record sets of a request.
pub(super) struct Intake<'a> {
    broker: &'a Broker,
    /// Whether the producer asked for `acks=all`.
    acks_all: bool,
    zstd_allowed: bool,
    /// How many refused records may still be named.
    faults_left: Cell<usize>,
    now: TimestampMs,
    /// Kept until each record set is decided.
    held: Held,
}

/// What is the same for all record sets of a topic.
pub(super) struct TopicIntake<'a> {
    intake: &'a Intake<'a>,
    topic: &'a Arc<Topic>,
    settings: Arc<TopicSettings>,
    limits: RecordLimits,
}

impl<'a> Intake<'a> {
    /// For a request that arrives now.
    pub(super) fn new(broker: &'a Broker, acks_all: bool, context: &CallContext) -> Self {
        let held = context.hold.upgrade().map(|hold| Held::new(hold as _)).unwrap_or_default();
        let zstd_allowed = context.version >= ZSTD_FROM;
        Self { broker, acks_all, zstd_allowed, faults_left: Cell::new(MAX_FAULTS), now: wall_clock(), held }
    }

    /// For the request's record sets of `topic`.
    pub(super) fn topic(&'a self, image: &MetadataImage, topic: &'a Arc<Topic>) -> TopicIntake<'a> {
        let settings = self.broker.topic_settings(image, topic);
        let limits = RecordLimits { zstd_allowed: self.zstd_allowed, ..limits(&settings, self.now) };
        TopicIntake { intake: self, topic, settings, limits }
    }
}

/// What a topic with `settings` takes at the time `now`.
fn limits(settings: &TopicSettings, now: TimestampMs) -> RecordLimits {
    let of_size = RecordLimits {
        keys_required: settings.keys_required,
        ..RecordLimits::of_size(settings.max_message_bytes)
    };
    match settings.timestamp_type {
        // The producer's own timestamps are overwritten, so they may be what they like.
        TimestampType::LogAppendTime => of_size,
        TimestampType::CreateTime => RecordLimits {
            earliest_timestamp: TimestampMs(now.0.saturating_sub(settings.timestamp_before_max_ms)),
            latest_timestamp: TimestampMs(now.0.saturating_add(settings.timestamp_after_max_ms)),
            ..of_size
        },
    }
}

impl TopicIntake<'_> {
    /// Checks a record set for the partition of that index and puts it in line.
    pub(super) fn take_in(&self, index: i32, records: Option<Bytes>) -> Pending {
        let group = match group_of(Some(self.topic), index) {
            Ok(group) => group,
            Err(error) => return Pending::Refused(ItemError::bare(error).into(), None),
        };
        match self.check(group, records) {
            Ok(batch) => Pending::Appending(group, self.append(group, batch)),
            Err(refusal) => Pending::Refused(refusal, Some(group)),
        }
    }

    fn check(&self, group: RaftGroupId, records: Option<Bytes>) -> Result<CheckedBatch, Refusal> {
        if topic_name::is_internal(&self.topic.name) {
            let message = format_args!("Cannot append to internal topic {}", self.topic.name);
            return Err(ItemError::new(ResponseError::InvalidTopicException, message).into());
        }
        // Cheapest first; between this and its turn in the log the batch may still lose its leader.
        let replica = self.intake.broker.node.replica(group);
        if replica.is_none_or(|replica| replica.status().leading.is_none()) {
            return Err(ItemError::bare(ResponseError::NotLeaderOrFollower).into());
        }
        let records = records.ok_or(RecordError::InvalidRecord(InvalidReason::NoBatch));
        let limits = RecordLimits { max_faults: self.intake.faults_left.get(), ..self.limits };
        let checked = records.and_then(|records| {
            if is_large_and_compressed(&records) {
                tokio::task::block_in_place(|| check_record_set(records, &limits))
            } else {
                check_record_set(records, &limits)
            }
        });
        checked.map_err(Refusal::from).inspect_err(|refusal| self.named(refusal))
    }

    /// The records that a refusal names leave less for those that follow in the request.
    fn named(&self, refusal: &Refusal) {
        let left = &self.intake.faults_left;
        left.set(left.get().saturating_sub(refusal.records.len()));
    }

    fn append(&self, group: RaftGroupId, batch: CheckedBatch) -> AppendFuture {
        let minimum = i32::try_from(self.settings.min_insync_replicas).unwrap_or(i32::MAX);
        self.intake.broker.node.append(Append {
            group,
            batch,
            timestamp_type: self.settings.timestamp_type,
            now: self.intake.now,
            min_insync_replicas: self.intake.acks_all.then_some(minimum),
            held: self.intake.held.clone(),
        })
    }
}

fn is_large_and_compressed(records: &[u8]) -> bool {
    let codec = |header: BatchHeader| header.attributes.codec().ok();
    records.len() > LARGE_COMPRESSED
        && BatchHeader::parse(records).ok().and_then(codec).is_some_and(|codec| codec != Codec::None)
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        let code = match &error {
            RecordError::CorruptMessage(_) => ResponseError::CorruptMessage,
            RecordError::MessageTooLarge(_) => ResponseError::MessageTooLarge,
            RecordError::InvalidTimestamp(_) => ResponseError::InvalidTimestamp,
            RecordError::UnsupportedCompressionType(_) => ResponseError::UnsupportedCompressionType,
            RecordError::Records(faults) if faults.have_timestamp() => ResponseError::InvalidTimestamp,
            RecordError::Records(_) | RecordError::InvalidRecord(_) | RecordError::Unreadable(_) => {
                ResponseError::InvalidRecord
            }
            RecordError::InvalidTxnState => ResponseError::InvalidTxnState,
        };
        let told = ItemError::new(code, &error);
        let records = match error {
            RecordError::Records(faults) => faults.into_vec(),
            _ => Vec::new(),
        };
        Self { error: told, records }
    }
}

impl From<AppendError> for ItemError {
    fn from(error: AppendError) -> Self {
        let code = match &error {
            AppendError::NotLeader | AppendError::Producer(ProducerError::Overtaken { .. }) => {
                ResponseError::NotLeaderOrFollower
            }
            // Clients look for another leader and try again: there may be one with room by then.
            AppendError::NoRoom => ResponseError::KafkaStorageError,
            // It passes, and to look for another leader would not help: clients wait and send again.
            AppendError::NotEnoughReplicas | AppendError::Producer(ProducerError::TooMany { .. }) => {
                ResponseError::NotEnoughReplicas
            }
            AppendError::Producer(ProducerError::OutOfOrderSequence { .. }) => {
                ResponseError::OutOfOrderSequenceNumber
            }
            AppendError::Producer(ProducerError::InvalidProducerEpoch { .. }) => {
                ResponseError::InvalidProducerEpoch
            }
            AppendError::Unknown => ResponseError::RequestTimedOut,
        };
        Self::new(code, error)
    }
}

#[cfg(test)]
mod tests {
    use trilog_cluster::partition::Retention;

    use super::*;

    fn settings(timestamp_type: TimestampType) -> TopicSettings {
        TopicSettings {
            max_message_bytes: 1000,
            min_insync_replicas: 1,
            timestamp_type,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 100,
            retention: Retention::default(),
            keys_required: timestamp_type == TimestampType::LogAppendTime,
            clients_may_delete: true,
        }
    }

    #[test]
    fn timestamps_are_bounded_where_they_are_kept() {
        let now = TimestampMs(5_000);
        let create = limits(&settings(TimestampType::CreateTime), now);
        assert_eq!((create.max_batch_bytes, create.keys_required), (1000, false));
        assert_eq!((create.earliest_timestamp.0, create.latest_timestamp.0), (5_000 - i64::MAX, 5_100));
        let append = limits(&settings(TimestampType::LogAppendTime), now);
        assert!(append.keys_required);
        assert_eq!((append.earliest_timestamp.0, append.latest_timestamp.0), (i64::MIN, i64::MAX));
    }

    #[test]
    fn a_lost_batch_is_not_called_refused() {
        assert_eq!(ItemError::from(AppendError::Unknown).error, ResponseError::RequestTimedOut);
        assert_eq!(ItemError::from(AppendError::NotLeader).error, ResponseError::NotLeaderOrFollower);
    }

    #[test]
    fn rubbish_is_not_taken_for_a_compressed_batch() {
        assert!(!is_large_and_compressed(&[]));
        assert!(!is_large_and_compressed(&vec![0xff; LARGE_COMPRESSED + 1]));
        let mut header = vec![0; LARGE_COMPRESSED + 1];
        header[8..12].copy_from_slice(&100i32.to_be_bytes());
        header[16] = 2;
        assert!(!is_large_and_compressed(&header));
        header[22] = 4;
        assert!(is_large_and_compressed(&header));
        header.truncate(LARGE_COMPRESSED);
        assert!(!is_large_and_compressed(&header));
    }
}
