//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::addresses::{Addresses, PerAddress};
use super::answers::{AnswerBudget, NODE_ANSWER_BYTES};
use super::api::Api;
use super::arrivals::Arrivals;
use super::budget::{ByteBudget, NODE_REQUEST_BYTES};
use super::complaints::{Complaints, Kind};
use super::driver::{Connection, NodeMemory};
use super::slots::{Slot, Slots};
use super::{ConnectionInfo, Limits};
use crate::metrics::Metrics;

/// The pause after a failed accept, doubled with each further one. Out of file descriptors, a tight loop
/// would only take the processor from those who could give some back.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);

/// The longest pause after a failed accept.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// One of a node's listeners, as `listeners` names it.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its name, such as `PLAINTEXT`.
    pub(crate) name: Arc<str>,
    /// Its bound sockets: one for each address family that its host has.
    pub(crate) sockets: Vec<std::net::TcpListener>,
}

/// Which clients are let in.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    /// `max.connections`: how many clients may be connected at once, over all listeners. It may change at any time.
    pub(crate) most: watch::Receiver<usize>,
    /// How many of them an address may have.
    pub(crate) per_address: PerAddress,
}

/// What all accept loops of a node share.
struct Acceptor<A> {
    api: Arc<A>,
    limits: Limits,
    budget: NodeMemory,
    addresses: Addresses,
    metrics: Metrics,
    complaints: Complaints,
    /// One a connection, held by its task.
    slots: Slots,
    connections: AtomicU64,
    shutdown: watch::Receiver<bool>,
}

/// Serves clients on all listeners until `shutdown` holds true or its sender is gone, then returns when the
/// last connection has ended, which takes a bounded time.
///
/// # Errors
///
/// When a socket cannot be handed to the runtime; before any client is served.
pub(crate) async fn serve<A: Api>(
    listeners: Vec<Listener>,
    api: Arc<A>,
    (limits, admission): (Limits, Admission),
    metrics: Metrics,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let complaints = Complaints::new(metrics.connections.clone());
    let answers = AnswerBudget::new(NODE_ANSWER_BYTES, metrics.connections.answer_bytes().clone());
    let acceptor = Arc::new(Acceptor {
        api,
        limits,
        budget: (ByteBudget::new(NODE_REQUEST_BYTES), Arrivals::default(), answers),
        addresses: Addresses::new(admission.per_address),
        metrics,
        complaints: complaints.clone(),
        slots: Slots::new(admission.most),
        connections: AtomicU64::new(0),
        shutdown,
    });
    let mut sockets = Vec::new();
    for Listener { name, sockets: bound } in listeners {
        acceptor.metrics.connections.listening(&name);
        for socket in bound {
            socket.set_nonblocking(true)?;
            sockets.push((Arc::clone(&name), TcpListener::from_std(socket)?));
        }
    }
    let mut loops = JoinSet::new();
    for (name, socket) in sockets {
        loops.spawn(Arc::clone(&acceptor).accept_until_shutdown(name, socket));
    }
    // Ends when it is dropped, with the last connection.
    let mut telling = JoinSet::new();
    telling.spawn(complaints.tell_the_rest());
    loops.join_all().await;

    acceptor.slots.all_free().await;
    Ok(())
}

impl<A: Api> Acceptor<A> {
    /// One socket's loop. No error ends it: what is wrong with a client or with the node may be over in a
    /// moment.
    async fn accept_until_shutdown(self: Arc<Self>, listener: Arc<str>, socket: TcpListener) {
        let mut shutdown = self.shutdown.clone();
        let stopped = async move {
            // An error means that the sender is gone, which counts as shutdown.
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        let accepting = async {
            let mut backoff = FIRST_BACKOFF;
            loop {
                match socket.accept().await {
                    Ok((stream, peer)) => {
                        backoff = FIRST_BACKOFF;
                        let slot = self.slot(&listener).await;
                        self.admit(&listener, stream, peer, slot);
                    }
                    Err(error) => {
                        self.complaints.not_taken(Kind::NotAccepted, &listener, &error);
                        tokio::time::sleep(backoff).await;
                        backoff = (2 * backoff).min(MAX_BACKOFF);
                    }
                }
            }
        };
        tokio::select! {
            () = stopped => {}
            () = accepting => {}
        }
    }

    /// A slot for the connection that was accepted last, once there is one. Until then no more are accepted, as in Kafka:
    /// clients wait in the operating system's queue instead of connecting again and again.
    async fn slot(&self, listener: &Arc<str>) -> Slot {
        if let Some(slot) = self.slots.try_take() {
            return slot;
        }
        let most = self.slots.most();
        let problem = format!("there are {most} already (max.connections), and the next ones wait");
        self.complaints.not_taken(Kind::TooMany, listener, &problem);
        self.slots.take().await
    }

    /// Starts a connection's task, or closes the connection when there are too many of its address.
    fn admit(&self, listener: &Arc<str>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        let Some(of_address) = self.addresses.admit(peer.ip()) else {
            let problem = format!("{} has as many as it may have (max.connections.per.ip)", peer.ip());
            return self.complaints.not_taken(Kind::TooManyOfAddress, listener, &problem);
        };
        let id = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        // Answers are written whole, so waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(connection = id, %error, "the client left before it was served");
            return;
        }
        let info = ConnectionInfo { id, listener: Arc::clone(listener), peer };
        let (api, limits, budget) = (Arc::clone(&self.api), self.limits, self.budget.clone());
        let complaints = self.complaints.clone();
        let (shutdown, requests) = (self.shutdown.clone(), Arc::clone(&self.metrics.requests));
        let open = self.metrics.connections.opened(listener);
        tokio::spawn(async move {
            let _held = (slot, of_address, open);
            let (peer, listener) = (info.peer, Arc::clone(&info.listener));
            tracing::debug!(connection = id, %peer, %listener, "client connected");
            let reason =
                Connection::new(stream.into_split(), api, info, limits, budget, requests).run(shutdown).await;
            complaints.ended(&reason, id, peer, &listener);
        });
    }
}
