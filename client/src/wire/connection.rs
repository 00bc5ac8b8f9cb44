//! A connection to one broker.
//!
//! A [`Connection`] is a handle: cheap to clone, usable from many tasks. Requests are encoded by whoever sends them and
//! queued for the task that owns the socket (`pipeline`); many may be in flight. Who cares for the order in which
//! requests leave uses [`Connection::enqueue`], which separates the sending from the waiting for the answer.
//!
//! The last handle's drop closes the connection, after what was already queued has left.

use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::Request;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use crate::security::PreparedSecurity;
use crate::wire::authenticate::{self, Renewal};
use crate::wire::error::{ClientError, CloseReason, ConnectError};
use crate::wire::frame::decode_response;
use crate::wire::link::{Body, Link};
use crate::wire::pipeline::PipelineHandle;
use crate::wire::secure;
use crate::wire::stream::Stream;
use crate::wire::versions::{Api, BrokerVersions};

/// How a connection behaves. The defaults are librdkafka's where it has such a setting.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// What the broker's logs and quotas know this client by.
    pub client_id: String,
    /// How long the resolver may take, and then each address that the host name has. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a request may wait for its answer, the wait for a place in the queue included. It must exceed the
    /// `max_wait_ms` of a Fetch and the `timeout_ms` of a Produce. Default 60 s.
    pub request_timeout: Duration,
    /// The largest response accepted, in bytes; a larger one ends the connection. Default 100 MiB.
    pub max_response_bytes: usize,
    /// TLS and SASL; neither by default. [`Security::prepare`](crate::security::Security::prepare) makes it.
    pub security: PreparedSecurity,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: env!("CARGO_PKG_NAME").to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            max_response_bytes: 100 << 20,
            security: PreparedSecurity::default(),
        }
    }
}

/// A handle to a connection that has passed the handshake.
#[derive(Debug, Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) address: String,
    pub(super) link: Link,
    pub(super) versions: BrokerVersions,
    /// Authenticates anew before the session ends, if it has an end.
    renewal: OnceLock<Renewal>,
}

impl Connection {
    /// Dials `address` (`host:port`, every address the name resolves to is tried), opens TLS, agrees on versions and authenticates, as
    /// far as `options` ask for it.
    ///
    /// Cancel safety: dropped, the connection is closed.
    ///
    /// # Errors
    /// [`ConnectError`] if nobody answers there, or not as a Kafka broker does, or if one side does not accept who the other is.
    pub async fn connect(address: &str, options: &ConnectionOptions) -> Result<Self, ConnectError> {
        let security = &options.security;
        if let Some(error) = &security.broken {
            return Err(ConnectError::Security(error.clone()));
        }
        let socket = dial(address, options.connect_timeout).await?;
        // A request is one write; waiting for more to say would only add Nagle's delay to it.
        let quick = socket.set_nodelay(true);
        quick.map_err(|source| ConnectError::Connect { address: address.to_owned(), source })?;
        let stream = match &security.tls {
            Some(connector) => secure::open(socket, address, connector, options.connect_timeout).await?,
            None => Stream::Plain(socket),
        };
        let link = Link::over(stream, options);
        let versions = link.agree(address, security.tls.is_some()).await?;
        let address = address.to_owned();
        let shared = Arc::new(Shared { address, link, versions, renewal: OnceLock::new() });
        if let Some(credentials) = &security.sasl {
            authenticate::warn_of_plain(credentials, security.tls.is_some());
            let lifetime = authenticate::first(&shared, credentials).await?;
            if let Some(lifetime) = lifetime {
                let renewal = Renewal::start(&shared, credentials.clone(), lifetime);
                // Nobody else has this connection yet.
                let _ = shared.renewal.set(renewal);
            }
        }
        shared.link.pipeline.established(options.max_response_bytes);
        Ok(Self { shared })
    }

