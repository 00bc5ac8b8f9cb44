//! The task that accepts peers, and the one a peer that reads its frames.
//!
//! The accept loop owns every connection from its first byte. A connection is nobody's until the handshake says whose
//! it is; there is a bound on those, and at the bound the oldest of the address with most of them gives way: a peer is done
//! within milliseconds, so what has been at it longest is the least likely to be one.
//!
//! A peer has one connection. When it dials again, the older one is dead or about to be (the peer restarted, or gave it
//! up), and its reader ends before the newer one's begins, so that a peer's frames never come from two readers at once.
//!
//! Two processes with one id, each with a data directory of its own, are an operator's mistake, and would take turns in
//! making everybody forget the other. Whoever is there keeps the place: while a peer has been heard within
//! [`PRESENT_FOR`], another store under its id is refused.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::frame::{self, Frame, FrameError};
use super::handshake::{Dialler, HandshakeError, Identity, Refusal, refused};
use super::known::Known;
use super::refusals::Refusals;
use super::{PeerHandler, Stop, is_loopback};
use crate::acquaintances::{Recognition, Unrecognized};
use crate::ids::{NodeId, StoreId};

/// The most connections that have not passed the handshake.
pub const MAX_STRANGERS: usize = 64;
/// The pause after a failed accept, the usual reason for which is that the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A peer that was heard this lately keeps its place against another store under its id. As long as it takes to be lost,
/// so that one whose connection was reset has time to dial again.
const PRESENT_FOR: Duration = Duration::from_millis(600);
/// Frames shorter than this are collected from a buffer of this size; longer ones are read straight into their own.
const READ_BUFFER: usize = 64 * 1024;

/// A connection's number, in the order in which they were accepted.
type Serial = u64;

/// The task that reads from a peer.
#[derive(Default)]
struct Reader {
    serial: Serial,
    /// One task at most. A set can be ended and waited for, and ends its task when it is dropped.
    task: JoinSet<()>,
}

/// What a handshake task hands back to the accept loop.
struct Greeted {
    serial: Serial,
    address: SocketAddr,
    outcome: Result<(Dialler, TcpStream), (Option<NodeId>, HandshakeError)>,
}

/// When each peer was last heard, and with which store.
#[derive(Debug, Default)]
struct Presence(Mutex<BTreeMap<NodeId, (StoreId, Instant)>>);

impl Presence {
    fn heard(&self, peer: NodeId, store: StoreId) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert(peer, (store, Instant::now()));
    }

    /// Whether the peer is there with another store than this one.
    fn is_taken(&self, peer: NodeId, store: StoreId) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(&peer).is_some_and(|(present, at)| *present != store && at.elapsed() < PRESENT_FOR)
    }
}

/// The accept loop's state.
pub(super) struct Incoming {
    listener: TcpListener,
    identity: Arc<Identity>,
    handler: Arc<dyn PeerHandler>,
    known: Arc<Known>,
    /// Connections in the handshake.
    strangers: JoinSet<Greeted>,
    /// The same and where they come from, oldest first; among them some that are done.
    by_age: VecDeque<(IpAddr, AbortHandle)>,
    /// How many connections were accepted.
    accepted: Serial,
    readers: BTreeMap<NodeId, Reader>,
    presence: Arc<Presence>,
    refusals: Refusals,
    /// Until when nothing is accepted, after an accept failed.
    resume_at: Instant,
}

/// Why a peer's connection is not read any further.
#[derive(Debug, Error)]
enum ReadError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Incoming {
    pub(super) fn new(
        listener: TcpListener,
        identity: Arc<Identity>,
        handler: Arc<dyn PeerHandler>,
        known: Arc<Known>,
    ) -> Self {
        Self {
            listener,
            identity,
            handler,
            known,
            strangers: JoinSet::new(),
            by_age: VecDeque::new(),
            accepted: 0,
            readers: BTreeMap::new(),
            presence: Arc::default(),
            refusals: Refusals::default(),
            resume_at: Instant::now(),
        }
    }

    /// Accepts and reads until `stop` is requested; then every connection and the listener are closed.
    pub(super) async fn run(mut self, mut stop: Stop) {
        loop {
            tokio::select! {
                accepted = accept(&self.listener, self.resume_at) => match accepted {
                    Ok((stream, address)) => self.greet(stream, address),
                    Err(error) => {
                        warn!("cannot accept a peer's connection: {error}");
                        self.resume_at = Instant::now() + ACCEPT_PAUSE;
                    }
                },
                // A task that was cut off to make room yields an error, of which there is nothing to tell.
                Some(greeted) = self.strangers.join_next() => if let Ok(greeted) = greeted {
                    self.greeted(greeted).await;
                },
                () = stop.requested() => return,
            }
        }
    }

    /// Starts the handshake with whoever connected.
    fn greet(&mut self, mut stream: TcpStream, address: SocketAddr) {
        self.by_age.retain(|(_, stranger)| !stranger.is_finished());
        if self.by_age.len() >= MAX_STRANGERS
            && let Some((address, oldest)) = self.by_age.remove(self.least_likely_peer())
        {
            debug!(%address, "too many connections have not said who they are; one is closed");
            oldest.abort();
        }
        self.accepted += 1;
        let serial = self.accepted;
        let identity = Arc::clone(&self.identity);
        let (presence, handler) = (Arc::clone(&self.presence), Arc::clone(&self.handler));
        let handshake = async move {
            let meet = |peer, store| meet(presence, handler, peer, store);
            let outcome = identity.accept(&mut stream, is_loopback(address), meet).await;
            let outcome = outcome.map(|dialler| (dialler, stream));
            Greeted { serial, address, outcome }
        };
        self.by_age.push_back((address.ip(), self.strangers.spawn(handshake)));
    }

