//! Frames: what travels on a connection once the handshake is done.
//!
//! ```text
//! frame:       length u32 | kind u8 | body          length counts kind and body; integers are big-endian
//! 1 Raft:          count u32 | count × (group u64 | message)        see `raft_message`
//! 2 Heartbeat:     sequence u64
//! 3 HeartbeatAck:  sequence u64
//! 4 Leadership:    count u32 | count × (group u64 | term u64 | leader u32 | isr: count u32, then u32 each)
//! 5 Sleep:         count u32 | count × (group u64 | term u64 | commit u64)
//! 6 Request:       id u64 | payload to the end
//! 7 Response:      id u64 | payload to the end
//! 8 Rejoin:        store, 16 bytes | count u32 | count × group u64
//! 9 Readmit:       store, 16 bytes | count u32 | count × (group u64 | term u64 | until u64 | groups u64)
//! 10 Confirm:      round u64 | count u32 | count × (group u64 | term u64)
//! 11 Vouch:        round u64 | count u32 | count × (group u64 | term u64)
//! 12 NoRoom:       nothing
//! 13 Leaving:      nothing
//! 14 Recount:      store, 16 bytes | count u32 | count × group u64
//! 15 SnapshotPart: group u64 | offset u64 | total u64 | checksum u32 | message | data: length u32, then bytes
//! 16 SnapshotReceived: group u64 | term u64 | index u64 | checksum u32 | received u64
//! ```
//!
//! Kinds are append-only. Any change to a kind's body is a new protocol version, which the handshake compares.
//!
//! Decoding trusts nothing: every count is checked against the bytes that remain before anything is allocated, and
//! bytes left over are an error. Payloads are slices of the received frame, so **a payload that is kept keeps its whole
//! frame in memory**: the entries of one Raft frame age together in the log's tail, which is why that is cheap.

mod rows;
mod snapshot;

use bytes::{Buf, BufMut, Bytes, TryGetError};
use raft::eraftpb::Message;
use thiserror::Error;

pub use self::rows::{LeadershipRow, ReadmitRow, SleepRow, TermRow};
pub use self::snapshot::{SnapshotPart, SnapshotReceived};
use super::gather::Gather;
use super::raft_message;
use crate::ids::{RaftGroupId, StoreId};

/// The largest frame, in bytes after the length field. A longer one is neither sent nor accepted.
pub(super) const MAX_FRAME_LEN: usize = 64 * 1024 * 1024;

/// Raft messages beyond this many bytes go into a further frame, so that a receiver starts on the first while the rest
/// is on its way. One message is never split.
pub(super) const RAFT_FRAME_LEN: usize = 4 * 1024 * 1024;

/// The bytes of the length field.
pub(super) const LENGTH_LEN: usize = 4;
const KIND_LEN: usize = 1;
const COUNT_LEN: usize = 4;
const GROUP_LEN: usize = 8;
const STORE_LEN: usize = 16;

const RAFT: u8 = 1;
const HEARTBEAT: u8 = 2;
const HEARTBEAT_ACK: u8 = 3;
const LEADERSHIP: u8 = 4;
const SLEEP: u8 = 5;
const REQUEST: u8 = 6;
const RESPONSE: u8 = 7;
const REJOIN: u8 = 8;
const READMIT: u8 = 9;
const CONFIRM: u8 = 10;
const VOUCH: u8 = 11;
const NO_ROOM: u8 = 12;
const LEAVING: u8 = 13;
const RECOUNT: u8 = 14;
const SNAPSHOT_PART: u8 = 15;
const SNAPSHOT_RECEIVED: u8 = 16;

