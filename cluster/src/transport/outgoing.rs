//! The task that keeps a connection to one peer and writes on it.
//!
//! Dial, shake hands, write until the connection is lost, dial again. The first redial after a loss is immediate: a
//! process that died has closed its listener with its connections, and the kernel's refusal, microseconds later, is
//! the evidence that [`PeerEvent::Refused`] passes on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::addresses::Addresses;
use super::gather::Gather;
use super::handshake::{HandshakeError, Identity, Refusal};
use super::known::Known;
use super::queue::SendQueue;
use super::{PeerEvent, PeerHandler, Stop, is_loopback};
use crate::acquaintances::Recognition;
use crate::ids::NodeId;

/// The pause before the second dial of an outage. It doubles up to [`MAX_BACK_OFF`].
const MIN_BACK_OFF: Duration = Duration::from_millis(20);
/// The longest pause between two dials, which is also how late a peer's return may be noticed.
const MAX_BACK_OFF: Duration = Duration::from_millis(500);
/// An outage that lasts so long is worth a warning: nodes that start together, or one that starts again, are quicker.
const WARN_AFTER: Duration = Duration::from_secs(10);
/// When the warning is said again, as long as nothing changes.
const WARN_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// A connection that lasted this long was a good one, and its loss is worth an immediate redial. Two nodes that claim
/// one id replace each other's connections at once; this is what keeps them from doing so in a tight loop.
const STABLE_AFTER: Duration = Duration::from_millis(100);
/// How long one dial may take, at all addresses together. Packets to a host that is down are lost without an answer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Frames are gathered into one write until they are this many bytes.
const WRITE_BATCH: usize = 256 * 1024;
/// A connection on which not one byte could be written for so long is given up: a path that vanished without a reset
/// would otherwise hold it for as long as TCP retransmits, a quarter of an hour.
const WRITE_STALL: Duration = Duration::from_secs(10);

/// One peer's sender.
pub(super) struct Outgoing {
    identity: Arc<Identity>,
    known: Arc<Known>,
    peer: NodeId,
    address: String,
    queue: Arc<SendQueue>,
    handler: Arc<dyn PeerHandler>,
    addresses: Addresses,
    outage: Outage,
    /// Since when there is no connection.
    unreached_since: Instant,
}

/// Why there is no connection.
#[derive(Debug, Error)]
enum DialError {
    #[error("{0}")]
    Connect(io::Error),
    #[error("no answer within {} s", DIAL_TIMEOUT.as_secs())]
    TimedOut,
    #[error("{} is not this machine's loopback address; {}", .0, Refusal::SecretNeeded)]
    SecretNeeded(SocketAddr),
    #[error("{0}")]
    Handshake(HandshakeError),
}

