//! What a replica may do that has kept its log and may have forgotten the end of it.
//!
//! With `--durability relaxed` a replica acknowledges entries that have reached the kernel and not the disk. When its machine
//! goes down, the last of them may be gone, although a leader has counted them. What it held before, and every term and vote,
//! it still has: a store loses batches from its end only, and these are synced before anything follows from them, in every
//! mode ([`Needs::Disk`]): a term, a vote, a snapshot, groups that come or go, what a replica may do, a barrier, all of the
//! controller's log, and **the first entry of a leader's term in a log**.
//!
//! So a replica that may have forgotten something is *forgetful*. It follows and acknowledges as any other, as all that it
//! says is true of the log that it has. But
//!
//! * its vote, and the votes that it gets, count only where **all** replicas vote alike ([`Ballots`]);
//! * it takes no commit from a heartbeat that its log does not reach, as its leader may still count what it has forgotten;
//! * it asks the leader to count it anew. The leader of the term in which it was restarted does so, and names the last entry
//!   that it has itself. The replica is then on [probation](super::admission) until it has applied that entry. It also is full
//!   once it has applied an entry of a later term than the one in which it was restarted.
//!
//! Its store has another id from then on, so that nothing which it said before arrives after the leader began to count anew.
//!
//! Why that is safe, for *N* voters of whom *q* = ⌊N/2⌋ + 1 are a majority. Let *T(e)* be the term in which an entry *e* was
//! committed first, by a leader that had counted an entry of that term, and *n(T)* the first entry of term *T*.
//!
//! 1. *A term has one leader*, since terms and votes are never forgotten.
//! 2. *What W has forgotten it acknowledged in the term S in which it is restarted.* An acknowledgement in an earlier term came
//!    before the sync of *S*, and the entries with it. One in a later term would have come after that term's sync.
//! 3. *Whoever is elected has what was committed, unless a majority has forgotten it.* Let *Q* be the majority that held *e*.
//!    A leader elected in a later term without everybody's votes has those of *q* full replicas, one of which is in *Q*; it has
//!    forgotten nothing, or was made full again, and then 5 holds. A leader with everybody's votes has the greatest (last
//!    term, last index) of all logs as they were when their replicas voted, and a vote is given when that log is synced. If a
//!    replica in *Q* still has *e*, so has that leader, by Raft's own argument.
//! 4. *Whoever is elected has all that any replica knows to be committed*, whatever was forgotten: nobody ever has to take back
//!    what it applied. Let *R* know of *e*. *n(T(e))* was synced by a majority before anything was committed in *T(e)*, so it was
//!    not forgotten, and the leader *L* that is elected has it or an entry of a later term. In the latter case it has *e*, as
//!    leaders of later terms did. Otherwise *L*'s last term is *T(e)*, and its log is a beginning of the one log of that term.
//!    If *e* comes before *n(T(e))*, it is there. If not, *R* has *e* and so an entry of *T(e)*. With everybody's votes
//!    *L*'s log is as long as *R*'s, and with *q* full ones 3 holds.
//! 5. *A replica that is full again holds whatever was committed by counting it.* By 2 that is of terms up to *S*. A leader of
//!    a later term than *S* has it, by 3, before its first entry. The leader of *S* has it before the entry that it names, as it
//!    leads without a break and forgets nothing while it does.
//!
//! **One forgot, of three**: both others elect as always. With one of the others away they do not, as nobody can tell whether
//! that one has what the forgetful one acknowledged; a leader that is there goes on with the forgetful one.
//!
//! **Most forgot**: all replicas have to be up, and the longest of all logs is the history from then on. What comes before the
//! first entry of the last leader's term is there for certain; what comes after it may be lost in part, and the log says so.
//!
//! **The power fails again meanwhile**: nobody was made full before it applied an entry of the new term, whose first entry a
//! majority has synced, so all that the new leader's log held then is as durable as with `--durability sync`. Before that,
//! nothing was acknowledged in that term, and everybody begins again with what it has.
//!
//! **A disk was lost meanwhile**: its replica is silent and has nothing to add. So everybody is all replicas but those that say
//! that theirs was lost; a majority is needed all the same.
//!
//! **One voter** elects itself. What it forgot is gone, and its log says that something may be.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::Progress;
use raft::eraftpb::{Entry, Message, MessageType};
use trilog_storage::{RaftLog, Store, StoreError, WriteBatch};

use super::admission::{Admission, Forgetful, Readmission};
use super::ready::Writing;
use super::{Group, MAX_INFLIGHT_MESSAGES};
use crate::ids::{NodeId, RaftGroupId, RaftIndex, StoreId};
use crate::shard::effects::Needs;
use crate::transport::ReadmitRow;

/// What tells the vote of a replica that is not full, in its context.
const NOT_FULL: &[u8] = b"not full";

/// Ticks for which a replica is believed to have lost its disk after it last said so: a second.
const BEREFT_TICKS: u32 = 20;

/// The grants of one election: of a vote, or of a pre-vote.
#[derive(Default)]
pub(super) struct Ballots {
    election: Option<(MessageType, u64)>,
    /// Who grants, and what of it Raft has yet to see.
    granted: BTreeMap<NodeId, Option<Message>>,
    /// The replicas that have lost their disks and cannot vote, and for how many ticks that is believed.
    bereft: BTreeMap<NodeId, u32>,
    /// An election was won that needed everybody.
    unanimous: bool,
}

