//! The replies of one connection, in the order of its requests.
//!
//! Futures run side by side, whoever is at the head; answers leave from the head only. The queue is where a
//! connection's bounds are kept: [`ReplyQueue::has_room`] is asked before each read.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use super::answers::SMALL_ANSWERS_BYTES;
use super::api::{Answer, Reply};
use super::close::CloseReason;
use crate::metrics::RequestTimer;

/// Requests that a connection may have unanswered before reading pauses. Clients pipeline five by default;
/// Kafka itself works on one at a time.
pub(crate) const MAX_IN_FLIGHT_REQUESTS: usize = 64;

/// Bytes that a connection's requests hold at which reading pauses. One request may go beyond.
pub(crate) const MAX_IN_FLIGHT_BYTES: usize = 16 << 20;

/// Bytes of finished answers at which reading pauses and only the oldest reply is worked on, because the
/// client does not read fast enough. One answer may go beyond.
pub(crate) const MAX_READY_BYTES: usize = 8 << 20;

/// One request's place in the order.
struct Slot {
    state: State,
    /// None for what is no request that could be read.
    timer: Option<RequestTimer>,
}

enum State {
    /// There is no memory for it yet. Only the newest request can be here, as none is read behind it.
    Deferred(Pin<Box<dyn Future<Output = Reply> + Send>>),
    Waiting(Pin<Box<dyn Future<Output = Answer> + Send>>),
    Ready(Answer),
}

/// A request that gets no answer.
struct Unanswered {
    end: Pin<Box<dyn Future<Output = Result<(), CloseReason>> + Send>>,
    timer: Option<RequestTimer>,
}

/// Replies that have not left yet, oldest first.
///
/// Invariants: `ready_bytes` is the sum over all responses in ready slots, `small_bytes` over those that nothing covers.
#[derive(Default)]
pub(super) struct ReplyQueue {
    slots: VecDeque<Slot>,
    /// Requests that get no answer and are not over. They hold up no answer.
    unanswered: Vec<Unanswered>,
    ready_bytes: usize,
    /// Those of them that have no share of the node's memory.
    small_bytes: usize,
    /// Whether what is worked on just now is the oldest. Only that gets a share of the node's memory where little is left.
    turn: Arc<AtomicBool>,
}

impl ReplyQueue {
    /// Whether another request may be read, when those before hold `held` bytes, and `leaving` bytes of small answers are on
    /// their way to the socket.
    pub(super) fn has_room(&self, held: usize, leaving: usize) -> bool {
        self.slots.len() + self.unanswered.len() < MAX_IN_FLIGHT_REQUESTS
            && !matches!(self.slots.back(), Some(Slot { state: State::Deferred(_), .. }))
            && held < MAX_IN_FLIGHT_BYTES
            && self.small_bytes + leaving < SMALL_ANSWERS_BYTES
            && self.ready_bytes < MAX_READY_BYTES
    }

