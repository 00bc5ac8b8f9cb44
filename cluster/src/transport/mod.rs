//! How nodes talk to each other.
//!
//! Every node dials every other node and keeps that one connection: the dialler sends on it, the acceptor receives, so
//! a pair of nodes has two. A one-way connection has one owner for its order and its failure, and two nodes that dial
//! each other at the same moment have nothing to settle.
//!
//! ```text
//!   driver ── send ──► SendQueue ──► outgoing task ══ TCP ══► incoming task ──► PeerHandler::received
//!                      (bounded,     (dials, batches,         (one a peer,
//!                       a peer)       writes)                  decodes)
//! ```
//!
//! What the rooms above may rely on:
//!
//! * Frames to one peer arrive in the order in which they were sent, each at most once; any of them may be lost. Only
//!   Raft's own retries, or a caller's deadline, repair a loss. Nothing is kept for a peer that is away: a Raft
//!   message that is seconds old is useless, and its retry is already better.
//! * [`Transport::send`] never waits and may be called from any thread.
//! * A connection belongs to one process of the peer. When that process dies, the connection is reset at once, and a
//!   refused redial then proves that nobody listens there any more: [`PeerEvent::Refused`]. No timeout is as quick.
//! * Whoever has not passed the handshake reaches nobody and costs a bounded amount of memory for a bounded time.
//!
//! Left out on purpose: encryption (who can change what travels between two nodes can speak for either, so the peer port
//! belongs on a private network), compression (record batches are compressed by their producers), and priorities (any
//! frame is a sign of life, so a heartbeat need not overtake a batch).

mod addresses;
mod frame;
mod gather;
mod handshake;
mod incoming;
mod known;
mod membership;
mod outgoing;
mod queue;
mod raft_message;
mod refusals;
mod rpc;
#[cfg(test)]
mod tests;
mod thread;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::frame::{
    Frame, GroupMessage, LeadershipRow, ReadmitRow, SleepRow, SnapshotPart, SnapshotReceived, TermRow,
};
use self::handshake::Identity;
pub use self::handshake::MAX_CLUSTER_ID_LEN;
use self::incoming::Incoming;
pub use self::incoming::MAX_STRANGERS;
use self::known::Known;
pub use self::membership::MAX_MEMBERS_LEN;
use self::membership::Members;
use self::outgoing::Outgoing;
use self::queue::SendQueue;
pub use self::queue::{MAX_QUEUED_BYTES, SendError};
pub use self::rpc::{MAX_OUTSTANDING_CALLS, RpcClient, RpcError};
pub(crate) use self::thread::PeerThread;
pub use crate::acquaintances::{Recognition, Unrecognized};
use crate::ids::{NodeId, StoreId};
use crate::secret::ClusterSecret;

/// How long [`Transport::shutdown`] lets queued frames leave. Enough to hand leaderships over to nodes that are well,
/// and not a delay that anybody notices when one is not.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Who this node is and whom it talks to. None of it changes while the process runs.
#[derive(Debug)]
pub struct TransportConfig {
    /// The cluster's name; nodes of different clusters refuse each other. At most [`MAX_CLUSTER_ID_LEN`] bytes.
    pub cluster_id: String,
    /// This node.
    pub node: NodeId,
    /// The store that it has.
    pub store: StoreId,
    /// Where the others reach this node.
    pub listener: TcpListener,
    /// Where this node reaches the others, as `host:port`; resolved anew at every dial. With the entry for this node
    /// itself, which is not dialled, it is the list that all nodes are given; in all [`MAX_MEMBERS_LEN`] bytes as text.
    pub peers: BTreeMap<NodeId, String>,
    /// What peers prove that they have. Without it, only peers on this machine's loopback address are spoken to.
    pub secret: Option<ClusterSecret>,
}

/// What the transport tells its owner, on the runtime's threads.
pub trait PeerHandler: Send + Sync + 'static {
    /// A peer has dialled and says which store it has. Nothing else is taken from it before this returns. Called where it
    /// may wait for the disk, unlike the others.
    ///
    /// # Errors
    ///
    /// Why the peer is not to be listened to.
    fn meet(&self, peer: NodeId, store: StoreId) -> Result<Recognition, Unrecognized>;

    /// A frame came from a peer that passed the handshake. Whatever bounds the owner's memory is the owner's: it may
    /// drop the frame. Must not block.
    fn received(&self, from: NodeId, frame: Frame);

    /// A connection to the peer port was not let in: a peer that was refused, or whoever said something else than hello.
    fn refused(&self) {}

    /// Part of a frame came from such a peer: it lives, though a long frame may take seconds to arrive. Must not block.
    fn alive(&self, from: NodeId);

    /// The connection to a peer changed. Must not block.
    fn peer_event(&self, peer: NodeId, event: PeerEvent);

    /// A task has panicked that the transport cannot do without. Must not block.
    fn failed(&self, task: &'static str);
}

