//! A consumer that keeps its place with a group coordinator, without being a member of anything: it commits ever higher
//! offsets, and reads back what it has committed.

use std::collections::BTreeMap;

use super::{Client, Desk};
use crate::coordinator::{
    CommitOffsets, CommitPartition, CommitTopic, FetchOffsets, GroupId, GroupRequest, MemberId,
};
use crate::ids::{Offset, PartitionIndex, Ticket};
use crate::simulation::call::{Answer, Call};

/// The topic whose offsets are committed.
const TOPIC: &str = "orders";

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
        let partition =
            CommitPartition { index: PartitionIndex(0), offset, leader_epoch: None, metadata: String::new() };
        GroupRequest::CommitOffsets(CommitOffsets {
            group: self.group.clone(),
            member: MemberId::from(""),
            epoch: -1,
            instance: None,
            retention_ms: None,
            knows_epochs: true,
            topics: vec![CommitTopic { name: TOPIC.into(), partitions: vec![partition] }],
        })
    }

    fn fetch(&self) -> GroupRequest {
        GroupRequest::FetchOffsets(FetchOffsets {
            group: self.group.clone(),
            member: None,
            epoch: -1,
            topics: Some(BTreeMap::from([(TOPIC.into(), vec![PartitionIndex(0)])])),
            require_stable: true,
        })
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
            let request = Box::new(if desk.random.chance(500) { self.commit() } else { self.fetch() });
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
