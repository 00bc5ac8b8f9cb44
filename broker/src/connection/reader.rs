//! Frames out of a byte stream.
//!
//! # Memory
//!
//! The buffer of a frame's first mebibyte ([`WHOLE_FROM_BYTES`]) grows with what has arrived, not with what is announced: at most to
//! twice the bytes received, or to the size of a frame that the same client has completed before. What a frame claims of the node's
//! budget follows its bytes more closely, [`CLAIM_STEP_BYTES`] ahead of them: the kernel gives memory to what is written to. A
//! frame that is complete is split off without a copy, unless it is small: those are copied out, so that a request that
//! waits for minutes (a long poll, a group that rebalances) does not hold on to a whole buffer, and the buffer is used
//! again.
//!
//! Bytes are claimed from the node's [`ByteBudget`] before they are read. [`FrameReader::next`] may be dropped at any await
//! and called again: all progress, a place in the budget's queue included, lives in the reader.
//!
//! # Time
//!
//! Between a frame's first and last byte its [`Pace`] runs, but for the time that the broker does not read. A frame that holds a
//! claim is one of the [`Arrivals`], and may be put out for the sake of others.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::arrivals::{Arrival, Arrivals, WAITS};
use super::budget::{ByteBudget, Claim, Grant};
use super::close::CloseReason;
use super::load::{Hold, Load};
use super::pace::Pace;
use crate::wire::frame::{PREFIX_BYTES, content_length};

/// Room for the first bytes of a connection's frames, while they are small.
const LEAST_FIRST_READ_BYTES: usize = 8 << 10;

/// Room for the first bytes of a frame once the client has completed larger ones. No more: this much may stay
/// allocated while the client is idle.
const MOST_FIRST_READ_BYTES: usize = 64 << 10;

/// Once a frame is known to be longer than what has arrived, this much room is made at least.
const LEAST_GROWTH_BYTES: usize = 64 << 10;

/// From this many bytes on the buffer is made as large as the frame: growing further would copy the bytes, and hold them twice
/// meanwhile. The rest takes no memory until it arrives.
const WHOLE_FROM_BYTES: usize = 1 << 20;

/// The most room made at once because the client has completed a frame of this size before.
const MOST_TRUSTED_BYTES: usize = 4 << 20;

/// How far a frame's claim is ahead of its bytes.
const CLAIM_STEP_BYTES: usize = 256 << 10;

/// Frames up to this size are copied out of the buffer.
const COPIED_FRAME_BYTES: usize = 16 << 10;

/// What one connection may hold in requests without a claim on the node's budget; produce requests have a small one.
const EXEMPT_BYTES: usize = 64 << 10;

/// A frame's content, and what it holds as long as there is a slice of it.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) content: Bytes,
    pub(super) hold: Arc<Hold>,
}

/// A frame of which the prefix is known.
struct Incoming {
    /// Bytes of prefix and content.
    length: usize,
    /// Whether its memory has to be claimed.
    claimed: bool,
}

/// Reads frames from one connection.
pub(super) struct FrameReader<R> {
    socket: R,
    buffer: BytesMut,
    limit: usize,
    budget: ByteBudget,
    incoming: Option<Incoming>,
    load: Arc<Load>,
    claim: Claim,
    granting: Option<Pin<Box<dyn Future<Output = Grant> + Send>>>,
    /// The largest frame completed so far, up to [`MOST_TRUSTED_BYTES`].
    trusted: usize,
    /// The time that the frame in the buffer has; without meaning while there is none.
    pace: Pace,
    arrivals: Arrivals,
    /// The frame in the buffer while it arrives under a claim.
    arrival: Option<Arrival>,
    put_out: Arc<Notify>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader of frames up to `limit` bytes.
    pub(super) fn new(socket: R, limit: usize, budget: ByteBudget, arrivals: Arrivals) -> Self {
        Self {
            socket,
            buffer: BytesMut::new(),
            limit,
            budget,
            incoming: None,
            load: Arc::default(),
            claim: Claim::default(),
            granting: None,
            trusted: 0,
            pace: Pace::begin(Instant::now()),
            arrivals,
            arrival: None,
            put_out: Arc::default(),
        }
    }