/// What happens to the connection on which this node sends to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// The peer says as what it recognizes this node. Comes before each [`Self::Connected`].
    Recognized(Recognition),
    /// It stands, and [`Transport::send`] takes frames for this peer from now on.
    Connected,
    /// It is lost. Everything queued for the peer is gone, and `send` refuses until the next `Connected`.
    Disconnected,
    /// After a `Disconnected`, a redial was refused: nobody listens at the peer's address, so its process is dead. At
    /// most once between two connections, and never before the first.
    Refused,
}

/// The running transport: a cheap handle, whose clones are the same transport. It ends with [`Transport::shutdown`], or
/// abruptly with its last handle.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

struct Shared {
    queues: BTreeMap<NodeId, Arc<SendQueue>>,
    /// Tells every task to end.
    stop: watch::Sender<bool>,
    /// All tasks, for a shutdown to wait for. Dropping it aborts them.
    tasks: Mutex<JoinSet<()>>,
}

/// Whether an address is one that only this machine has.
fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Runs a task whose end by a panic is told.
async fn attended(
    name: &'static str,
    handler: Arc<dyn PeerHandler>,
    task: impl Future<Output = ()> + Send + 'static,
) {
    // A set ends its task when it is dropped.
    let mut running = JoinSet::new();
    running.spawn(task);
    if let Some(Err(error)) = running.join_next().await
        && error.is_panic()
    {
        handler.failed(name);
    }
}

/// A task's end of the signal to stop.
#[derive(Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the transport is shut down or gone.
    async fn requested(&mut self) {
        // An error means that the sender is gone, and the transport with it.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

impl Transport {
    /// Listens and starts to dial every peer. Returns at once; the handler learns who is reached.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime, and on a cluster id above [`MAX_CLUSTER_ID_LEN`].
    #[must_use]
    pub fn start(config: TransportConfig, handler: Arc<dyn PeerHandler>) -> Self {
        let TransportConfig { cluster_id, node, store, listener, mut peers, secret } = config;
        peers.entry(node).or_default();
        let members = Members::new(peers.clone());
        let identity = Arc::new(Identity::new(cluster_id, node, store, members, secret));
        peers.remove(&node);
        let (stop, stopped) = watch::channel(false);
        let stopped = Stop(stopped);

        let known = Arc::new(Known::default());
        let incoming =
            Incoming::new(listener, Arc::clone(&identity), Arc::clone(&handler), Arc::clone(&known));
        let mut tasks = JoinSet::new();
        tasks.spawn(attended("peer listener", Arc::clone(&handler), incoming.run(stopped.clone())));

        let mut queues = BTreeMap::new();
        for (peer, address) in peers {
            let queue = Arc::new(SendQueue::default());
            let outgoing =
                Outgoing::new(&identity, &known, (peer, address), Arc::clone(&queue), Arc::clone(&handler));
            tasks.spawn(attended("peer sender", Arc::clone(&handler), outgoing.run(stopped.clone())));
            queues.insert(peer, queue);
        }
        Self { shared: Arc::new(Shared { queues, stop, tasks: Mutex::new(tasks) }) }
    }

    /// Queues a frame for a peer. Never blocks; callable from any thread.
    ///
    /// `Ok` means queued, not delivered.
    ///
    /// # Errors
    ///
    /// The frame is dropped and [`SendError`] says why.
    pub fn send(&self, peer: NodeId, frame: Frame) -> Result<(), SendError> {
        self.shared.queues.get(&peer).ok_or(SendError::UnknownPeer)?.push(frame)
    }

    /// Ends the transport: stops listening, lets what is queued leave for half a second at most, and closes every
    /// connection. `send` refuses from here on. Calling it again is harmless.
    pub async fn shutdown(&self) {
        // Taken out: a second caller finds nothing to wait for, and no lock is held across an await.
        let mut tasks =
            std::mem::take(&mut *self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.stop.send_replace(true);
        for queue in self.shared.queues.values() {
            queue.close();
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, ended).await.is_err() {
            tasks.shutdown().await;
        }
    }
}
