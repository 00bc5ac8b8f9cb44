//! Real processes, real clients: one theme a module.
//!
//! Every test starts from what a client may rely on, as Kafka's documentation, its KIPs and other clients' sources have
//! it, and looks at nothing but the wire, the files and the processes. None asserts how long something takes.

#![cfg(test)]

mod bad_input;
mod cli;
mod client;
mod dev;
mod disk;
mod faults;
mod groups;
mod health;
mod hostile;
mod http;
mod protocol;
mod rdkafka;
mod restart;
mod retention;
