//! The follower's side of a snapshot in parts.

use std::collections::BTreeMap;
use std::time::Duration;

use raft::eraftpb::Message;

use super::{FORGET_AFTER, MAX_RECEIVING_BYTES, MAX_SNAPSHOT_BYTES, StateId};
use crate::ids::{NodeId, RaftGroupId};
use crate::shard::Shard;
use crate::transport::{Frame, SnapshotPart, SnapshotReceived};

/// States that are not whole yet, one a group.
#[derive(Default)]
pub(in crate::shard) struct Receiving(BTreeMap<RaftGroupId, Incomplete>);

struct Incomplete {
    id: StateId,
    /// The term of the leader that sends it.
    term: u64,
    bytes: Vec<u8>,
    /// When something of it last came.
    at: Duration,
}

/// What becomes of a part.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    /// So much is there now.
    UpTo(u64),
    /// All is there.
    Whole(Vec<u8>),
    /// All is there and is not what was announced. It begins anew.
    Spoilt,
    /// There is no room for more at present, or a leader of an earlier term sends it.
    Nothing,
}

impl Receiving {
    /// How much there is of the state that the group is about to get; 0 if of none.
    pub(in crate::shard) fn of(&self, group: RaftGroupId) -> u64 {
        self.0.get(&group).map_or(0, |incomplete| incomplete.bytes.len() as u64)
    }

    /// The group has no use for what is there.
    pub(in crate::shard) fn forget(&mut self, group: RaftGroupId) {
        self.0.remove(&group);
    }

    pub(in crate::shard) fn forget_old(&mut self, now: Duration) {
        self.0.retain(|_, incomplete| now < incomplete.at + FORGET_AFTER);
    }

    fn take(&mut self, id: StateId, part: &SnapshotPart, now: Duration) -> Taken {
        let SnapshotPart { group, offset, message, data, .. } = part;
        let others = self.0.iter().filter(|(of, _)| *of != group);
        let others: usize = others.map(|(_, incomplete)| incomplete.bytes.len()).sum();
        if self.0.get(group).is_some_and(|known| known.term > message.term) {
            return Taken::Nothing;
        }
        if self.0.get(group).is_none_or(|known| known.id != id) {
            self.0.insert(*group, Incomplete { id, term: message.term, bytes: Vec::new(), at: now });
        }
        let Some(incomplete) = self.0.get_mut(group) else { return Taken::Nothing };
        (incomplete.term, incomplete.at) = (message.term, now);
        if *offset != incomplete.bytes.len() as u64 {
            return Taken::UpTo(incomplete.bytes.len() as u64);
        }
        // One state alone may be longer than the bound, or it could never be had.
        if others > 0 && others + incomplete.bytes.len() + data.len() > MAX_RECEIVING_BYTES {
            return Taken::Nothing;
        }
        incomplete.bytes.extend_from_slice(data);
        let received = incomplete.bytes.len() as u64;
        if received < id.total {
            return Taken::UpTo(received);
        }
        let bytes = self.0.remove(group).map(|whole| whole.bytes).unwrap_or_default();
        if crc32c::crc32c(&bytes) == id.checksum { Taken::Whole(bytes) } else { Taken::Spoilt }
    }
}

impl Shard {
    /// A leader sends part of a state.
    pub(in crate::shard) fn take_snapshot_part(&mut self, from: NodeId, part: SnapshotPart) {
        let id = part.group;
        let Some(group) = self.groups.get(&id) else { return };
        let is_sound = part.total <= MAX_SNAPSHOT_BYTES
            && part.offset.checked_add(part.data.len() as u64).is_some_and(|end| end <= part.total)
            && !part.data.is_empty()
            && part.message.from == u64::from(from.0)
            && part.message.to == u64::from(self.node.0);
        if !is_sound {
            return self.refuse(from, id, "it is no part of a snapshot for this node");
        }
        if let Err(why) = group.scrutinize_announced(&part.message) {
            return self.refuse(from, id, why);
        }
        if part.message.term < group.term() {
            return;
        }
        let state = StateId::of(&part.message, part.total, part.checksum);
        if state.index <= group.commit() {
            // It has come by another way meanwhile. An empty append tells the leader how far this replica is.
            return self.step(from, id, probe_of(&part.message));
        }
        let term = part.message.term;
        let taken = self.receiving.take(state, &part, self.now);
        let received = match &taken {
            Taken::UpTo(received) => *received,
            Taken::Whole(_) => state.total,
            Taken::Spoilt => 0,
            Taken::Nothing => return,
        };
        let checksum = state.checksum;
        let word = SnapshotReceived { group: id, term, index: state.index, checksum, received };
        self.sends.frame(from, Frame::SnapshotReceived(word));
        match taken {
            Taken::Whole(bytes) => {
                let mut message = part.message;
                message.mut_snapshot().data = bytes.into();
                self.step(from, id, message);
            }
            Taken::Spoilt => self.refuse(from, id, "the parts of its snapshot are not what it announced"),
            Taken::UpTo(_) | Taken::Nothing => {}
        }
    }
}