    /// Whether every reply has left.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.unanswered.is_empty()
    }

    /// Tells whether what is worked on is the oldest.
    pub(super) const fn turn(&self) -> &Arc<AtomicBool> {
        &self.turn
    }

    fn set_turn(&self, place: usize) {
        self.turn.store(place == 0, Ordering::Relaxed);
    }

    /// A request is about to be handled.
    pub(super) fn begin(&self) {
        self.set_turn(self.slots.len());
    }

    /// Adds the reply to the newest request.
    pub(super) fn push(&mut self, reply: Reply, mut timer: Option<RequestTimer>) {
        let state = match reply {
            Reply::Now(answer) => State::Ready(answer),
            Reply::Later(future) => State::Waiting(future),
            Reply::Deferred(future) => State::Deferred(future),
            Reply::Unanswered(end) => return self.unanswered.push(Unanswered { end, timer }),
        };
        if let State::Ready(answer) = &state {
            self.ready_bytes += response_bytes(answer);
            self.small_bytes += small_bytes(answer);
            answered(&mut timer);
        }
        self.slots.push_back(Slot { state, timer });
    }

    /// Works on all replies until the oldest is ready, or a request that gets none is over. For ever pending when there is
    /// neither. Cancel safe.
    pub(super) async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll_ready(context)).await;
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_one_begun = self.poll_deferred(context);
        let is_one_over = self.poll_unanswered(context) || is_one_begun;
        for (place, slot) in self.slots.iter_mut().enumerate() {
            // The head must get on, or nothing ever leaves.
            let is_full = self.ready_bytes >= MAX_READY_BYTES || self.small_bytes >= SMALL_ANSWERS_BYTES;
            if place > 0 && is_full {
                break;
            }
            self.turn.store(place == 0, Ordering::Relaxed);
            if let State::Waiting(future) = &mut slot.state
                && let Poll::Ready(answer) = future.as_mut().poll(context)
            {
                self.ready_bytes += response_bytes(&answer);
                self.small_bytes += small_bytes(&answer);
                slot.state = State::Ready(answer);
                answered(&mut slot.timer);
            }
        }
        match self.slots.front() {
            Some(Slot { state: State::Ready(_), .. }) => Poll::Ready(()),
            _ if is_one_over => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Whether the newest request, which waited for memory, has begun.
    fn poll_deferred(&mut self, context: &mut Context<'_>) -> bool {
        self.set_turn(self.slots.len().saturating_sub(1));
        let Some(Slot { state: State::Deferred(reply), .. }) = self.slots.back_mut() else { return false };
        let Poll::Ready(reply) = reply.as_mut().poll(context) else { return false };
        let timer = self.slots.pop_back().and_then(|slot| slot.timer);
        self.push(reply, timer);
        true
    }

    /// Whether a request that gets no answer is over. One that failed closes the connection, behind the answers that are due.
    fn poll_unanswered(&mut self, context: &mut Context<'_>) -> bool {
        let mut failed = None;
        let before = self.unanswered.len();
        self.unanswered.retain_mut(|request| match request.end.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(end) => {
                if let Some(timer) = request.timer.take() {
                    timer.left(0);
                }
                failed = failed.take().or(end.err());
                false
            }
        });
        if let Some(reason) = failed {
            self.unanswered.clear();
            // Nothing behind it would be worked on, and what has not begun need not be answered.
            if matches!(self.slots.back(), Some(Slot { state: State::Deferred(_), .. })) {
                self.slots.pop_back();
            }
            self.slots.push_back(Slot { state: State::Ready(Answer::Close(reason)), timer: None });
        }
        self.unanswered.len() < before
    }

    /// Takes the oldest answer, if it is ready.
    pub(super) fn pop(&mut self) -> Option<Answer> {
        match self.slots.pop_front()? {
            Slot { state: State::Ready(answer), timer } => {
                if let Some(timer) = timer {
                    timer.left(response_bytes(&answer));
                }
                self.ready_bytes -= response_bytes(&answer);
                self.small_bytes -= small_bytes(&answer);
                assert!(!self.slots.is_empty() || self.ready_bytes == 0, "an empty queue holds nothing");
                Some(answer)
            }
            waiting => {
                self.slots.push_front(waiting);
                None
            }
        }
    }
}

fn answered(timer: &mut Option<RequestTimer>) {
    if let Some(timer) = timer {
        timer.answered();
    }
}

/// What an answer holds in memory, as far as it matters.
fn response_bytes(answer: &Answer) -> usize {
    match answer {
        Answer::Response(frame) => frame.len(),
        Answer::Close(_) => 0,
    }
}

