//! What a peer says is checked before Raft sees it.
//!
//! Raft takes its peers at their word, and ends the process where a word cannot be true: a commit beyond the log, entries
//! that leave a gap. What it writes down (a term, an entry) comes back at each start. So a message that no honest peer sends
//! changes nothing here: it is dropped, counted, and told of once in a while. A peer that lies within what is possible, one
//! that says it was elected, say, is not found out; it has to prove the cluster's [secret](crate::secret) for that.
//!
//! What is checked is what the sender knew when it sent the message, so that one that was true once and came late is none of
//! this module's matter:
//!
//! * **Who:** the sender is a voter of the group, and the message of a kind that replicas send.
//! * **Terms:** a term is above 0, which Raft keeps for a node's own messages, and not absurd: [`MAX_TERM`],
//!   [`MAX_TERM_JUMP`]. No entry has a higher term than the message that brings it or the entry behind it.
//! * **Indexes:** a leader's heartbeat claims no commit that this replica's log does not reach, and no acknowledgement is of
//!   entries that the leader does not have.
//! * **Entries:** they are consecutive, and this replica can apply them: they decode, batches begin where the log's end is and
//!   have the epoch of their entry's term. Applying never refuses, as all replicas have to come to the same state.
//! * **Snapshots:** they decode, and are of this group's voters.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use raft::GetEntriesContext;
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot};
use thiserror::Error;

use super::Group;
use super::admission::is_barrier;
use crate::ids::NodeId;
use crate::shard::machine::{LogEnd, end_of_records};
use crate::shard::room::is_partition;

/// The highest term: a partition's leader epoch, which is its term, has 31 bits.
pub(in crate::shard) const MAX_TERM: u64 = i32::MAX as u64;

/// How far a term may be above the one that this replica knows. Terms count elections, of which each takes a majority's
/// pre-votes first and a tick of [50 ms](crate::shard::TICK) at least. A group that elects without a pause, ten times a second,
/// takes nineteen days to get so far. No replica was away from that.
pub(in crate::shard) const MAX_TERM_JUMP: u64 = 1 << 24;

/// The highest index: so many entries at a million a second take 285 years.
pub(in crate::shard) const MAX_INDEX: u64 = 1 << 53;

/// The longest context of a message: Raft's own are the number of a question and the name of a kind of campaign.
pub(in crate::shard) const MAX_CONTEXT_LEN: usize = 64;

/// How many entries without records are passed over to find where the log's records end.
const MAX_LOOKED_BACK: usize = 256;

/// Why a message is none of an honest peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::shard) enum Implausible {
    #[error("its sender is no voter of the group")]
    NoVoter,
    #[error("no replica sends a {0:?}")]
    Kind(MessageType),
    #[error("term {found} is not within 1 to {MAX_TERM}, or more than {MAX_TERM_JUMP} above {known}")]
    Term { found: u64, known: u64 },
    #[error("it names a term above its own, {0}")]
    LaterTerm(u64),
    #[error("an index is above {MAX_INDEX}, or what it says of the log has no place in a {0:?}")]
    Index(MessageType),
    #[error("a commit of {commit} is beyond the log, which ends with {last}")]
    Commit { commit: u64, last: u64 },
    #[error("entry {index} is acknowledged, and the log ends with {last}")]
    Acknowledged { index: u64, last: u64 },
    #[error("its context has {0} bytes")]
    Context(usize),
    #[error("a {0:?} has no entries")]
    Entries(MessageType),
    #[error("entry {0} does not follow the one before it")]
    NotConsecutive(u64),
    #[error("entry {0} is of a kind that no leader writes")]
    EntryKind(u64),
    #[error("entry {index} cannot be applied: {why}")]
    Entry { index: u64, why: String },
    #[error("its snapshot is not of this group's voters, or of a later term or an impossible entry")]
    SnapshotOf,
    #[error("its snapshot cannot be read: {0}")]
    Snapshot(String),
    /// It may well be honest: this replica cannot tell before it has applied more. The leader sends it again.
    #[error("what it continues is not applied yet")]
    NotYet,
}

impl Group {
    /// Whether an honest peer may have sent this message.
    ///
    /// # Errors
    ///
    /// Why not. It must not be [stepped](Group::step).
    pub(in crate::shard) fn scrutinize(&self, message: &Message) -> Result<(), Implausible> {
        self.scrutinize_sender(message)?;
        match message.msg_type {
            MessageType::MsgAppend => self.scrutinize_entries(message),
            MessageType::MsgSnapshot => self.scrutinize_snapshot(message),
            _ => Ok(()),
        }
    }

