//! The replies of one connection, in the order of its requests.
//!
//! Futures run side by side, whoever is at the head; answers leave from the head only. The queue is where a
//! connection's bounds are kept: [`ReplyQueue::has_room`] is asked before each read.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::api::{Answer, Reply};
use super::budget::Claim;
use crate::metrics::RequestTimer;

/// Requests that a connection may have unanswered before reading pauses. Clients pipeline five by default;
/// Kafka itself works on one at a time.
pub(crate) const MAX_IN_FLIGHT_REQUESTS: usize = 64;

/// Bytes of unanswered requests at which reading pauses. One request may go beyond.
pub(crate) const MAX_IN_FLIGHT_BYTES: usize = 16 << 20;

/// Bytes of finished answers at which reading pauses and only the oldest reply is worked on, because the
/// client does not read fast enough. One answer may go beyond.
pub(crate) const MAX_READY_BYTES: usize = 16 << 20;

/// One request's place in the order.
struct Slot {
    state: State,
    request_bytes: usize,
    /// The request's memory, given back when it is answered.
    _claim: Claim,
    /// None for what is no request that could be read.
    timer: Option<RequestTimer>,
}

enum State {
    Waiting(Pin<Box<dyn Future<Output = Answer> + Send>>),
    Ready(Answer),
}

/// Replies that have not left yet, oldest first.
///
/// Invariants: `in_flight_bytes` is the sum over all slots' requests, `ready_bytes` over all responses in
/// ready slots.
#[derive(Default)]
pub(super) struct ReplyQueue {
    slots: VecDeque<Slot>,
    in_flight_bytes: usize,
    ready_bytes: usize,
}

impl ReplyQueue {
    /// Whether another request may be read.
    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < MAX_IN_FLIGHT_REQUESTS
            && self.in_flight_bytes < MAX_IN_FLIGHT_BYTES
            && self.ready_bytes < MAX_READY_BYTES
    }

    /// Whether every reply has left.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of the requests whose replies have not left.
    pub(super) const fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// Adds the reply to the newest request, which was `request_bytes` long.
    pub(super) fn push(
        &mut self,
        reply: Reply,
        request_bytes: usize,
        claim: Claim,
        mut timer: Option<RequestTimer>,
    ) {
        let state = match reply {
            Reply::Now(answer) => State::Ready(answer),
            Reply::Later(future) => State::Waiting(future),
        };
        if let State::Ready(answer) = &state {
            self.ready_bytes += response_bytes(answer);
            answered(&mut timer);
        }
        self.in_flight_bytes += request_bytes;
        self.slots.push_back(Slot { state, request_bytes, _claim: claim, timer });
    }

    /// Works on all replies until the oldest is ready. For ever pending when there is none. Cancel safe.
    pub(super) async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll_ready(context)).await;
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for (place, slot) in self.slots.iter_mut().enumerate() {
            // The head must get on, or nothing ever leaves.
            if place > 0 && self.ready_bytes >= MAX_READY_BYTES {
                break;
            }
            if let State::Waiting(future) = &mut slot.state
                && let Poll::Ready(answer) = future.as_mut().poll(context)
            {
                self.ready_bytes += response_bytes(&answer);
                slot.state = State::Ready(answer);
                answered(&mut slot.timer);
            }
        }
        match self.slots.front() {
            Some(Slot { state: State::Ready(_), .. }) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Takes the oldest answer, if it is ready.
    pub(super) fn pop(&mut self) -> Option<Answer> {
        match self.slots.pop_front()? {
            Slot { state: State::Ready(answer), request_bytes, timer, .. } => {
                if let Some(timer) = timer {
                    timer.left(response_bytes(&answer));
                }
                self.in_flight_bytes -= request_bytes;
                self.ready_bytes -= response_bytes(&answer);
                let held = self.in_flight_bytes + self.ready_bytes;
                assert!(!self.slots.is_empty() || held == 0, "an empty queue holds nothing");
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
        Answer::None | Answer::Close(_) => 0,
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

    fn correlation_id(answer: Answer) -> i32 {
        let Answer::Response(frame) = answer else { panic!("{answer:?} is not a response") };
        let bytes = frame.into_parts().concat();
        i32::from_be_bytes(*bytes[4..].first_chunk().unwrap())
    }

    fn later(queue: &mut ReplyQueue) -> oneshot::Sender<Answer> {
        let (sender, receiver) = oneshot::channel();
        queue.push(Reply::later(async { receiver.await.unwrap() }), 100, Claim::default(), None);
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
    async fn answers_leave_in_the_order_of_requests() {
        let mut queue = ReplyQueue::default();
        let first = later(&mut queue);
        let second = later(&mut queue);
        queue.push(Reply::Now(answer(3, 100)), 100, Claim::default(), None);

        second.send(answer(2, 100)).unwrap();
        assert!(!run(&mut queue).await, "the first is not ready");
        assert!(queue.pop().is_none());
        first.send(answer(1, 100)).unwrap();
        assert!(run(&mut queue).await);
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop()).map(correlation_id).collect();
        assert_eq!(order, [1, 2, 3]);
        assert!(queue.is_empty());
        assert_eq!(queue.in_flight_bytes(), 0);
    }

    #[tokio::test]
    async fn requests_in_flight_are_bounded_by_number_and_by_bytes() {
        let mut queue = ReplyQueue::default();
        let senders: Vec<_> = (0..MAX_IN_FLIGHT_REQUESTS).map(|_| later(&mut queue)).collect();
        assert!(!queue.has_room());
        for sender in senders {
            sender.send(Answer::None).unwrap();
        }
        assert!(run(&mut queue).await);
        assert!(matches!(queue.pop(), Some(Answer::None)));
        assert!(queue.has_room());

        let mut queue = ReplyQueue::default();
        queue.push(Reply::Now(Answer::None), MAX_IN_FLIGHT_BYTES, Claim::default(), None);
        assert!(!queue.has_room());
    }

    #[tokio::test]
    async fn beyond_the_bound_of_ready_bytes_only_the_oldest_reply_runs() {
        let mut queue = ReplyQueue::default();
        let first = later(&mut queue);
        queue.push(Reply::Now(answer(2, MAX_READY_BYTES)), 100, Claim::default(), None);
        let third = later(&mut queue);
        assert!(!queue.has_room());

        third.send(answer(3, 100)).unwrap();
        assert!(!run(&mut queue).await);
        assert_eq!(queue.ready_bytes, MAX_READY_BYTES, "the third must not add to what waits");
        first.send(answer(1, 100)).unwrap();
        assert!(run(&mut queue).await);
        assert_eq!(queue.pop().map(correlation_id), Some(1));
        assert_eq!(queue.pop().map(correlation_id), Some(2));
        assert!(queue.has_room());
        assert!(run(&mut queue).await);
        assert_eq!(queue.pop().map(correlation_id), Some(3));
    }
}
