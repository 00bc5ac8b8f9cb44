//! Messages for groups that this node does not have yet.
//!
//! A new topic's first leader may ask for votes before this node has applied the record that creates the group. Such
//! messages are kept for a moment, so that a new partition does not wait out an election timeout.

use std::collections::{HashMap, VecDeque};

use raft::eraftpb::Message;

use super::group::MAX_CONTEXT_LEN;
use crate::ids::RaftGroupId;

/// How many messages wait at most; beyond it the oldest are dropped, and Raft sends them again.
const MAX_WAITING: usize = 8192;

/// Small messages only: votes and heartbeats. Entries come again once the group answers.
#[derive(Default)]
pub(super) struct Orphans {
    waiting: HashMap<RaftGroupId, Vec<Message>>,
    order: VecDeque<RaftGroupId>,
}

impl Orphans {
    /// Keeps a message until its group is made.
    pub(super) fn keep(&mut self, group: RaftGroupId, message: Message) {
        if !message.entries.is_empty() || message.has_snapshot() || message.context.len() > MAX_CONTEXT_LEN {
            return;
        }
        while self.order.len() >= MAX_WAITING {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(messages) = self.waiting.get_mut(&oldest) {
                messages.remove(0);
                if messages.is_empty() {
                    self.waiting.remove(&oldest);
                }
            }
        }
        self.order.push_back(group);
        self.waiting.entry(group).or_default().push(message);
    }

    /// What came for a group that now exists.
    pub(super) fn take(&mut self, group: RaftGroupId) -> Vec<Message> {
        let messages = self.waiting.remove(&group).unwrap_or_default();
        if !messages.is_empty() {
            self.order.retain(|waiting| *waiting != group);
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_messages_make_room() {
        let mut orphans = Orphans::default();
        for n in 0..=MAX_WAITING as u64 {
            orphans.keep(RaftGroupId(n % 2), Message { term: n, ..Message::default() });
        }
        let even = orphans.take(RaftGroupId(0));
        assert_eq!(even.first().map(|m| m.term), Some(2), "message 0 made room");
        assert_eq!(even.len() + orphans.take(RaftGroupId(1)).len(), MAX_WAITING);
        assert!(orphans.take(RaftGroupId(1)).is_empty());
    }
}