    /// Whether an honest peer may send a snapshot that is described like this.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(in crate::shard) fn scrutinize_announced(&self, message: &Message) -> Result<(), Implausible> {
        self.scrutinize_sender(message)?;
        let is_snapshot = message.msg_type == MessageType::MsgSnapshot;
        if is_snapshot && self.is_of_this_group(message.get_snapshot(), message.term) {
            Ok(())
        } else {
            Err(Implausible::SnapshotOf)
        }
    }

    fn scrutinize_sender(&self, message: &Message) -> Result<(), Implausible> {
        let from = u32::try_from(message.from).map(NodeId);
        if !from.is_ok_and(|from| self.voters.contains(&from)) {
            return Err(Implausible::NoVoter);
        }
        self.scrutinize_term(message.term)?;
        scrutinize_fields(message)?;
        self.scrutinize_log(message)
    }

    pub(in crate::shard) fn scrutinize_term(&self, term: u64) -> Result<(), Implausible> {
        let known = self.term();
        let is_plausible = (1..=MAX_TERM).contains(&term) && term <= known.saturating_add(MAX_TERM_JUMP);
        if is_plausible { Ok(()) } else { Err(Implausible::Term { found: term, known }) }
    }

    /// What a message says of this replica's log.
    fn scrutinize_log(&self, message: &Message) -> Result<(), Implausible> {
        let last = self.node.raft.raft_log.last_index();
        // A leader tells a follower of no commit beyond what that has acknowledged to it. One that has lost its disk since is
        // another matter, see `overstates`.
        let overstates = message.msg_type == MessageType::MsgHeartbeat
            && message.term >= self.term()
            && message.commit > last
            && self.is_admitted();
        // A follower that is in the leader's term has a part of the leader's log, once it has acknowledged anything.
        let answers =
            matches!(message.msg_type, MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse)
                && self.is_leader()
                && message.term == self.term();
        if overstates || answers && message.commit > last {
            return Err(Implausible::Commit { commit: message.commit, last });
        }
        if answers && !message.reject && message.index > last {
            return Err(Implausible::Acknowledged { index: message.index, last });
        }
        Ok(())
    }

    fn scrutinize_entries(&self, message: &Message) -> Result<(), Implausible> {
        let mut before = (message.index, message.log_term);
        for entry in &*message.entries {
            if entry.index != before.0 + 1 || entry.term < before.1 {
                return Err(Implausible::NotConsecutive(entry.index));
            }
            if entry.term > message.term {
                return Err(Implausible::LaterTerm(entry.term));
            }
            let is_normal = entry.entry_type == EntryType::EntryNormal;
            if !is_normal || !(entry.context.is_empty() || is_barrier(entry)) {
                return Err(Implausible::EntryKind(entry.index));
            }
            before = (entry.index, entry.term);
        }
        self.scrutinize_payloads(message)
    }

    /// Whether the entries can be applied behind those that this replica has.
    fn scrutinize_payloads(&self, message: &Message) -> Result<(), Implausible> {
        let log = &self.node.raft.raft_log;
        // Raft does not take the entries of these; they may be about a log that this replica does not have.
        let is_taken = message.term >= self.term()
            && (log.committed..=log.last_index()).contains(&message.index)
            && log.term(message.index).is_ok_and(|term| term == message.log_term);
        let mut end = LogEnd::Unknown;
        if is_taken && !message.entries.is_empty() && is_partition(&self.machine) {
            end = self.end_of_records(message.index);
            if end == LogEnd::Unknown {
                return Err(Implausible::NotYet);
            }
        }
        for entry in &*message.entries {
            let cannot = |why| Implausible::Entry { index: entry.index, why };
            self.machine.scrutinize(entry.term, &entry.data, &mut end).map_err(cannot)?;
        }
        Ok(())
    }

    /// Where the records end that the log has up to the entry at `index`, which is committed or behind all that is.
    fn end_of_records(&self, index: u64) -> LogEnd {
        let log = &self.node.raft.raft_log;
        // The state is that of the snapshot, which does not count as applied yet.
        let applied = self.installing.map_or(log.applied, |(_, index)| index.0.max(log.applied));
        let entry_at = |index: u64| -> Option<Entry> {
            let context = GetEntriesContext::empty(false);
            log.slice(index, index + 1, u64::MAX, context).ok()?.pop().filter(|entry| entry.index == index)
        };
        for index in (applied + 1..=index).rev().take(MAX_LOOKED_BACK) {
            let Some(entry) = entry_at(index) else { return LogEnd::Unknown };
            if let Some(end) = end_of_records(&entry.data) {
                return LogEnd::At(end);
            }
        }
        if index.saturating_sub(applied) > MAX_LOOKED_BACK as u64 {
            return LogEnd::Unknown;
        }
        self.machine.applied_end()
    }

    fn scrutinize_snapshot(&self, message: &Message) -> Result<(), Implausible> {
        let snapshot = message.get_snapshot();
        if !self.is_of_this_group(snapshot, message.term) {
            return Err(Implausible::SnapshotOf);
        }
        let term = snapshot.get_metadata().term;
        self.machine.scrutinize_snapshot(term, &snapshot.data).map_err(Implausible::Snapshot)
    }

    /// Whether a snapshot's description is one of a leader in `term`.
    fn is_of_this_group(&self, snapshot: &Snapshot, term: u64) -> bool {
        let metadata = snapshot.get_metadata();
        let ConfState { voters, learners, voters_outgoing, learners_next, auto_leave, .. } =
            metadata.get_conf_state();
        let are_these = voters.len() == self.voters.len()
            && voters.iter().collect::<BTreeSet<_>>().len() == voters.len()
            && self.voters.iter().all(|voter| voters.contains(&u64::from(voter.0)));
        // It does not contradict what is committed here.
        let log = &self.node.raft.raft_log;
        let committed = log.term(log.committed).unwrap_or_default();
        let agrees = match metadata.index.cmp(&log.committed) {
            Ordering::Less => true,
            Ordering::Equal => metadata.term == committed,
            Ordering::Greater => metadata.term >= committed,
        };
        let are_all = learners.is_empty() && voters_outgoing.is_empty() && learners_next.is_empty();
        are_these
            && are_all
            && !auto_leave
            && agrees
            && (1..=MAX_INDEX).contains(&metadata.index)
            && (1..=term).contains(&metadata.term)
    }
}

