//! Why connections end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;
use thiserror::Error;

use crate::wire::frame::FrameError;
use crate::wire::{EncodeError, RequestError};

/// Why a connection ended. Nothing else tells a client of it: Kafka has no goodbye.
#[derive(Debug, Error)]
pub(crate) enum CloseReason {
    /// The client closed its side between two requests.
    #[error("the client left")]
    ClientLeft,
    /// The client closed its side in the middle of a request.
    #[error("the client left after {received} bytes of a request")]
    ClientLeftMidFrame {
        /// Bytes of the frame that had arrived, its prefix included.
        received: usize,
    },
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Socket(#[from] io::Error),
    /// A length prefix that no frame can follow.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame that is not a request that may be decoded.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An API or version that the broker does not serve.
    #[error("{api_key:?} v{api_version} is not served")]
    NotServed {
        /// The API asked for.
        api_key: ApiKey,
        /// The version asked for.
        api_version: i16,
    },
    /// A body of sound structure that cannot be decoded all the same.
    #[error("{api_key:?} v{api_version} cannot be decoded: {reason}")]
    Undecodable {
        /// The API asked for.
        api_key: ApiKey,
        /// The version of the body.
        api_version: i16,
        /// What the decoder says.
        reason: String,
    },
    /// A response that cannot be encoded: a fault of the broker's.
    #[error(transparent)]
    Unencodable(#[from] EncodeError),
    /// A produce request with `acks=0` failed. Closing is the only way to tell, and makes the client refresh
    /// its metadata.
    #[error("a produce request with acks=0 failed: {0}")]
    UnansweredProduceFailed(ResponseError),
    /// `connections.max.idle.ms` went by.
    #[error("idle for {0:?}")]
    Idle(Duration),
    /// A request that was begun did not go on.
    #[error("a request stopped in its middle for {0:?}")]
    Stalled(Duration),
    /// The node stops.
    #[error("the node stops")]
    Shutdown,
}

impl CloseReason {
    /// Tells the log, as loud as an operator cares: a broker's fault most, a client's breach of the protocol
    /// next, the rest is daily life.
    pub(super) fn log(&self, connection: u64, peer: SocketAddr, listener: &str) {
        match self {
            Self::Unencodable(_) => {
                tracing::error!(connection, %peer, listener, reason = %self, "connection closed");
            }
            Self::Frame(_) | Self::Request(_) | Self::NotServed { .. } | Self::Undecodable { .. } => {
                tracing::info!(connection, %peer, listener, reason = %self, "connection closed");
            }
            _ => tracing::debug!(connection, %peer, listener, reason = %self, "connection closed"),
        }
    }
}
