//! A consumer that keeps its place with a group coordinator, without being a member of anything: it commits ever higher
//! offsets, and reads back what it has committed.

use super::{Client, Desk, offsets};
use crate::coordinator::{GroupId, GroupRequest, MemberEpoch, MemberId};
use crate::ids::{Offset, Ticket};
use crate::simulation::call::{Answer, Call};

/// See the module's documentation.
pub(super) struct Committer {
    group: GroupId,
    next: i64,
    asked: Option<Ticket>,
    ending: bool,
}

impl Committer {
    pub(super) fn new(number: u32) -> Self {
        let group = GroupId::from(format!("committer-{number}").as_str());
        Self { group, next: 1, asked: None, ending: false }
    }

    fn commit(&mut self) -> GroupRequest {
        let offset = Offset(self.next);
        self.next += 1;
        offsets::commit(&self.group, &MemberId::from(""), MemberEpoch(-1), offset)
    }
}

impl Client for Committer {
    fn wake(&mut self, desk: &mut Desk<'_>) {
        self.ending |= desk.ending;
        if self.ending {
            return;
        }
        if self.asked.is_none()
            && let Some(coordinator) = desk.coordinator_of(&self.group)
        {
            let request =
                Box::new(if desk.random.chance(500) { self.commit() } else { offsets::fetch(&self.group) });
            self.asked = Some(desk.ask_leader(coordinator, Call::Coordinate { coordinator, request }));
        }
        desk.wake_within(20, 150);
    }

    fn answered(&mut self, ticket: Ticket, _: Answer, _: &mut Desk<'_>) {
        if self.asked == Some(ticket) {
            self.asked = None;
        }
    }

    fn is_done(&self) -> bool {
        self.ending && self.asked.is_none()
    }
}
