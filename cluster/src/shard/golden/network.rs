//! The network of the stage: what is sent waits until the script lets it arrive or drops it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::{NodeId, RaftGroupId};
use crate::transport::Frame;

/// From whom, to whom.
pub(super) type Link = (NodeId, NodeId);

/// Frames under way, in order on each link. Each holds one message, so that a script can choose among them.
#[derive(Default)]
pub(super) struct Network {
    queues: BTreeMap<Link, VecDeque<Frame>>,
    cut: BTreeSet<Link>,
}

/// Which of the frames under way are meant.
#[derive(Clone, Copy, Default)]
pub(super) struct Selection {
    pub(super) link: Option<Link>,
    /// Frames that are of this group alone.
    pub(super) group: Option<RaftGroupId>,
}

impl Selection {
    fn has(self, link: Link, frame: &Frame) -> bool {
        self.link.is_none_or(|wanted| wanted == link)
            && self.group.is_none_or(|wanted| group_of(frame) == Some(wanted))
    }
}

impl Network {
    /// Puts a frame on its way, message by message. Returns whether it will get there.
    pub(super) fn send(&mut self, link: Link, frame: Frame) -> bool {
        if self.cut.contains(&link) {
            return false;
        }
        self.queues.entry(link).or_default().push_back(frame);
        true
    }

    /// Takes the selected frames, link by link and in order on each.
    pub(super) fn take(&mut self, selection: Selection) -> Vec<(Link, Frame)> {
        let mut taken = Vec::new();
        for (link, queue) in &mut self.queues {
            let (selected, rest): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(queue).into_iter().partition(|frame| selection.has(*link, frame));
            *queue = rest;
            taken.extend(selected.into_iter().map(|frame| (*link, frame)));
        }
        taken
    }

    /// Everything under way.
    pub(super) fn frames(&self) -> impl Iterator<Item = (Link, &Frame)> {
        self.queues.iter().flat_map(|(link, queue)| queue.iter().map(|frame| (*link, frame)))
    }

    /// Nothing sent over `link` arrives from now on, what is under way included.
    pub(super) fn cut(&mut self, link: Link) {
        self.cut.insert(link);
        self.queues.remove(&link);
    }

    pub(super) fn is_cut(&self, link: Link) -> bool {
        self.cut.contains(&link)
    }

    /// All links carry frames again. Returns those that did not.
    pub(super) fn heal(&mut self) -> Vec<Link> {
        std::mem::take(&mut self.cut).into_iter().collect()
    }

    /// Nothing under way reaches `node`: its process is gone.
    pub(super) fn lose_all_to(&mut self, node: NodeId) {
        self.queues.retain(|(_, to), _| *to != node);
    }
}

/// The frame as frames of one message each.
pub(super) fn split(frame: Frame) -> Vec<Frame> {
    match frame {
        Frame::Raft(messages) => messages.into_iter().map(|message| Frame::Raft(vec![message])).collect(),
        Frame::Sleep(rows) => rows.into_iter().map(|row| Frame::Sleep(vec![row])).collect(),
        other => vec![other],
    }
}

/// The group that a split frame is of.
fn group_of(frame: &Frame) -> Option<RaftGroupId> {
    match frame {
        Frame::Raft(messages) => messages.first().map(|message| message.group),
        Frame::Sleep(rows) => rows.first().map(|row| row.group),
        Frame::SnapshotPart(part) => Some(part.group),
        Frame::SnapshotReceived(word) => Some(word.group),
        _ => None,
    }
}