/// What can be told of a message by itself.
fn scrutinize_fields(message: &Message) -> Result<(), Implausible> {
    let kind = message.msg_type;
    match kind {
        MessageType::MsgAppend
        | MessageType::MsgAppendResponse
        | MessageType::MsgRequestVote
        | MessageType::MsgRequestVoteResponse
        | MessageType::MsgRequestPreVote
        | MessageType::MsgRequestPreVoteResponse
        | MessageType::MsgSnapshot
        | MessageType::MsgHeartbeat
        | MessageType::MsgHeartbeatResponse
        | MessageType::MsgTimeoutNow => {}
        // A node's messages to itself, and those that ask another one to act for it: nobody proposes or asks on another
        // node's behalf here, as only a leader stamps what enters its log.
        MessageType::MsgHup
        | MessageType::MsgBeat
        | MessageType::MsgPropose
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum
        | MessageType::MsgTransferLeader
        | MessageType::MsgReadIndex
        | MessageType::MsgReadIndexResp => return Err(Implausible::Kind(kind)),
    }
    if let Some(later) = [message.log_term, message.commit_term].into_iter().find(|term| *term > message.term)
    {
        return Err(Implausible::LaterTerm(later));
    }
    let indexes = [message.index, message.commit, message.reject_hint];
    if indexes.into_iter().any(|index| index > MAX_INDEX) || message.request_snapshot != 0 {
        return Err(Implausible::Index(kind));
    }
    if message.context.len() > MAX_CONTEXT_LEN {
        return Err(Implausible::Context(message.context.len()));
    }
    // The log before its first entry has no term, and every entry has one. Raft takes an entry that is not there for one of
    // term 0.
    if kind == MessageType::MsgAppend && (message.index == 0) != (message.log_term == 0) {
        return Err(Implausible::Index(kind));
    }
    if kind != MessageType::MsgAppend && !message.entries.is_empty() {
        return Err(Implausible::Entries(kind));
    }
    if kind != MessageType::MsgSnapshot && message.snapshot.is_some() {
        return Err(Implausible::SnapshotOf);
    }
    Ok(())
}
