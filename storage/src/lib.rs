//! Partition logs and replicated state on disk.
//!
//! This crate is the only one that names sled. It offers one [`ids`] vocabulary for what is stored, and everything
//! above it speaks in those terms.
//!
//! ```text
//!   RaftLog (one a group)      LogReader (any thread)
//!        │  fills                   │ reads
//!        ▼                          ▼
//!   WriteBatch ──► Store ◄──── keys by name      TailCache (recent entries, in memory)
//!                  apply: visible
//!                  sync:  durable
//! ```
//!
//! A [`WriteBatch`] collects the changes of many groups. [`Store::apply`] makes them visible in one atomic step,
//! [`Store::sync`] makes everything applied so far durable. Nothing may be acknowledged in between: an applied batch
//! survives a killed process by luck only, a synced one survives a power cut. [`Store::flush`] is halfway: a flushed batch
//! survives a killed process, and a store whose owner [acknowledges](Store::acknowledge) it tells at the next open whether
//! the machine went down since.
//!
//! **Architecture invariant:** nothing outside this crate knows how an entry is laid out in keys and values. A later
//! step may move large payloads out of the tree, and no caller will notice.

pub mod ids;

mod entry;
mod error;
#[cfg(test)]
mod fixture;
mod keys;
mod log_reader;
mod raft_log;
mod store;
mod tail;
mod write_batch;

pub use entry::LogEntry;
pub use error::StoreError;
pub use keys::offset_index::{IndexSpan, OffsetIndexRow};
pub use log_reader::LogReader;
pub use raft_log::{EntryFetch, FetchedEntries, RaftLog};
pub use store::{
    Acknowledge, BootId, Identity, NotABootId, OpenError, Purge, StateRecord, Store, StoreOptions, free_space,
};
pub use tail::TailCache;
pub use write_batch::WriteBatch;
