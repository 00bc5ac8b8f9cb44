//! Attacks at a small size: one file a scenario of [`trilog_tests::hostile`], with what else has to hold.

mod administration;
mod auto_creation;
mod descriptors;
mod expressions;
mod fetch_sessions;
mod fuzz;
mod honest;
mod http;
mod malformed;
mod many_partitions;
mod many_producers;
mod pipelined;
mod repeated_names;
mod slow_writers;
mod unacknowledged;
mod unread_answers;
