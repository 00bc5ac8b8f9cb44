//! The HTTP port: metrics, health, the log's filter, and what its clients cannot do.

mod bounds;
mod health;
mod log;
mod metrics;