    /// Until when more of a frame is due from the client; `None` between frames, and while it is the broker that
    /// cannot go on.
    pub(super) fn owed_until(&self) -> Option<Instant> {
        let begun = self.incoming.is_some() || !self.buffer.is_empty();
        (begun && self.granting.is_none()).then(|| self.pace.deadline())
    }

    /// The broker has not read until now, for reasons of its own.
    pub(super) const fn excuse(&mut self, now: Instant) {
        self.pace.excuse(now);
    }

    /// The connection is not read for a while. It does not wait for memory meanwhile: what it was given would be of no use. That
    /// it makes no progress is the broker's doing or the client's, which does not read its answers.
    pub(super) fn pause(&mut self, now: Instant, is_brokers_doing: bool) {
        self.granting = None;
        self.arrival.iter().for_each(|arrival| arrival.waits(now, is_brokers_doing));
    }

    /// Is told when the frame in the buffer may have to go.
    pub(super) fn put_out_notice(&self) -> Arc<Notify> {
        Arc::clone(&self.put_out)
    }

    /// Whether the frame in the buffer has to go. A notice may come too late, when the frame is complete.
    pub(super) fn is_put_out(&self) -> bool {
        self.arrival.as_ref().is_some_and(Arrival::is_put_out)
    }

    /// What the frames that were read hold.
    pub(super) const fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// The next frame. Cancel safe.
    ///
    /// # Errors
    ///
    /// Why the connection has to end: the client left, the socket failed, or a prefix cannot be.
    pub(super) async fn next(&mut self) -> Result<Frame, CloseReason> {
        if self.granting.is_none() {
            self.arrival.iter().for_each(|arrival| arrival.waits(Instant::now(), false));
        }
        loop {
            self.read_prefix()?;
            match &self.incoming {
                Some(Incoming { length, claimed }) if self.buffer.len() >= *length => {
                    let (length, claimed) = (*length, *claimed);
                    if claimed {
                        self.claim_up_to(length).await;
                    } else if is_produce(&self.buffer) {
                        self.claim_small(length).await;
                    }
                    return Ok(self.split_off(length));
                }
                Some(Incoming { length, claimed: true }) => {
                    let length = *length;
                    let until = (self.buffer.len() + CLAIM_STEP_BYTES).min(length);
                    let arrivals = &self.arrivals;
                    self.arrival.get_or_insert_with(|| arrivals.enter(Instant::now(), &self.put_out));
                    self.claim_up_to(until).await;
                    self.make_room(self.next_room(length));
                    self.read_some(until - self.buffer.len()).await?;
                }
                Some(Incoming { length, claimed: false }) => {
                    self.make_room(self.next_room(*length));
                    self.read_some(usize::MAX).await?;
                }
                None => {
                    self.make_room(self.trusted.clamp(LEAST_FIRST_READ_BYTES, MOST_FIRST_READ_BYTES));
                    self.read_some(usize::MAX).await?;
                }
            }
        }
    }

    /// Takes notice of a frame as soon as its prefix is there.
    fn read_prefix(&mut self) -> Result<(), CloseReason> {
        if self.incoming.is_none()
            && let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>()
        {
            let length = PREFIX_BYTES + content_length(*prefix, self.limit)?;
            self.incoming = Some(Incoming { length, claimed: self.load.bytes() + length > EXEMPT_BYTES });
        }
        Ok(())
    }

    /// How large the buffer should be before the next read of a frame of `length` bytes.
    fn next_room(&self, length: usize) -> usize {
        if self.buffer.len() >= WHOLE_FROM_BYTES {
            return length;
        }
        let room = (2 * self.buffer.len()).max(LEAST_GROWTH_BYTES).max(self.trusted);
        room.min(length)
    }

