//! Fetch sessions (KIP-227): a client names its partitions once, and then only what changes; the broker answers only what
//! changed.
//!
//! A session is made by the answer to a full request (epoch 0). Each later request carries the session's id and the next
//! epoch; it adds or alters some partitions and removes others, and its answer holds the partitions with records, an error, or
//! offsets other than those that were told last. A request out of turn is refused. So both sides agree on the partitions, or
//! find out that they do not, and the client begins again with a full request. Epoch -1 ends a session.
//!
//! A session belongs to no connection: a client may go on over another one. It is lost with its node.
//!
//! Partitions whose records were answered go to the end of the session's order, so that each gets its turn where an answer is
//! too small for all.
//!
//! There are so many [slots](Sessions::new), and [`SESSION_BYTES`] for all sessions of the node. Where either is used up, a new
//! session replaces another one by Kafka's rules: one that was not used for [`UNUSED_FOR`], else the smallest one, if it is
//! older than that and smaller than the new one. If there is none to replace, the client gets no session and asks in full.
//!
//! This is a pure machine: time and the ids of sessions come from outside.

mod one;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;

use self::one::Session;
use super::asked::{Asked, PartitionKey, Partitions};

/// Bytes that all sessions of a node may take.
pub(crate) const SESSION_BYTES: usize = 32 << 20;

/// After this time without a request a session may be replaced by any other, and at this age by a larger one.
const UNUSED_FOR: Duration = Duration::from_secs(120);

/// No session.
pub(super) const NO_SESSION: i32 = 0;
/// The epoch of a full request that may open a session.
const FIRST_EPOCH: i32 = 0;
/// The epoch of a full request that ends the session, if there is one, and opens none.
const FINAL_EPOCH: i32 = -1;

/// All sessions of a node.
#[derive(Debug)]
pub(super) struct Sessions {
    slots: usize,
    most_bytes: usize,
    bytes: usize,
    partitions: usize,
    evictions: u64,
    sessions: HashMap<i32, Session>,
}

/// The part of a request that concerns its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionRequest {
    /// The session, 0 for none.
    pub(super) id: i32,
    /// Its epoch.
    pub(super) epoch: i32,
    /// Whether topics are named by id.
    pub(super) by_id: bool,
    /// The partitions that are named.
    pub(super) partitions: Partitions,
    /// The partitions to leave out from now on.
    pub(super) forgotten: Vec<PartitionKey>,
}

/// What becomes of the session when the request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ticket {
    /// There is none.
    Sessionless,
    /// The answer may [open](Sessions::open) one, of topics by id or by name.
    Opening {
        /// Whether topics are named by id.
        by_id: bool,
    },
    /// The answer [continues](Sessions::answer) one.
    Continuing(Turn),
}

/// A request's turn in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    id: i32,
    /// The session's epoch as long as nothing comes after this request.
    epoch: i32,
}

impl Turn {
    /// The session's id.
    pub(super) const fn session_id(self) -> i32 {
        self.id
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionError {
    /// There is no such session (any more).
    NotFound,
    /// The request is not the next one of its session.
    InvalidEpoch,
    /// The session names topics by name and the request by id, or the other way round.
    TopicIds,
}

/// What there is to tell of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The high watermark, -1 with an error.
    pub(super) high_watermark: i64,
    /// The log start offset, -1 with an error.
    pub(super) log_start_offset: i64,
    /// Whether there are records.
    pub(super) has_records: bool,
    /// Whether it has to be told in any case: an error, a log that diverges.
    pub(super) is_urgent: bool,
}

impl Sessions {
    /// No sessions yet, and room for `slots` of them in `most_bytes` bytes.
    pub(super) fn new(slots: usize, most_bytes: usize) -> Self {
        Self { slots, most_bytes, bytes: 0, partitions: 0, evictions: 0, sessions: HashMap::new() }
    }

    /// How many sessions there are.
    pub(super) fn count(&self) -> usize {
        self.sessions.len()
    }

    /// How many partitions they have together.
    pub(super) const fn partitions(&self) -> usize {
        self.partitions
    }

    /// How many sessions have made room for others.
    pub(super) const fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many partitions a session has; none if there is no such session.
    pub(super) fn partitions_of(&self, id: i32) -> usize {
        self.sessions.get(&id).map_or(0, |session| session.order.len())
    }

