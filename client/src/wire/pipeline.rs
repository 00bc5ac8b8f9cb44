//! The task that owns a connection's socket.
//!
//! Requests arrive over a bounded queue, encoded and with their correlation id; their bytes go out in that order, and
//! since a Kafka broker answers in the order of the requests, the oldest request in flight is always the one answered
//! next. One task does both directions, so no state is shared and none is locked.
//!
//! Invariants:
//! 1. `in_flight` holds exactly the requests whose bytes were accepted, that expect an answer and have none yet,
//!    oldest first.
//! 2. At most [`MAX_IN_FLIGHT`] requests are in flight and about [`WRITE_HIGH_WATER`] bytes wait for the socket; beyond
//!    that the queue is not drained, and whoever sends waits.
//! 3. When the task ends, the reason is set before any waiting request learns that no answer will come.
//! 4. The drop of the last handle ends the task within [`LINGER`], whatever the broker does.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use crate::wire::error::CloseReason;
use crate::wire::frame::{bytes_lacking, correlation_id, take_frame};
use crate::wire::outbox::Outbox;
use crate::wire::stream::{Peer, Reader, Stream, Writer};

/// Requests that wait to be accepted by the task. When it is full, senders wait.
const QUEUED_REQUESTS: usize = 64;

/// Requests sent and not yet answered. When it is reached, queued requests wait.
const MAX_IN_FLIGHT: usize = 1024;

/// Bytes waiting for the socket above which no further request is accepted. One request may exceed it.
const WRITE_HIGH_WATER: usize = 1 << 20;

/// Bytes asked of the socket in one read, where no more are known to be on their way.
const READ_CHUNK: usize = 64 << 10;

/// Room that is made for a frame whose length is known, but not for what it only claims: this much, or as much again as has come.
const READ_AHEAD: usize = 4 << 20;

/// The longest answer before the broker is known: those of ApiVersions and SASL are far shorter.
const HANDSHAKE_FRAME: usize = 1 << 20;

/// How long what is still unsent may take to leave once the last handle is gone.
const LINGER: Duration = Duration::from_secs(5);

/// One request, encoded.
pub(crate) struct Outgoing {
    /// The whole frame with its length prefix, in pieces.
    pub(crate) frame: Vec<Bytes>,
    /// Where the answer goes; `None` for a request that has none, such as a Produce with acks=0.
    pub(crate) expects: Option<Expected>,
    /// Resolved once the socket has taken the whole frame, for a request without an answer. Dropped if the connection ends before.
    pub(crate) written: Option<oneshot::Sender<()>>,
}

/// An answer that is due.
pub(crate) struct Expected {
    /// What the request carried and the answer must repeat.
    pub(crate) correlation_id: i32,
    /// Takes the answer's frame, without the length prefix.
    pub(crate) answer: oneshot::Sender<Bytes>,
}

/// The sending end of a running pipeline. The task ends when its last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct PipelineHandle {
    pub(crate) requests: mpsc::Sender<Outgoing>,
    closed: Arc<OnceLock<CloseReason>>,
    ending: Arc<Ending>,
    /// The longest frame that is accepted now.
    max_frame: Arc<AtomicUsize>,
    /// Nothing is ever sent: the last clone's drop is the message. The queue's own end would not do, as the task does
    /// not look at the queue while too much is unsent. Declared last, so that a handle's sender is gone before it.
    _alive: Arc<oneshot::Sender<Infallible>>,
}

/// The wish to end a connection.
#[derive(Debug, Default)]
struct Ending {
    wanted: Notify,
    /// Why, if this side has a reason.
    reason: OnceLock<CloseReason>,
}

impl PipelineHandle {
    /// Starts the task that owns `stream`. Frames above `max_frame` bytes end it, and those above 1 MiB until the connection is
    /// [established](Self::established).
    pub(crate) fn start(stream: Stream, max_frame: usize) -> Self {
        let (requests, queue) = mpsc::channel(QUEUED_REQUESTS);
        let closed = Arc::new(OnceLock::new());
        let (alive, last_handle) = oneshot::channel();
        let ending = Arc::new(Ending::default());
        let max_frame = Arc::new(AtomicUsize::new(max_frame.min(HANDSHAKE_FRAME)));
        let (reader, writer, peer) = stream.into_split();
        let pipeline = Pipeline {
            reader,
            writer,
            peer,
            queue,
            last_handle,
            ending: Arc::clone(&ending),
            max_frame: Arc::clone(&max_frame),
            incoming: BytesMut::new(),
            outgoing: Outbox::default(),
            is_flushed: true,
            in_flight: VecDeque::new(),
            accepted: 0,
            to_write: VecDeque::new(),
        };
        tokio::spawn(pipeline.run(Arc::clone(&closed)));
        Self { requests, closed, ending, max_frame, _alive: Arc::new(alive) }
    }

    /// The handshake is over: frames may have up to so many bytes.
    pub(crate) fn established(&self, max_frame: usize) {
        self.max_frame.store(max_frame, Ordering::Relaxed);
    }