/// What writes down that the replicas in a store may have forgotten what they acknowledged last: to be made durable before
/// they are opened. The controller's has not, whose entries are always synced: group numbers and producer ids are given once.
pub(crate) fn forget(store: &Store) -> Result<WriteBatch, StoreError> {
    let mut batch = WriteBatch::new();
    for group in store.groups()?.into_iter().filter(|group| *group != RaftGroupId::CONTROLLER) {
        let Some(term) = RaftLog::stored_term(store, group)? else { continue };
        let known = Admission::load(store, group)?;
        if let Some(forgetful) = Admission::after_power_loss(known, term) {
            forgetful.save(group, &mut batch);
        }
    }
    Ok(batch)
}

impl Group {
    pub(in crate::shard) const fn is_forgetful(&self) -> bool {
        matches!(self.admission, Admission::Forgetful(_))
    }

    /// On the leader: `node` may have forgotten the last that it acknowledged, and is counted anew.
    pub(in crate::shard) fn recount(&mut self, node: NodeId, store: StoreId) -> Option<ReadmitRow> {
        if !self.is_leader() {
            return None;
        }
        let term = self.term();
        let is_this = |begun: &&Readmission| begun.store == store && begun.term == term;
        let barrier = match self.readmissions.get(&node).filter(is_this) {
            Some(begun) => begun.barrier,
            None => {
                let last = self.node.raft.raft_log.last_index();
                let progress = self.node.raft.mut_prs().get_mut(u64::from(node.0))?;
                *progress = Progress::new(last + 1, MAX_INFLIGHT_MESSAGES);
                // Raft steps down for want of a majority that it heard; this one was just heard.
                progress.recent_active = true;
                RaftIndex(last)
            }
        };
        let groups = RaftGroupId(0);
        let readmission = Readmission { store, term, barrier, groups: Some(groups) };
        self.readmissions.insert(node, readmission);
        Some(ReadmitRow { group: self.id, term, until: barrier, groups })
    }

    /// `node` says that it has lost its disk: it has no vote to give.
    pub(in crate::shard) fn note_bereft(&mut self, node: NodeId) {
        self.ballots.bereft.insert(node, BEREFT_TICKS);
    }

    /// An entry lets `node` in: it has votes to give again.
    pub(super) fn is_let_in(&mut self, node: NodeId) {
        self.ballots.bereft.remove(&node);
    }

    pub(super) fn tick_ballots(&mut self) {
        self.ballots.bereft.retain(|_, ticks| {
            *ticks -= 1;
            *ticks > 0
        });
    }

    /// Whether an election was won that needed everybody, since this was last asked.
    pub(in crate::shard) const fn take_unanimous(&mut self) -> bool {
        std::mem::replace(&mut self.ballots.unanimous, false)
    }

    /// Marks a vote of a replica that is not full.
    pub(super) fn sign(&self, message: &mut Message) {
        let counts_alone = matches!(self.admission, Admission::Full | Admission::Barred);
        if is_grant(message) && !counts_alone {
            message.context = Bytes::from_static(NOT_FULL);
        }
    }

    /// A replica votes for this one. What Raft may see of the votes is stepped: those that count by themselves, and all once
    /// everybody has voted.
    pub(super) fn take_grant(&mut self, message: Message) {
        let Some(from) = u32::try_from(message.from).ok().map(NodeId) else { return };
        let election = (message.msg_type, message.term);
        if self.ballots.election != Some(election) {
            self.ballots.election = Some(election);
            self.ballots.granted.clear();
        }
        let counts_alone = self.is_admitted() && message.context.is_empty();
        let mut seen = Vec::new();
        if counts_alone {
            self.ballots.granted.insert(from, None);
            seen.push(message);
        } else {
            self.ballots.granted.insert(from, Some(message));
        }
        let own = self.node.raft.id;
        let Ballots { granted, bereft, unanimous, .. } = &mut self.ballots;
        let votes = |voter: &NodeId| {
            u64::from(voter.0) == own || granted.contains_key(voter) || bereft.contains_key(voter)
        };
        if self.voters.iter().all(votes) {
            let withheld = granted.values_mut().filter_map(Option::take);
            let before = seen.len();
            seen.extend(withheld);
            *unanimous |= seen.len() > before && election.0 == MessageType::MsgRequestVoteResponse;
        }
        for message in seen {
            self.step_raft(message);
        }
    }

    /// What has to be done with what Raft has ready before anything that follows from it leaves.
    pub(super) fn needs(&self, writing: &Writing) -> Needs {
        let ready = &writing.ready;
        let log = self.node.store();
        let known = log.hard_state();
        let promises = ready.hs().is_some_and(|new| (new.term, new.vote) != (known.term, known.vote));
        let begins_term = |last: &Entry| last.term != log.last_term();
        let is_rare = self.id == RaftGroupId::CONTROLLER && ready.must_sync();
        if promises
            || is_rare
            || !ready.snapshot().is_empty()
            || writing.entries.last().is_some_and(begins_term)
        {
            Needs::Disk
        } else if ready.must_sync() {
            Needs::Kernel
        } else {
            Needs::Nothing
        }
    }

    /// Ends being forgetful, or the probation, if it is over. Returns whether it is.
    pub(in crate::shard) fn end_probation(&mut self, batch: &mut WriteBatch) -> bool {
        let log = &self.node.raft.raft_log;
        let (applied, applied_term) = (log.applied, log.term(log.applied).unwrap_or_default());
        let over = match self.admission {
            Admission::Forgetful(Forgetful { term, .. }) => applied_term > term,
            Admission::Probation(probation) => probation.is_over(applied, applied_term),
            _ => false,
        };
        if over {
            self.admission = Admission::Full;
            self.admission.save(self.id, batch);
        }
        over
    }
}

/// Whether a message gives a vote, or would.
pub(super) fn is_grant(message: &Message) -> bool {
    let votes = matches!(
        message.msg_type,
        MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse
    );
    votes && !message.reject
}
