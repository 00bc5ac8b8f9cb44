//! The cluster's metadata as a pure machine: which brokers, topics, partitions and settings there are.

pub mod configs;
