//! A connection to one broker.
//!
//! A [`Connection`] is a handle: cheap to clone, usable from many tasks. Requests are encoded by whoever sends them and
//! queued for the task that owns the socket (`pipeline`); many may be in flight. Who cares for the order in which
//! requests leave uses [`Connection::enqueue`], which separates the sending from the waiting for the answer.
//!
//! The last handle's drop closes the connection, after what was already queued has left.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::{Request, StrBytes};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::bounded;
use crate::wire::error::{ClientError, CloseReason, ConnectError};
use crate::wire::frame::{decode_response, encode_request, frame_in_pieces};
use crate::wire::handshake::{self, Verdict};
use crate::wire::pipeline::{Expected, Outgoing, PipelineHandle};
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
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: env!("CARGO_PKG_NAME").to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            max_response_bytes: 100 << 20,
        }
    }
}

/// A handle to a connection that has passed the handshake.
#[derive(Debug, Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: String,
    link: Link,
    versions: BrokerVersions,
}

impl Connection {
    /// Dials `address` (`host:port`, every address the name resolves to is tried) and agrees on versions.
    ///
    /// # Errors
    /// [`ConnectError`] if nobody answers there, or not as a Kafka broker does.
    pub async fn connect(address: &str, options: &ConnectionOptions) -> Result<Self, ConnectError> {
        let stream = dial(address, options.connect_timeout).await?;
        // A request is one write; waiting for more to say would only add Nagle's delay to it.
        let quick = stream.set_nodelay(true);
        quick.map_err(|source| ConnectError::Connect { address: address.to_owned(), source })?;
        let link = Link {
            pipeline: PipelineHandle::start(stream, options.max_response_bytes),
            next_correlation_id: AtomicI32::new(1),
            client_id: StrBytes::from_string(options.client_id.clone()),
            request_timeout: bounded(options.request_timeout),
        };
        let versions = link.agree(address).await?;
        Ok(Self { shared: Arc::new(Shared { address: address.to_owned(), link, versions }) })
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
    pipeline: PipelineHandle,
    answered: oneshot::Receiver<Bytes>,
    version: i16,
    deadline: Instant,
    request_timeout: Duration,
    request: PhantomData<fn(R)>,
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

    async fn frame(self) -> Result<Bytes, ClientError> {
        let api = Api::of::<R>();
        match timeout_at(self.deadline, self.answered).await {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(_)) => Err(ClientError::Closed { api, reason: self.pipeline.close_reason() }),
            Err(_) => Err(ClientError::Timeout { api, timeout: self.request_timeout }),
        }
    }
}

/// A request's body.
enum Body<'a, R> {
    /// To be encoded.
    Plain(&'a R),
    /// Encoded already, in pieces.
    Pieces(Vec<Bytes>),
}

impl<R: Request> Body<'_, R> {
    /// The whole frame.
    fn frame(
        self,
        version: i16,
        correlation_id: i32,
        client_id: &StrBytes,
    ) -> Result<Vec<Bytes>, ClientError> {
        match self {
            Self::Plain(body) => Ok(vec![encode_request(body, version, correlation_id, client_id)?.freeze()]),
            Self::Pieces(body) => frame_in_pieces::<R>(body, version, correlation_id, client_id),
        }
    }
}

/// A pipeline with what is needed to put typed requests on it. No version is checked here.
#[derive(Debug)]
struct Link {
    pipeline: PipelineHandle,
    next_correlation_id: AtomicI32,
    client_id: StrBytes,
    request_timeout: Duration,
}

impl Link {
    async fn agree(&self, address: &str) -> Result<BrokerVersions, ConnectError> {
        let failed = |source| ConnectError::Handshake { address: address.to_owned(), source };
        let mut version = handshake::FIRST_VERSION;
        let request = handshake::api_versions_request();
        loop {
            let asked = self.enqueue(Body::Plain(&request), version).await.map_err(failed)?;
            let frame = asked.frame().await.map_err(failed)?;
            match handshake::judge(frame, version).map_err(failed)? {
                Verdict::Agreed(versions) => return Ok(versions),
                Verdict::AskAgain(lower) => {
                    assert!(lower < version, "every attempt is in a lower version");
                    version = lower;
                }
                Verdict::Refused(code) => {
                    return Err(ConnectError::Refused { address: address.to_owned(), code });
                }
            }
        }
    }

    async fn enqueue<R: Request>(
        &self,
        body: Body<'_, R>,
        version: i16,
    ) -> Result<PendingAnswer<R>, ClientError> {
        let deadline = Instant::now() + self.request_timeout;
        let (answer, answered) = oneshot::channel();
        self.send(body, version, deadline, Some(answer), None).await?;
        Ok(PendingAnswer {
            pipeline: self.pipeline.clone(),
            answered,
            version,
            deadline,
            request_timeout: self.request_timeout,
            request: PhantomData,
        })
    }

    async fn send_without_reply<R: Request>(
        &self,
        body: Body<'_, R>,
        version: i16,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), ClientError> {
        self.send(body, version, Instant::now() + self.request_timeout, None, written).await
    }

    async fn send<R: Request>(
        &self,
        body: Body<'_, R>,
        version: i16,
        deadline: Instant,
        answer: Option<oneshot::Sender<Bytes>>,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), ClientError> {
        let api = Api::of::<R>();
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = body.frame(version, correlation_id, &self.client_id)?;
        let expects = answer.map(|answer| Expected { correlation_id, answer });
        let outgoing = Outgoing { frame, expects, written };
        match timeout_at(deadline, self.pipeline.requests.send(outgoing)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ClientError::Closed { api, reason: self.pipeline.close_reason() }),
            Err(_) => Err(ClientError::Timeout { api, timeout: self.request_timeout }),
        }
    }
}

#[cfg(test)]
mod tests;
