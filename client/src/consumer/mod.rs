//! Consuming: the machines of a consumer, without a socket or a clock.
//!
//! | module | what it tells |
//! | --- | --- |
//! | [`assignor`] | who gets which partition in a classic group: range, round-robin, sticky, cooperative-sticky |
//! | [`group`] | membership: the classic protocol, and the consumer protocol of KIP-848 |
//! | [`positions`] | where each partition is read; resets, seeks, truncation (KIP-320) |
//! | [`fetch`] | fetch sessions (KIP-227), and what waits for the application, bounded in bytes |
//! | [`ledger`] | which offsets may be committed: what was handed out *and* given back |
//!
//! Answers and time go in as arguments, requests and callbacks come out as values. Times are durations since any fixed moment.

pub mod assignor;
pub mod fetch;
pub mod group;
pub mod ledger;
pub mod partition;
pub mod positions;

pub use partition::TopicPartition;
