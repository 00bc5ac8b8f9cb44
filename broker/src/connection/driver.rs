//! One connection's task: the only place where reader, replies and writer meet.
//!
//! Everything happens in one task, so nothing is shared, nothing is locked, and when the task ends everything
//! the connection held is gone. Each turn of the loop does the first of these that can be done: take a
//! request that has arrived, hand ready answers to the writer, write. Taking requests first lets the answers
//! of a burst leave in one write; the queue's bounds see to it that their turn comes. Between two of them
//! other connections have [theirs](super::turn), however much has arrived here.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answers::{AnswerBudget, AnswerMemory};
use super::api::{Answer, Api, Reply, Request};
use super::arrivals::{Arrival, Arrivals};
use super::budget::ByteBudget;
use super::close::CloseReason;
use super::queue::ReplyQueue;
use super::reader::{Frame, FrameReader};
use super::turn::Turn;
use super::writer::FrameWriter;
use super::{ConnectionInfo, Limits};
use crate::metrics::RequestMetrics;
use crate::wire;

/// How long open requests may still be answered once the node stops. Longer than a consumer's usual long
/// poll.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// What one turn of the loop brought.
enum Event {
    Shutdown,
    Frame(Result<Frame, CloseReason>),
    /// The connection may read again.
    Eased,
    AnswersReady,
    Written(io::Result<()>),
    PutOut,
    Alarm,
}

/// The budgets of a node: of requests, with those that arrive, and of answers.
pub(super) type NodeMemory = (ByteBudget, Arrivals, AnswerBudget);

