//! Kafka's bytes, without a socket, a clock or a task: what a broker and a client both have to read and write.
//!
//! | module | what it tells |
//! | --- | --- |
//! | [`batch`] | the 61-byte header of a record batch: reading, walking, stamping; writing whole batches |
//! | [`records`] | the records inside a batch: checked without building any, or handed out as slices of the batch |
//! | [`compression`] | the five codecs: levels for writing, a bound for reading |
//! | [`consumer_protocol`] | what members of a classic group tell one another: subscriptions and assignments |
//! | [`topic_pattern`] | regular expressions over topics' names, in RE2's syntax |
//! | [`transaction_state`] | the names of a transaction's states |
//! | [`murmur2`](mod@murmur2) | the hash that places a key in a partition |
//! | [`error_code`] | Kafka's error codes, and what may be done about each |
//! | [`structure`] | the shape of every message: its lengths and counts checked before anything decodes it |
//! | [`ids`] | offsets, epochs, producer ids and timestamps as types of their own |
//!
//! Whatever is read here may come from a stranger: every count is held against the bytes that remain before memory is
//! taken for it, what is decompressed has a bound, and no input makes a function panic unless its documentation says so.
//!
//! The messages of the protocol themselves (requests, responses) are not here: the crate `kafka-protocol` has them. What it believes
//! of a stranger's message, [`structure`] checks.

pub mod batch;
pub mod compression;
pub mod consumer_protocol;
pub mod error_code;
pub mod ids;
pub mod murmur2;
pub mod records;
pub mod structure;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod topic_pattern;
pub mod transaction_state;

pub use error_code::{ErrorCode, Meaning};
pub use murmur2::murmur2;
pub use transaction_state::TRANSACTION_STATES;