/// The leader's own words without the state: Raft answers an append below its commit with the commit.
fn probe_of(snapshot: &Message) -> Message {
    Message {
        msg_type: raft::eraftpb::MessageType::MsgAppend,
        snapshot: None.into(),
        index: 0,
        log_term: 0,
        ..snapshot.clone()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const GROUP: RaftGroupId = RaftGroupId(3);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Part of `state`, which is as of the entry at `index`, from a leader in `term`.
    fn part(state: &[u8], at: std::ops::Range<usize>, index: u64, term: u64) -> (StateId, SnapshotPart) {
        let mut message = Message { term, ..Message::default() };
        message.mut_snapshot().mut_metadata().index = index;
        let (total, checksum) = (state.len() as u64, crc32c::crc32c(state));
        let data = Bytes::copy_from_slice(&state[at.clone()]);
        let id = StateId::of(&message, total, checksum);
        (id, SnapshotPart { group: GROUP, offset: at.start as u64, total, checksum, message, data })
    }

    fn take(receiving: &mut Receiving, (id, part): (StateId, SnapshotPart)) -> Taken {
        receiving.take(id, &part, seconds(0))
    }

    #[test]
    fn parts_make_a_whole_in_order_and_each_once() {
        let (mut receiving, state) = (Receiving::default(), b"the whole state");
        assert_eq!(take(&mut receiving, part(state, 0..4, 5, 1)), Taken::UpTo(4));
        assert_eq!(
            take(&mut receiving, part(state, 8..12, 5, 1)),
            Taken::UpTo(4),
            "what is between is missing"
        );
        assert_eq!(take(&mut receiving, part(state, 0..4, 5, 1)), Taken::UpTo(4), "it is there");
        assert_eq!(take(&mut receiving, part(state, 4..8, 5, 1)), Taken::UpTo(8));
        assert_eq!(receiving.of(GROUP), 8);
        assert_eq!(take(&mut receiving, part(state, 8..15, 5, 1)), Taken::Whole(state.to_vec()));
        assert_eq!(receiving.of(GROUP), 0);
    }

    #[test]
    fn another_leader_goes_on_with_the_same_state_and_begins_anew_with_another() {
        let (mut receiving, state) = (Receiving::default(), b"the whole state");
        take(&mut receiving, part(state, 0..4, 5, 1));
        assert_eq!(take(&mut receiving, part(state, 0..4, 5, 2)), Taken::UpTo(4));
        assert_eq!(take(&mut receiving, part(state, 4..8, 5, 1)), Taken::Nothing, "it is deposed");
        assert_eq!(take(&mut receiving, part(state, 4..8, 5, 2)), Taken::UpTo(8));
        assert_eq!(take(&mut receiving, part(b"a later state", 0..4, 6, 2)), Taken::UpTo(4));
    }

    #[test]
    fn bytes_that_are_not_what_was_announced_are_given_up() {
        let (mut receiving, state) = (Receiving::default(), b"the whole state");
        take(&mut receiving, part(state, 0..4, 5, 1));
        let (id, mut spoilt) = part(state, 4..15, 5, 1);
        spoilt.data = Bytes::from_static(b"other bytes");
        assert_eq!(receiving.take(id, &spoilt, seconds(0)), Taken::Spoilt);
        assert_eq!(receiving.of(GROUP), 0);
    }

    #[test]
    fn all_groups_together_are_bounded_and_one_alone_is_not() {
        let (mut receiving, state) = (Receiving::default(), b"the whole state");
        let long = Incomplete {
            id: part(state, 0..4, 5, 1).0,
            term: 1,
            bytes: vec![0; MAX_RECEIVING_BYTES],
            at: seconds(0),
        };
        receiving.0.insert(RaftGroupId(9), long);
        assert_eq!(take(&mut receiving, part(state, 0..4, 5, 1)), Taken::Nothing);
        receiving.forget_old(FORGET_AFTER);
        assert_eq!(take(&mut receiving, part(state, 0..4, 5, 1)), Taken::UpTo(4));
    }
}
