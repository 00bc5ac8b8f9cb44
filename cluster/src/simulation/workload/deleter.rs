//! Whoever deletes the oldest records of partitions, some or all of them, as an administrator does, or retention.

use super::{Client, Desk};
use crate::ids::{Offset, Ticket};
use crate::simulation::call::{Answer, Call};

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Deleter {
    /// The highest offset that a log was said to start at.
    known: Offset,
}

impl Client for Deleter {
    fn wake(&mut self, desk: &mut Desk<'_>) {
        if desk.ending {
            return;
        }
        if let Some(group) = desk.any_partition() {
            let some = i64::try_from(desk.random.below(60)).expect("a small number");
            // Everything, or something that is there, that is gone, or that is not there yet.
            let before = (!desk.random.chance(300)).then(|| self.known.plus(some - 10));
            desk.ask_leader(group, Call::DeleteRecords { group, before });
        }
        desk.wake_within(30, 400);
    }

    fn answered(&mut self, _: Ticket, answer: Answer, _: &mut Desk<'_>) {
        if let Answer::RecordsDeleted(Ok(start)) = answer {
            self.known = start;
        }
    }

    fn is_done(&self) -> bool {
        true
    }
}
