//! A pipeline with what is needed to put typed requests on it.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::{Request, StrBytes};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::config::bounded;
use crate::wire::connection::{ConnectionOptions, PendingAnswer};
use crate::wire::error::{ClientError, CloseReason, ConnectError};
use crate::wire::frame::{encode_request, frame_in_pieces};
use crate::wire::handshake::{self, Verdict};
use crate::wire::pipeline::{Expected, Outgoing, PipelineHandle};
use crate::wire::stream::Stream;
use crate::wire::versions::{Api, BrokerVersions};

/// A request's body.
pub(super) enum Body<'a, R> {
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
pub(super) struct Link {
    pub(super) pipeline: PipelineHandle,
    next_correlation_id: AtomicI32,
    client_id: StrBytes,
    pub(super) request_timeout: Duration,
    /// Requests take it together, and SASL alone: while a client authenticates anew, the broker takes nothing else. There is none
    /// without SASL.
    turn: Option<RwLock<()>>,
}

impl Link {
    /// Starts the task that owns `stream`.
    pub(super) fn over(stream: Stream, options: &ConnectionOptions) -> Self {
        Self {
            pipeline: PipelineHandle::start(stream, options.max_response_bytes),
            next_correlation_id: AtomicI32::new(1),
            client_id: StrBytes::from_string(options.client_id.clone()),
            request_timeout: bounded(options.request_timeout),
            turn: options.security.sasl.is_some().then(|| RwLock::new(())),
        }
    }

    /// Agrees on versions: the first exchange of a connection.
    pub(super) async fn agree(&self, address: &str, is_tls: bool) -> Result<BrokerVersions, ConnectError> {
        let failed = |source| not_agreed(address.to_owned(), source, is_tls);
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

    pub(super) async fn enqueue<R: Request>(
        &self,
        body: Body<'_, R>,
        version: i16,
    ) -> Result<PendingAnswer<R>, ClientError> {
        let deadline = Instant::now() + self.request_timeout;
        let _turn = self.turn_by::<R>(deadline).await?;
        self.enqueue_by(body, version, deadline).await
    }

    /// The turn of one request among others.
    async fn turn_by<R: Request>(
        &self,
        deadline: Instant,
    ) -> Result<Option<RwLockReadGuard<'_, ()>>, ClientError> {
        let Some(turn) = &self.turn else { return Ok(None) };
        let late = |_| ClientError::Timeout { api: Api::of::<R>(), timeout: self.request_timeout };
        timeout_at(deadline, turn.read()).await.map(Some).map_err(late)
    }

    /// Waits until no request is about to be queued, and holds up those that follow until what is returned is dropped.
    pub(super) async fn alone(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        match &self.turn {
            Some(turn) => Some(turn.write().await),
            None => None,
        }
    }

    /// Sends a request out of turn, and waits for its answer.
    pub(super) async fn ask<R: Request>(&self, body: &R, version: i16) -> Result<R::Response, ClientError> {
        let deadline = Instant::now() + self.request_timeout;
        self.enqueue_by(Body::Plain(body), version, deadline).await?.answer().await
    }

    async fn enqueue_by<R: Request>(
        &self,
        body: Body<'_, R>,
        version: i16,
        deadline: Instant,
    ) -> Result<PendingAnswer<R>, ClientError> {
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

    pub(super) async fn send_without_reply<R: Request>(
        &self,
        body: Body<'_, R>,
        version: i16,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.request_timeout;
        let _turn = self.turn_by::<R>(deadline).await?;
        self.send(body, version, deadline, None, written).await
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

/// What it means that the first exchange has failed.
fn not_agreed(address: String, source: ClientError, is_tls: bool) -> ConnectError {
    let ClientError::Closed { reason, .. } = &source else {
        return ConnectError::Handshake { address, source };
    };
    match reason.clone() {
        CloseReason::Refused { cause } => ConnectError::Authentication { address, cause },
        CloseReason::Tls { cause } => ConnectError::Tls { address, cause },
        reason @ (CloseReason::ByBroker | CloseReason::Io(_)) => {
            let advice = if is_tls {
                "it may require a client certificate (ssl.certificate.location, ssl.key.location), or be no Kafka broker"
            } else {
                "it may require TLS (security.protocol=SSL or SASL_SSL), or be no Kafka broker"
            };
            ConnectError::HungUp { address, reason, advice }
        }
        _ => ConnectError::Handshake { address, source },
    }
}
