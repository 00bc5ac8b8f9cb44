//! Snapshots in parts. A group's state may be longer than a frame, and longer than what ought to be on the way to a peer at a
//! time.
//!
//! ```text
//!   leader                                                       follower
//!   Raft: MsgSnapshot, longer than a part
//!     ── SnapshotPart 0, 1, 2, 3 (a window) ───────────────────►   collects
//!     ◄─────────────────────────── SnapshotReceived, up to here ──
//!     ── SnapshotPart 4, … ────────────────────────────────────►   all there, checksum right:
//!                                                                  Raft: MsgSnapshot
//!     ◄──────────────────────────── MsgAppendResponse ────────────  installed and durable
//! ```
//!
//! * A part that is lost is sent again: what was not acknowledged goes out anew after [`RESEND_AFTER`]. The follower keeps what
//!   it has; a leader that begins anew with the same state, after a lost connection or in another term, is told how much of it is
//!   there and goes on behind it. Another state replaces it.
//! * **Bounded on both sides.** The leader holds each state once, whoever is sent it, and [`WINDOW_PARTS`] of it are on the way to
//!   a follower; no more than [`MAX_SENDING`] followers and groups are served at a time. Those that wait make Raft ask again
//!   within a second. The follower takes [`MAX_RECEIVING_BYTES`] at a time, or one state if that is longer.
//! * **Nobody is waited for who is slow or gone:** without an acknowledgement for [`GIVE_UP_AFTER`], or with the peer lost, the
//!   transfer ends, Raft is told, and tries again as it does with any snapshot. The follower forgets a state of which nothing
//!   came for [`FORGET_AFTER`].
//!
//! A snapshot that fits into a part travels in Raft's own message, as it always did.

mod receiving;
mod sending;

use std::time::Duration;

use raft::eraftpb::Message;

pub(super) use self::receiving::Receiving;
pub(super) use self::sending::Sending;
use crate::ids::RaftIndex;

/// Parts of a state that are on the way to a follower at a time.
const WINDOW_PARTS: usize = 4;

/// Transfers of a node at a time.
const MAX_SENDING: usize = 8;

/// What was not acknowledged for so long is sent again.
const RESEND_AFTER: Duration = Duration::from_secs(1);

/// A transfer that gets nowhere for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// A follower that has all of a state has so long to make it its own before Raft sends another.
const INSTALL_WITHIN: Duration = Duration::from_secs(60);

/// The longest state that is taken in.
const MAX_SNAPSHOT_BYTES: u64 = 1 << 30;

/// The bytes of states that are not whole yet, of all groups together.
const MAX_RECEIVING_BYTES: usize = 256 << 20;

/// A state that is not whole and of which nothing came for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// Which state a part is of: bytes that agree in all of this are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StateId {
    /// The entry that it is as of, and that one's term.
    index: RaftIndex,
    term: u64,
    total: u64,
    checksum: u32,
}

impl StateId {
    fn of(message: &Message, total: u64, checksum: u32) -> Self {
        let metadata = message.get_snapshot().get_metadata();
        Self { index: RaftIndex(metadata.index), term: metadata.term, total, checksum }
    }
}
