//! What a replica may do that has lost its disk, and how it comes to be like any other again.
//!
//! A replica promises things by what it says: with a vote, that it gives no other in that term; with an acknowledgement,
//! that it holds the entries, and that it follows no leader of an earlier term. A replica that begins anew on an empty
//! disk would break them without knowing. Three things follow, and each has cost somebody data: its vote elects a leader
//! that lacks committed entries, or a second one in one term; what it acknowledges to a leader that was deposed long ago
//! (it has forgotten by whom) is committed beside what the new leader commits; and a leader that goes on counting what the
//! lost disk held takes entries for safe that are nowhere but in its own log.
//!
//! So a replica whose disk was lost goes through three states.
//!
//! * **Barred.** It hears and says nothing. It asks the leader, again and again, to readmit it.
//! * **Probation.** The leader *L* of term *T* begins to count the replica from nothing, and only then appends an entry, the
//!   *barrier*. The barred replica is silent, so what commits the barrier is a majority of the others. Once it is applied,
//!   the leader says so. The replica enters term *T*, durably, and follows: it takes entries and acknowledges them, and it
//!   counts. Its vote, and the votes that it gets, count only where everybody votes alike.
//! * **Full**, once it has applied the barrier itself.
//!
//! Why that is safe, for *N* voters, of whom *q* = ⌊N/2⌋ + 1 are a majority, and one, *W*, that lost its disk. Let *M* be the
//! majority without *W* that took the barrier in term *T*, after the loss was known.
//!
//! 1. *No vote that W has forgotten elects anybody in a term above T.* Such a candidate needs *q* - 1 votes of others, and
//!    2q - 1 > N - 1, so some *X* in *M* voted for it. *X* took the barrier before, or its term would have been too high for
//!    *L*. So the candidate's log must have been as advanced as one with the barrier. But it had *W*'s vote before the barrier
//!    was made, and a candidate's log does not grow.
//! 2. *No acknowledgement that W has forgotten was given in a term above T*, since the leader it was given to had been
//!    elected before the loss, and *X* would have refused the barrier. So whoever enters term *T* breaks no promise, and may
//!    acknowledge.
//! 3. *With the barrier applied, W holds all that was ever committed by counting it.* An entry of a term before *T* was in the
//!    log of *L* when it was elected; one of term *T* that *W* acknowledged before the loss stands before the barrier.
//!    So its vote is as good as it was, and where its vote is not needed, a majority without it decides as always.
//!
//! For three voters this means both others, for five three of the four others. It cannot be had for less: with one of the
//! other two away, nobody can tell whether that one was elected by the vote that is forgotten, and has acknowledged more.
//!
//! **Two voters** are a majority only together. So the other one has every committed entry, and in any term that had a
//! leader it was that leader or voted for it. Its word is enough: the barrier is its last entry, and it need not be
//! committed. The replica that lost its disk may vote for it meanwhile, or there would never be a leader; it may not stand.
//!
//! **One voter**: the data is gone. Nobody can readmit the replica, and it stays barred rather than be empty in silence.
//! The same goes for groups that have lost a majority of their disks.
//!
//! A replica that has its log and may only have forgotten the end of it is [forgetful](super::forgetful), and spared most of
//! this.
//!
//! A node on an empty disk that nobody has [recognized](crate::acquaintances) yet may turn out to be either; so it is silent,
//! but keeps what asks for its vote, as a new cluster's first election ought not to wait for the next.

use raft::Progress;
use raft::eraftpb::{Entry, Message, MessageType};
use trilog_storage::{Store, StoreError, WriteBatch};

use super::scrutiny::MAX_INDEX;
use super::{Group, MAX_INFLIGHT_MESSAGES, asks_for_vote};
use crate::acquaintances;
use crate::ids::{NodeId, RaftGroupId, RaftIndex, StoreId};
use crate::shard::machine::{Machine, damaged};
use crate::transport::ReadmitRow;

/// The state record that a replica keeps until it is full again.
const KEY: &[u8] = b"admission";