/// The same of an answer that has no share of the node's memory.
fn small_bytes(answer: &Answer) -> usize {
    match answer {
        Answer::Response(frame) if !frame.is_covered() => frame.len(),
        Answer::Response(_) | Answer::Close(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::messages::ApiKey;
    use tokio::sync::oneshot;

    use super::*;
    use crate::wire::ResponseFrame;

    /// An answer of `bytes` bytes, told apart by its correlation id.
    fn answer(correlation_id: i32, bytes: usize) -> Answer {
        let body = Bytes::from(vec![0; bytes - 8]);
        Answer::Response(ResponseFrame::from_body(ApiKey::Metadata, 0, correlation_id, [body]).unwrap())
    }

    /// The same with a share of the node's memory.
    fn covered(correlation_id: i32, bytes: usize) -> Answer {
        let Answer::Response(frame) = answer(correlation_id, bytes) else { panic!("it is a response") };
        Answer::Response(frame.covered_by(()))
    }

    fn correlation_id(answer: Answer) -> i32 {
        let Answer::Response(frame) = answer else { panic!("{answer:?} is not a response") };
        let bytes = frame.into_parts().concat();
        i32::from_be_bytes(*bytes[4..].first_chunk().unwrap())
    }

    fn later(queue: &mut ReplyQueue) -> oneshot::Sender<Answer> {
        let (sender, receiver) = oneshot::channel();
        queue.push(Reply::later(async { receiver.await.unwrap() }), None);
        sender
    }

    /// Lets the replies run as far as they can; whether the head is ready.
    async fn run(queue: &mut ReplyQueue) -> bool {
        tokio::select! {
            biased;
            () = queue.ready() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn a_request_without_an_answer_that_failed_closes_before_what_waits_for_memory() {
        let mut queue = ReplyQueue::default();
        let (fail, failed) = oneshot::channel();
        queue.push(Reply::unanswered(async { Err(failed.await.unwrap()) }), None);
        queue.push(Reply::deferred(std::future::pending()), None);
        assert!(!run(&mut queue).await && queue.pop().is_none());
        fail.send(CloseReason::Shutdown).unwrap();
        assert!(run(&mut queue).await);
        assert!(matches!(queue.pop(), Some(Answer::Close(CloseReason::Shutdown))));
    }

    #[tokio::test]
    async fn answers_leave_in_the_order_of_requests() {
        let mut queue = ReplyQueue::default();
        let first = later(&mut queue);
        let second = later(&mut queue);
        queue.push(Reply::Now(answer(3, 100)), None);

        second.send(answer(2, 100)).unwrap();
        assert!(!run(&mut queue).await, "the first is not ready");
        assert!(queue.pop().is_none());
        first.send(answer(1, 100)).unwrap();
        assert!(run(&mut queue).await);
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop()).map(correlation_id).collect();
        assert_eq!(order, [1, 2, 3]);
        assert!(queue.is_empty());
    }

    #[tokio::test]
    async fn requests_in_flight_are_bounded_by_number_and_by_bytes() {
        let mut queue = ReplyQueue::default();
        let senders: Vec<_> = (0..MAX_IN_FLIGHT_REQUESTS).map(|_| later(&mut queue)).collect();
        assert!(!queue.has_room(0, 0));
        for sender in senders {
            sender.send(answer(1, 100)).unwrap();
        }
        assert!(run(&mut queue).await);
        assert_eq!(queue.pop().map(correlation_id), Some(1));
        assert!(queue.has_room(0, 0) && queue.has_room(MAX_IN_FLIGHT_BYTES - 1, 0));
        assert!(!queue.has_room(MAX_IN_FLIGHT_BYTES, 0));
    }

    #[tokio::test]
    async fn beyond_the_bound_of_ready_bytes_only_the_oldest_reply_runs() {
        let mut queue = ReplyQueue::default();
        let first = later(&mut queue);
        queue.push(Reply::Now(covered(2, MAX_READY_BYTES)), None);
        let third = later(&mut queue);
        assert!(!queue.has_room(0, 0));

        third.send(answer(3, 100)).unwrap();
        assert!(!run(&mut queue).await);
        assert_eq!(queue.ready_bytes, MAX_READY_BYTES, "the third must not add to what waits");
        first.send(answer(1, 100)).unwrap();
        assert!(run(&mut queue).await);
        assert_eq!(queue.pop().map(correlation_id), Some(1));
        assert_eq!(queue.pop().map(correlation_id), Some(2));
        assert!(queue.has_room(0, 0));
        assert!(run(&mut queue).await);
        assert_eq!(queue.pop().map(correlation_id), Some(3));
    }

    #[tokio::test]
    async fn requests_without_an_answer_count_until_they_are_over_and_hold_up_nobody() {
        let mut queue = ReplyQueue::default();
        let mut unanswered = || {
            let (sender, receiver) = oneshot::channel();
            queue.push(Reply::unanswered(async { receiver.await.unwrap() }), None);
            sender
        };
        let senders: Vec<_> = (0..MAX_IN_FLIGHT_REQUESTS).map(|_| unanswered()).collect();
        assert!(!queue.has_room(0, 0) && !queue.is_empty());
        queue.push(Reply::Now(answer(1, 100)), None);
        assert!(run(&mut queue).await);
        assert_eq!(queue.pop().map(correlation_id), Some(1));
        let first = later(&mut queue);

        let mut senders = senders.into_iter();
        senders.next().unwrap().send(Ok(())).unwrap();
        assert!(run(&mut queue).await, "the connection looks whether there is room");
        assert!(!run(&mut queue).await && queue.pop().is_none());
        senders.next().unwrap().send(Err(CloseReason::Shutdown)).unwrap();
        assert!(run(&mut queue).await);
        assert!(!run(&mut queue).await, "what was asked before is answered first");
        first.send(answer(2, 100)).unwrap();
        assert!(run(&mut queue).await);
        assert_eq!(queue.pop().map(correlation_id), Some(2));
        assert!(matches!(queue.pop(), Some(Answer::Close(CloseReason::Shutdown))));
        assert!(queue.is_empty());
    }

    #[tokio::test]
    async fn beyond_what_needs_no_share_only_the_oldest_reply_runs() {
        let mut queue = ReplyQueue::default();
        let first = later(&mut queue);
        queue.push(Reply::Now(covered(2, MAX_READY_BYTES - 1)), None);
        assert!(queue.has_room(0, 0));
        assert!(!queue.has_room(0, SMALL_ANSWERS_BYTES), "what the writer has counts");
        queue.push(Reply::Now(answer(3, SMALL_ANSWERS_BYTES)), None);
        assert!(!queue.has_room(0, 0));
        let fourth = later(&mut queue);
        fourth.send(answer(4, 100)).unwrap();
        assert!(!run(&mut queue).await);
        assert_eq!(queue.small_bytes, SMALL_ANSWERS_BYTES);
        first.send(answer(1, 100)).unwrap();
        for expected in 1..=4 {
            assert!(run(&mut queue).await);
            assert_eq!(queue.pop().map(correlation_id), Some(expected));
        }
        assert_eq!(queue.small_bytes, 0);
    }

    #[tokio::test]
    async fn nothing_is_read_behind_a_request_that_waits_for_memory() {
        let mut queue = ReplyQueue::default();
        let first = later(&mut queue);
        let (sender, receiver) = oneshot::channel();
        queue.push(Reply::deferred(async { receiver.await.unwrap() }), None);
        assert!(!run(&mut queue).await && !queue.has_room(0, 0));
        sender.send(Reply::Now(answer(2, 100))).unwrap();
        assert!(run(&mut queue).await, "the connection looks whether there is room");
        assert!(queue.has_room(0, 0) && queue.pop().is_none());
        first.send(answer(1, 100)).unwrap();
        assert!(run(&mut queue).await);
        assert_eq!(queue.pop().map(correlation_id), Some(1));
        assert_eq!(queue.pop().map(correlation_id), Some(2));
    }
}
