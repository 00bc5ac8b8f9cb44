//! The sessions of a node as its fetches share them: the [machine](super::session) behind a lock, its clock, its ids, and what
//! is counted of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use super::asked::{Asked, PartitionKey, Partitions};
use super::session::{NO_SESSION, SESSION_BYTES, Seen, SessionError, SessionRequest, Sessions, Ticket};
use crate::metrics::FetchSessionMetrics;

/// The fetch sessions of a node.
#[derive(Debug)]
pub(in crate::api) struct FetchSessions {
    sessions: Mutex<Sessions>,
    metrics: FetchSessionMetrics,
}

/// What an answer says of its session, and of which partitions.
pub(super) struct Told {
    /// The session's id, 0 for none.
    pub(super) session_id: i32,
    /// Of each partition whether the answer holds it. None: it holds all of them.
    pub(super) partitions: Option<Vec<bool>>,
}

impl FetchSessions {
    /// No sessions yet, and at most `slots` at a time.
    pub(in crate::api) fn new(slots: usize, metrics: FetchSessionMetrics) -> Self {
        Self { sessions: Mutex::new(Sessions::new(slots, SESSION_BYTES)), metrics }
    }

    /// How many partitions a session has; none if there is no such session.
    pub(super) fn partitions_of(&self, id: i32) -> usize {
        if id == NO_SESSION { 0 } else { self.lock().partitions_of(id) }
    }

    /// Takes a request in its turn: what to read, and what becomes of the session then.
    pub(super) fn begin(&self, request: SessionRequest) -> Result<(Ticket, Partitions), SessionError> {
        let mut sessions = self.lock();
        let begun = sessions.begin(request, Instant::now());
        self.count(&sessions);
        begun
    }

    /// The request is about to be answered with what is seen of its partitions.
    pub(super) fn end(
        &self,
        ticket: Ticket,
        answered: impl Iterator<Item = (PartitionKey, Asked, Seen)>,
    ) -> Told {
        let (session_id, partitions) = match ticket {
            Ticket::Sessionless => (NO_SESSION, None),
            Ticket::Opening { by_id } => {
                let mut sessions = self.lock();
                let id = sessions.open(by_id, answered, Instant::now(), draw);
                self.count(&sessions);
                (id, None)
            }
            Ticket::Continuing(turn) => {
                let tell = self.lock().answer(turn, answered.map(|(_, _, seen)| seen));
                (turn.session_id(), Some(tell))
            }
        };
        Told { session_id, partitions }
    }

    fn count(&self, sessions: &Sessions) {
        self.metrics.set(sessions.count(), sessions.partitions(), sessions.evictions());
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id that nobody can guess: who has it may end the session.
fn draw() -> i32 {
    let bytes = Uuid::new_v4().into_bytes();
    i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) & i32::MAX
}
