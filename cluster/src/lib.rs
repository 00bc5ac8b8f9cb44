//! Replication, the controller and partition state of a Trilog cluster.

pub mod controller;
pub mod ids;
pub mod partition;
pub mod transport;
