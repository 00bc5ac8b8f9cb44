//! A Kafka protocol client.
//!
//! What is here is the ground everything else of a client stands on: [`wire`], one connection to one broker.
//!
//! **What was left out on purpose.** A connection trusts its broker: the message decoder allocates by the counts it
//! reads, so a hostile *broker* could exhaust a client's memory within one frame even though the frame's own length is
//! bounded.

pub mod consumer;
pub mod wire;