/// How many requests for votes an unrecognized node keeps: those of one election among all nodes.
const MAX_EARLY: usize = 16;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::shard) enum Admission {
    /// As any replica.
    Full,
    /// On an empty disk, of which it is not known yet whether it is new. Never written down: it shows.
    Unrecognized {
        /// Requests for its vote.
        early: Vec<Message>,
    },
    /// Silent.
    Barred,
    /// Has its log, but perhaps not the end of it. See [`forgetful`](super::forgetful).
    Forgetful(Forgetful),
    /// Follows, and no more.
    Probation(Probation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Forgetful {
    /// The term in which it was when it was restarted.
    pub(super) term: u64,
    /// As of a [`Probation`].
    replays: RaftIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Probation {
    /// No leader of an earlier term is followed.
    term: u64,
    /// The barrier.
    until: RaftIndex,
    /// In the controller's group: groups below this one existed when the disk was lost, or may have.
    groups: RaftGroupId,
    /// Entries up to this one are older than the disk: the barrier that let it in, and those before it. 0 of a replica that
    /// has kept its disk.
    replays: RaftIndex,
}

/// A replica that the leader of `term` readmits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readmission {
    pub(super) store: StoreId,
    pub(super) term: u64,
    pub(super) barrier: RaftIndex,
    /// The lowest group number that was not allotted at the barrier, once that is applied.
    pub(super) groups: Option<RaftGroupId>,
}

impl Probation {
    /// Whether it is over for a replica that has applied an entry. One of a later term comes behind all that was counted on
    /// in the one whose leader readmitted it.
    pub(super) const fn is_over(self, applied: u64, applied_term: u64) -> bool {
        applied >= self.until.0 || applied_term > self.term
    }
}

impl Admission {
    /// What becomes of a replica in `term` whose machine went down under it; none if that changes nothing.
    pub(super) fn after_power_loss(known: Option<Self>, term: u64) -> Option<Self> {
        let (known_term, replays) = match known {
            Some(Self::Barred | Self::Unrecognized { .. }) => return None,
            Some(
                Self::Forgetful(Forgetful { term, replays })
                | Self::Probation(Probation { term, replays, .. }),
            ) => (term, replays),
            Some(Self::Full) | None => (0, RaftIndex(0)),
        };
        Some(Self::Forgetful(Forgetful { term: term.max(known_term), replays }))
    }

    /// What is written down; none for a replica that is full, or on an empty disk.
    pub(in crate::shard) fn load(store: &Store, group: RaftGroupId) -> Result<Option<Self>, StoreError> {
        let Some(record) = store.record(group, KEY)? else { return Ok(None) };
        let decoded = Self::decode(&record);
        decoded.map(Some).ok_or_else(|| damaged(group, "what says how it was readmitted cannot be read"))
    }

    /// Writes down what outlives the process.
    pub(in crate::shard) fn save(&self, group: RaftGroupId, batch: &mut WriteBatch) {
        match self {
            Self::Full | Self::Unrecognized { .. } => batch.delete_record(group, KEY),
            Self::Barred => batch.put_record(group, KEY, []),
            Self::Forgetful(Forgetful { term, replays }) => put(group, &[*term], *replays, batch),
            Self::Probation(Probation { term, until, groups, replays }) => {
                put(group, &[*term, until.0, groups.0], *replays, batch);
            }
        }
    }

    fn decode(record: &[u8]) -> Option<Self> {
        let (numbers, rest) = record.as_chunks::<8>();
        let numbers: Vec<u64> = numbers.iter().copied().map(u64::from_be_bytes).collect();
        let replays = |more: &[u64]| RaftIndex(more.first().copied().unwrap_or_default());
        match (&numbers[..], rest) {
            ([], []) => Some(Self::Barred),
            ([term, more @ ..], []) if more.len() < 2 => {
                Some(Self::Forgetful(Forgetful { term: *term, replays: replays(more) }))
            }
            ([term, until, groups, more @ ..], []) if more.len() < 2 => Some(Self::Probation(Probation {
                term: *term,
                until: RaftIndex(*until),
                groups: RaftGroupId(*groups),
                replays: replays(more),
            })),
            _ => None,
        }
    }

    /// The last entry that is older than the replica's disk.
    const fn replays(&self) -> RaftIndex {
        match self {
            Self::Forgetful(Forgetful { replays, .. }) | Self::Probation(Probation { replays, .. }) => {
                *replays
            }
            Self::Full | Self::Unrecognized { .. } | Self::Barred => RaftIndex(0),
        }
    }

    /// Whether a replica in a group of so many voters heeds a message of this kind.
    fn heeds(&self, kind: MessageType, voters: usize) -> bool {
        match self {
            Self::Full => true,
            Self::Unrecognized { .. } => false,
            Self::Barred => asks_for_vote(kind) && voters == 2,
            Self::Forgetful(_) | Self::Probation(_) => kind != MessageType::MsgTimeoutNow,
        }
    }
}

/// Writes numbers down, and one more if it is not 0.
fn put(group: RaftGroupId, numbers: &[u64], replays: RaftIndex, batch: &mut WriteBatch) {
    let more = Some(replays.0).filter(|replays| *replays > 0);
    let numbers: Vec<u8> = numbers.iter().copied().chain(more).flat_map(u64::to_be_bytes).collect();
    batch.put_record(group, KEY, numbers);
}

impl Group {
    /// Takes up what the replica may do, as it is found at the start.
    pub(in crate::shard) fn admit_as(&mut self, admission: Admission) {
        if let Admission::Probation(Probation { term, .. }) | Admission::Forgetful(Forgetful { term, .. }) =
            admission
            && self.term() < term
        {
            // The record was written before Raft wrote the term.
            self.node.raft.become_follower(term, 0);
        }
        self.admission = admission;
    }

    /// Whether this replica may vote and stand as any other.
    pub(in crate::shard) const fn is_admitted(&self) -> bool {
        matches!(self.admission, Admission::Full)
    }

    /// Whether this replica may vote and stand, if only where everybody votes alike.
    pub(super) const fn has_votes(&self) -> bool {
        matches!(self.admission, Admission::Full | Admission::Forgetful(_) | Admission::Probation(_))
    }

    /// Whether this replica's word that it is in a term counts: it has given no vote that elected anybody in a later one,
    /// not even one that it has forgotten.
    pub(in crate::shard) const fn may_vouch(&self) -> bool {
        self.has_votes()
    }

    pub(in crate::shard) const fn is_barred(&self) -> bool {
        matches!(self.admission, Admission::Barred)
    }

    pub(in crate::shard) const fn is_unrecognized(&self) -> bool {
        matches!(self.admission, Admission::Unrecognized { .. })
    }

    /// In the controller's group on probation: groups below this one existed when the disk was lost, or may have.
    pub(in crate::shard) const fn lost_groups(&self) -> Option<RaftGroupId> {
        match self.admission {
            Admission::Probation(Probation { groups, .. }) => Some(groups),
            _ => None,
        }
    }

    /// Whether the replica heeds the message. One that it will heed once it is recognized is kept.
    pub(super) fn heeds(&mut self, message: &Message) -> bool {
        let heeds = self.admission.heeds(message.msg_type, self.voters.len());
        if let Admission::Unrecognized { early } = &mut self.admission
            && Admission::Barred.heeds(message.msg_type, 2)
            && early.len() < MAX_EARLY
        {
            early.push(message.clone());
        }
        heeds
    }

    /// Whether a heartbeat tells of a commit that this replica's log does not reach: its leader sent it before it began to
    /// count the replica from nothing.
    pub(super) fn overstates(&self, message: &Message) -> bool {
        message.msg_type == MessageType::MsgHeartbeat
            && !self.is_admitted()
            && message.commit > self.node.raft.raft_log.last_index()
    }

    /// The node is new: nobody has ever counted on it.
    pub(in crate::shard) fn found(&mut self) {
        if let Admission::Unrecognized { early } = std::mem::replace(&mut self.admission, Admission::Full) {
            early.into_iter().for_each(|message| self.step(message));
        }
    }

    /// The replica's disk was lost.
    pub(in crate::shard) fn bar(&mut self, batch: &mut WriteBatch) {
        self.admission = Admission::Barred;
        self.admission.save(self.id, batch);
    }

    /// The leader says that the replica may follow. Returns whether it does so from now on.
    pub(in crate::shard) fn follow_again(
        &mut self,
        leader: NodeId,
        row: &ReadmitRow,
        batch: &mut WriteBatch,
    ) -> bool {
        let is_plausible = self.voters.contains(&leader)
            && self.scrutinize_term(row.term).is_ok()
            && row.until.0 <= MAX_INDEX;
        if !is_plausible || !(self.is_barred() || self.is_forgetful()) || row.term < self.term() {
            return false;
        }
        self.node.raft.become_follower(row.term, u64::from(leader.0));
        let ReadmitRow { term, until, groups, .. } = *row;
        let replays = if self.is_barred() { until } else { self.admission.replays() };
        self.admission = Admission::Probation(Probation { term, until, groups, replays });
        self.admission.save(self.id, batch);
        true
    }

    /// `node` lost its disk, so it does not lead, whatever was heard of it: another may stand.
    pub(in crate::shard) fn disown(&mut self, node: NodeId) {
        if !self.is_leader() && self.leader() == Some(node) {
            self.node.raft.become_follower(self.term(), 0);
            self.forget_leader();
        }
    }

    /// On the leader: `node` lost its disk, and asks to follow with a new one. The answer, once there is one.
    pub(in crate::shard) fn readmit(&mut self, node: NodeId, store: StoreId) -> Option<ReadmitRow> {
        let term = self.term();
        let begun = self.readmissions.get(&node).copied();
        let begun = begun.filter(|begun| begun.store == store && begun.term == term);
        let readmission = begun.or_else(|| self.begin_readmission(node, store))?;
        self.readmissions.insert(node, readmission);
        let Readmission { barrier: until, groups, .. } = readmission;
        groups.map(|groups| ReadmitRow { group: self.id, term, until, groups })
    }

    /// Counts the replica from nothing, and sets the barrier.
    fn begin_readmission(&mut self, node: NodeId, store: StoreId) -> Option<Readmission> {
        let is_pair = self.voters.len() == 2;
        if !(self.is_leader() && (is_pair || self.may_propose())) {
            return None;
        }
        let last = self.node.raft.raft_log.last_index();
        let progress = self.node.raft.mut_prs().get_mut(u64::from(node.0))?;
        *progress = Progress::new(last + 1, MAX_INFLIGHT_MESSAGES);
        // Raft steps down for want of a majority that it heard; this one was just heard.
        progress.recent_active = true;
        let term = self.term();
        // Refused in the middle of a transfer: it will be asked again.
        self.node.propose(barrier_of(node, store), Vec::new()).ok()?;
        if is_pair {
            // A leader that serves nothing yet does not know all groups: any may have existed.
            let groups = Some(RaftGroupId(u64::MAX));
            return Some(Readmission { store, term, barrier: RaftIndex(last), groups });
        }
        let barrier = RaftIndex(self.node.raft.raft_log.last_index());
        debug_assert!(barrier.0 > last, "the barrier stands behind all that was ever counted");
        Some(Readmission { store, term, barrier, groups: None })
    }

    /// A replica that takes a barrier becomes one of those who let another in: from then on it refuses that one's former disks.
    /// Returns whether there is a barrier among the entries.
    ///
    /// A replica that lost its disk refuses nobody for a barrier before its own. That one is older than what it knows of its
    /// peers: since then the other may have lost its disk again, or got another store by a loss of power, of which no barrier
    /// tells. The majority that took the barrier then has taken note. One that kept its disk may be part of it only now.
    pub(super) fn note_barriers(&mut self, entries: &[Entry], batch: &mut WriteBatch) -> bool {
        let replays = self.admission.replays();
        let mut found = false;
        for entry in entries {
            let Some((node, store)) = let_in_by(entry) else { continue };
            if RaftIndex(entry.index) > replays {
                acquaintances::readmitted(node, store, batch);
            }
            self.is_let_in(node);
            found = true;
        }
        found
    }

    /// The entry at `index` is applied: perhaps a barrier.
    pub(super) fn note_barrier(&mut self, index: RaftIndex) {
        let groups = match &self.machine {
            Machine::Controller(machine) => machine.image().next_group(),
            Machine::Partition(_) | Machine::Coordinator(_) => RaftGroupId(0),
        };
        for readmission in self.readmissions.values_mut().filter(|known| known.barrier == index) {
            readmission.groups = Some(groups);
        }
    }
}

/// What tells a barrier from other entries, in its context: who is let in by it, and with which store.
fn barrier_of(node: NodeId, store: StoreId) -> Vec<u8> {
    [&node.0.to_be_bytes()[..], &store.0].concat()
}

/// Whether an entry's context says that it is a barrier.
pub(super) fn is_barrier(entry: &Entry) -> bool {
    let_in_by(entry).is_some()
}

/// Whom an entry lets in, if it is a barrier.
fn let_in_by(entry: &Entry) -> Option<(NodeId, StoreId)> {
    let (node, store) = entry.context.split_first_chunk()?;
    Some((NodeId(u32::from_be_bytes(*node)), StoreId(store.try_into().ok()?)))
}

#[cfg(test)]
mod tests;
