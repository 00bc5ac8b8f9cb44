//! Who waits for an answer: the channels on which the driver gives them, by ticket.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::inbox::{AppendReply, ConfirmReply, ControlReply, CoordinateReply, DeletionReply, Held};
use crate::shard::effects::{AppendError, Appended, Ticket};

/// Answers of one kind that may wait before the abandoned ones among them are looked for.
const MANY_WAITING: usize = 4096;

/// Everybody who waits, by what was asked.
#[derive(Default)]
pub(super) struct Replies {
    last_ticket: u64,
    pub(super) appends: Appends,
    pub(super) deletions: Waiting<DeletionReply>,
    pub(super) controls: Waiting<ControlReply>,
    pub(super) coordinations: Waiting<CoordinateReply>,
    pub(super) confirmations: Waiting<ConfirmReply>,
}

/// Those who appended, with what they hold until it is decided, or until their batch is in the log of a leader that leads no more:
/// that may stay undecided for as long as a majority is away, and others must not wait for it. None is forgotten before, or what it
/// holds would be given back while its batch still waits.
#[derive(Default)]
pub(super) struct Appends(HashMap<Ticket, (AppendReply, Held)>);

impl Appends {
    /// Takes note of who waits for the answer to `ticket`.
    pub(super) fn expect(&mut self, ticket: Ticket, reply: AppendReply, held: Held) {
        self.0.insert(ticket, (reply, held));
    }

    /// What these hold is given back, and their answers are waited for still.
    pub(super) fn release(&mut self, tickets: &[Ticket]) {
        for ticket in tickets {
            if let Some((_, held)) = self.0.get_mut(ticket) {
                *held = Held::default();
            }
        }
    }

    /// Gives the answer to `ticket`, and what was held back. Where nobody waits for it any more, the receiver is gone.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Result<Appended, AppendError>) {
        if let Some((reply, held)) = self.0.remove(&ticket) {
            drop(held);
            drop(reply.send(answer));
        }
    }
}

/// Those who asked for the same kind of thing.
pub(super) struct Waiting<R>(HashMap<Ticket, R>);

impl<R> Default for Waiting<R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Replies {
    /// A ticket that nobody else has.
    pub(super) const fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Drops the answers that nobody waits for any more, as when a request timed out while a majority was away. Appends stay.
    pub(super) fn forget_abandoned(&mut self) {
        // Each field by name: a kind that is added cannot be left out.
        let Self { last_ticket: _, appends: _, deletions, controls, coordinations, confirmations } = self;
        deletions.forget_abandoned();
        controls.forget_abandoned();
        coordinations.forget_abandoned();
        confirmations.forget_abandoned();
    }
}

impl<T> Waiting<oneshot::Sender<T>> {
    /// Takes note of who waits for the answer to `ticket`.
    pub(super) fn expect(&mut self, ticket: Ticket, reply: oneshot::Sender<T>) {
        self.0.insert(ticket, reply);
    }

    /// Gives the answer to `ticket`. Where nobody waits for it any more, the receiver is gone.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: T) {
        if let Some(reply) = self.0.remove(&ticket) {
            drop(reply.send(answer));
        }
    }

    fn forget_abandoned(&mut self) {
        if self.0.len() > MANY_WAITING {
            self.0.retain(|_, reply| !reply.is_closed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shard::effects::NotController;

    /// How many wait after more than [`MANY_WAITING`] have given up and one has not.
    fn left_of<T>(waiting: &mut Waiting<oneshot::Sender<T>>) -> (usize, oneshot::Receiver<T>) {
        let (reply, receiver) = oneshot::channel();
        waiting.expect(Ticket(0), reply);
        for number in 1..=MANY_WAITING {
            waiting.expect(Ticket(number as u64), oneshot::channel().0);
        }
        waiting.forget_abandoned();
        (waiting.0.len(), receiver)
    }

    #[test]
    fn an_append_holds_nothing_once_its_batch_is_in_the_log_and_is_answered_all_the_same() {
        let mut appends = Appends::default();
        let held = Arc::new(());
        let (reply, mut receiver) = oneshot::channel();
        appends.expect(Ticket(1), reply, Held::new(Arc::clone(&held) as _));
        appends.release(&[Ticket(7)]);
        assert_eq!(Arc::strong_count(&held), 2);
        appends.release(&[Ticket(1)]);
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(receiver.try_recv().is_err());
        appends.answer(Ticket(1), Err(AppendError::Unknown));
        assert!(receiver.try_recv().unwrap().is_err());
    }

    #[test]
    fn whatever_was_asked_is_forgotten_once_nobody_waits_for_it() {
        let mut replies = Replies::default();
        let ticket = replies.ticket();
        assert_ne!(ticket, replies.ticket());
        assert_eq!(left_of(&mut replies.deletions).0, 1);
        assert_eq!(left_of(&mut replies.coordinations).0, 1);
        assert_eq!(left_of(&mut replies.confirmations).0, 1);
        let (left, mut receiver) = left_of(&mut replies.controls);
        assert_eq!(left, 1);
        replies.controls.answer(Ticket(0), Err(NotController));
        assert_eq!(receiver.try_recv().unwrap().unwrap_err(), NotController);
    }

    #[test]
    fn what_an_append_holds_is_held_until_it_is_decided_also_when_nobody_waits() {
        let mut replies = Replies::default();
        let held = Arc::new(());
        for number in 0..=MANY_WAITING as u64 {
            replies.appends.expect(Ticket(number), oneshot::channel().0, Held::new(Arc::clone(&held) as _));
        }
        replies.forget_abandoned();
        assert_eq!(Arc::strong_count(&held), MANY_WAITING + 2);
        replies.appends.answer(Ticket(7), Err(AppendError::NotLeader));
        assert_eq!(Arc::strong_count(&held), MANY_WAITING + 1);
    }

    #[test]
    fn many_that_all_wait_for_their_answers_are_kept() {
        let mut replies = Replies::default();
        let mut receivers = Vec::new();
        for number in 0..=MANY_WAITING {
            let (reply, receiver) = oneshot::channel();
            replies.controls.expect(Ticket(number as u64), reply);
            receivers.push(receiver);
        }
        replies.forget_abandoned();
        assert_eq!(replies.controls.0.len(), receivers.len());
    }
}