    /// Takes a request in its turn: what to read, in this order, and what becomes of the session then.
    ///
    /// # Errors
    ///
    /// The request is to be refused. A session that has outgrown the room is closed, and refused as if it had never been.
    pub(super) fn begin(
        &mut self,
        request: SessionRequest,
        now: Instant,
    ) -> Result<(Ticket, Partitions), SessionError> {
        let SessionRequest { id, epoch, by_id, partitions, forgotten } = request;
        if epoch == FIRST_EPOCH || epoch == FINAL_EPOCH {
            self.close(id);
            let ticket = if epoch == FIRST_EPOCH { Ticket::Opening { by_id } } else { Ticket::Sessionless };
            return Ok((ticket, partitions));
        }
        let session = self.sessions.get(&id).ok_or(SessionError::NotFound)?;
        if session.epoch != epoch {
            return Err(SessionError::InvalidEpoch);
        }
        if session.by_id != by_id {
            return Err(SessionError::TopicIds);
        }
        let fits = self.alter(id, now, |session| {
            for (key, asked) in partitions {
                session.put(key, asked);
            }
            for key in &forgotten {
                session.remove(key);
            }
            session.epoch = next_epoch(epoch);
            session.used = now;
        });
        let session = self.sessions.get(&id).filter(|_| fits).ok_or(SessionError::NotFound)?;
        if session.order.is_empty() {
            self.close(id);
            return Ok((Ticket::Sessionless, Partitions::new()));
        }
        let turn = Turn { id, epoch: session.epoch };
        let partitions = session.order.values().map(|entry| (entry.key.clone(), entry.asked));
        Ok((Ticket::Continuing(turn), partitions.collect()))
    }

    /// Opens a session with the answer to a full request, if there is room, and returns its id. `draw` draws ids.
    pub(super) fn open(
        &mut self,
        by_id: bool,
        answered: impl IntoIterator<Item = (PartitionKey, Asked, Seen)>,
        now: Instant,
        mut draw: impl FnMut() -> i32,
    ) -> i32 {
        let mut session = Session::new(by_id, now);
        let mut seen = Vec::new();
        for (key, asked, of_partition) in answered {
            session.put(key, asked);
            seen.push(of_partition);
        }
        let is_empty = session.order.is_empty();
        if is_empty || !self.make_room(session.order.len(), session.bytes, now) {
            return NO_SESSION;
        }
        session.tell(seen);
        let id = loop {
            let id = draw();
            if id > NO_SESSION && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.bytes += session.bytes;
        self.partitions += session.order.len();
        self.sessions.insert(id, session);
        id
    }

    /// Which of the partitions, each as seen now and in the order of [`begin`](Self::begin), the answer has to hold.
    ///
    /// All of them, if another request of the session came meanwhile or the session is gone. Java's consumer ends its session while a
    /// request waits, and Kafka answers both, as it takes the requests of a connection one by one.
    pub(super) fn answer(&mut self, turn: Turn, seen: impl IntoIterator<Item = Seen>) -> Vec<bool> {
        match self.sessions.get_mut(&turn.id).filter(|session| session.epoch == turn.epoch) {
            Some(session) => session.tell(seen),
            None => seen.into_iter().map(|_| true).collect(),
        }
    }

    /// Alters a session, and makes room if it grows. False: there was none, and the session is closed.
    fn alter(&mut self, id: i32, now: Instant, alteration: impl FnOnce(&mut Session)) -> bool {
        let Some(mut session) = self.take(id) else { return false };
        alteration(&mut session);
        let fits = self.make_room(session.order.len(), session.bytes, now);
        if fits {
            self.bytes += session.bytes;
            self.partitions += session.order.len();
            self.sessions.insert(id, session);
        } else {
            self.evictions += 1;
        }
        fits
    }

    fn close(&mut self, id: i32) {
        drop(self.take(id));
    }

    fn take(&mut self, id: i32) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.bytes -= session.bytes;
        self.partitions -= session.order.len();
        Some(session)
    }

    /// Has sessions make room for one of so many partitions and bytes, if there is none. False: they need not.
    fn make_room(&mut self, partitions: usize, bytes: usize, now: Instant) -> bool {
        if self.slots == 0 || bytes > self.most_bytes {
            return false;
        }
        while self.sessions.len() >= self.slots || self.bytes + bytes > self.most_bytes {
            let Some(id) = self.replaceable(partitions, now) else { return false };
            self.close(id);
            self.evictions += 1;
        }
        true
    }

    /// The session that one of so many partitions may replace.
    fn replaceable(&self, partitions: usize, now: Instant) -> Option<i32> {
        let is_long_ago = |time: Instant| now.saturating_duration_since(time) > UNUSED_FOR;
        let (oldest, _) = self.sessions.iter().min_by_key(|(id, session)| (session.used, **id))?;
        if is_long_ago(self.sessions[oldest].used) {
            return Some(*oldest);
        }
        let old = self.sessions.iter().filter(|(_, session)| is_long_ago(session.created));
        let (id, smallest) = old.min_by_key(|(id, session)| (session.order.len(), **id))?;
        (smallest.order.len() < partitions).then_some(*id)
    }
}

impl SessionError {
    /// As clients are told.
    pub(super) const fn response_error(self) -> ResponseError {
        match self {
            Self::NotFound => ResponseError::FetchSessionIdNotFound,
            Self::InvalidEpoch => ResponseError::InvalidFetchSessionEpoch,
            Self::TopicIds => ResponseError::FetchSessionTopicIdError,
        }
    }
}

/// The epoch after `epoch`. After the greatest one comes 1, as 0 asks for a new session.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
