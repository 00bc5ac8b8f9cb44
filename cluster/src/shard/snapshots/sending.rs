//! The leader's side of a snapshot in parts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use raft::eraftpb::Message;

use super::{GIVE_UP_AFTER, INSTALL_WITHIN, MAX_SENDING, RESEND_AFTER, StateId, WINDOW_PARTS};
use crate::ids::{NodeId, RaftGroupId};
use crate::shard::Shard;
use crate::transport::{Frame, SnapshotPart, SnapshotReceived};

/// Who is sent what.
#[derive(Default)]
pub(in crate::shard) struct Sending {
    transfers: BTreeMap<(RaftGroupId, NodeId), Transfer>,
    /// The transfers that were given up, and told of, since they last got through.
    troubled: BTreeSet<(RaftGroupId, NodeId)>,
}

/// A state on its way to a follower.
struct Transfer {
    /// Raft's message but for the state.
    message: Message,
    state: Bytes,
    id: StateId,
    /// What the follower has.
    received: usize,
    /// What was sent.
    sent: usize,
    began: Duration,
    /// When it last got anywhere.
    moved: Duration,
    /// When something was last sent.
    sent_at: Duration,
}

/// Why a transfer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The follower has taken the state up, or is no longer to have it.
    Settled,
    /// It got nowhere.
    GivenUp,
    /// The follower is gone.
    Lost,
}

impl Transfer {
    fn new(mut message: Message, now: Duration) -> Self {
        let state = std::mem::take(&mut message.mut_snapshot().data);
        let id = StateId::of(&message, state.len() as u64, crc32c::crc32c(&state));
        Self { message, state, id, received: 0, sent: 0, began: now, moved: now, sent_at: now }
    }

    fn is_whole_there(&self) -> bool {
        self.received == self.state.len()
    }

    /// The parts that may go out now.
    fn next_parts(&mut self, group: RaftGroupId, part_bytes: usize, now: Duration) -> Vec<Frame> {
        let mut parts = Vec::new();
        while self.sent < self.state.len() && self.sent - self.received < WINDOW_PARTS * part_bytes {
            let end = self.state.len().min(self.sent + part_bytes);
            let part = SnapshotPart {
                group,
                offset: self.sent as u64,
                total: self.id.total,
                checksum: self.id.checksum,
                message: self.message.clone(),
                data: self.state.slice(self.sent..end),
            };
            parts.push(Frame::SnapshotPart(Box::new(part)));
            (self.sent, self.sent_at) = (end, now);
        }
        parts
    }

    /// The follower has so much.
    fn acknowledged(&mut self, received: u64, now: Duration) {
        let received = usize::try_from(received).unwrap_or(usize::MAX);
        if received > self.state.len() || received == self.received {
            return;
        }
        // Less than before: the follower has begun anew.
        self.sent = if received < self.received { received } else { self.sent.max(received) };
        (self.received, self.moved) = (received, now);
    }

    /// What was sent last, or what came back, may be lost.
    fn resend(&mut self, now: Duration) {
        if !self.is_whole_there() && now >= self.sent_at.max(self.moved) + RESEND_AFTER {
            self.sent = self.received;
        }
    }

    /// The follower may have started anew since it said that it has all. It is sent the last part again, and says what it has.
    fn ask_again(&mut self, part_bytes: usize, now: Duration) {
        if self.is_whole_there() {
            self.received = self.state.len().saturating_sub(1) / part_bytes * part_bytes;
            (self.sent, self.moved) = (self.received, now);
        }
    }

    /// Whether a follower that says nothing is gone: to take up a long state may keep it from speaking for seconds.
    fn is_lost_with_peer(&self, now: Duration) -> bool {
        !self.is_whole_there() || now >= self.moved + GIVE_UP_AFTER
    }

    fn is_stuck(&self, now: Duration) -> bool {
        now >= self.moved + if self.is_whole_there() { INSTALL_WITHIN } else { GIVE_UP_AFTER }
    }
}

impl Sending {
    /// Whether the follower is about to get, or to take up, a state of this group.
    pub(in crate::shard) fn is_serving(&self, group: RaftGroupId, peer: NodeId) -> bool {
        self.transfers.contains_key(&(group, peer))
    }

    /// The group is no longer here.
    pub(in crate::shard) fn forget(&mut self, group: RaftGroupId) {
        self.transfers.retain(|(of, _), _| *of != group);
        self.troubled.retain(|(of, _)| *of != group);
    }
}

