//! Partition logs and replicated state on disk.
//!
//! This crate is the only one that names sled. It offers one [`ids`] vocabulary for what is
//! stored, and everything above it speaks in those terms.

pub mod ids;
