//! What waits to be sent to one peer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::Notify;

use super::frame::{Frame, MAX_FRAME_LEN};

/// The most bytes that wait for one peer. Beyond it frames are refused: at the speed of a disk this is a third of a
/// second's worth, and a peer that far behind needs Raft's flow control rather than more memory here.
pub const MAX_QUEUED_BYTES: usize = 32 * 1024 * 1024;

/// Why a frame was not queued. It is dropped in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The node is not among the configured peers.
    #[error("the node is not a peer")]
    UnknownPeer,
    /// There is no connection at the moment. [`PeerEvent::Connected`](super::PeerEvent::Connected) tells when.
    #[error("the peer is not connected")]
    Disconnected,
    /// [`MAX_QUEUED_BYTES`] wait already. Raft's own retry, or its report of an unreachable peer, is the remedy.
    #[error("the peer's queue is full")]
    QueueFull,
    /// The frame, or a Raft message in it, is above 64 MiB and can never be sent.
    #[error("the frame is too long to be sent")]
    TooLong,
}

/// The queue between any number of senders and the one task that writes.
///
/// Invariants: `bytes` is the encoded length of all `frames`; there are frames only while the link is up or closing.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    state: Mutex<State>,
    /// Wakes the writer. It holds one permit, which is enough as there is one writer.
    changed: Notify,
    /// Whether the log has told of a frame that cannot be sent.
    told_too_long: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    link: Link,
    frames: VecDeque<(usize, Frame)>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    /// Nothing is kept for a peer that is away.
    #[default]
    Down,
    /// Frames are taken and written.
    Up,
    /// No more are taken; the rest is written.
    Closing,
}

impl SendQueue {
    /// Queues a frame.
    ///
    /// A frame longer than the bound is taken when nothing else waits, or it could never be sent.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the frame is dropped.
    pub(super) fn push(&self, frame: Frame) -> Result<(), SendError> {
        let length = frame.encoded_len().map_err(|_| {
            if !self.told_too_long.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    "a message for a peer is longer than the {MAX_FRAME_LEN} bytes of a frame, and is never sent; this is \
                     said once"
                );
            }
            SendError::TooLong
        })?;
        let mut state = self.lock();
        if state.link != Link::Up {
            return Err(SendError::Disconnected);
        }
        if !state.frames.is_empty() && state.bytes + length > MAX_QUEUED_BYTES {
            return Err(SendError::QueueFull);
        }
        state.bytes += length;
        state.frames.push_back((length, frame));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for frames and takes them from the front until they are `enough` bytes. `None` once the queue is closed
    /// and empty. For the one writer only.
    pub(super) async fn next_batch(&self, enough: usize) -> Option<Vec<Frame>> {
        loop {
            let batch = {
                let mut state = self.lock();
                if state.frames.is_empty() && state.link == Link::Closing {
                    return None;
                }
                state.take(enough)
            };
            if !batch.is_empty() {
                return Some(batch);
            }
            self.changed.notified().await;
        }
    }

    /// The connection stands: frames are taken from now on, unless the queue is closed.
    pub(super) fn connected(&self) {
        let mut state = self.lock();
        assert!(state.frames.is_empty(), "frames waited for a peer that was away");
        if state.link == Link::Down {
            state.link = Link::Up;
        }
    }

    /// The connection is lost, and with it everything that waited.
    pub(super) fn disconnected(&self) {
        let mut state = self.lock();
        let lost = std::mem::take(&mut state.frames);
        state.bytes = 0;
        if state.link == Link::Up {
            state.link = Link::Down;
        }
        // To free up to the bound's worth of frames takes a while, in which senders need not wait.
        drop(state);
        drop(lost);
    }

    /// Takes no more frames, for good.
    pub(super) fn close(&self) {
        self.lock().link = Link::Closing;
        self.changed.notify_one();
    }

    /// No code panics while it holds the lock, so a poisoned one guards nothing that is broken.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, enough: usize) -> Vec<Frame> {
        let mut batch = Vec::new();
        let mut taken = 0;
        while taken < enough
            && let Some((length, frame)) = self.frames.pop_front()
        {
            taken += length;
            batch.push(frame);
        }
        assert!(taken <= self.bytes, "more bytes were taken than were queued");
        self.bytes -= taken;
        batch
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(length: usize) -> Frame {
        Frame::Request { id: 0, body: Bytes::from(vec![0; length]) }
    }

    #[tokio::test]
    async fn frames_leave_in_order_and_in_batches() {
        let queue = SendQueue::default();
        queue.connected();
        let frames: Vec<_> = (0..3).map(|sequence| Frame::Heartbeat { sequence }).collect();
        for frame in &frames {
            queue.push(frame.clone()).unwrap();
        }
        let two = frames[0].encoded_len().unwrap() + 1;
        assert_eq!(queue.next_batch(two).await.unwrap(), &frames[..2]);
        assert_eq!(queue.next_batch(two).await.unwrap(), &frames[2..]);
    }

    #[test]
    fn the_bound_holds_in_bytes_and_frees_up() {
        let queue = SendQueue::default();
        queue.connected();
        for _ in 0..4 {
            queue.push(request(MAX_QUEUED_BYTES / 5)).unwrap();
        }
        assert_eq!(queue.push(request(MAX_QUEUED_BYTES / 5)), Err(SendError::QueueFull));
        queue.push(request(1)).unwrap();
        queue.lock().take(1);
        queue.push(request(MAX_QUEUED_BYTES / 5)).unwrap();
    }

    #[test]
    fn one_frame_above_the_bound_passes_alone() {
        let queue = SendQueue::default();
        queue.connected();
        queue.push(request(MAX_QUEUED_BYTES)).unwrap();
        assert_eq!(queue.push(request(0)), Err(SendError::QueueFull));
    }

    #[test]
    fn nothing_is_kept_for_a_peer_that_is_away() {
        let queue = SendQueue::default();
        assert_eq!(queue.push(request(1)), Err(SendError::Disconnected));
        queue.connected();
        queue.push(request(1)).unwrap();
        queue.disconnected();
        assert_eq!(queue.push(request(1)), Err(SendError::Disconnected));
        queue.connected();
        assert!(queue.lock().frames.is_empty());
    }

    #[tokio::test]
    async fn a_closed_queue_drains_and_stays_closed() {
        let queue = SendQueue::default();
        queue.connected();
        queue.push(request(1)).unwrap();
        queue.close();
        assert_eq!(queue.push(request(1)), Err(SendError::Disconnected));
        assert_eq!(queue.next_batch(usize::MAX).await.unwrap().len(), 1);
        assert_eq!(queue.next_batch(usize::MAX).await, None);
        queue.disconnected();
        queue.connected();
        assert_eq!(queue.push(request(1)), Err(SendError::Disconnected));
    }
}