impl Shard {
    /// Raft sends a snapshot that is longer than a part. What it sends again is under way already; what finds no place is
    /// dropped, and comes again.
    pub(in crate::shard) fn send_snapshot(&mut self, group: RaftGroupId, message: Message) {
        let Ok(peer) = u32::try_from(message.to).map(NodeId) else { return };
        let key = (group, peer);
        let metadata = message.get_snapshot().get_metadata();
        let known = self.sending.transfers.get(&key).filter(|known| {
            known.message.term == message.term
                && (known.id.index.0, known.id.term) == (metadata.index, metadata.term)
        });
        if known.is_some() || self.sending.transfers.len() >= MAX_SENDING {
            return;
        }
        let mut transfer = Transfer::new(message, self.now);
        tracing::info!(
            peer = peer.number(),
            bytes = transfer.state.len(),
            "sending {} as a snapshot in parts",
            self.image().name_of(group).unwrap_or_else(|| group.to_string())
        );
        for part in transfer.next_parts(group, self.checkpoints.part_bytes, self.now) {
            self.sends.frame(peer, part);
        }
        self.sending.transfers.insert(key, transfer);
    }

    /// A follower says how much it has of a state.
    pub(in crate::shard) fn snapshot_received(&mut self, from: NodeId, word: SnapshotReceived) {
        let SnapshotReceived { group, term, index, checksum, received } = word;
        let Some(transfer) = self.sending.transfers.get_mut(&(group, from)) else { return };
        if (transfer.message.term, transfer.id.index, transfer.id.checksum) != (term, index, checksum) {
            return;
        }
        transfer.acknowledged(received, self.now);
        for part in transfer.next_parts(group, self.checkpoints.part_bytes, self.now) {
            self.sends.frame(from, part);
        }
    }

    /// A follower is there again, maybe as another process, which has not taken up what the one before it had got.
    pub(in crate::shard) fn ask_for_snapshots(&mut self, peer: NodeId) {
        let transfers = self.sending.transfers.iter_mut().filter(|((_, to), _)| *to == peer);
        transfers.for_each(|(_, transfer)| transfer.ask_again(self.checkpoints.part_bytes, self.now));
    }

    /// Sends again what got lost, and gives up what gets nowhere. Called at every tick.
    pub(in crate::shard) fn pursue_snapshots(&mut self) {
        let end = |(key, transfer): (&(RaftGroupId, NodeId), &Transfer)| {
            self.end_of_transfer(*key, transfer).map(|end| (*key, end))
        };
        let over: Vec<_> = self.sending.transfers.iter().filter_map(end).collect();
        for (key, end) in over {
            self.end_transfer(key, end);
        }
        for ((group, peer), transfer) in &mut self.sending.transfers {
            transfer.resend(self.now);
            for part in transfer.next_parts(*group, self.checkpoints.part_bytes, self.now) {
                self.sends.frame(*peer, part);
            }
        }
    }

    fn end_of_transfer(&self, (group, peer): (RaftGroupId, NodeId), transfer: &Transfer) -> Option<End> {
        let waits = self.groups.get(&group).is_some_and(|replica| {
            replica.is_leader() && replica.term() == transfer.message.term && replica.awaits_snapshot(peer)
        });
        if !waits {
            Some(End::Settled)
        } else if !self.peers.is_alive(peer) && transfer.is_lost_with_peer(self.now) {
            Some(End::Lost)
        } else if transfer.is_stuck(self.now) {
            Some(End::GivenUp)
        } else {
            None
        }
    }

