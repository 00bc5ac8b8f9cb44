//! Which nodes have room on their disks, and what a node does that has none.
//!
//! A node that falls below its reserve of free space stops taking records in, long before a write could fail:
//!
//! * as a leader it refuses them, and hands its leaderships to replicas with room, where there are any;
//! * as a follower it drops the records that it is sent, so that it does not count towards a majority. Not so where too
//!   few others have room: then the leaders take nothing in, and what they proposed before is finished;
//! * everything else goes on at the expense of the reserve: votes, the controller, group coordinators. They write little,
//!   their logs are compacted, and deleting topics is how room is made again.
//!
//! It says so with each heartbeat. Peers believe it for a moment after the last time, so that nothing has to be taken
//! back and no lost message matters. They send it no entries meanwhile, give it no leadership, and refuse records
//! themselves where fewer than a majority of the replicas has room: those could not be committed, and a producer that is
//! told so at once need not wait for its timeout.
//!
//! What is left out: a leader with room does not look at how much it has. Whoever falls below its own reserve speaks for
//! itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft::eraftpb::{Message, MessageType};

use super::Shard;
use super::group::Group;
use super::machine::Machine;
use super::peers::LOST_AFTER;
use crate::ids::{NodeId, RaftGroupId};
use crate::transport::Frame;

/// What is known of everybody's room.
pub(super) struct Room {
    /// Whether this node has some.
    own: bool,
    /// The peers that said they have none, and until when that is believed.
    lacking: BTreeMap<NodeId, Duration>,
}

impl Default for Room {
    fn default() -> Self {
        Self { own: true, lacking: BTreeMap::new() }
    }
}

impl Room {
    /// Whether this node has room.
    pub(super) const fn own(&self) -> bool {
        self.own
    }

    /// Whether the peer may be sent entries.
    pub(super) fn of_peer(&self, peer: NodeId, now: Duration) -> bool {
        self.lacking.get(&peer).is_none_or(|until| *until <= now)
    }
}

impl Shard {
    /// This node's disk has room, or none any more.
    pub(crate) fn set_room(&mut self, now: Duration, has_room: bool) {
        self.advance(now);
        if self.room.own == has_room {
            return;
        }
        self.room.own = has_room;
        self.inputs.has_room = self.most_have_room();
        if !has_room {
            self.tell_room();
            self.leave_to_those_with_room();
        }
    }

    /// Tells the peers, with every heartbeat, that this node has no room while that is so.
    pub(super) fn tell_room(&mut self) {
        if self.room.own {
            return;
        }
        for peer in self.peers.ids().collect::<Vec<_>>() {
            self.sends.frame(peer, Frame::NoRoom);
        }
    }

    /// A peer has no room.
    pub(super) fn learn_no_room(&mut self, peer: NodeId) {
        let told_before = !self.room.of_peer(peer, self.now);
        self.room.lacking.insert(peer, self.now + LOST_AFTER);
        if !told_before {
            tracing::info!(peer = peer.number(), "peer has no room on its disk: it is sent no records");
            self.inputs.has_room = self.most_have_room();
        }
    }

    /// Forgets what peers said too long ago.
    pub(super) fn review_room(&mut self) {
        let now = self.now;
        self.room.lacking.retain(|_, until| *until > now);
        self.inputs.has_room = self.most_have_room();
    }

    /// Whether a node may be given entries.
    pub(super) fn has_room(&self, node: NodeId) -> bool {
        if node == self.node { self.room.own } else { self.room.of_peer(node, self.now) }
    }

    /// Whether a new topic can be written to: a majority of the nodes has room.
    fn most_have_room(&self) -> bool {
        suffice_without(&self.nodes, &self.without_room())
    }

    /// The nodes that have no room, this one included.
    pub(super) fn without_room(&self) -> BTreeSet<NodeId> {
        self.nodes.iter().copied().filter(|node| !self.has_room(*node)).collect()
    }

    /// Whether records can be committed: this leader has room, and a majority of the replicas with it.
    pub(super) fn can_take_records(&self, voters: &[NodeId]) -> bool {
        self.room.own && suffice_without(voters, &self.without_room())
    }

    /// Whether a message brings records to this node, which has no room for them and is not needed. It drops them unseen:
    /// to Raft they are lost on the way, and are sent again some day.
    pub(super) fn overflows(&self, id: RaftGroupId, message: &Message) -> bool {
        if self.room.own || !carries_entries(message) {
            return false;
        }
        let spared = |group: &Group| {
            is_partition(group.machine()) && suffice_without(group.voters(), &self.without_room())
        };
        self.groups.get(&id).is_some_and(spared)
    }

    /// Gives away what others with room can lead. What nobody can is kept: it is still read.
    pub(super) fn leave_to_those_with_room(&mut self) {
        if self.room.own || self.leaving.own() {
            return;
        }
        for (id, heir) in self.heirs() {
            if self.has_room(heir) {
                self.transfer(id, heir);
            }
        }
    }
}

/// Whether a group commits without the voters that have no room.
pub(super) fn suffice_without(voters: &[NodeId], without_room: &BTreeSet<NodeId>) -> bool {
    let with_room = voters.iter().filter(|voter| !without_room.contains(voter)).count();
    with_room > voters.len() / 2
}

/// Whether the group holds records of clients, rather than state that is compacted.
pub(super) const fn is_partition(machine: &Machine) -> bool {
    matches!(machine, Machine::Partition(_))
}

/// Whether a message makes its receiver's log longer.
pub(super) fn carries_entries(message: &Message) -> bool {
    message.msg_type == MessageType::MsgAppend && !message.entries.is_empty()
}
