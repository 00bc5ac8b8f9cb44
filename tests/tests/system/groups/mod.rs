//! Consumer groups: both protocols, offsets, and a coordinator that survives.

mod admin;
mod classic;
mod classic_refusals;
mod consumer;
mod consumer_refusals;
mod coordinator;
mod failover;
mod fresh;
mod independence;
mod librdkafka;
mod many;
mod migration;
mod offsets;
mod static_members;
mod topics;