    /// The address that was dialled, as it was given.
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// Whether both are handles to one connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// What the broker serves.
    pub fn versions(&self) -> &BrokerVersions {
        &self.shared.versions
    }

    /// Why the connection ended, `None` while it is up.
    pub fn closed(&self) -> Option<CloseReason> {
        let pipeline = &self.shared.link.pipeline;
        pipeline.requests.is_closed().then(|| pipeline.close_reason())
    }

    /// Resolves when the connection has ended, whoever ended it.
    pub async fn wait_closed(&self) -> CloseReason {
        let pipeline = &self.shared.link.pipeline;
        pipeline.requests.closed().await;
        pipeline.close_reason()
    }

    /// Sends a request in the highest version both sides speak and waits for its answer.
    ///
    /// A field that this version cannot carry must hold its default; [`BrokerVersions::negotiate`] tells the version
    /// beforehand.
    ///
    /// # Errors
    /// [`ClientError`]. After [`ClientError::Timeout`] and [`ClientError::Closed`] it is unknown whether the broker
    /// acted on the request.
    pub async fn request<R: Request>(&self, body: R) -> Result<R::Response, ClientError> {
        self.enqueue(body).await?.answer().await
    }

    /// Sends a request in the highest version both sides speak. Resolves once it is queued, behind every request that
    /// was queued before; the answer is waited for separately, so that further requests may follow at once.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub async fn enqueue<R: Request>(&self, body: R) -> Result<PendingAnswer<R>, ClientError> {
        let version = self.shared.versions.negotiate::<R>()?;
        self.shared.link.enqueue(Body::Plain(&body), version).await
    }

    /// As [`Connection::enqueue`], in exactly this version.
    ///
    /// # Errors
    /// As [`Connection::request_at_version`].
    pub async fn enqueue_at<R: Request>(
        &self,
        body: R,
        version: i16,
    ) -> Result<PendingAnswer<R>, ClientError> {
        self.shared.versions.check::<R>(version)?;
        self.shared.link.enqueue(Body::Plain(&body), version).await
    }

    /// As [`Connection::enqueue_at`], with a body that was encoded in this version already. Its pieces are not copied.
    ///
    /// # Errors
    /// As [`Connection::request_at_version`].
    pub(crate) async fn enqueue_pieces_at<R: Request>(
        &self,
        body: Vec<Bytes>,
        version: i16,
    ) -> Result<PendingAnswer<R>, ClientError> {
        self.shared.versions.check::<R>(version)?;
        self.shared.link.enqueue(Body::Pieces(body), version).await
    }

    /// Sends a request in exactly this version and waits for its answer.
    ///
    /// # Errors
    /// As [`Connection::request`]; [`ClientError::UnsupportedVersion`] if either side does not speak the version.
    pub async fn request_at_version<R: Request>(
        &self,
        body: R,
        version: i16,
    ) -> Result<R::Response, ClientError> {
        self.enqueue_at(body, version).await?.answer().await
    }

    /// Sends a request that the broker will not answer: a Produce with acks=0. Resolves once it is queued; whether it
    /// arrives nobody learns.
    ///
    /// Used for a request that is answered, it breaks the pairing of requests and answers, and the connection ends
    /// with [`CloseReason::OutOfOrder`].
    ///
    /// # Errors
    /// [`ClientError`] if it could not be queued.
    pub async fn send_without_reply<R: Request>(&self, body: R) -> Result<(), ClientError> {
        let version = self.shared.versions.negotiate::<R>()?;
        self.shared.link.send_without_reply(Body::Plain(&body), version, None).await
    }

    /// As [`Connection::send_without_reply`], in exactly this version.
    ///
    /// # Errors
    /// As [`Connection::send_without_reply`], and [`ClientError::UnsupportedVersion`].
    pub async fn send_without_reply_at<R: Request>(&self, body: R, version: i16) -> Result<(), ClientError> {
        self.shared.versions.check::<R>(version)?;
        self.shared.link.send_without_reply(Body::Plain(&body), version, None).await
    }

    /// As [`Connection::send_without_reply_at`], with a body that was encoded in this version already. The outcome tells when the
    /// socket has taken the whole request: until then it takes memory, and is lost when the process or the connection ends.
    ///
    /// # Errors
    /// As [`Connection::send_without_reply_at`].
    pub(crate) async fn send_pieces_without_reply_at<R: Request>(
        &self,
        body: Vec<Bytes>,
        version: i16,
    ) -> Result<PendingWrite, ClientError> {
        self.shared.versions.check::<R>(version)?;
        let link = &self.shared.link;
        let (written, is_written) = oneshot::channel();
        let deadline = Instant::now() + link.request_timeout;
        link.send_without_reply::<R>(Body::Pieces(body), version, Some(written)).await?;
        Ok(PendingWrite {
            pipeline: link.pipeline.clone(),
            is_written,
            api: Api::of::<R>(),
            deadline,
            request_timeout: link.request_timeout,
        })
    }

    /// Ends the connection at once, whoever holds it: what has not left is dropped, and what is in flight gets no answer.
    pub fn close(&self) {
        self.shared.link.pipeline.close();
    }
}

