//! What can go wrong on a connection, one enum an operation.
//!
//! An error code inside a response is not among these: it is data of a request that went well.

use std::io;
use std::time::Duration;

use kafka_protocol::protocol::VersionRange;
use thiserror::Error;

use crate::ConfigError;
use crate::wire::frame::FrameError;
use crate::wire::versions::Api;

/// What the message codec has to say when it refuses a message.
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// Why no connection came about.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address does not resolve, or nobody listens there.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address as it was given.
        address: String,
        /// What the operating system answered.
        source: io::Error,
    },
    /// Neither a connection nor a refusal within [`ConnectionOptions::connect_timeout`].
    ///
    /// [`ConnectionOptions::connect_timeout`]: crate::wire::ConnectionOptions::connect_timeout
    #[error("no connection to {address} within {timeout:?}")]
    Timeout {
        /// The address as it was given.
        address: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// Somebody listens there, but the ApiVersions exchange failed.
    #[error("{address} does not answer like a Kafka broker: {source}")]
    Handshake {
        /// The address as it was given.
        address: String,
        /// What happened to the ApiVersions request.
        source: ClientError,
    },
    /// A connection is accepted, and closed before the first request is answered.
    #[error("{address} hangs up before it answers ({reason}): {advice}")]
    HungUp {
        /// The address as it was given.
        address: String,
        /// How the connection ended.
        reason: CloseReason,
        /// What it may mean.
        advice: &'static str,
    },
    /// TLS did not come about.
    #[error("no TLS with {address}: {cause}")]
    Tls {
        /// The address as it was given.
        address: String,
        /// What happened, and what may help.
        cause: String,
    },
    /// One side does not accept who the other is: a certificate, a password, a token.
    #[error("{address}: {cause}")]
    Authentication {
        /// The address as it was given.
        address: String,
        /// What is not accepted, and what to set.
        cause: String,
    },
    /// The application's token provider has no token.
    #[error("there is no token for {address}: {cause}")]
    Token {
        /// The address as it was given.
        address: String,
        /// What the provider says.
        cause: String,
    },
    /// The settings of TLS and SASL cannot be used. Nothing was sent.
    #[error(transparent)]
    Security(ConfigError),
    /// The broker answered ApiVersions with an error code other than UNSUPPORTED_VERSION (35).
    #[error("{address} refuses the handshake with error code {code}")]
    Refused {
        /// The address as it was given.
        address: String,
        /// Kafka's error code.
        code: i16,
    },
}

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No answer within the request timeout. Whether the broker acted on the request is unknown. The connection stays
    /// usable: an answer that comes later is recognised and dropped.
    #[error("{api} was not answered within {timeout:?}")]
    Timeout {
        /// The request.
        api: Api,
        /// How long was waited.
        timeout: Duration,
    },
    /// The connection ended before the answer. Whether the broker acted on the request is unknown.
    #[error("the connection closed before {api} was answered: {reason}")]
    Closed {
        /// The request.
        api: Api,
        /// Why it ended.
        reason: CloseReason,
    },
    /// The two sides have no version of this request in common, or not the version asked for. Nothing was sent.
    #[error("no common version of {api}: this side speaks {ours}, the broker {}", Theirs(.theirs))]
    UnsupportedVersion {
        /// The request.
        api: Api,
        /// The versions this crate encodes, or the one version asked for.
        ours: VersionRange,
        /// The versions the broker lists, `None` if it does not list the API at all.
        theirs: Option<VersionRange>,
    },
    /// The request has a field set that its version cannot carry. Nothing was sent.
    #[error("{api} version {version} cannot be encoded: {source}")]
    Encode {
        /// The request.
        api: Api,
        /// The version it was encoded in.
        version: i16,
        /// What the codec says.
        source: CodecError,
    },
    /// The answer is not what the protocol describes. The connection stays usable, since frames keep their bounds.
    #[error("the answer to {api} version {version} cannot be decoded: {source}")]
    Decode {
        /// The request.
        api: Api,
        /// The version it was sent in.
        version: i16,
        /// What the codec says.
        source: CodecError,
    },
    /// The answer decodes, yet bytes are left over: the broker used another version or header than was asked for.
    #[error("{count} bytes are left over after the answer to {api} version {version}")]
    TrailingBytes {
        /// The request.
        api: Api,
        /// The version it was sent in.
        version: i16,
        /// How many bytes were not consumed.
        count: usize,
    },
}

/// Why a connection ended. Every request that was in flight is told the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The broker closed it, as Kafka does upon a request it cannot understand.
    #[error("closed by the broker")]
    ByBroker,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// TLS has failed, or the broker has ended it with an alert.
    #[error("{cause}")]
    Tls {
        /// What happened.
        cause: String,
    },
    /// The broker does not accept who this client is: its certificate at the begin of a connection, or its password or token when it
    /// proves itself anew.
    #[error("{cause}")]
    Refused {
        /// The broker's reason.
        cause: String,
    },
    /// The broker sent a frame outside the bounds.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The broker sent a frame too short to hold a correlation id.
    #[error("a frame of {length} bytes holds no correlation id")]
    NoCorrelationId {
        /// The frame's length in bytes.
        length: usize,
    },
    /// The broker answered another request than the one whose turn it was. Answers leave a Kafka broker in the order
    /// of the requests, so that from here on no answer can be trusted.
    #[error("the answer carries correlation id {actual} where {} was due", Due(.expected))]
    OutOfOrder {
        /// The oldest request in flight, if there was one.
        expected: Option<i32>,
        /// What the answer carried.
        actual: i32,
    },
    /// This side let go of the connection: its last handle was dropped, or its runtime is shutting down.
    #[error("closed by this side")]
    ByUs,
}

/// Prints the versions of a broker that may not know the API.
struct Theirs<'a>(&'a Option<VersionRange>);

impl std::fmt::Display for Theirs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(range) => range.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// Prints the correlation id that was due, if any answer was.
struct Due<'a>(&'a Option<i32>);

impl std::fmt::Display for Due<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(id) => id.fmt(f),
            None => f.write_str("none"),
        }
    }
}
