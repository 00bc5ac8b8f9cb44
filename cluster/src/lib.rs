//! Replication, the controller and partition state of a Trilog cluster.

pub mod ids;
pub mod transport;
