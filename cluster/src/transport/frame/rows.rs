//! The rows of frames that tell something of many groups.

use bytes::{Buf, BufMut, Bytes};

use super::{COUNT_LEN, FrameError, GROUP_LEN, Gather, list, put_u32};
use crate::ids::{NodeId, RaftGroupId, RaftIndex};

/// One group's leadership, as the sender knows it. The highest term wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadershipRow {
    /// The group.
    pub group: RaftGroupId,
    /// The term in which `leader` leads.
    pub term: u64,
    /// The leader.
    pub leader: NodeId,
    /// The replicas that are caught up, the leader among them. None when it leads no more.
    pub isr: Vec<NodeId>,
}

/// A group that its leader puts to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepRow {
    /// The group.
    pub group: RaftGroupId,
    /// The leader's term. A replica in another term stays awake.
    pub term: u64,
    /// What is committed, which is all there is. A replica that lacks any of it stays awake.
    pub commit: RaftIndex,
}

/// A group in which a replica without memory may follow again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadmitRow {
    /// The group.
    pub group: RaftGroupId,
    /// The sender's term, in which it leads. The replica follows no leader of an earlier one.
    pub term: u64,
    /// With the entry at this index applied, the replica holds everything that was ever counted on.
    pub until: RaftIndex,
    /// In the controller's row, the lowest group number that was not allotted by that entry. 0 in all others.
    pub groups: RaftGroupId,
}

/// A group and a term of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermRow {
    /// The group.
    pub group: RaftGroupId,
    /// The term.
    pub term: u64,
}

impl LeadershipRow {
    /// What a row without in-sync replicas takes.
    pub(super) const MIN_LEN: usize = GROUP_LEN + 8 + 4 + COUNT_LEN;

    pub(super) fn encoded_len(&self) -> usize {
        Self::MIN_LEN + self.isr.len() * size_of::<u32>()
    }

    pub(super) fn encode(&self, out: &mut Gather) {
        let fields = out.fields();
        fields.put_u64(self.group.0);
        fields.put_u64(self.term);
        fields.put_u32(self.leader.0);
        put_u32(out, self.isr.len());
        for node in &self.isr {
            out.fields().put_u32(node.0);
        }
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Result<Self, FrameError> {
        Ok(Self {
            group: RaftGroupId(bytes.try_get_u64()?),
            term: bytes.try_get_u64()?,
            leader: NodeId(bytes.try_get_u32()?),
            isr: list(bytes, size_of::<u32>(), |bytes| Ok(NodeId(bytes.try_get_u32()?)))?,
        })
    }
}

impl SleepRow {
    pub(super) const LEN: usize = GROUP_LEN + 8 + 8;

    pub(super) fn encode(&self, out: &mut Gather) {
        let fields = out.fields();
        fields.put_u64(self.group.0);
        fields.put_u64(self.term);
        fields.put_u64(self.commit.0);
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Result<Self, FrameError> {
        Ok(Self {
            group: RaftGroupId(bytes.try_get_u64()?),
            term: bytes.try_get_u64()?,
            commit: RaftIndex(bytes.try_get_u64()?),
        })
    }
}

impl ReadmitRow {
    pub(super) const LEN: usize = GROUP_LEN + 8 + 8 + 8;

    pub(super) fn encode(&self, out: &mut Gather) {
        let fields = out.fields();
        fields.put_u64(self.group.0);
        fields.put_u64(self.term);
        fields.put_u64(self.until.0);
        fields.put_u64(self.groups.0);
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Result<Self, FrameError> {
        Ok(Self {
            group: RaftGroupId(bytes.try_get_u64()?),
            term: bytes.try_get_u64()?,
            until: RaftIndex(bytes.try_get_u64()?),
            groups: RaftGroupId(bytes.try_get_u64()?),
        })
    }
}

impl TermRow {
    pub(super) const LEN: usize = GROUP_LEN + 8;

    pub(super) fn encode(&self, out: &mut Gather) {
        let fields = out.fields();
        fields.put_u64(self.group.0);
        fields.put_u64(self.term);
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Result<Self, FrameError> {
        Ok(Self { group: RaftGroupId(bytes.try_get_u64()?), term: bytes.try_get_u64()? })
    }
}
