//! Kafka's messages: each function sends one request and translates its answer.
//!
//! Versions are capped where a later one names topics by id or asks for several groups at once: each request is then written in
//! one way for all brokers from Kafka 2.1 to 4.x.

pub(super) mod group;
pub(super) mod log;
pub(super) mod offsets;
pub(super) mod topics;

use crate::messages::{ask, group_id, millis, text, topic_name, version};