/// One message between two nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Many groups' Raft messages. More than four megabytes of them arrive as several frames, in order.
    Raft(Vec<GroupMessage>),
    /// "I am alive", on behalf of every group.
    Heartbeat {
        /// Chosen by the sender; higher in each later heartbeat.
        sequence: u64,
    },
    /// The answer to a heartbeat.
    HeartbeatAck {
        /// The heartbeat's sequence.
        sequence: u64,
    },
    /// Which groups the sender leads or knows the leader of.
    Leadership(Vec<LeadershipRow>),
    /// "My disk is full": said with each heartbeat while it is so.
    NoRoom,
    /// "Let others lead": said with each heartbeat by a node that is about to end, or whose disk stands still.
    Leaving,
    /// Groups with nothing to do, which need no heartbeat of their own until they wake.
    Sleep(Vec<SleepRow>),
    /// A question of one node's to another; see [`RpcClient`](super::RpcClient).
    Request {
        /// Chosen by the caller, repeated in the answer.
        id: u64,
        /// The question, in a form that is the rooms' above.
        body: Bytes,
    },
    /// The answer to a [`Frame::Request`].
    Response {
        /// The request's id.
        id: u64,
        /// The answer.
        body: Bytes,
    },
    /// The sender lost its disk, and asks the leaders of these groups to readmit it.
    Rejoin {
        /// The store that it has now.
        store: StoreId,
        /// Groups in which its new replica is barred.
        groups: Vec<RaftGroupId>,
    },
    /// The sender may have forgotten the last entries that it acknowledged, and asks the leaders of these groups to count it
    /// anew.
    Recount {
        /// The store that it has now.
        store: StoreId,
        /// Groups in which its replica is forgetful.
        groups: Vec<RaftGroupId>,
    },
    /// The answer to a [`Frame::Rejoin`] or a [`Frame::Recount`], for some of its groups.
    Readmit {
        /// The store that is readmitted.
        store: StoreId,
        /// One row a group.
        rows: Vec<ReadmitRow>,
    },
    /// "Do I still lead these groups?", asked of a node that has a vote in all of them.
    Confirm {
        /// Chosen by the sender; higher in each later question.
        round: u64,
        /// The groups, in order, and the term in which the sender leads each.
        rows: Vec<TermRow>,
    },
    /// The answer to a [`Frame::Confirm`].
    Vouch {
        /// The question's round.
        round: u64,
        /// Those of its rows in whose group the sender is in that very term, in the same order.
        rows: Vec<TermRow>,
    },
    /// Part of a snapshot that is too long for a message.
    SnapshotPart(Box<SnapshotPart>),
    /// The answer to a [`Frame::SnapshotPart`].
    SnapshotReceived(SnapshotReceived),
}

/// A Raft message and the group it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMessage {
    /// The group, on the sender's and the receiver's side alike.
    pub group: RaftGroupId,
    /// The message, as Raft made it.
    pub message: Message,
}

/// Why received bytes are not a frame. The connection they came on is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum FrameError {
    /// Fewer bytes than a field or a count claims.
    #[error("a frame ends before its content does")]
    Truncated,
    /// More bytes than the content has.
    #[error("a frame has {0} bytes after its content")]
    Trailing(usize),
    /// The length field is 0 or above the bound.
    #[error("a frame of {0} bytes is not within 1 to {MAX_FRAME_LEN}")]
    Length(u32),
    /// A number without a meaning.
    #[error("{value} is no {what}")]
    UnknownValue {
        /// What the number should have been.
        what: &'static str,
        /// The number.
        value: u8,
    },
}

impl From<TryGetError> for FrameError {
    fn from(_: TryGetError) -> Self {
        Self::Truncated
    }
}

/// A frame, or one message within a Raft frame, is above [`MAX_FRAME_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameTooLong;

impl Frame {
    /// The number of bytes to send, which for Raft messages that need several frames leaves the further headers out.
    ///
    /// # Errors
    ///
    /// [`FrameTooLong`] if the receiver would refuse it. Then it must not be encoded.
    pub(super) fn encoded_len(&self) -> Result<usize, FrameTooLong> {
        let header = LENGTH_LEN + KIND_LEN;
        // What must fit into one frame, and what there is in all.
        let (indivisible, total) = match self {
            Self::Raft(messages) => {
                let lengths = messages.iter().map(group_message_len);
                let (longest, sum) =
                    lengths.fold((0, 0), |(longest, sum), len| (len.max(longest), sum + len));
                (COUNT_LEN + longest, COUNT_LEN + sum)
            }
            Self::Heartbeat { .. } | Self::HeartbeatAck { .. } => (8, 8),
            Self::NoRoom | Self::Leaving => (0, 0),
            Self::Leadership(rows) => {
                let rows: usize = rows.iter().map(LeadershipRow::encoded_len).sum();
                (COUNT_LEN + rows, COUNT_LEN + rows)
            }
            Self::Sleep(rows) => {
                (COUNT_LEN + rows.len() * SleepRow::LEN, COUNT_LEN + rows.len() * SleepRow::LEN)
            }
            Self::Request { body, .. } | Self::Response { body, .. } => (8 + body.len(), 8 + body.len()),
            Self::Rejoin { groups, .. } | Self::Recount { groups, .. } => {
                let length = STORE_LEN + COUNT_LEN + groups.len() * GROUP_LEN;
                (length, length)
            }
            Self::Readmit { rows, .. } => {
                let length = STORE_LEN + COUNT_LEN + rows.len() * ReadmitRow::LEN;
                (length, length)
            }
            Self::Confirm { rows, .. } | Self::Vouch { rows, .. } => {
                let rows = rows.len() * TermRow::LEN;
                (8 + COUNT_LEN + rows, 8 + COUNT_LEN + rows)
            }
            Self::SnapshotPart(part) => (part.encoded_len(), part.encoded_len()),
            Self::SnapshotReceived(_) => (SnapshotReceived::LEN, SnapshotReceived::LEN),
        };
        if KIND_LEN + indivisible > MAX_FRAME_LEN { Err(FrameTooLong) } else { Ok(header + total) }
    }

