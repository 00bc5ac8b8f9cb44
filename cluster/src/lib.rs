//! Replication, the controller and partition state of a Trilog cluster.
//!
//! A [`node::Node`] is what a broker holds. Behind it a driver thread runs a shard, which drives a Raft group for each
//! partition and one for the [`controller`]; [`transport`] carries what nodes say to each other.

mod acquaintances;
pub mod bounds;
pub mod controller;
pub mod coordinator;
mod driver;
mod encoding;
pub mod ids;
mod leadership;
pub mod metrics;
pub mod node;
pub mod occasionally;
pub mod partition;
pub mod replica;
#[cfg(test)]
mod script;
pub mod secret;
mod shard;
#[cfg(test)]
mod simulation;
pub mod survey;
pub mod transport;