/// Tries every address that `address` resolves to, each for `limit`.
async fn dial(address: &str, limit: Duration) -> Result<TcpStream, ConnectError> {
    let failed = |source| ConnectError::Connect { address: address.to_owned(), source };
    let timed_out = || ConnectError::Timeout { address: address.to_owned(), timeout: limit };
    let resolved = timeout(limit, lookup_host(address)).await.map_err(|_| timed_out())?;
    let nowhere = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut failure = failed(nowhere);
    for candidate in resolved.map_err(failed)? {
        match timeout(limit, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => failure = failed(source),
            Err(_) => failure = timed_out(),
        }
    }
    Err(failure)
}

/// A request without an answer that waits for the socket. It keeps the connection open as a handle does.
#[derive(Debug)]
pub(crate) struct PendingWrite {
    pipeline: PipelineHandle,
    is_written: oneshot::Receiver<()>,
    api: Api,
    deadline: Instant,
    request_timeout: Duration,
}

impl PendingWrite {
    /// Waits until the socket has taken the whole request.
    ///
    /// # Errors
    /// [`ClientError::Closed`] if the connection ends before, [`ClientError::Timeout`] if the broker does not read. The broker
    /// may have got part of the request.
    pub(crate) async fn written(self) -> Result<(), ClientError> {
        let Self { pipeline, is_written, api, deadline, request_timeout } = self;
        match timeout_at(deadline, is_written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ClientError::Closed { api, reason: pipeline.close_reason() }),
            Err(_) => Err(ClientError::Timeout { api, timeout: request_timeout }),
        }
    }
}

/// A request that is on its way, and the right to its answer. Dropped, the answer is dropped too when it comes. It
/// keeps the connection open as a handle does.
#[derive(Debug)]
pub struct PendingAnswer<R> {
    pub(super) pipeline: PipelineHandle,
    pub(super) answered: oneshot::Receiver<Bytes>,
    pub(super) version: i16,
    pub(super) deadline: Instant,
    pub(super) request_timeout: Duration,
    pub(super) request: PhantomData<fn(R)>,
}

impl<R: Request> PendingAnswer<R> {
    /// Waits for the answer, within the request timeout, which began when the request was queued.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub async fn answer(self) -> Result<R::Response, ClientError> {
        let version = self.version;
        decode_response::<R>(self.frame().await?, version)
    }

    pub(super) async fn frame(self) -> Result<Bytes, ClientError> {
        let api = Api::of::<R>();
        match timeout_at(self.deadline, self.answered).await {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(_)) => Err(ClientError::Closed { api, reason: self.pipeline.close_reason() }),
            Err(_) => Err(ClientError::Timeout { api, timeout: self.request_timeout }),
        }
    }
}

#[cfg(test)]
mod tests;
