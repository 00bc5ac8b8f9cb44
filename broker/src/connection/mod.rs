//! Client connections: from an accepted socket to requests in order, and from replies in any order back to
//! the socket.
//!
//! ```text
//!            ┌──────────────────── one task a connection ───────────────────┐
//!  socket ──►│ FrameReader ─► wire::open ─► Api::handle ─► ReplyQueue       │
//!            │      ▲ paused while the queue is full          │ head is ready│
//!  socket ◄──│ FrameWriter ◄──────────────────────────────────┘             │
//!            └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`Api::handle`] is called for one request after the other, in the order of their arrival: whatever fixes a
//! request's order happens inside that call. Its [`Reply`] may be there at once or be a future. All futures
//! of a connection run side by side, and answers leave in the order of the requests, as every Kafka client
//! expects.
//!
//! # What is bounded, and what happens at the bound
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | connections of a node | `max.connections`, and what the limit of open files leaves | the next one waits, and no more are accepted |
//! | connections of an address | `max.connections.per.ip` | accepted and closed at once |
//! | one request | `socket.request.max.bytes` | the connection is closed |
//! | unanswered requests of a connection | [`queue::MAX_IN_FLIGHT_REQUESTS`] | reading pauses |
//! | bytes that a connection's requests hold | [`queue::MAX_IN_FLIGHT_BYTES`] | reading pauses |
//! | answers of a connection that wait to be written | [`queue::MAX_READY_BYTES`] | reading pauses, futures wait |
//! | small answers of a connection that are not read | [`answers::SMALL_ANSWERS_BYTES`] | reading pauses, futures wait |
//! | answers of a node | [`answers::NODE_ANSWER_BYTES`] | they wait, fetches become smaller, and who does not read is closed |
//! | the same of newcomers, which have read nothing to speak of | [`answers::NEWCOMER_PART`] | they wait, and who does not read is closed |
//! | request bytes of a node | [`budget::NODE_REQUEST_BYTES`] | reading large or pipelined requests pauses |
//! | small produce requests of a node | [`budget::NODE_SMALL_PRODUCE_BYTES`] | they wait before their turn; connections that have produced before share a reserve, one request at a time: [`budget::NODE_SMALL_RESERVE_BYTES`] |
//! | the slowness of a request | [`pace::LEAST_BYTES_PER_SECOND`], [`pace::PATIENCE`] | the connection is closed |
//! | the same while others wait for memory | [`arrivals::FAST_BYTES_PER_SECOND`], [`arrivals::WAITS`] | the slowest one's connection is closed |
//! | time without a byte | `connections.max.idle.ms` | the connection is closed |
//!
//! # What ends a connection
//!
//! The first [`CloseReason`]. When the client leaves, everything that waits for it is dropped, futures
//! included. When the broker closes, answers to earlier requests are written first.

mod addresses;
mod answers;
mod api;
mod arrivals;
mod budget;
mod close;
mod complaints;
mod driver;
mod listener;
mod load;
mod pace;
mod queue;
mod reader;
mod slots;
#[cfg(test)]
mod tests;
mod turn;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::addresses::PerAddress;
pub(crate) use self::answers::{AnswerMemory, Share};
pub(crate) use self::api::{Answer, Api, Reply, ReplyTo, Request};
pub(crate) use self::close::{CloseReason, Fault};
pub(crate) use self::listener::{Admission, Listener, serve};
pub(crate) use self::load::Hold;
use crate::wire::frame::DEFAULT_MAX_REQUEST_BYTES;

/// Who is at the other end of a connection, and which way it came in.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    /// Counts the connections of this process, from 1.
    pub(crate) id: u64,
    /// The name of the listener it came in on; what it is told to connect to next belongs to the same
    /// listener.
    pub(crate) listener: Arc<str>,
    /// The client's address.
    pub(crate) peer: SocketAddr,
}

/// What an operator may set about connections, by Kafka's names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `connections.max.idle.ms`: how long a connection may go without a byte or an open request.
    pub(crate) max_idle: Duration,
    /// `socket.request.max.bytes`: the largest request.
    pub(crate) max_request_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_idle: Duration::from_secs(600), max_request_bytes: DEFAULT_MAX_REQUEST_BYTES }
    }
}

/// The constants that `docs/bounds.md` lists.
#[cfg(test)]
pub(crate) mod bounds {
    pub(crate) use super::answers::{
        NEWCOMER_BYTES, NEWCOMER_PART, NEWCOMER_WAITS, NODE_ANSWER_BYTES, SMALL_ANSWERS_BYTES,
    };
    pub(crate) use super::arrivals::{FAST_BYTES_PER_SECOND, WAITS};
    pub(crate) use super::budget::{NODE_REQUEST_BYTES, NODE_SMALL_PRODUCE_BYTES, NODE_SMALL_RESERVE_BYTES};
    pub(crate) use super::complaints::EVERY;
    pub(crate) use super::pace::{LEAST_BYTES_PER_SECOND, PATIENCE};
    pub(crate) use super::queue::{MAX_IN_FLIGHT_BYTES, MAX_IN_FLIGHT_REQUESTS, MAX_READY_BYTES};
}
