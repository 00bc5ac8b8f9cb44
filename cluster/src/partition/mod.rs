//! What a replica of a partition is, apart from its disk and its network.
//!
//! The Raft log is the partition log: an entry's payload is one or more Kafka record batches, byte for byte what a
//! consumer will be sent. Two things follow from it, and they divide this room.
//!
//! *The leader decides.* Before a batch is proposed, [`check_record_set`] proves that it is one a consumer can read, and
//! the leader's [`Appender`] gives it its offsets, its leader epoch and, where the topic wants it, its time. A producer's
//! retry is found here too. Whatever fails is answered and never proposed.
//!
//! *Everyone applies.* A committed payload changes the [`PartitionState`] of each replica in the same way: offsets,
//! leader epochs, producers, the greatest timestamp. A committed [`Command`] changes it, too: what is deleted is deleted on all
//! replicas at the same place in the log. Applying cannot fail and applying twice changes nothing, so a new
//! leader has nothing to load, and a replica that lost its last few checkpoints only replays.
//!
//! | file | what it tells |
//! | --- | --- |
//! | [`payload`] | what an entry holds: record batches, or a command |
//! | [`record_check`] | what a leader demands of a produced record set |
//! | [`producers`] | idempotent producers: the last five batches of each |
//! | [`leader_epochs`] | which leader epoch began at which offset |
//! | [`state`], [`checkpoint`] | the applied state, and its bytes on disk and in a snapshot |
//! | [`time_index`] | the greatest timestamps, as the offset index has them |
//! | [`appender`] | the leader's view: what is proposed and not yet applied |
//! | `refusals` | what a leader refused for a while, and what has to wait behind it |
//! | [`retention`] | how long records are kept |
//! | [`reader`] | which part of a payload answers a fetch, or a question for a timestamp |
//!
//! The header of a record batch and the records in it are read by `trilog-protocol`, which the client shares.
//!
//! Nothing here has a clock, a task, a file or a socket: time comes in as an argument and effects go out as values.

pub mod appender;
pub mod checkpoint;
pub mod leader_epochs;
pub mod payload;
pub mod producers;
pub mod reader;
pub mod record_check;
mod refusals;
pub mod retention;
pub mod state;
pub mod time_index;

pub use appender::{Appender, Prepared};
pub use checkpoint::DecodeError;
pub use leader_epochs::LeaderEpochs;
pub use payload::{Command, CommandError, batches_of_entry};
pub use producers::{AGE_STEPS, ActiveProducer, ProducerError, ProducerVerdict, Producers};
pub use reader::{
    FetchSlice, TimestampedOffset, offset_for_timestamp, offset_of_max_timestamp, slice_for_fetch,
};
pub use record_check::{CheckedBatch, RecordError, RecordLimits, check_record_set};
pub use retention::Retention;
pub use state::{Applied, PartitionState};
pub use trilog_protocol::batch::{BatchHeader, TimestampType, batches};
#[cfg(test)]
pub(crate) use trilog_protocol::testing;