    /// Appends the frame, or several if it holds many Raft messages.
    ///
    /// # Panics
    ///
    /// If [`Frame::encoded_len`] refused it.
    pub(super) fn encode(&self, out: &mut Gather) {
        match self {
            Self::Raft(messages) => encode_raft(messages, out),
            Self::Heartbeat { sequence } => {
                self.put_header(HEARTBEAT, out);
                out.fields().put_u64(*sequence);
            }
            Self::HeartbeatAck { sequence } => {
                self.put_header(HEARTBEAT_ACK, out);
                out.fields().put_u64(*sequence);
            }
            Self::Leadership(rows) => {
                self.put_header(LEADERSHIP, out);
                put_u32(out, rows.len());
                rows.iter().for_each(|row| row.encode(out));
            }
            Self::Sleep(rows) => {
                self.put_header(SLEEP, out);
                put_u32(out, rows.len());
                rows.iter().for_each(|row| row.encode(out));
            }
            Self::NoRoom => self.put_header(NO_ROOM, out),
            Self::Leaving => self.put_header(LEAVING, out),
            Self::Request { id, body } => {
                self.put_header(REQUEST, out);
                out.fields().put_u64(*id);
                out.put_rest(body);
            }
            Self::Response { id, body } => {
                self.put_header(RESPONSE, out);
                out.fields().put_u64(*id);
                out.put_rest(body);
            }
            Self::Rejoin { store, groups } => {
                self.put_header(REJOIN, out);
                put_question(*store, groups, out);
            }
            Self::Recount { store, groups } => {
                self.put_header(RECOUNT, out);
                put_question(*store, groups, out);
            }
            Self::Readmit { store, rows } => {
                self.put_header(READMIT, out);
                out.fields().put_slice(&store.0);
                put_u32(out, rows.len());
                rows.iter().for_each(|row| row.encode(out));
            }
            Self::Confirm { round, rows } => {
                self.put_header(CONFIRM, out);
                out.fields().put_u64(*round);
                put_u32(out, rows.len());
                rows.iter().for_each(|row| row.encode(out));
            }
            Self::Vouch { round, rows } => {
                self.put_header(VOUCH, out);
                out.fields().put_u64(*round);
                put_u32(out, rows.len());
                rows.iter().for_each(|row| row.encode(out));
            }
            Self::SnapshotPart(part) => {
                self.put_header(SNAPSHOT_PART, out);
                part.encode(out);
            }
            Self::SnapshotReceived(received) => {
                self.put_header(SNAPSHOT_RECEIVED, out);
                received.encode(out);
            }
        }
    }

    /// Writes length and kind of a frame that is not split.
    fn put_header(&self, kind: u8, out: &mut Gather) {
        let length = self.encoded_len().expect("the frame's length was checked when it was queued");
        put_header(kind, length, out);
    }

    /// Reads a frame from what follows the length field.
    ///
    /// # Errors
    ///
    /// [`FrameError`] on anything that [`Frame::encode`] does not write.
    pub(super) fn decode(mut bytes: Bytes) -> Result<Self, FrameError> {
        let frame = match bytes.try_get_u8()? {
            RAFT => Self::Raft(list(&mut bytes, GROUP_LEN + raft_message::MIN_MESSAGE_LEN, |bytes| {
                let group = RaftGroupId(bytes.try_get_u64()?);
                Ok(GroupMessage { group, message: raft_message::decode(bytes)? })
            })?),
            HEARTBEAT => Self::Heartbeat { sequence: bytes.try_get_u64()? },
            HEARTBEAT_ACK => Self::HeartbeatAck { sequence: bytes.try_get_u64()? },
            LEADERSHIP => Self::Leadership(list(&mut bytes, LeadershipRow::MIN_LEN, LeadershipRow::decode)?),
            SLEEP => Self::Sleep(list(&mut bytes, SleepRow::LEN, SleepRow::decode)?),
            NO_ROOM => Self::NoRoom,
            LEAVING => Self::Leaving,
            REQUEST => Self::Request { id: bytes.try_get_u64()?, body: std::mem::take(&mut bytes) },
            RESPONSE => Self::Response { id: bytes.try_get_u64()?, body: std::mem::take(&mut bytes) },
            REJOIN => Self::Rejoin { store: store(&mut bytes)?, groups: groups(&mut bytes)? },
            RECOUNT => Self::Recount { store: store(&mut bytes)?, groups: groups(&mut bytes)? },
            READMIT => Self::Readmit {
                store: store(&mut bytes)?,
                rows: list(&mut bytes, ReadmitRow::LEN, ReadmitRow::decode)?,
            },
            CONFIRM => Self::Confirm {
                round: bytes.try_get_u64()?,
                rows: list(&mut bytes, TermRow::LEN, TermRow::decode)?,
            },
            VOUCH => Self::Vouch {
                round: bytes.try_get_u64()?,
                rows: list(&mut bytes, TermRow::LEN, TermRow::decode)?,
            },
            SNAPSHOT_PART => Self::SnapshotPart(Box::new(SnapshotPart::decode(&mut bytes)?)),
            SNAPSHOT_RECEIVED => Self::SnapshotReceived(SnapshotReceived::decode(&mut bytes)?),
            value => return Err(FrameError::UnknownValue { what: "frame kind", value }),
        };
        if bytes.is_empty() { Ok(frame) } else { Err(FrameError::Trailing(bytes.len())) }
    }
}