    /// Waits until the claim covers `bytes`.
    async fn claim_up_to(&mut self, bytes: usize) {
        let lacking = self.claim.lacks(bytes);
        if lacking == 0 {
            return;
        }
        let lacking = u32::try_from(lacking).expect("a frame is shorter than 2 GiB");
        let grant = match self.granting.as_mut() {
            Some(granting) => granting.await,
            None => match self.budget.try_take(lacking) {
                Some(grant) => grant,
                None => {
                    self.arrival.iter().for_each(|arrival| arrival.waits(Instant::now(), true));
                    let waiting = await_grant(self.budget.take(lacking), self.arrivals.clone());
                    self.granting.insert(Box::pin(waiting)).await
                }
            },
        };
        if self.granting.take().is_some() {
            // What was waited for is the broker's delay, not the client's.
            let now = Instant::now();
            self.pace.excuse(now);
            self.arrival.iter().for_each(|arrival| arrival.waits(now, false));
        }
        self.claim.add(grant);
        assert_eq!(self.claim.lacks(bytes), 0, "what was asked for is what lacked");
    }

    /// Waits until the claim covers a small produce request of `bytes`, which is complete.
    async fn claim_small(&mut self, bytes: usize) {
        let lacking = u32::try_from(self.claim.lacks(bytes)).expect("a small request");
        if lacking == 0 {
            return;
        }
        let grant = match self.granting.as_mut() {
            Some(granting) => granting.await,
            None => {
                let may_use_reserve = self.load.has_nothing_but_produced();
                match self.budget.try_take_small(lacking, may_use_reserve) {
                    Some(grant) => grant,
                    None => {
                        let waiting = self.budget.take_small(lacking, may_use_reserve);
                        self.granting.insert(Box::pin(waiting)).await
                    }
                }
            }
        };
        self.granting = None;
        self.claim.add_small(grant);
    }

    /// Makes the buffer hold `room` bytes in all, if it does not yet.
    fn make_room(&mut self, room: usize) {
        self.buffer.reserve(room.saturating_sub(self.buffer.len()));
    }

    /// Reads what is there, at least a byte and at most `most`.
    async fn read_some(&mut self, most: usize) -> Result<(), CloseReason> {
        let begins = self.buffer.is_empty();
        let read = self.socket.read_buf(&mut (&mut self.buffer).limit(most)).await?;
        if read == 0 {
            return Err(match self.buffer.len() {
                0 => CloseReason::ClientLeft,
                received => CloseReason::ClientLeftMidFrame { received },
            });
        }
        let now = Instant::now();
        if begins {
            self.pace = Pace::begin(now);
        } else {
            self.pace.received(now, read);
        }
        self.arrival.iter().for_each(|arrival| arrival.received(now, read));
        Ok(())
    }

    /// Takes the complete frame of `length` bytes from the buffer's start.
    fn split_off(&mut self, length: usize) -> Frame {
        assert!(length <= self.buffer.len(), "a frame is split off once it is complete");
        self.incoming = None;
        self.arrival = None;
        // What is left of the buffer is the beginning of another one.
        self.pace = Pace::begin(Instant::now());
        self.trusted = self.trusted.max(length.min(MOST_TRUSTED_BYTES));
        let content = if length <= COPIED_FRAME_BYTES {
            let content = Bytes::copy_from_slice(&self.buffer[PREFIX_BYTES..length]);
            self.buffer.advance(length);
            content
        } else {
            let mut frame = self.buffer.split_to(length).freeze();
            if self.buffer.is_empty() {
                // What is left of the buffer would keep the frame's memory from being freed.
                self.buffer = BytesMut::new();
            }
            frame.advance(PREFIX_BYTES);
            frame
        };
        let hold = Arc::new(Hold::new(&self.load, length, std::mem::take(&mut self.claim)));
        Frame { content: Arc::clone(&hold).hold(content), hold }
    }
}

/// Whether a frame is a produce request. Its prefix is followed by the API's key.
fn is_produce(frame: &[u8]) -> bool {
    frame.get(PREFIX_BYTES..).and_then(<[u8]>::first_chunk) == Some(&(ApiKey::Produce as i16).to_be_bytes())
}

/// Waits for memory. Each time that this has taken [`WAITS`], a slow request may have to go.
async fn await_grant(grant: impl Future<Output = Grant>, arrivals: Arrivals) -> Grant {
    let mut grant = std::pin::pin!(grant);
    loop {
        match timeout(WAITS, &mut grant).await {
            Ok(grant) => return grant,
            Err(_) => arrivals.put_out_slowest(Instant::now()),
        }
    }
}

#[cfg(test)]
mod tests;
