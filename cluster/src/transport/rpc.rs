//! Questions between nodes: a request frame, and the response frame that repeats its id.
//!
//! [`RpcClient`] is the caller's side. It stands beside the transport, not in it: the owner's
//! [`PeerHandler`](super::PeerHandler) passes responses to [`RpcClient::complete`] and lost connections to
//! [`RpcClient::disconnected`], and answers [`Frame::Request`] as it likes. A call ends in one of three ways: with its
//! response, with the peer's connection, or with its deadline. Whether a call that failed was carried out is unknown, as
//! always; what is asked must bear being asked twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Frame, SendError, Transport};
use crate::ids::NodeId;

/// The most calls that wait for a response at one time, to all peers together.
pub const MAX_OUTSTANDING_CALLS: usize = 4096;

/// Why a call has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RpcError {
    /// The peer is not connected, or its connection was lost before the response came.
    #[error("the node cannot be reached")]
    Unreachable,
    /// The response did not come in time.
    #[error("the node did not answer in time")]
    TimedOut,
    /// The peer's queue is full, or [`MAX_OUTSTANDING_CALLS`] wait already. Nothing was sent.
    #[error("too much is waiting for the node")]
    QueueFull,
    /// The request is longer than a frame may be. Nothing was sent.
    #[error("the request is too long to be sent")]
    TooLong,
}

/// The calls that wait for a response.
#[derive(Debug)]
pub struct RpcClient {
    /// Starts at random: a response may outlive the process that asked, and must not fit a call of its successor.
    next_id: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    peer: NodeId,
    response: oneshot::Sender<Bytes>,
}

/// Takes a call off the table when its caller is gone, for whatever reason.
struct Outstanding<'a> {
    client: &'a RpcClient,
    id: u64,
}

impl Default for RpcClient {
    fn default() -> Self {
        let (random, _) = Uuid::new_v4().as_u64_pair();
        Self { next_id: AtomicU64::new(random), waiting: Mutex::default() }
    }
}

impl RpcClient {
    /// Asks a peer and waits for its response, at most for `timeout`. Dropping the future gives the call up.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn call(
        &self,
        transport: &Transport,
        peer: NodeId,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RpcError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        // On the table before it is sent: a connection that is lost from here on either refuses the frame or ends the
        // call, and no response can come too early.
        let (_outstanding, response) = self.register(id, peer)?;
        transport.send(peer, Frame::Request { id, body })?;
        match tokio::time::timeout(timeout, response).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(_)) => Err(RpcError::Unreachable),
            Err(_) => Err(RpcError::TimedOut),
        }
    }

    /// A response came. One that nobody waits for, or that comes from another node than was asked, is dropped.
    pub fn complete(&self, from: NodeId, id: u64, body: Bytes) {
        let mut waiting = self.lock();
        if waiting.get(&id).is_some_and(|call| call.peer == from)
            && let Some(call) = waiting.remove(&id)
        {
            // The caller may have given up at this moment, which is its own affair.
            let _ = call.response.send(body);
        }
    }

    /// The connection to a peer is lost: the calls to it end now.
    pub fn disconnected(&self, peer: NodeId) {
        self.lock().retain(|_, call| call.peer != peer);
    }

    fn register(
        &self,
        id: u64,
        peer: NodeId,
    ) -> Result<(Outstanding<'_>, oneshot::Receiver<Bytes>), RpcError> {
        let (response, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.len() >= MAX_OUTSTANDING_CALLS {
            return Err(RpcError::QueueFull);
        }
        waiting.insert(id, Waiting { peer, response });
        Ok((Outstanding { client: self, id }, receiver))
    }

    /// No code panics while it holds the lock, so a poisoned one guards nothing that is broken.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        self.client.lock().remove(&self.id);
    }
}

impl From<SendError> for RpcError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::UnknownPeer | SendError::Disconnected => Self::Unreachable,
            SendError::QueueFull => Self::QueueFull,
            SendError::TooLong => Self::TooLong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(2);

    #[test]
    fn a_response_reaches_its_call_and_only_from_the_node_that_was_asked() {
        let client = RpcClient::default();
        let (_outstanding, mut response) = client.register(7, PEER).unwrap();
        client.complete(NodeId(3), 7, Bytes::from_static(b"forged"));
        client.complete(PEER, 8, Bytes::from_static(b"stray"));
        assert!(response.try_recv().is_err());
        client.complete(PEER, 7, Bytes::from_static(b"answer"));
        assert_eq!(response.try_recv().unwrap(), "answer");
    }

    #[test]
    fn a_lost_connection_ends_the_calls_to_that_peer_alone() {
        let client = RpcClient::default();
        let (_first, mut to_lost) = client.register(1, PEER).unwrap();
        let (_second, mut to_other) = client.register(2, NodeId(3)).unwrap();
        client.disconnected(PEER);
        assert_eq!(to_lost.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(to_other.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }

    #[test]
    fn outstanding_calls_are_bounded_and_leave_with_their_callers() {
        let client = RpcClient::default();
        let mut calls: Vec<_> =
            (0..).map_while(|id| client.register(id, PEER).ok()).take(MAX_OUTSTANDING_CALLS + 1).collect();
        assert_eq!(calls.len(), MAX_OUTSTANDING_CALLS);
        calls.pop();
        assert!(client.register(u64::MAX, PEER).is_ok());
        drop(calls);
        assert!(client.lock().is_empty());
    }
}
