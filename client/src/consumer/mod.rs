//! Consuming records.
//!
//! A [`Consumer`] reads the partitions that its group gives it, or that are [assigned](Consumer::assign) by hand:
//!
//! ```no_run
//! use trilog_client::consumer::{Consumer, ConsumerConfig};
//!
//! # async fn example() -> Result<(), trilog_client::Error> {
//! let mut consumer = Consumer::new(ConsumerConfig::new("127.0.0.1:9092")?.group("billing"))?;
//! consumer.subscribe(["orders"])?;
//! loop {
//!     let batch = consumer.poll().await?;
//!     for record in &batch.records {
//!         println!("{} {}: {:?}", batch.partition, record.offset, record.value);
//!     }
//! }
//! # }
//! ```
//!
//! # What is promised
//!
//! The records of a partition come in order, each once, from the committed offset on. An automatic commit covers what the
//! application was handed *and* has come back from: a record is never skipped because somebody failed over it, and may be read
//! again. Before partitions go to other members, the application is called and what it is done with is committed.
//!
//! # Memory
//!
//! Fetches are bounded over all partitions (`queued.max.messages.kbytes`, 64 MiB): a broker is asked for no more than there is
//! room for, and exceeds that by one batch a partition at most. Partitions share the room and take turns. A batch is decompressed
//! when it is handed out, to at most 128 MiB. Keys, values and headers are slices: of what was received where a batch is not
//! compressed.
//!
//! # How it is built
//!
//! | module | what it tells |
//! | --- | --- |
//! | [`assignor`] | who gets which partition in a classic group: range, round-robin, sticky, cooperative-sticky |
//! | [`group`] | membership: the classic protocol, and the consumer protocol of KIP-848 |
//! | [`positions`] | where each partition is read; resets, seeks, truncation (KIP-320) |
//! | [`fetch`] | fetch sessions (KIP-227), and what waits for the application, bounded in bytes |
//! | [`ledger`] | which offsets may be committed: what was handed out *and* given back |
//! | `state` | these machines put together, still without a socket or a clock |
//! | `driver`, `requests` | the task with both, and Kafka's messages |

pub mod assignor;
mod config;
mod driver;
pub mod fetch;
pub mod group;
mod handle;
pub mod ledger;
mod listener;
mod lookups;
mod membership;
pub mod partition;
pub mod positions;
mod requests;
mod shared;
mod state;
mod stream;

use trilog_protocol::records::Record;

pub use self::assignor::Assignor;
pub use self::config::{ConsumerConfig, GroupProtocol};
pub use self::handle::Consumer;
use self::ledger::Committable;
pub use self::listener::{CallbackFuture, Committer, RebalanceListener};
pub use self::partition::TopicPartition;
pub use self::positions::{Landmark, ResetPolicy};
pub use self::stream::RecordStream;

/// Records of one partition, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The partition.
    pub partition: TopicPartition,
    /// The records. At least one.
    pub records: Vec<Record>,
    /// The offset behind the last of them, which a commit would name.
    pub next_offset: i64,
}

/// An offset to commit, or that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOffset {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the record before it, if that is known: it lets the next reader find out whether the log was truncated.
    pub leader_epoch: Option<i32>,
    /// Whatever the application wants to find there.
    pub metadata: String,
}

impl CommitOffset {
    /// An offset by itself.
    #[must_use]
    pub const fn at(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: String::new() }
    }
}

/// Who sends a group's offsets in a transaction: the group, and the member as the group knows it now. The group refuses offsets of a
/// member that it has given up (KIP-447): other members have its partitions by then.
///
/// [`Consumer::group_metadata`] gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMetadata {
    /// `group.id`.
    pub group: String,
    /// The member's generation, or its epoch (KIP-848); -1 of a consumer whose partitions are assigned by hand.
    pub generation: i32,
    /// The member's id; empty without one.
    pub member_id: String,
    /// `group.instance.id`, of a static member.
    pub instance: Option<String>,
}

impl GroupMetadata {
    /// A group without a member: for offsets of partitions that are assigned by hand. The group takes them while it has no members.
    #[must_use]
    pub fn of_group(group: impl Into<String>) -> Self {
        Self { group: group.into(), generation: -1, member_id: String::new(), instance: None }
    }

    /// Whether it names a member.
    pub(crate) fn is_member(&self) -> bool {
        self.generation >= 0 || !self.member_id.is_empty() || self.instance.is_some()
    }
}

impl From<Committable> for CommitOffset {
    fn from(next: Committable) -> Self {
        Self { offset: next.offset, leader_epoch: next.leader_epoch, metadata: String::new() }
    }
}