/// Writes what a node that has lost something asks.
fn put_question(store: StoreId, groups: &[RaftGroupId], out: &mut Gather) {
    out.fields().put_slice(&store.0);
    put_u32(out, groups.len());
    groups.iter().for_each(|group| out.fields().put_u64(group.0));
}

fn groups(bytes: &mut Bytes) -> Result<Vec<RaftGroupId>, FrameError> {
    list(bytes, GROUP_LEN, |bytes| Ok(RaftGroupId(bytes.try_get_u64()?)))
}

/// Checks a length field.
///
/// # Errors
///
/// [`FrameError::Length`] if no frame has this length.
pub(super) fn check_length(length: u32) -> Result<usize, FrameError> {
    match usize::try_from(length) {
        Ok(checked @ 1..=MAX_FRAME_LEN) => Ok(checked),
        _ => Err(FrameError::Length(length)),
    }
}

/// Takes a count of items, each at least `min_item_len` bytes long, off the front.
///
/// # Errors
///
/// [`FrameError::Truncated`] if so many items cannot follow.
pub(super) fn count(bytes: &mut Bytes, min_item_len: usize) -> Result<usize, FrameError> {
    let items = usize::try_from(bytes.try_get_u32()?).map_err(|_| FrameError::Truncated)?;
    if items > bytes.len() / min_item_len { Err(FrameError::Truncated) } else { Ok(items) }
}

/// Takes a payload, which its length precedes, off the front: a slice, not a copy.
///
/// # Errors
///
/// [`FrameError::Truncated`] if it is longer than what follows.
pub(super) fn payload(bytes: &mut Bytes) -> Result<Bytes, FrameError> {
    let length = count(bytes, 1)?;
    Ok(bytes.split_to(length))
}

fn list<T>(
    bytes: &mut Bytes,
    min_item_len: usize,
    mut item: impl FnMut(&mut Bytes) -> Result<T, FrameError>,
) -> Result<Vec<T>, FrameError> {
    let items = count(bytes, min_item_len)?;
    (0..items).map(|_| item(bytes)).collect()
}

fn store(bytes: &mut Bytes) -> Result<StoreId, FrameError> {
    let mut store = StoreId::default();
    bytes.try_copy_to_slice(&mut store.0)?;
    Ok(store)
}

fn group_message_len(GroupMessage { group: _, message }: &GroupMessage) -> usize {
    GROUP_LEN + raft_message::encoded_len(message)
}

/// Writes the messages, with a new frame wherever the next one would take the current one above [`RAFT_FRAME_LEN`].
fn encode_raft(messages: &[GroupMessage], out: &mut Gather) {
    let mut rest = messages;
    while !rest.is_empty() {
        let mut length = LENGTH_LEN + KIND_LEN + COUNT_LEN;
        let mut taken = 0;
        for message in rest {
            let message_len = group_message_len(message);
            if taken > 0 && length + message_len > RAFT_FRAME_LEN {
                break;
            }
            length += message_len;
            taken += 1;
        }
        let (now, later) = rest.split_at(taken);
        put_header(RAFT, length, out);
        put_u32(out, now.len());
        for GroupMessage { group, message } in now {
            out.fields().put_u64(group.0);
            raft_message::encode(message, out);
        }
        rest = later;
    }
}

/// Writes length and kind of a frame that has `encoded_len` bytes with them.
fn put_header(kind: u8, encoded_len: usize, out: &mut Gather) {
    assert!(encoded_len - LENGTH_LEN <= MAX_FRAME_LEN, "the frame's length was checked when it was queued");
    put_u32(out, encoded_len - LENGTH_LEN);
    out.fields().put_u8(kind);
}

fn put_u32(out: &mut Gather, number: usize) {
    out.fields().put_u32(u32::try_from(number).expect("a frame's bound is below 4 GiB"));
}

#[cfg(test)]
mod tests;
