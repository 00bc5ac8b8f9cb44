//! Why connections end.

use std::io;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;
use thiserror::Error;

use super::pace::LEAST_BYTES_PER_SECOND;
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
    /// An answer that is too large to be built.
    #[error("the answer to {api_key:?} would be {bytes} bytes long: ask for less at once")]
    AnswerTooLarge {
        /// The API asked for.
        api_key: ApiKey,
        /// How long it would be.
        bytes: usize,
    },
    /// A produce request with `acks=0` failed. Closing is the only way to tell, and makes the client refresh
    /// its metadata.
    #[error("a produce request with acks=0 failed: {0}")]
    UnansweredProduceFailed(ResponseError),
    /// `connections.max.idle.ms` went by.
    #[error("idle for {0:?}")]
    Idle(Duration),
    /// A request that was begun did not go on, or too slowly.
    #[error("a request came in at less than {LEAST_BYTES_PER_SECOND} bytes a second")]
    Stalled,
    /// A request arrived more slowly than all others while others waited for memory.
    #[error("a request came in slowly, and others waited for the memory that it held")]
    PutOut,
    /// The client did not read its answers while others waited for memory.
    #[error("answers were not read, and others waited for the memory that they held")]
    Unread,
    /// The node stops.
    #[error("the node stops")]
    Shutdown,
}

/// Kinds of reasons that are a client's fault, or the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A length that no frame has.
    Frame,
    /// A frame that is no request, or not one of those that are served.
    Request,
    /// A request that came too slowly, or answers that were read too slowly.
    Slow,
    /// An answer that cannot be encoded, or is too large.
    Answer,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Frame, Self::Request, Self::Slow, Self::Answer];

    /// Its name among the metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Request => "request",
            Self::Slow => "slow",
            Self::Answer => "answer",
        }
    }
}

impl CloseReason {
    /// Whether it is a fault, which an operator may care for; the rest is daily life.
    pub(super) const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Frame(_) => Some(Fault::Frame),
            Self::Request(_) | Self::NotServed { .. } | Self::Undecodable { .. } => Some(Fault::Request),
            Self::Stalled | Self::PutOut | Self::Unread => Some(Fault::Slow),
            Self::Unencodable(_) | Self::AnswerTooLarge { .. } => Some(Fault::Answer),
            Self::ClientLeft
            | Self::ClientLeftMidFrame { .. }
            | Self::Socket(_)
            | Self::UnansweredProduceFailed(_)
            | Self::Idle(_)
            | Self::Shutdown => None,
        }
    }
}
