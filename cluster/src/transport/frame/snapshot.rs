//! Frames by which a snapshot travels in parts.

use bytes::{Buf, BufMut, Bytes};
use raft::eraftpb::Message;

use super::{FrameError, GROUP_LEN, Gather, payload, raft_message};
use crate::ids::{RaftGroupId, RaftIndex};

/// Part of a snapshot that is too long for one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotPart {
    /// The group whose state it is.
    pub group: RaftGroupId,
    /// Where in the state the part begins.
    pub offset: u64,
    /// The length of the whole state.
    pub total: u64,
    /// The CRC-32C of the whole state.
    pub checksum: u32,
    /// Raft's message, but for the state.
    pub message: Message,
    /// The part.
    pub data: Bytes,
}

/// How much of a snapshot has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotReceived {
    /// The group whose state it is.
    pub group: RaftGroupId,
    /// The term in which its leader sends it.
    pub term: u64,
    /// The entry that the state is as of.
    pub index: RaftIndex,
    /// The CRC-32C of the whole state.
    pub checksum: u32,
    /// The bytes that are there, from the first one on.
    pub received: u64,
}

impl SnapshotPart {
    /// What a part takes without message and data.
    const MIN_LEN: usize = GROUP_LEN + 8 + 8 + 4 + 4;

    pub(super) fn encoded_len(&self) -> usize {
        Self::MIN_LEN + raft_message::encoded_len(&self.message) + self.data.len()
    }

    pub(super) fn encode(&self, out: &mut Gather) {
        let fields = out.fields();
        fields.put_u64(self.group.0);
        fields.put_u64(self.offset);
        fields.put_u64(self.total);
        fields.put_u32(self.checksum);
        raft_message::encode(&self.message, out);
        out.put_payload(&self.data);
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Result<Self, FrameError> {
        // In the order of the wire, in which a struct expression evaluates its fields.
        Ok(Self {
            group: RaftGroupId(bytes.try_get_u64()?),
            offset: bytes.try_get_u64()?,
            total: bytes.try_get_u64()?,
            checksum: bytes.try_get_u32()?,
            message: raft_message::decode(bytes)?,
            data: payload(bytes)?,
        })
    }
}

impl SnapshotReceived {
    pub(super) const LEN: usize = GROUP_LEN + 8 + 8 + 4 + 8;

    pub(super) fn encode(self, out: &mut Gather) {
        let fields = out.fields();
        fields.put_u64(self.group.0);
        fields.put_u64(self.term);
        fields.put_u64(self.index.0);
        fields.put_u32(self.checksum);
        fields.put_u64(self.received);
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Result<Self, FrameError> {
        Ok(Self {
            group: RaftGroupId(bytes.try_get_u64()?),
            term: bytes.try_get_u64()?,
            index: RaftIndex(bytes.try_get_u64()?),
            checksum: bytes.try_get_u32()?,
            received: bytes.try_get_u64()?,
        })
    }
}