/// Why a connection is not used any longer.
#[derive(Debug, Error)]
enum Lost {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer sent bytes on a connection on which it only receives")]
    Unexpected,
    #[error("not a byte could be written for {} s", WRITE_STALL.as_secs())]
    Stalled,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Outgoing {
    pub(super) fn new(
        identity: &Arc<Identity>,
        known: &Arc<Known>,
        (peer, address): (NodeId, String),
        queue: Arc<SendQueue>,
        handler: Arc<dyn PeerHandler>,
    ) -> Self {
        let (identity, known) = (Arc::clone(identity), Arc::clone(known));
        let (outage, unreached_since) = (Outage::default(), Instant::now());
        Self {
            identity,
            known,
            peer,
            address,
            queue,
            handler,
            addresses: Addresses::default(),
            outage,
            unreached_since,
        }
    }

    /// Runs until `stop` is requested. What is queued by then, and closed against more, is still written.
    pub(super) async fn run(mut self, mut stop: Stop) {
        loop {
            let (mut stream, recognition) = tokio::select! {
                connected = self.connect() => connected,
                () = stop.requested() => return,
            };
            let since = Instant::now();
            self.log_connected();
            self.queue.connected();
            self.handler.peer_event(self.peer, PeerEvent::Recognized(recognition));
            self.handler.peer_event(self.peer, PeerEvent::Connected);

            let outcome = carry(&mut stream, &self.queue).await;

            self.queue.disconnected();
            self.handler.peer_event(self.peer, PeerEvent::Disconnected);
            let Err(lost) = outcome else { return };
            let (peer, address) = (self.peer, &self.address);
            if self.known.has_left(peer) {
                info!(%peer, address, "the peer has ended, as it said it would");
            } else {
                warn!(%peer, address, "lost the connection to the peer: {lost}");
            }
            self.outage.began(since.elapsed());
            self.unreached_since = Instant::now();
        }
    }

    /// Dials until a handshake succeeds.
    async fn connect(&mut self) -> (TcpStream, Recognition) {
        loop {
            sleep(self.outage.next_pause()).await;
            let error = match self.dial().await {
                Ok(connected) => return connected,
                Err(error) => error,
            };
            self.log(&error);
            if error.is_refused_connection() && self.outage.is_first_evidence_of_death() {
                self.handler.peer_event(self.peer, PeerEvent::Refused);
            }
        }
    }

    fn log_connected(&mut self) {
        let (peer, address) = (self.peer, &self.address);
        if self.outage.ended() {
            let seconds = self.unreached_since.elapsed().as_secs();
            info!(%peer, address, "the peer is back, after {seconds} s");
        } else {
            info!(%peer, address, "connected to the peer");
        }
    }

    /// One line a change: a mistake in somebody's flags is a warning, a peer that is not there is in the nature of
    /// things, until it stays away.
    fn log(&mut self, error: &DialError) {
        let (peer, address) = (self.peer, &self.address);
        let age = self.unreached_since.elapsed();
        let news = self.outage.is_news(Trouble::of(error));
        let overdue = self.outage.is_worth_a_warning(age);
        let has_left = self.known.has_left(peer);
        // A peer that ends may close a connection in the middle of a handshake.
        let is_mistake = |error: &HandshakeError| !has_left || matches!(error, HandshakeError::Refused(..));
        match error {
            DialError::Handshake(error) if (news || overdue) && is_mistake(error) => {
                warn!(%peer, address, "cannot reach the peer: {error}");
            }
            _ if overdue && has_left => {
                info!(%peer, address, "the peer, which has said that it ends, has been away for {} s", age.as_secs());
            }
            DialError::SecretNeeded(_) if news || overdue => {
                warn!(%peer, address, "cannot reach the peer: {error}");
            }
            DialError::Connect(_) | DialError::TimedOut if overdue => warn!(
                %peer, address,
                "the peer has not been reached for {} s: {error}; is it up, is this its address (--peers), and was it \
                 given --peers, too?",
                age.as_secs()
            ),
            _ if news => {
                info!(%peer, address, "cannot reach the peer: {error}");
            }
            _ => debug!(%peer, address, "still cannot reach the peer: {error}"),
        }
    }

    async fn dial(&mut self) -> Result<(TcpStream, Recognition), DialError> {
        let resolved =
            timeout(DIAL_TIMEOUT, lookup_host(&self.address)).await?.map_err(DialError::Connect)?;
        let has_secret = self.identity.has_secret();
        let connect = |address: SocketAddr| async move {
            if !has_secret && !is_loopback(address) {
                return Err(DialError::SecretNeeded(address));
            }
            let connected = TcpStream::connect(address).await.and_then(refuse_self_connection);
            connected.map_err(DialError::Connect)
        };
        let connected = self.addresses.dial(resolved.collect(), DIAL_TIMEOUT, connect).await;
        let mut stream = connected.map_err(|failures| {
            let nowhere = || DialError::Connect(io::ErrorKind::AddrNotAvailable.into());
            failures.verdict(DialError::is_refused_connection).unwrap_or_else(nowhere)
        })?;
        stream.set_nodelay(true).map_err(DialError::Connect)?;
        let (recognition, members) =
            self.identity.dial(&mut stream, self.peer).await.map_err(DialError::Handshake)?;
        self.known.compare(self.identity.members(), self.peer, members);
        Ok((stream, recognition))
    }
}

impl From<Elapsed> for DialError {
    fn from(_: Elapsed) -> Self {
        Self::TimedOut
    }
}

impl DialError {
    fn is_refused_connection(&self) -> bool {
        matches!(self, Self::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// TCP connects a socket to itself when the kernel happens to give the dialler the very port that it dials, which takes
/// a local address without a listener and some patience. That is a refusal too; kept open, it would even hold the
/// port that the peer needs when it returns.
fn refuse_self_connection(stream: TcpStream) -> io::Result<TcpStream> {
    let ends: (SocketAddr, SocketAddr) = (stream.local_addr()?, stream.peer_addr()?);
    if ends.0 == ends.1 { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(stream) }
}

/// Writes what is queued until the connection is lost, or until the queue is closed and empty.
async fn carry(stream: &mut TcpStream, queue: &SendQueue) -> Result<(), Lost> {
    let (mut read, mut write) = stream.split();
    tokio::select! {
        outcome = write_frames(&mut write, queue) => outcome,
        lost = read_to_loss(&mut read) => Err(lost),
    }
}

async fn write_frames<W: AsyncWrite + Unpin>(write: &mut W, queue: &SendQueue) -> Result<(), Lost> {
    let mut gather = Gather::default();
    while let Some(frames) = queue.next_batch(WRITE_BATCH).await {
        for frame in &frames {
            frame.encode(&mut gather);
        }
        // The payloads are in `gather` now; the rest need not wait for a slow peer to be freed.
        drop(frames);
        gather.finish();
        while gather.has_remaining() {
            timeout(WRITE_STALL, write.write_buf(&mut gather)).await.map_err(|_| Lost::Stalled)??;
        }
    }
    Ok(write.shutdown().await?)
}

/// The acceptor never writes after the handshake, so anything but silence is the connection's end. Without this an idle
/// connection's loss would go unnoticed until the next write.
async fn read_to_loss<R: AsyncRead + Unpin>(read: &mut R) -> Lost {
    match read.read_u8().await {
        Ok(_) => Lost::Unexpected,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Lost::Closed,
        Err(error) => Lost::Io(error),
    }
}

/// What a failed dial has in common with the one before, so that the log tells changes and not attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Connect(io::ErrorKind),
    Refused(Refusal),
    Handshake,
}

impl Trouble {
    fn of(error: &DialError) -> Self {
        match error {
            DialError::Connect(error) => Self::Connect(error.kind()),
            DialError::TimedOut => Self::Connect(io::ErrorKind::TimedOut),
            DialError::SecretNeeded(_) => Self::Refused(Refusal::SecretNeeded),
            DialError::Handshake(HandshakeError::Refused(refusal, _)) => Self::Refused(*refusal),
            DialError::Handshake(_) => Self::Handshake,
        }
    }
}

/// What is remembered from dial to dial. Pure: it is told what happened and how long things lasted.
#[derive(Debug, Default)]
struct Outage {
    /// The pause before the next dial.
    pause: Duration,
    /// The last trouble that was logged.
    trouble: Option<Trouble>,
    /// How old the outage was when it was last warned of.
    warned_at: Option<Duration>,
    /// Whether a refusal would be news: there was a connection, and none was refused since.
    alive_when_last_seen: bool,
}

impl Outage {
    /// A connection stands. Returns whether its lack was warned of.
    fn ended(&mut self) -> bool {
        self.trouble = None;
        self.warned_at.take().is_some()
    }

    /// A connection is lost that lasted `lived`.
    fn began(&mut self, lived: Duration) {
        self.alive_when_last_seen = true;
        if lived >= STABLE_AFTER {
            self.pause = Duration::ZERO;
        }
    }

    /// How long to wait before the dial that comes now.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).clamp(MIN_BACK_OFF, MAX_BACK_OFF);
        pause
    }

    /// Whether this trouble is another than the last, which it then replaces.
    fn is_news(&mut self, trouble: Trouble) -> bool {
        self.trouble.replace(trouble) != Some(trouble)
    }

    /// Whether an outage of this age is to be warned of now.
    fn is_worth_a_warning(&mut self, age: Duration) -> bool {
        let due = self.warned_at.map_or(WARN_AFTER, |warned| warned + WARN_AGAIN_AFTER);
        if age < due {
            return false;
        }
        self.warned_at = Some(age);
        true
    }

    /// Whether a refused connection tells something new: true once after each loss.
    fn is_first_evidence_of_death(&mut self) -> bool {
        std::mem::take(&mut self.alive_when_last_seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_start_at_none_double_and_are_bounded() {
        let mut outage = Outage::default();
        let pauses: Vec<_> = (0..8).map(|_| outage.next_pause().as_millis()).collect();
        assert_eq!(pauses, [0, 20, 40, 80, 160, 320, 500, 500]);
    }

    #[test]
    fn only_a_connection_that_lasted_is_redialled_at_once() {
        let mut outage = Outage::default();
        outage.next_pause();
        outage.began(STABLE_AFTER / 2);
        assert_eq!(outage.next_pause(), MIN_BACK_OFF);
        outage.began(STABLE_AFTER);
        assert_eq!(outage.next_pause(), Duration::ZERO);
    }

    #[test]
    fn a_peer_is_declared_dead_once_an_outage_and_never_before_it_was_seen() {
        let mut outage = Outage::default();
        assert!(!outage.is_first_evidence_of_death());
        for _ in 0..2 {
            outage.ended();
            outage.began(STABLE_AFTER);
            assert!(outage.is_first_evidence_of_death());
            assert!(!outage.is_first_evidence_of_death());
        }
    }

    #[test]
    fn an_outage_is_warned_of_late_and_seldom() {
        let mut outage = Outage::default();
        let second = Duration::from_secs(1);
        assert!(!outage.is_worth_a_warning(WARN_AFTER - second));
        assert!(outage.is_worth_a_warning(WARN_AFTER));
        assert!(!outage.is_worth_a_warning(WARN_AGAIN_AFTER));
        assert!(outage.is_worth_a_warning(WARN_AFTER + WARN_AGAIN_AFTER));
        assert!(outage.ended(), "its end is told as that of an outage that was warned of");
        assert!(!outage.ended() && !outage.is_worth_a_warning(second));
    }

    #[test]
    fn the_same_trouble_is_news_once_an_outage() {
        let mut outage = Outage::default();
        assert!(outage.is_news(Trouble::Handshake));
        assert!(!outage.is_news(Trouble::Handshake));
        assert!(outage.is_news(Trouble::Refused(Refusal::Cluster)));
        outage.ended();
        assert!(outage.is_news(Trouble::Refused(Refusal::Cluster)));
    }
}
