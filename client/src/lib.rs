//! A Kafka client in Rust, for Trilog and every other broker that speaks the Kafka protocol.
//!
//! Start with [`Producer`], [`Consumer`] or [`Admin`]. Errors are one enum, [`Error`], whose [class](Error::class) says what to do
//! about them; settings have typed methods and Kafka's own names ([`ProducerConfig`], [`ConsumerConfig`], [`AdminConfig`]).
//!
//! | room | what it tells |
//! | --- | --- |
//! | [`producer`] | sending records |
//! | [`consumer`] | reading records, alone or in a group |
//! | [`admin`] | topics, configurations, groups, records and the cluster itself |
//! | `cluster` | connections to brokers, and metadata that is kept fresh |
//! | `metadata` | what is known of brokers, topics and leaders, without sockets and clocks |
//! | `config` | settings by method and by name |
//! | [`security`] | TLS and SASL |
//! | [`wire`] | the low level: one connection, typed requests |
//!
//! Brokers are not trusted: an answer has a longest length (`receive.message.max.bytes`), its counts and lengths are checked before it
//! is decoded, and batches are decompressed to at most 128 MiB. A broker that lies costs an error.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

pub mod admin;
mod backoff;
mod cluster;
mod config;
pub mod consumer;
mod error;
#[cfg(test)]
mod hostile;
mod messages;
mod metadata;
mod metrics;
pub mod producer;
pub mod security;
pub mod wire;

pub use admin::{Admin, AdminConfig};
pub use config::{ConfigError, nearest_name};
pub use consumer::{Consumer, ConsumerConfig, GroupMetadata, TopicPartition};
pub use error::{Error, ErrorClass};
pub use metrics::Metrics;
pub use producer::{
    Acks, Delivered, Delivery, Partitioner, Producer, ProducerConfig, Record, Transaction, TrySendError,
};
pub use trilog_protocol::batch::Codec;
pub use trilog_protocol::records::Header;
pub use trilog_protocol::{ErrorCode, Meaning, TRANSACTION_STATES};