    fn end_transfer(&mut self, key: (RaftGroupId, NodeId), end: End) {
        let Some(transfer) = self.sending.transfers.remove(&key) else { return };
        let (group, peer) = key;
        let name = self.image().name_of(group).unwrap_or_else(|| group.to_string());
        let (received, bytes) = (transfer.received, transfer.state.len());
        match end {
            End::Settled if transfer.is_whole_there() => {
                let took_ms = self.now.saturating_sub(transfer.began).as_millis();
                tracing::info!(peer = peer.number(), bytes, took_ms, "a snapshot of {name} has got through");
                self.sending.troubled.remove(&key);
            }
            End::GivenUp if self.sending.troubled.insert(key) => {
                let seconds = self.now.saturating_sub(transfer.moved).as_secs();
                tracing::warn!(
                    peer = peer.number(),
                    received,
                    bytes,
                    "a snapshot of {name} has got no further for {seconds} s, and is sent anew; until it gets through, the \
                     peer's replica cannot catch up"
                );
            }
            _ => tracing::debug!(peer = peer.number(), received, bytes, ?end, "a snapshot of {name} is over"),
        }
        if end != End::Settled
            && let Some(replica) = self.groups.get_mut(&group)
        {
            replica.snapshot_failed(peer);
            self.dirty.insert(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: RaftGroupId = RaftGroupId(3);
    const PART: usize = 10;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn transfer(bytes: usize) -> Transfer {
        let mut message = Message::default();
        message.mut_snapshot().data = vec![7; bytes].into();
        Transfer::new(message, Duration::ZERO)
    }

    /// Offset and length of the parts that go out.
    fn parts(transfer: &mut Transfer, now: Duration) -> Vec<(u64, usize)> {
        let part = |frame| match frame {
            Frame::SnapshotPart(part) => (part.offset, part.data.len()),
            other => panic!("{other:?}"),
        };
        transfer.next_parts(GROUP, PART, now).into_iter().map(part).collect()
    }

    #[test]
    fn a_window_of_parts_is_on_the_way() {
        let mut transfer = transfer(65);
        assert_eq!(parts(&mut transfer, seconds(0)), [(0, 10), (10, 10), (20, 10), (30, 10)]);
        assert_eq!(parts(&mut transfer, seconds(0)), []);
        transfer.acknowledged(10, seconds(1));
        assert_eq!(parts(&mut transfer, seconds(1)), [(40, 10)]);
        transfer.acknowledged(40, seconds(1));
        assert_eq!(parts(&mut transfer, seconds(1)), [(50, 10), (60, 5)]);
        transfer.acknowledged(65, seconds(1));
        assert!(transfer.is_whole_there());
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let mut transfer = transfer(20);
        parts(&mut transfer, seconds(0));
        transfer.resend(Duration::from_millis(999));
        assert_eq!(parts(&mut transfer, seconds(1)), []);
        transfer.acknowledged(10, seconds(1));
        transfer.resend(seconds(2));
        assert_eq!(parts(&mut transfer, seconds(2)), [(10, 10)]);
    }

    #[test]
    fn a_follower_that_has_some_of_it_is_sent_the_rest_and_one_that_lost_it_everything() {
        let mut transfer = transfer(100);
        parts(&mut transfer, seconds(0));
        transfer.acknowledged(70, seconds(0));
        assert_eq!(parts(&mut transfer, seconds(0)), [(70, 10), (80, 10), (90, 10)]);
        transfer.acknowledged(0, seconds(0));
        assert_eq!(parts(&mut transfer, seconds(0)).first(), Some(&(0, 10)));
        transfer.acknowledged(101, seconds(0));
        assert_eq!(transfer.received, 0, "nobody has more than there is");
    }

    #[test]
    fn a_follower_that_starts_anew_before_it_takes_the_state_up_gets_it_again() {
        let mut transfer = transfer(25);
        parts(&mut transfer, seconds(0));
        transfer.acknowledged(25, seconds(1));
        transfer.ask_again(PART, seconds(2));
        assert_eq!(parts(&mut transfer, seconds(2)), [(20, 5)]);
        transfer.acknowledged(25, seconds(2));
        assert!(transfer.is_whole_there(), "it is the same process");
        transfer.ask_again(PART, seconds(3));
        parts(&mut transfer, seconds(3));
        transfer.acknowledged(0, seconds(3));
        assert_eq!(parts(&mut transfer, seconds(3)), [(0, 10), (10, 10), (20, 5)]);
    }

    #[test]
    fn a_transfer_that_gets_nowhere_is_given_up_and_one_that_is_there_has_time() {
        let mut transfer = transfer(20);
        assert!(!transfer.is_stuck(seconds(9)) && transfer.is_stuck(seconds(10)));
        transfer.acknowledged(10, seconds(9));
        assert!(!transfer.is_stuck(seconds(18)) && transfer.is_stuck(seconds(19)));
        transfer.acknowledged(20, seconds(19));
        assert!(!transfer.is_stuck(seconds(78)) && transfer.is_stuck(seconds(79)));
    }
}
