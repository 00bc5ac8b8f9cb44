//! What comes from the transport: peers to be recognized, frames for the driver, and requests for the controller from other
//! nodes.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use prometheus::IntCounter;

use trilog_storage::{Store, StoreError};

use super::topic_id;
use crate::acquaintances::{Acquaintances, last_readmitted};
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::driver::inbox::{Inbox, Input};
use crate::driver::{FatalError, Published};
use crate::ids::{NodeId, StoreId};
use crate::shard::effects::NotController;
use crate::transport::{Frame, PeerEvent, PeerHandler, Recognition, RpcClient, Transport, Unrecognized};

/// The transport's end of a node.
pub(super) struct Link {
    inbox: Arc<Inbox>,
    published: Arc<Published>,
    rpc: Arc<RpcClient>,
    store: Store,
    acquaintances: Mutex<Acquaintances>,
    transport: OnceLock<Transport>,
    /// Connections to the peer port that were not let in.
    refused: IntCounter,
}

impl Link {
    pub(super) fn new(
        (inbox, published, rpc): (Arc<Inbox>, Arc<Published>, Arc<RpcClient>),
        store: Store,
        refused: IntCounter,
    ) -> Result<Self, StoreError> {
        let acquaintances = Mutex::new(Acquaintances::load(&store)?);
        Ok(Self { inbox, published, rpc, store, acquaintances, transport: OnceLock::new(), refused })
    }

    /// Where answers go. The transport is made after its handler, so this comes a moment later; a request in between
    /// is not answered, and asked again.
    pub(super) fn connect(&self, transport: Transport) {
        let _ = self.transport.set(transport);
    }

    /// Whether the store is the one under which the peer was last met.
    fn has_met(&self, peer: NodeId, store: StoreId) -> bool {
        let acquaintances = self.acquaintances.lock().unwrap_or_else(PoisonError::into_inner);
        acquaintances.store_of(peer) == Some(store)
    }

    /// Answers another node's request for the controller: with nothing in it if the controller is not here.
    fn answer(&self, from: NodeId, id: u64, body: &Bytes) {
        let Some(transport) = self.transport.get().cloned() else { return };
        let request = ControllerRequest::decode(body);
        let inbox = Arc::clone(&self.inbox);
        tokio::spawn(async move {
            let answered = match request {
                Ok(request) => control(&inbox, request).await,
                Err(error) => {
                    tracing::warn!(peer = from.0, %error, "a request that cannot be understood: another version?");
                    return;
                }
            };
            let body = answered.map(|response| Bytes::from(response.encode())).unwrap_or_default();
            // A lost answer is asked for again.
            let _ = transport.send(from, Frame::Response { id, body });
        });
    }
}

impl PeerHandler for Link {
    /// Meets one peer after the other: what is written down is durable before anybody is told.
    fn meet(&self, peer: NodeId, store: StoreId) -> Result<Recognition, Unrecognized> {
        let mut acquaintances = self.acquaintances.lock().unwrap_or_else(PoisonError::into_inner);
        let fail = |error: StoreError| {
            self.inbox.push(Input::Fail(error.into()));
            Unrecognized::NotRemembered
        };
        let readmitted = last_readmitted(peer, &self.store).map_err(fail)?;
        let (recognition, batch) = acquaintances.meet(peer, store, readmitted)?;
        if let Some(batch) = batch {
            self.store.apply(batch).and_then(|()| self.store.sync()).map_err(fail)?;
        }
        if recognition == Recognition::Successor {
            tracing::debug!(peer = peer.number(), %store, "the peer has lost a disk before");
        }
        Ok(recognition)
    }

    fn received(&self, from: NodeId, frame: Frame) {
        match frame {
            Frame::Request { id, body } => self.answer(from, id, &body),
            Frame::Response { id, body } => self.rpc.complete(from, id, body),
            // A node that has lost something asks on behalf of the store that it has: another one would be let in in its place.
            Frame::Rejoin { store, .. } | Frame::Recount { store, .. } if !self.has_met(from, store) => {
                tracing::debug!(peer = from.0, %store, "dropped what a peer asks for another store than its own");
            }
            frame => self.inbox.push_frame(from, frame),
        }
    }

    fn refused(&self) {
        self.refused.inc();
    }

    fn alive(&self, from: NodeId) {
        self.inbox.push(Input::Heard(from));
    }

    fn failed(&self, task: &'static str) {
        self.inbox.push(Input::Fail(FatalError::Panicked(task)));
    }

    fn peer_event(&self, peer: NodeId, event: PeerEvent) {
        match event {
            PeerEvent::Connected => self.published.trust(peer),
            PeerEvent::Disconnected => {
                self.published.suspect(peer);
                self.rpc.disconnected(peer);
            }
            PeerEvent::Recognized(_) | PeerEvent::Refused => {}
        }
        self.inbox.push(Input::PeerEvent { peer, event });
    }
}

/// Asks this node's controller.
pub(super) async fn control(
    inbox: &Inbox,
    request: ControllerRequest,
) -> Result<ControllerResponse, NotController> {
    let (reply, answer) = tokio::sync::oneshot::channel();
    let topics = match &request {
        ControllerRequest::CreateTopics(request) => request.topics.len(),
        _ => 0,
    };
    let topic_ids = std::iter::repeat_with(topic_id).take(topics).collect();
    inbox.push(Input::Control { request, topic_ids, reply });
    answer.await.unwrap_or(Err(NotController))
}