/// A connection at work.
pub(super) struct Connection<R, W, A> {
    reader: FrameReader<R>,
    queue: ReplyQueue,
    writer: FrameWriter<W>,
    answers: Arc<AnswerMemory>,
    /// While the socket takes no more: the client has something to read.
    unread: Option<Arc<Arrival>>,
    api: Arc<A>,
    info: Arc<ConnectionInfo>,
    limits: Limits,
    metrics: Arc<RequestMetrics>,
    /// When something last moved, in whichever direction.
    last_active: Instant,
    /// Whether requests are still taken. Not after one that was refused, and not once the node stops.
    reading: bool,
    /// The node stops: open requests may be answered until then.
    stop_at: Option<Instant>,
    /// The answer that closes the connection has come up; only what the writer holds still leaves.
    closing: Option<CloseReason>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin, A: Api> Connection<R, W, A> {
    /// A connection over the two halves of a socket.
    pub(super) fn new(
        (read, write): (R, W),
        api: Arc<A>,
        info: ConnectionInfo,
        limits: Limits,
        (budget, arrivals, answers): NodeMemory,
        metrics: Arc<RequestMetrics>,
    ) -> Self {
        let reader = FrameReader::new(read, limits.max_request_bytes, budget, arrivals);
        let queue = ReplyQueue::default();
        let answers = AnswerMemory::new(answers, reader.put_out_notice(), Arc::clone(queue.turn()));
        Self {
            answers: Arc::new(answers),
            unread: None,
            reader,
            queue,
            writer: FrameWriter::new(write),
            api,
            info: Arc::new(info),
            limits,
            metrics,
            last_active: Instant::now(),
            reading: true,
            stop_at: None,
            closing: None,
        }
    }

    /// Serves the client until something ends the connection, and says what. Once `shutdown` holds true, or
    /// its sender is gone, no more requests are taken, and the connection ends when the open ones are
    /// answered.
    pub(super) async fn run(self, shutdown: watch::Receiver<bool>) -> CloseReason {
        match self.run_to_end(shutdown).await {
            Ok(never) => match never {},
            Err(reason) => reason,
        }
    }

    async fn run_to_end(mut self, mut shutdown: watch::Receiver<bool>) -> Result<Infallible, CloseReason> {
        let mut shutdown = pin!(shutdown.wait_for(|stop| *stop));
        let mut alarm = pin!(tokio::time::sleep_until(self.last_active + self.limits.max_idle));
        let put_out = self.reader.put_out_notice();
        let load = Arc::clone(self.reader.load());
        let mut turn = Turn::begin();
        loop {
            self.check_finished()?;
            if let Some((deadline, _)) = self.deadline()
                && deadline < alarm.deadline()
            {
                alarm.as_mut().reset(deadline);
            }
            let reads = self.may_read();
            let unwritten = self.writer.waiting_bytes();
            let next = async {
                tokio::select! {
                    biased;
                    _ = &mut shutdown, if self.stop_at.is_none() => Event::Shutdown,
                    frame = self.reader.next(), if reads => Event::Frame(frame),
                    () = load.eased(), if !reads => Event::Eased,
                    () = self.queue.ready(), if self.writer.is_empty() => Event::AnswersReady,
                    written = self.writer.write_some(), if !self.writer.is_empty() => Event::Written(written),
                    () = put_out.notified() => Event::PutOut,
                    () = &mut alarm => Event::Alarm,
                }
            };
            let event = turn.wait_for(next).await;
            let now = Instant::now();
            if !reads {
                self.reader.excuse(now);
                self.reader.pause(now, self.writer.is_empty());
            }
            match event {
                Event::Shutdown => {
                    self.reading = false;
                    self.stop_at = Some(now + SHUTDOWN_GRACE);
                }
                Event::Frame(frame) => self.take(frame)?,
                Event::AnswersReady => {
                    self.hand_over();
                    self.note_unread();
                }
                Event::Written(written) => {
                    written?;
                    self.answers.written(now, unwritten - self.writer.waiting_bytes());
                    self.note_unread();
                }
                Event::PutOut if self.reader.is_put_out() => return Err(CloseReason::PutOut),
                Event::PutOut if self.answers.is_put_out() => return Err(CloseReason::Unread),
                Event::PutOut | Event::Eased => continue,
                Event::Alarm => {
                    alarm.as_mut().reset(self.next_alarm(now)?);
                    continue;
                }
            }
            self.last_active = now;
            turn.share(now).await;
        }
    }

    /// Ends the connection once the last answer it owed is written.
    fn check_finished(&mut self) -> Result<(), CloseReason> {
        if !self.writer.is_empty() {
            return Ok(());
        }
        if let Some(reason) = self.closing.take() {
            return Err(reason);
        }
        if self.stop_at.is_some() && self.queue.is_empty() {
            return Err(CloseReason::Shutdown);
        }
        Ok(())
    }

    /// A client that has answers to read may have to go when others wait for memory, also where the answers are small: those
    /// behind them may have been given memory, and do not go on before.
    fn note_unread(&mut self) {
        if self.writer.is_empty() {
            self.unread = None;
        } else if self.unread.is_none() {
            self.unread = Some(self.answers.reader());
        }
    }

    fn may_read(&self) -> bool {
        self.reading && self.queue.has_room(self.reader.load().bytes(), self.writer.small_bytes())
    }

    /// When the connection ends if nothing moves until then, and why; `None` while it waits for the broker's
    /// own work.
    fn deadline(&self) -> Option<(Instant, CloseReason)> {
        if let Some(stop_at) = self.stop_at {
            return Some((stop_at, CloseReason::Shutdown));
        }
        if self.may_read()
            && let Some(owed_until) = self.reader.owed_until()
        {
            return Some((owed_until, CloseReason::Stalled));
        }
        if self.queue.is_empty() || !self.writer.is_empty() {
            let max_idle = self.limits.max_idle;
            return Some((self.last_active + max_idle, CloseReason::Idle(max_idle)));
        }
        None
    }

    /// The alarm has gone off: ends the connection if its deadline has passed, else says when to look again.
    fn next_alarm(&self, now: Instant) -> Result<Instant, CloseReason> {
        match self.deadline() {
            Some((deadline, reason)) if deadline <= now => Err(reason),
            Some((deadline, _)) => Ok(deadline),
            None => Ok(now + self.limits.max_idle),
        }
    }

    /// Takes one frame: stage one of its request runs here.
    fn take(&mut self, frame: Result<Frame, CloseReason>) -> Result<(), CloseReason> {
        let Frame { content, hold } = match frame {
            Ok(frame) => frame,
            Err(reason @ CloseReason::Frame(_)) => {
                self.refuse(reason);
                return Ok(());
            }
            // There is nobody left to write to.
            Err(reason) => return Err(reason),
        };
        let (reply, timer) = match wire::open(&content) {
            Ok((header, body, elements)) => {
                let timer = self.metrics.arrived(header.api_key, content.len());
                let (memory, info) = (Arc::clone(&self.answers), Arc::clone(&self.info));
                self.queue.begin();
                let reply = self.api.handle(Request::new(header, (body, elements), hold, memory, info));
                timer.handled();
                (reply, timer)
            }
            Err(error) => {
                self.refuse(error.into());
                return Ok(());
            }
        };
        if let Reply::Now(Answer::Close(_)) = reply {
            self.reading = false;
        }
        self.queue.push(reply, Some(timer));
        Ok(())
    }

    /// Takes no more requests, and closes the connection when those before are answered.
    fn refuse(&mut self, reason: CloseReason) {
        self.reading = false;
        self.queue.push(reason.into(), None);
    }

    /// Hands ready answers to the writer, as many as make a good batch.
    fn hand_over(&mut self) {
        while self.writer.has_room()
            && let Some(answer) = self.queue.pop()
        {
            match answer {
                Answer::Response(frame) => self.writer.push(frame),
                Answer::Close(reason) => {
                    self.reading = false;
                    self.closing = Some(reason);
                    // What came behind is not answered any more.
                    self.queue = ReplyQueue::default();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::io::{AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

    use super::super::pace::PATIENCE;
    use super::*;
    use crate::metrics::Metrics;

    struct Unasked;

    impl Api for Unasked {
        fn handle(&self, request: Request) -> Reply {
            panic!("{request:?} is not complete")
        }
    }

    fn connection() -> (DuplexStream, Connection<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>, Unasked>) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9092));
        let info = ConnectionInfo { id: 1, listener: "TEST".into(), peer: address };
        let (client, server) = tokio::io::duplex(1 << 10);
        let metrics = Metrics::default();
        let answers = AnswerBudget::new(1 << 20, metrics.connections.answer_bytes().clone());
        let budget = (ByteBudget::new(1 << 20), Arrivals::default(), answers);
        let halves = tokio::io::split(server);
        let requests = metrics.requests;
        (client, Connection::new(halves, Arc::new(Unasked), info, Limits::default(), budget, requests))
    }

    #[tokio::test]
    async fn what_it_waits_for_decides_how_long_it_waits() {
        let (mut client, mut connection) = connection();
        let start = connection.last_active;
        let max_idle = connection.limits.max_idle;
        let idle = connection.deadline();
        assert!(matches!(idle, Some((at, CloseReason::Idle(_))) if at == start + max_idle), "{idle:?}");

        // The first bytes of a frame have arrived, the rest is due.
        client.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
        tokio::select! {
            biased;
            _ = connection.reader.next() => panic!("the frame is not complete"),
            () = std::future::ready(()) => {}
        }
        let stalled = connection.deadline();
        assert!(matches!(stalled, Some((at, CloseReason::Stalled)) if at >= start + PATIENCE), "{stalled:?}");
        assert!(connection.next_alarm(start).is_ok());
        let late = connection.last_active + 2 * PATIENCE;
        assert!(matches!(connection.next_alarm(late), Err(CloseReason::Stalled)));

        // No deadline for the client while it is the broker that owes an answer.
        let (_client, mut connection) = self::connection();
        connection.queue.push(Reply::later(std::future::pending()), None);
        assert!(connection.deadline().is_none());
        connection.stop_at = Some(start);
        assert!(matches!(connection.next_alarm(start), Err(CloseReason::Shutdown)));
    }
}
