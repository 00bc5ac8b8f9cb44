//! A consumer without a group: reads a partition from its beginning, at the leader most of the time, and sometimes asks
//! another node as if it were the leader, which it may have been.

use super::{Client, Desk};
use crate::ids::{Offset, RaftGroupId, Ticket};
use crate::simulation::call::{Answer, Call};

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Reader {
    partition: Option<RaftGroupId>,
    position: Offset,
    asked: Option<Ticket>,
    ending: bool,
}

impl Client for Reader {
    fn wake(&mut self, desk: &mut Desk<'_>) {
        self.ending |= desk.ending;
        if self.ending {
            return;
        }
        if self.partition.is_none() || desk.random.chance(20) {
            self.partition = desk.any_partition();
            self.position = Offset(0);
            self.asked = None;
        }
        if let Some(group) = self.partition {
            let at_leader = desk.random.chance(700);
            let call = Call::Read { group, offset: self.position, at_leader };
            let node = desk.any_node();
            self.asked = Some(if at_leader { desk.ask_leader(group, call) } else { desk.ask(node, call) });
            if desk.random.chance(300) {
                let node = desk.any_node();
                desk.ask(node, Call::Read { group, offset: Offset(0), at_leader: true });
            }
        }
        desk.wake_within(20, 120);
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, _: &mut Desk<'_>) {
        if self.asked == Some(ticket)
            && let Answer::Read(Some(fetched)) = answer
        {
            // What was deleted is passed over, as with `auto.offset.reset=earliest`.
            let next = fetched.batches.last().map_or(self.position, |last| last.last_offset.plus(1));
            self.position = next.max(fetched.log_start);
        }
    }

    fn is_done(&self) -> bool {
        true
    }
}