    /// Where in `by_age` the oldest connection stands of the address that has most of them.
    fn least_likely_peer(&self) -> usize {
        let mut of_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (address, _) in &self.by_age {
            *of_address.entry(*address).or_default() += 1;
        }
        let most = of_address.values().max().copied().unwrap_or_default();
        self.by_age.iter().position(|(address, _)| of_address[address] == most).unwrap_or_default()
    }

    /// Starts to read from a peer, or tells why not.
    async fn greeted(&mut self, Greeted { serial, address, outcome }: Greeted) {
        match outcome {
            Ok((Dialler { node, store, members }, stream)) => {
                self.known.compare(self.identity.members(), node, members);
                self.read((node, store), stream, serial, address).await;
            }
            Err((Some(peer), error @ HandshakeError::Refused(refusal, _))) => {
                self.handler.refused();
                self.refusals.log(self.identity.members(), peer, address, refusal, &error);
            }
            Err((_, error)) => {
                self.handler.refused();
                debug!(%address, "a connection to the peer port failed: {error}");
            }
        }
    }

    /// Reads from a peer's connection, and no longer from its older one.
    ///
    /// A process that was stopped for a while finds many connections of one peer when it goes on, of which all but the
    /// last are long given up, and their handshakes end in any order. So it is not the last to finish that counts.
    async fn read(
        &mut self,
        (peer, store): (NodeId, StoreId),
        stream: TcpStream,
        serial: Serial,
        address: SocketAddr,
    ) {
        self.refusals.forget(peer);
        let reader = self.readers.entry(peer).or_default();
        if serial < reader.serial {
            debug!(%peer, %address, "the peer has connected anew since");
            return;
        }
        info!(%peer, %address, "the peer connected");
        reader.serial = serial;
        reader.task.shutdown().await;
        self.known.connected(peer);
        let (presence, handler) = (Arc::clone(&self.presence), Arc::clone(&self.handler));
        let known = Arc::clone(&self.known);
        reader.task.spawn(async move {
            let heard = |what| {
                presence.heard(peer, store);
                match what {
                    Heard::Frame(frame) => {
                        if matches!(frame, Frame::Leaving) {
                            known.leaves(peer);
                        }
                        handler.received(peer, frame);
                    }
                    Heard::Part => handler.alive(peer),
                }
            };
            match read_peer(stream, heard).await {
                Ok(()) => info!(%peer, "the peer closed its connection"),
                Err(error) if known.has_left(peer) => {
                    info!(%peer, "the peer, which has said that it ends, closed its connection: {error}");
                }
                Err(error) => warn!(%peer, "closed the connection from the peer: {error}"),
            }
        });
    }
}

/// Waits out the pause, then for a connection. Safe to drop at any await.
async fn accept(listener: &TcpListener, resume_at: Instant) -> io::Result<(TcpStream, SocketAddr)> {
    sleep_until(resume_at).await;
    listener.accept().await
}

/// As what a peer with this store is recognized, which may have to be written down first.
async fn meet(
    presence: Arc<Presence>,
    handler: Arc<dyn PeerHandler>,
    peer: NodeId,
    store: StoreId,
) -> Result<Recognition, HandshakeError> {
    if presence.is_taken(peer, store) {
        return Err(refused(Refusal::SecondStore));
    }
    let met = tokio::task::spawn_blocking(move || handler.meet(peer, store)).await;
    met.unwrap_or(Err(Unrecognized::NotRemembered)).map_err(|error| match error {
        Unrecognized::Retired => refused(Refusal::Retired),
        Unrecognized::NotRemembered => HandshakeError::NotRemembered,
    })
}

/// What came from a peer.
enum Heard {
    Frame(Frame),
    /// Some bytes of a frame whose rest is still to come.
    Part,
}

/// Reads frames until the peer closes its connection.
async fn read_peer(stream: TcpStream, heard: impl Fn(Heard)) -> Result<(), ReadError> {
    let mut reader = BufReader::with_capacity(READ_BUFFER, stream);
    while let Some(frame) = read_frame(&mut reader, || heard(Heard::Part)).await? {
        heard(Heard::Frame(frame));
    }
    Ok(())
}

/// Reads one frame into memory of its own, so that what is kept of a frame keeps no other. `None` at the end, if that
/// falls between two frames. Tells of each part that does not complete the frame.
async fn read_frame<R: AsyncRead + Unpin>(
    reader: &mut BufReader<R>,
    part_came: impl Fn(),
) -> Result<Option<Frame>, ReadError> {
    let Some(length) = read_length(reader).await? else { return Ok(None) };
    // The length is only claimed as yet, but the kernel gives memory to what is really written to.
    let mut bytes = BytesMut::with_capacity(length);
    while bytes.len() < length {
        let missing = length - bytes.len();
        if reader.read_buf(&mut (&mut bytes).limit(missing)).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if bytes.len() < length {
            part_came();
        }
    }
    Ok(Some(Frame::decode(bytes.freeze())?))
}

async fn read_length<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> Result<Option<usize>, ReadError> {
    let mut bytes = [0; frame::LENGTH_LEN];
    if reader.read(&mut bytes[..1]).await? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut bytes[1..]).await?;
    Ok(Some(frame::check_length(u32::from_be_bytes(bytes))?))
}
