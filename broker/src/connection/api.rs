//! The contract between a connection and the broker's APIs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::ConnectionInfo;
use super::answers::{AnswerMemory, Share};
use super::close::CloseReason;
use super::load::Hold;
use crate::wire::{self, EncodeError, RequestHeader, ResponseFrame};

/// What answers requests.
pub(crate) trait Api: Send + Sync + 'static {
    /// Takes one request. Stage one, everything that fixes the request's order, runs inside this call, which
    /// must not block; calls for one connection follow the order of arrival. What it returns finishes
    /// whenever it does.
    fn handle(&self, request: Request) -> Reply;
}

/// One request whose structure has been checked, so that its body is safe to decode.
#[derive(Debug)]
pub(crate) struct Request {
    /// The API asked for.
    pub(crate) api_key: ApiKey,
    /// The version of the body and of the answer.
    pub(crate) api_version: i16,
    /// What the client calls this request.
    pub(crate) correlation_id: i32,
    /// How the client calls itself, if it does.
    pub(crate) client_id: Option<StrBytes>,
    /// The body, a slice of the frame: what is kept of it keeps the whole frame in memory, and its claim. Empty for an
    /// ApiVersions request of an unknown version.
    pub(crate) body: Bytes,
    /// The request's part of the node's memory. To be kept where what the request brought outlives the frame.
    pub(crate) hold: Arc<Hold>,
    /// How many elements its arrays have: what it takes to work on it.
    pub(crate) elements: usize,
    /// Where its answer gets its memory from.
    pub(crate) memory: Arc<AnswerMemory>,
    /// Where the request came from.
    pub(crate) connection: Arc<ConnectionInfo>,
}

impl Request {
    /// A request from the two halves of its frame. Beside the body is the number of elements in it.
    pub(super) fn new(
        header: RequestHeader,
        body: (Bytes, usize),
        hold: Arc<Hold>,
        memory: Arc<AnswerMemory>,
        connection: Arc<ConnectionInfo>,
    ) -> Self {
        let RequestHeader { api_key, api_version, correlation_id, client_id } = header;
        let (body, elements) = body;
        Self { api_key, api_version, correlation_id, client_id, body, hold, elements, memory, connection }
    }

    /// What is needed to answer this request later.
    pub(crate) const fn reply_to(&self) -> ReplyTo {
        ReplyTo { api_key: self.api_key, api_version: self.api_version, correlation_id: self.correlation_id }
    }

    /// Decodes the body. What is not UTF-8 in its strings is replaced.
    ///
    /// # Errors
    ///
    /// [`CloseReason::Undecodable`] for a body that the structure check let pass and the decoder does not.
    pub(crate) fn decode<R: Decodable>(&self) -> Result<R, CloseReason> {
        let decode = |body: &Bytes| R::decode(&mut body.clone(), self.api_version);
        let decoded = decode(&self.body).or_else(|error| {
            match wire::repaired(self.api_key, self.api_version, &self.body) {
                Some(repaired) => decode(&repaired),
                None => Err(error),
            }
        });
        decoded.map_err(|error| CloseReason::Undecodable {
            api_key: self.api_key,
            api_version: self.api_version,
            reason: error.to_string(),
        })
    }
}

/// Which request an answer belongs to. A future that answers keeps this instead of the request and its
/// memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyTo {
    /// The API asked for.
    pub(crate) api_key: ApiKey,
    /// The version to answer in.
    pub(crate) api_version: i16,
    /// What the client calls the request.
    pub(crate) correlation_id: i32,
}

impl ReplyTo {
    /// The same request, answered in another version: an ApiVersions request of an unknown one is answered in
    /// v0.
    pub(crate) const fn in_version(self, api_version: i16) -> Self {
        Self { api_version, ..self }
    }

    /// Encodes the response. One that cannot be encoded closes the connection, because a client that waits
    /// for an answer that never comes is worse off.
    ///
    /// `share` is what it was built under, and stays with what it takes until it is written.
    pub(crate) fn answer<R: Encodable>(self, response: &R, share: Share) -> Answer {
        let frame = ResponseFrame::encode(self.api_key, self.api_version, self.correlation_id, response);
        covered(frame, share)
    }

    /// Frames a response body that is encoded already, in as many slices as it lies in.
    pub(crate) fn answer_body(self, body: impl IntoIterator<Item = Bytes>, share: Share) -> Answer {
        let frame = ResponseFrame::from_body(self.api_key, self.api_version, self.correlation_id, body);
        covered(frame, share)
    }
}

/// The answer with its share of the node's memory.
fn covered(frame: Result<ResponseFrame, EncodeError>, mut share: Share) -> Answer {
    match frame {
        Ok(frame) => {
            // What turned out larger than it was taken for takes what is free; its connection waits anyway.
            share.try_grow_to(frame.len());
            Answer::Response(match share.handed_over(frame.len()) {
                Some(share) => frame.covered_by(share),
                None => frame,
            })
        }
        Err(error) => Answer::Close(CloseReason::Unencodable(error)),
    }
}

/// What a request comes to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A response.
    Response(ResponseFrame),
    /// The end of the connection, once all earlier requests are answered.
    Close(CloseReason),
}

/// A request's answer, now or later.
pub(crate) enum Reply {
    /// The answer is there.
    Now(Answer),
    /// The answer comes when this is done. It is dropped unfinished when the client leaves, polled by the
    /// connection's task beside the connection's other replies, and may be polled without reason: it must be
    /// cheap to poll.
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// There is no memory for the work on it. What replies comes when this is done; until then, the connection is not read, and
    /// its order stays.
    Deferred(Pin<Box<dyn Future<Output = Self> + Send>>),
    /// There is no answer, and those to later requests do not wait. When this is done, the request is over: well, or so that
    /// the connection has to close. Until then it counts as unanswered.
    Unanswered(Pin<Box<dyn Future<Output = Result<(), CloseReason>> + Send>>),
}

impl Reply {
    /// A reply that comes later.
    pub(crate) fn later(answer: impl Future<Output = Answer> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }

    /// A reply that is not begun before there is memory for it.
    pub(crate) fn deferred(reply: impl Future<Output = Self> + Send + 'static) -> Self {
        Self::Deferred(Box::pin(reply))
    }

    /// The request gets no reply. It ends with this future.
    pub(crate) fn unanswered(end: impl Future<Output = Result<(), CloseReason>> + Send + 'static) -> Self {
        Self::Unanswered(Box::pin(end))
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Now(answer)
    }
}

impl From<CloseReason> for Answer {
    fn from(reason: CloseReason) -> Self {
        Self::Close(reason)
    }
}

impl From<CloseReason> for Reply {
    fn from(reason: CloseReason) -> Self {
        Self::Now(Answer::Close(reason))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.write_str("Later"),
            Self::Deferred(_) => f.write_str("Deferred"),
            Self::Unanswered(_) => f.write_str("Unanswered"),
        }
    }
}