    /// Ends the task at once.
    pub(crate) fn close(&self) {
        self.ending.wanted.notify_one();
    }

    /// Ends the task at once, for a reason that all waiting requests get.
    pub(crate) fn refuse(&self, reason: CloseReason) {
        // The first reason counts.
        let _ = self.ending.reason.set(reason);
        self.close();
    }

    /// Why the task ended. While it runs, and when its runtime dropped it, that is [`CloseReason::ByUs`].
    pub(crate) fn close_reason(&self) -> CloseReason {
        self.closed.get().cloned().unwrap_or(CloseReason::ByUs)
    }
}

struct Pipeline {
    reader: Reader,
    writer: Writer,
    peer: Peer,
    queue: mpsc::Receiver<Outgoing>,
    last_handle: oneshot::Receiver<Infallible>,
    ending: Arc<Ending>,
    max_frame: Arc<AtomicUsize>,
    incoming: BytesMut,
    outgoing: Outbox,
    /// Whether the socket has all that was written.
    is_flushed: bool,
    in_flight: VecDeque<Expected>,
    /// Bytes of all requests accepted so far.
    accepted: u64,
    /// Requests that are to be reported as written: the value of `accepted` at their end, oldest first.
    to_write: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Pipeline {
    async fn run(mut self, closed: Arc<OnceLock<CloseReason>>) {
        let reason = self.exchange().await;
        tracing::debug!(%reason, in_flight = self.in_flight.len(), "connection ends");
        // Only this task sets it, and only here; the waiting requests wake when `self` is dropped right after.
        let first = closed.set(reason).is_ok();
        assert!(first, "a connection ends once");
    }

    /// Moves bytes both ways until the connection ends. Every branch of the selection may be cancelled without loss.
    async fn exchange(&mut self) -> CloseReason {
        loop {
            assert!(self.in_flight.len() <= MAX_IN_FLIGHT, "requests in flight are bounded");
            self.incoming.reserve(room_for(&self.incoming));
            let accepts =
                self.in_flight.len() < MAX_IN_FLIGHT && self.outgoing.remaining() < WRITE_HIGH_WATER;
            let step = tokio::select! {
                // A queue that has ended is the last handle's drop as well, and the next branch's business.
                Some(request) = self.queue.recv(), if accepts => {
                    self.accept(request);
                    Ok(())
                }
                _ = &mut self.last_handle => return self.linger().await,
                () = self.ending.wanted.notified() => {
                    return self.ending.reason.get().cloned().unwrap_or(CloseReason::ByUs);
                }
                pushed = push(&mut self.writer, &mut self.outgoing),
                    if self.outgoing.has_remaining() || !self.is_flushed =>
                {
                    match pushed {
                        Ok(is_flushed) => {
                            self.is_flushed = is_flushed;
                            self.report_written();
                            Ok(())
                        }
                        Err(error) => Err(self.peer.reason(&error)),
                    }
                }
                read = self.reader.read_buf(&mut self.incoming) => self.deliver(read),
            };
            if let Err(reason) = step {
                return reason;
            }
        }
    }

    /// Takes a request in.
    fn accept(&mut self, request: Outgoing) {
        self.accepted += request.frame.iter().map(|piece| piece.len() as u64).sum::<u64>();
        request.frame.into_iter().for_each(|piece| self.outgoing.push(piece));
        self.in_flight.extend(request.expects);
        self.to_write.extend(request.written.map(|written| (self.accepted, written)));
    }

    /// Reports the requests that the socket has taken as a whole.
    fn report_written(&mut self) {
        if !self.is_flushed {
            return;
        }
        let taken = self.accepted - self.outgoing.remaining() as u64;
        while self.to_write.front().is_some_and(|(end, _)| *end <= taken) {
            let Some((_, written)) = self.to_write.pop_front() else { break };
            // Nobody may be waiting any more.
            let _ = written.send(());
        }
    }

    /// Hands every whole frame that has been read to the request it answers.
    fn deliver(&mut self, read: io::Result<usize>) -> Result<(), CloseReason> {
        match read {
            Ok(0) => return Err(CloseReason::ByBroker),
            Ok(_) => {}
            Err(e) => return Err(self.peer.reason(&e)),
        }
        while let Some(frame) = take_frame(&mut self.incoming, self.max_frame.load(Ordering::Relaxed))? {
            let actual =
                correlation_id(&frame).ok_or(CloseReason::NoCorrelationId { length: frame.len() })?;
            match self.in_flight.pop_front() {
                Some(expected) if expected.correlation_id == actual => {
                    // Nobody may be waiting any more: a request that timed out is answered into the void.
                    let _ = expected.answer.send(frame);
                }
                due => {
                    let expected = due.map(|due| due.correlation_id);
                    return Err(CloseReason::OutOfOrder { expected, actual });
                }
            }
        }
        Ok(())
    }

    /// The last handle is gone: what was queued still leaves (a Produce with acks=0 followed by a drop is not lost),
    /// but answers interest nobody.
    async fn linger(&mut self) -> CloseReason {
        // No sender is left, so that this takes in at most what the queue holds.
        while let Ok(request) = self.queue.try_recv() {
            self.accept(request);
        }
        let rest = async {
            self.writer.write_all_buf(&mut self.outgoing).await?;
            self.writer.flush().await?;
            // TLS's farewell. A socket has none but its end.
            if self.writer.holds_back() { self.writer.shutdown().await } else { Ok(()) }
        };
        let written = timeout(LINGER, rest).await;
        self.is_flushed = !self.writer.holds_back() || matches!(written, Ok(Ok(())));
        self.report_written();
        match written {
            Ok(Ok(())) => CloseReason::ByUs,
            Ok(Err(e)) => self.peer.reason(&e),
            Err(_) => CloseReason::Io(io::ErrorKind::TimedOut),
        }
    }
}

/// Moves bytes towards the socket. Returns whether it has all that was written. May be cancelled without loss.
async fn push(writer: &mut Writer, outgoing: &mut Outbox) -> io::Result<bool> {
    if outgoing.has_remaining() {
        writer.write_buf(outgoing).await?;
        return Ok(!writer.holds_back());
    }
    writer.flush().await?;
    Ok(true)
}

/// How many bytes to make room for behind those that have come: those that the frame begun lacks, so that a large one is not moved
/// while it grows.
fn room_for(incoming: &[u8]) -> usize {
    let lacks = bytes_lacking(incoming).unwrap_or(0);
    lacks.min(READ_AHEAD.max(incoming.len())).max(READ_CHUNK)
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::sleep;

    use super::*;

    /// More bytes than the buffers of a connection hold.
    const MANY: usize = 64 << 20;

    #[test]
    fn room_is_made_for_what_a_frame_lacks_and_not_for_what_it_only_claims() {
        let begun = |length: u32, come: usize| [&length.to_be_bytes()[..], &vec![0; come]].concat();
        assert_eq!(room_for(&[]), READ_CHUNK);
        assert_eq!(room_for(&begun(100, 40)), READ_CHUNK);
        assert_eq!(room_for(&begun(1 << 20, 40)), (1 << 20) - 40);
        assert_eq!(room_for(&begun(90 << 20, 40)), READ_AHEAD);
        assert_eq!(room_for(&begun(90 << 20, 5 << 20)), (5 << 20) + 4);
        assert_eq!(room_for(&begun(u32::MAX, 40)), READ_CHUNK);
    }

    #[tokio::test]
    async fn a_request_is_written_once_the_socket_has_taken_all_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut slow = accepted.unwrap().0;
        let handle = PipelineHandle::start(Stream::Plain(stream.unwrap()), 1000);
        let request = |length| {
            let (written, is_written) = oneshot::channel();
            let frame = vec![Bytes::from(vec![0; 2]), Bytes::from(vec![0; length - 2])];
            (Outgoing { frame, expects: None, written: Some(written) }, is_written)
        };
        let (first, first_written) = request(10);
        handle.requests.send(first).await.unwrap();
        first_written.await.unwrap();
        let (large, mut large_written) = request(MANY);
        handle.requests.send(large).await.unwrap();
        let mut read = vec![0; 1 << 20];
        slow.read_exact(&mut read).await.unwrap();
        assert!(large_written.try_recv().is_err(), "most of it waits for the socket");
        let (last, last_written) = request(10);
        handle.requests.send(last).await.unwrap();
        for _ in 1..MANY >> 20 {
            slow.read_exact(&mut read).await.unwrap();
        }
        large_written.await.unwrap();
        slow.read_exact(&mut read[..20]).await.unwrap();
        last_written.await.unwrap();
        let (cut_short, is_written) = request(MANY);
        handle.requests.send(cut_short).await.unwrap();
        drop(slow);
        assert!(is_written.await.is_err());
        assert!(handle.closed.get().is_some(), "the reason is known before");
    }

    #[tokio::test]
    async fn the_last_handles_drop_ends_the_task_though_a_mute_broker_takes_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let _mute = accepted.unwrap();
        let handle = PipelineHandle::start(Stream::Plain(stream.unwrap()), 1000);
        let closed = Arc::clone(&handle.closed);
        tokio::time::pause();
        // Until the kernel takes nothing more, the task accepts nothing more, and the queue is full.
        let frame = Bytes::from(vec![0; WRITE_HIGH_WATER]);
        let request = || Outgoing { frame: vec![frame.clone()], expects: None, written: None };
        while timeout(LINGER, handle.requests.send(request())).await.is_ok() {}
        drop(handle);
        let ended = async {
            while closed.get().is_none() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(10 * LINGER, ended).await.expect("the task ends");
        assert_eq!(closed.get(), Some(&CloseReason::Io(io::ErrorKind::TimedOut)));
    }
}
