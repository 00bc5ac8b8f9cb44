//! The low level: one connection to one broker, and the requests of clients and administrators on it. The answers to what only
//! brokers ask each other, and to requests of share groups, are not decoded: their shape is not known to
//! [`trilog_protocol::structure`].
//!
//! A [`Connection`] dials, agrees on versions (KIP-35, KIP-511), sends any request in any version that both sides
//! speak, keeps many of them in flight and matches the answers to them. It knows no topics, no leaders and no retries.
//!
//! Its requests and answers are the types of the `kafka-protocol` crate, and change with that crate.
//!
//! ```no_run
//! use kafka_protocol::messages::MetadataRequest;
//! use trilog_client::wire::{Connection, ConnectionOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Connection::connect("127.0.0.1:9092", &ConnectionOptions::default()).await?;
//! let metadata = broker.request(MetadataRequest::default().with_topics(None)).await?;
//! for topic in metadata.topics {
//!     println!("{:?} has {} partitions", topic.name, topic.partitions.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | room | what it tells |
//! | --- | --- |
//! | [`connection`] | the handle: requests in, typed answers out |
//! | `link` | typed requests in their turn |
//! | `pipeline` | the task that owns the socket: what is in flight, in which order |
//! | `outbox` | what waits for the socket, in pieces that are not copied |
//! | `secure` | TLS, before anything else |
//! | `authenticate` | SASL, and once more before a session ends |
//! | `stream` | a socket with or without TLS |
//! | `handshake` | ApiVersions, and what to do with a broker older than us |
//! | [`versions`] | which version a request is sent in |
//! | [`frame`] | the length prefix, the request's and the response's header |
//! | [`raw`] | a socket without manners, for tests of the protocol itself |
//! | [`error`] | what can go wrong, sorted by what one may do about it |

mod authenticate;
pub mod connection;
pub mod error;
pub mod frame;
mod handshake;
mod link;
mod outbox;
mod pipeline;
pub mod raw;
mod secure;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
pub mod versions;

pub(crate) use connection::PendingWrite;
pub use connection::{Connection, ConnectionOptions, PendingAnswer};
pub use error::{ClientError, CloseReason, ConnectError};
pub use raw::RawConnection;
pub use versions::{Api, BrokerVersions};
