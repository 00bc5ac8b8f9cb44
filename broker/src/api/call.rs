//! A request on its way through its API: decoded, with all that it takes to answer it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use kafka_protocol::protocol::{Encodable, Request as RequestMessage, StrBytes};

use super::broker::Broker;
use super::error_codes::ErrorCodes;
use crate::connection::{
    Answer, AnswerMemory, CloseReason, ConnectionInfo, Hold, Reply, ReplyTo, Request, Share,
};
use crate::metrics::ErrorMetrics;

/// The longest answer that is built from what the cluster holds, in bytes: as long as the longest request.
pub(crate) const MAX_ANSWER_BYTES: usize = 100 << 20;

/// One API: which versions of it are served, and how a request is answered.
pub(super) trait Handler {
    /// The message of a request.
    type Request: RequestMessage + Send + 'static;

    /// The versions that are served.
    const SERVED: Versions;

    /// The lowest version that ApiVersions lists. Other than the lowest one served only where clients draw
    /// conclusions from it.
    const LISTED_FROM: i16 = Self::SERVED.min;

    /// What the answer takes beside what each of the request's elements does, in bytes: where the answer's size depends on what
    /// the cluster holds. An estimate above rather than below.
    fn answer_bytes(_broker: &Broker, _request: &Self::Request, _version: i16) -> usize {
        0
    }

    /// Answers a request. What fixes its order among the connection's requests happens before this returns.
    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply;
}

/// A range of versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    /// The lowest.
    pub(super) min: i16,
    /// The highest.
    pub(super) max: i16,
}

impl Versions {
    /// From `min` to `max`, both included.
    pub(super) const fn new(min: i16, max: i16) -> Self {
        assert!(0 <= min && min <= max, "a range of versions is not empty");
        Self { min, max }
    }

    /// Whether `version` is one of them.
    pub(super) const fn contain(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// A decoded request with the means to answer it.
pub(super) struct Call<R> {
    /// What was asked.
    pub(super) request: R,
    /// Whom to answer, and how.
    pub(super) context: CallContext,
}

/// Whom to answer, and in which form.
pub(super) struct CallContext {
    /// The version of the request and of its answer.
    pub(super) version: i16,
    /// How the client calls itself, if it does.
    pub(super) client_id: Option<StrBytes>,
    /// Where the request came in.
    pub(super) connection: Arc<ConnectionInfo>,
    /// The request's part of the node's memory, while its frame is needed.
    pub(super) hold: Weak<Hold>,
    reply_to: ReplyTo,
    errors: ErrorMetrics,
    /// The answer's share of the node's memory, until there is an answer.
    share: Mutex<Option<Share>>,
    memory: Arc<AnswerMemory>,
}

impl<R: RequestMessage> Call<R> {
    /// Decodes a request.
    ///
    /// # Errors
    ///
    /// A body that cannot be decoded closes the connection.
    pub(super) fn decode(broker: &Broker, request: Request) -> Result<Self, CloseReason> {
        let decoded = request.decode()?;
        let reply_to = request.reply_to();
        let Request { api_version: version, client_id, connection, hold, memory, .. } = request;
        let share = Mutex::default();
        // A copy, as it may be kept for longer than the frame.
        let client_id = client_id.map(|id| StrBytes::from_string(id.to_string()));
        let errors = broker.errors.clone();
        let context = CallContext {
            version,
            client_id,
            connection,
            hold: Arc::downgrade(&hold),
            reply_to,
            errors,
            share,
            memory,
        };
        Ok(Self { request: decoded, context })
    }

    /// The request, with this share of the node's memory for its answer.
    pub(super) fn with(self, share: Share) -> Self {
        *self.context.share.lock().unwrap_or_else(PoisonError::into_inner) = Some(share);
        self
    }
}

impl CallContext {
    /// The name of the listener that the client came in on.
    pub(super) fn listener(&self) -> &str {
        &self.connection.listener
    }

    /// How the client calls itself; empty if it does not.
    pub(super) fn client_name(&self) -> String {
        self.client_id.as_deref().unwrap_or_default().to_owned()
    }

    /// Where the client connects from, as Kafka writes it: `/192.0.2.1`.
    pub(super) fn client_host(&self) -> String {
        format!("/{}", self.connection.peer.ip().to_canonical())
    }

    /// How to answer with something else than a message.
    pub(super) const fn reply_to(&self) -> ReplyTo {
        self.reply_to
    }

    /// Answers with `response`.
    pub(super) fn now<M: Encodable + ErrorCodes>(&self, response: &M) -> Reply {
        self.answer(response).into()
    }

    /// Answers with what `response` comes to. Nothing of the request's frame is held on to meanwhile but what
    /// `response` holds: a join may wait for minutes.
    pub(super) fn later<M: Encodable + ErrorCodes + Send>(
        self,
        response: impl Future<Output = M> + Send + 'static,
    ) -> Reply {
        let mut share = self.share();
        let Self { reply_to, errors, .. } = self;
        Reply::later(async move {
            let response = response.await;
            errors.count(reply_to.api_key, response.error_codes());
            // One that cannot be encoded is seen to below.
            let bytes = response.compute_size(reply_to.api_version).unwrap_or(0);
            if bytes > MAX_ANSWER_BYTES {
                return CloseReason::AnswerTooLarge { api_key: reply_to.api_key, bytes }.into();
            }
            share.grow_to(bytes).await;
            reply_to.answer(&response, share)
        })
    }

    /// The answer that consists of `response`.
    pub(super) fn answer<M: Encodable + ErrorCodes>(&self, response: &M) -> Answer {
        self.count_errors(response.error_codes());
        self.reply_to.answer(response, self.share())
    }

    /// Takes what the answer has of the node's memory.
    pub(super) fn share(&self) -> Share {
        let share = self.share.lock().unwrap_or_else(PoisonError::into_inner).take();
        share.unwrap_or_else(|| self.memory.nothing())
    }

    /// The node's memory for answers.
    pub(super) const fn memory(&self) -> &Arc<AnswerMemory> {
        &self.memory
    }

    /// Gives back what the work on the request has taken: the answer may be minutes away.
    pub(super) fn release_share(&self) {
        drop(self.share());
    }

    /// Counts the errors in an answer that is encoded elsewhere.
    pub(super) fn count_errors(&self, codes: impl IntoIterator<Item = i16>) {
        self.errors.count(self.reply_to.api_key, codes);
    }
}
