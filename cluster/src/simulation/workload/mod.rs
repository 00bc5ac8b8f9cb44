//! The clients. Each is a small machine of its own that asks nodes and reacts to answers; what it believes may be wrong,
//! since answers get lost. What is true, the invariants know, which see both ends.

mod admin;
mod committer;
mod deleter;
mod job;
mod member;
mod offsets;
mod producer;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use self::admin::Admin;
use self::committer::Committer;
use self::deleter::Deleter;
use self::job::Job;
use self::member::Member;
use self::producer::Producer;
use self::reader::Reader;
use super::aim::Aim;
use super::burden::Burden;
use super::call::{Answer, Call};
use super::memory::Memory;
use super::node::{Node, Process};
use super::random::Random;
use crate::controller::MetadataImage;
use crate::controller::topic_name::CONSUMER_OFFSETS;
use crate::coordinator::GroupId;
use crate::ids::{NodeId, PartitionIndex, RaftGroupId, Ticket, TopicId};
use crate::shard::GroupView;

/// Which client, by its place.
pub(super) type ClientId = usize;

/// How long a client waits for an answer, in milliseconds.
const PATIENCE: (u64, u64) = (300, 1_500);

/// A client.
pub(super) trait Client {
    /// Its time has come.
    fn wake(&mut self, desk: &mut Desk<'_>);

    /// What it asked has an answer.
    fn answered(&mut self, ticket: Ticket, answer: Answer, desk: &mut Desk<'_>);

    /// Whether it has nothing left to do, when it is told to come to an end.
    fn is_done(&self) -> bool;

    /// What it consumes as a member of a group, if it is one.
    fn share(&self) -> Option<Share<'_>> {
        None
    }
}

/// What a member of a group consumes.
pub(super) struct Share<'a> {
    pub(super) group: &'a GroupId,
    pub(super) topics: &'a BTreeSet<String>,
    pub(super) owned: &'a BTreeSet<(TopicId, PartitionIndex)>,
}

/// What a client wants done.
pub(super) enum Wish {
    Ask { node: NodeId, ticket: Ticket, call: Call, patience: Duration },
    WakeAfter(Duration),
}

/// Where a client stands while it acts: what it may look at, and what it wishes.
pub(super) struct Desk<'a> {
    pub(super) now: Duration,
    pub(super) nodes: &'a BTreeMap<NodeId, Node>,
    /// See [`World::newest_image`](crate::simulation::world::World::newest_image).
    pub(super) newest_image: &'a MetadataImage,
    pub(super) random: &'a mut Random,
    pub(super) next_ticket: &'a mut u64,
    /// The groups that lost something that was acknowledged, as they may, and how often.
    pub(super) lossy: &'a BTreeMap<RaftGroupId, usize>,
    /// By how much clocks have jumped ahead, all together.
    pub(super) jumped: Duration,
    /// Nothing breaks any more.
    pub(super) is_calm: bool,
    /// Nothing new is to be begun.
    pub(super) ending: bool,
    pub(super) wishes: Vec<Wish>,
}

impl Desk<'_> {
    /// Sends a request to a node.
    pub(super) fn ask(&mut self, node: NodeId, call: Call) -> Ticket {
        let patience = self.random.millis(PATIENCE.0, PATIENCE.1);
        self.ask_within(patience, node, call)
    }

    /// Sends a request to a node, and waits so long for the answer.
    pub(super) fn ask_within(&mut self, patience: Duration, node: NodeId, call: Call) -> Ticket {
        *self.next_ticket += 1;
        let ticket = Ticket(*self.next_ticket);
        self.wishes.push(Wish::Ask { node, ticket, call, patience });
        ticket
    }

    /// Asks to be woken in a while, of so many milliseconds.
    pub(super) fn wake_within(&mut self, first: u64, last: u64) {
        let after = self.random.millis(first, last);
        self.wishes.push(Wish::WakeAfter(after));
    }

    /// Any node, up or not.
    pub(super) fn any_node(&mut self) -> NodeId {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        self.random.pick(&nodes).expect("there are nodes")
    }

    /// The node that a group's leader is said to be, or any. Where metadata is wrong, chance finds the way out.
    pub(super) fn leader(&mut self, group: RaftGroupId) -> NodeId {
        let leader = self.process().and_then(|process| process.leader_of(group));
        match leader {
            Some(leader) if self.is_calm || self.random.chance(900) => leader,
            _ => self.any_node(),
        }
    }

    /// Sends a request to that node.
    pub(super) fn ask_leader(&mut self, group: RaftGroupId, call: Call) -> Ticket {
        let node = self.leader(group);
        self.ask(node, call)
    }

    /// The metadata of some node.
    pub(super) fn image(&mut self) -> Arc<MetadataImage> {
        self.process().map(|process| Arc::clone(process.image())).unwrap_or_default()
    }

    /// A partition for producers and readers, of those that a node knows.
    pub(super) fn any_partition(&mut self) -> Option<RaftGroupId> {
        let image = self.image();
        let users = image.partitions().filter(|view| &*view.topic.name != CONSUMER_OFFSETS);
        let groups: Vec<RaftGroupId> = users.map(|view| view.partition.group).collect();
        self.random.pick(&groups)
    }

    /// Whether a partition went with the disk of its only replica, as the log of that node says. Whoever waits for it waits for
    /// ever: it has to be deleted and made anew. It may have been made while the disk was lost already, and nobody knew.
    pub(super) fn is_lost(&self, group: RaftGroupId) -> bool {
        let mut views =
            self.nodes.values().filter_map(Node::process).filter_map(|up| up.shard.group_view(group));
        views.any(GroupView::is_lost)
    }

    /// The Raft group of the coordinator that a consumer group belongs to, if there are coordinators.
    pub(super) fn coordinator_of(&mut self, group: &GroupId) -> Option<RaftGroupId> {
        let image = self.image();
        let partitions = &image.topic(CONSUMER_OFFSETS)?.partitions;
        Some(partitions[group.partition_of(partitions.len())?].group)
    }

    /// An id that nobody else has.
    pub(super) fn fresh_id(&mut self) -> Uuid {
        *self.next_ticket += 1;
        Uuid::from_u128((*self.next_ticket).into())
    }

    fn process(&mut self) -> Option<&Process> {
        let nodes = self.nodes;
        let running: Vec<&Process> = nodes.values().filter_map(Node::process).collect();
        self.random.pick(&running)
    }
}

/// All clients of a simulation.
pub(super) fn clients(
    (burden, aim): (Burden, Aim),
    memory: Memory,
    retention: Option<Duration>,
    random: &mut Random,
) -> Vec<Box<dyn Client>> {
    let mut clients: Vec<Box<dyn Client>> = vec![Box::new(Admin::new(burden, random))];
    for number in 1..=4 {
        let producer = Producer::new(number, burden, memory.patience, random);
        clients.push(Box::new(if aim == Aim::Batches { producer.with_many_in_flight() } else { producer }));
    }
    for _ in 0..2 {
        clients.push(Box::<Reader>::default());
    }
    clients.push(Box::<Deleter>::default());
    for number in 1..=2 {
        clients.push(match retention {
            None => Box::new(Committer::new(number)),
            Some(retention) => Box::new(Job::new(number, retention)),
        });
    }
    for number in 0..6 {
        let member = Member::new(number);
        clients.push(Box::new(if aim == Aim::Assignments { member.that_repeats_itself() } else { member }));
    }
    clients
}
