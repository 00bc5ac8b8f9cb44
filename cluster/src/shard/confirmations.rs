//! Whether this node still leads, asked for many groups at once: what an answer from a partition's records needs.
//!
//! A leader that stood still or was cut off believes that it leads while another one has been elected and answers. So
//! whoever is about to answer from what this node shows of its partitions has that confirmed first. One question to each
//! peer names all groups that anybody wants confirmed, and the term in which this node leads each; the peer vouches for
//! those whose very term it is in as well. That costs a message there and back whatever the number of groups: none of
//! them is woken, and nothing is written. (Raft's ReadIndex does the same for one [group](super::group), with a heartbeat
//! of its own.)
//!
//! Why that is enough. Let this node lead a group of `n` voters in term `t` when it takes up a request, and suppose that
//! another node had been elected in a later term by then. It had the votes of a majority, `m = n / 2 + 1`. Each of them
//! was in that later term before its vote left, and is never again in an earlier one; nor after a restart, since a vote
//! leaves only when the term is durable. This node is not among them, being in `t`, so those `m` are among its `n - 1`
//! peers; and so are the `n - m` who vouch after the request. Together that would be `n` of `n - 1`: one of them would be
//! both, and would vouch for `t` from a later term. Hence nobody had been elected after this node. Whatever had been
//! acknowledged by then was acknowledged by this node, or by leaders before it, and this node shows it.
//!
//! * Of one voter or two nobody has to vouch, `n - m` being 0: no other is elected without this node's own vote. Of three
//!   it is one, of five two.
//! * A word counts only for requests that were taken up before its question left. Rounds are numbered for that, and each
//!   asks again for everything that is open. What lay unread while this process stood still answers an earlier round.
//! * A word names group and term. One that was meant for an earlier process of this node, with numbers of its own, speaks
//!   of an earlier term, as whoever begins anew leads nothing before it is elected.
//! * A replica that lost its disk vouches for nobody until it is [readmitted](super::group): only from then on it has
//!   given no vote, remembered or not, that elected anybody in a later term than the one it is in.
//! * Pre-votes raise no term and make nobody keep silent. Who has raised its term and lost the election keeps silent
//!   although there is no other leader, which is more caution than needed and ends with the next election.
//!
//! A round is under way until the first peer answers it; whoever comes meanwhile shares the next. So one request alone
//! waits for a round trip, and any number of them for two. What has not enough words is asked again at every tick, until
//! this node finds out that it does not lead, or for [`CONFIRM_WITHIN`].
//!
//! Left out on purpose: leases, which would spare the round trip and rest on clocks that run at about the same rate.

use std::collections::BTreeMap;
use std::time::Duration;

use super::effects::{Effect, Ticket};
use super::group::Group;
use super::{Shard, TICK};
use crate::ids::{LeaderEpoch, NodeId, RaftGroupId};
use crate::transport::{Frame, TermRow};

/// How long enough peers have to vouch. Without a majority this node steps down in about that time, too.
const CONFIRM_WITHIN: Duration = Duration::from_secs(1);

/// What waits to be confirmed. As many requests as clients have on their way, which their connections bound, and none
/// for longer than [`CONFIRM_WITHIN`].
#[derive(Default)]
pub(super) struct Confirmations {
    /// The last round's number.
    round: u64,
    /// When the last round began, while nobody has answered it.
    unanswered_since: Option<Duration>,
    /// Whether something is open that no round has asked for, or that is to be asked for again.
    is_wanted: bool,
    /// In the order in which they came.
    waiting: Vec<Confirmation>,
}

/// One request's groups.
struct Confirmation {
    ticket: Ticket,
    until: Duration,
    /// The first round that began after the request was taken up.
    first_round: u64,
    led: Vec<(RaftGroupId, LeaderEpoch)>,
    open: Vec<Claim>,
}

/// A leadership that peers have to vouch for.
struct Claim {
    row: TermRow,
    epoch: LeaderEpoch,
    needed: usize,
    vouchers: Vec<NodeId>,
}

impl Confirmations {
    /// Takes up a request for groups that this node leads.
    fn add(
        &mut self,
        now: Duration,
        ticket: Ticket,
        claims: impl Iterator<Item = Claim>,
        effects: &mut Vec<Effect>,
    ) {
        let (certain, open): (Vec<Claim>, Vec<Claim>) = claims.partition(|claim| claim.needed == 0);
        let led = certain.into_iter().map(|claim| (claim.row.group, claim.epoch)).collect();
        self.is_wanted |= !open.is_empty();
        let (until, first_round) = (now + CONFIRM_WITHIN, self.round + 1);
        self.waiting.push(Confirmation { ticket, until, first_round, led, open });
        self.answer(effects);
    }

    /// Begins a round, unless it has nothing to ask or the one before it has no answer yet.
    fn begin_round(&mut self, now: Duration) -> Option<u64> {
        if !self.is_wanted || self.unanswered_since.is_some() {
            return None;
        }
        self.is_wanted = false;
        self.unanswered_since = Some(now);
        self.round += 1;
        Some(self.round)
    }

    /// Everything that is open, each group once: in its latest term, as the others are over.
    fn open(&self) -> BTreeMap<RaftGroupId, u64> {
        let mut open = BTreeMap::new();
        for claim in self.waiting.iter().flat_map(|confirmation| &confirmation.open) {
            let term = open.entry(claim.row.group).or_default();
            *term = claim.row.term.max(*term);
        }
        open
    }

    /// A peer vouches for `rows`, which are in the order of their groups.
    fn vouched(&mut self, from: NodeId, round: u64, rows: &[TermRow], effects: &mut Vec<Effect>) {
        if round > self.round {
            return;
        }
        if round == self.round {
            self.unanswered_since = None;
        }
        for confirmation in self.waiting.iter_mut().filter(|waiting| waiting.first_round <= round) {
            confirmation.vouched(from, rows);
        }
        self.answer(effects);
    }

    /// Gives up what this node no longer leads, by `leads`, and what has waited for too long; the rest is asked again.
    fn tick(&mut self, now: Duration, leads: impl Fn(TermRow) -> bool, effects: &mut Vec<Effect>) {
        for confirmation in &mut self.waiting {
            let in_time = now < confirmation.until;
            confirmation.open.retain(|claim| in_time && leads(claim.row));
        }
        self.answer(effects);
        self.unanswered_since.take_if(|began| now >= *began + TICK);
        self.is_wanted = !self.waiting.is_empty();
    }

    /// Answers those with nothing open any more.
    fn answer(&mut self, effects: &mut Vec<Effect>) {
        self.waiting.retain_mut(|Confirmation { ticket, led, open, .. }| {
            if open.is_empty() {
                effects.push(Effect::Confirmed { ticket: *ticket, led: std::mem::take(led) });
            }
            !open.is_empty()
        });
    }
}

impl Confirmation {
    fn vouched(&mut self, from: NodeId, rows: &[TermRow]) {
        self.open.retain_mut(|claim| {
            let at = rows.binary_search_by_key(&claim.row.group, |row| row.group);
            if at.is_ok_and(|at| rows[at] == claim.row) && !claim.vouchers.contains(&from) {
                claim.vouchers.push(from);
            }
            let is_led = claim.vouchers.len() >= claim.needed;
            if is_led {
                self.led.push((claim.row.group, claim.epoch));
            }
            !is_led
        });
    }
}

impl Claim {
    /// What there is to confirm of a group that this node leads; none if it does not.
    fn of(group: &Group) -> Option<Self> {
        let epoch = group.serving().filter(|_| group.may_propose())?;
        Some(Self::new(TermRow { group: group.id(), term: group.term() }, epoch, group.voters().len()))
    }

    const fn new(row: TermRow, epoch: LeaderEpoch, voters: usize) -> Self {
        Self { row, epoch, needed: needed_of(voters), vouchers: Vec::new() }
    }
}

/// How many peers have to vouch for the leader of a group with so many voters: as many as a majority leaves out.
const fn needed_of(voters: usize) -> usize {
    let majority = voters / 2 + 1;
    voters.saturating_sub(majority)
}

impl Shard {
    /// Asks, for each of these groups, whether this node leads it: no other had been elected after it when this is taken
    /// up. The answer is an [`Effect::Confirmed`] that names those that it does lead.
    pub(crate) fn confirm(&mut self, now: Duration, ticket: Ticket, groups: &[RaftGroupId]) {
        self.advance(now);
        let claims = groups.iter().filter_map(|id| self.groups.get(id).and_then(Claim::of));
        self.confirmations.add(now, ticket, claims, &mut self.effects);
    }

    /// A peer asks whether it leads: this node vouches for the terms that it is in.
    pub(super) fn vouch(&mut self, from: NodeId, round: u64, mut rows: Vec<TermRow>) {
        let vouches = |row: &TermRow, group: &Group| group.may_vouch() && group.term() == row.term;
        rows.retain(|row| self.groups.get(&row.group).is_some_and(|group| vouches(row, group)));
        self.sends.frame(from, Frame::Vouch { round, rows });
    }

    /// A peer has vouched.
    pub(super) fn vouched(&mut self, from: NodeId, round: u64, rows: &[TermRow]) {
        // Only who votes knows whether somebody else was elected.
        let votes =
            |row: &TermRow| self.groups.get(&row.group).is_some_and(|group| group.voters().contains(&from));
        let rows: Vec<TermRow> = rows.iter().copied().filter(votes).collect();
        self.confirmations.vouched(from, round, &rows, &mut self.effects);
    }

    pub(super) fn tick_confirmations(&mut self) {
        let leads = |row: TermRow| {
            let group = self.groups.get(&row.group);
            group.is_some_and(|group| group.may_propose() && group.term() == row.term)
        };
        self.confirmations.tick(self.now, leads, &mut self.effects);
    }

    /// Asks the living voters of everything that is open, if a round is due.
    pub(super) fn ask_voters(&mut self) {
        let Some(round) = self.confirmations.begin_round(self.now) else { return };
        let mut questions: BTreeMap<NodeId, Vec<TermRow>> = BTreeMap::new();
        for (id, term) in self.confirmations.open() {
            let voters = self.groups.get(&id).map(Group::voters).unwrap_or_default();
            for voter in voters.iter().filter(|voter| self.peers.is_alive(**voter)) {
                questions.entry(*voter).or_default().push(TermRow { group: id, term });
            }
        }
        for (peer, rows) in questions {
            self.sends.frame(peer, Frame::Confirm { round, rows });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: LeaderEpoch = LeaderEpoch(3);

    fn row(group: u64) -> TermRow {
        TermRow { group: RaftGroupId(group), term: 3 }
    }

    /// A request for groups that are led in term 3.
    fn ask(confirmations: &mut Confirmations, ticket: u64, groups: &[u64], voters: usize) -> Vec<Effect> {
        let claims = groups.iter().map(|group| Claim::new(row(*group), EPOCH, voters));
        let mut effects = Vec::new();
        confirmations.add(Duration::ZERO, Ticket(ticket), claims, &mut effects);
        effects
    }

    fn vouch(confirmations: &mut Confirmations, from: u32, round: u64, groups: &[u64]) -> Vec<Effect> {
        let rows: Vec<TermRow> = groups.iter().copied().map(row).collect();
        let mut effects = Vec::new();
        confirmations.vouched(NodeId(from), round, &rows, &mut effects);
        effects
    }

    /// The tickets that are answered, and the groups confirmed to each.
    fn answers(effects: &[Effect]) -> Vec<(u64, Vec<u64>)> {
        let answer = |effect: &Effect| match effect {
            Effect::Confirmed { ticket, led } => (ticket.0, led.iter().map(|(group, _)| group.0).collect()),
            _ => panic!("confirmations have no other effects"),
        };
        effects.iter().map(answer).collect()
    }

    #[test]
    fn two_voters_need_nobody_else() {
        let mut confirmations = Confirmations::default();
        for voters in [1, 2] {
            assert_eq!(answers(&ask(&mut confirmations, 1, &[5], voters)), [(1, vec![5])]);
        }
        assert_eq!(confirmations.begin_round(Duration::ZERO), None);
        assert!(ask(&mut confirmations, 2, &[5], 3).is_empty());
    }

    #[test]
    fn who_comes_while_a_round_is_under_way_shares_the_next() {
        let mut confirmations = Confirmations::default();
        ask(&mut confirmations, 1, &[5, 6], 3);
        assert_eq!(confirmations.begin_round(Duration::ZERO), Some(1));
        for ticket in [2, 3] {
            ask(&mut confirmations, ticket, &[5], 3);
        }
        assert_eq!(confirmations.begin_round(Duration::ZERO), None, "the first has no answer yet");
        assert_eq!(answers(&vouch(&mut confirmations, 2, 1, &[5, 6])), [(1, vec![5, 6])]);
        assert_eq!(confirmations.begin_round(Duration::ZERO), Some(2));
        assert!(vouch(&mut confirmations, 3, 1, &[5, 6]).is_empty(), "an answer to a question before theirs");
        assert_eq!(answers(&vouch(&mut confirmations, 3, 2, &[5])), [(2, vec![5]), (3, vec![5])]);
        assert_eq!(confirmations.begin_round(Duration::ZERO), None);
    }

    #[test]
    fn two_of_four_others_have_to_vouch_for_the_leader_of_five() {
        let mut confirmations = Confirmations::default();
        ask(&mut confirmations, 1, &[5], 5);
        confirmations.begin_round(Duration::ZERO);
        assert!(vouch(&mut confirmations, 2, 1, &[5]).is_empty());
        assert!(vouch(&mut confirmations, 2, 1, &[5]).is_empty(), "the same one again");
        assert_eq!(answers(&vouch(&mut confirmations, 4, 1, &[5])), [(1, vec![5])]);
    }

    #[test]
    fn a_word_is_about_one_term() {
        let mut confirmations = Confirmations::default();
        ask(&mut confirmations, 1, &[5], 3);
        confirmations.begin_round(Duration::ZERO);
        let mut effects = Vec::new();
        let later = TermRow { term: 4, ..row(5) };
        confirmations.vouched(NodeId(2), 1, &[later], &mut effects);
        confirmations.vouched(NodeId(2), 7, &[row(5)], &mut effects);
        assert!(effects.is_empty(), "another term, and a round that never was");
    }

    #[test]
    fn what_nobody_vouches_for_is_asked_again_and_given_up_in_time() {
        let mut confirmations = Confirmations::default();
        ask(&mut confirmations, 1, &[5, 6], 3);
        assert_eq!(confirmations.begin_round(Duration::ZERO), Some(1));
        assert!(vouch(&mut confirmations, 2, 1, &[6]).is_empty());
        let mut effects = Vec::new();
        let mut now = Duration::ZERO;
        for round in 2..=CONFIRM_WITHIN.as_millis() / TICK.as_millis() {
            now += TICK;
            confirmations.tick(now, |_| true, &mut effects);
            assert_eq!(confirmations.begin_round(now).map(u128::from), Some(round));
            assert_eq!(confirmations.open().into_keys().collect::<Vec<_>>(), [RaftGroupId(5)]);
        }
        assert!(effects.is_empty());
        confirmations.tick(now + TICK, |_| true, &mut effects);
        assert_eq!(answers(&effects), [(1, vec![6])]);
    }

    #[test]
    fn a_leadership_that_is_over_is_not_confirmed() {
        let mut confirmations = Confirmations::default();
        ask(&mut confirmations, 1, &[5, 6], 3);
        confirmations.begin_round(Duration::ZERO);
        let mut effects = Vec::new();
        confirmations.tick(TICK, |row| row.group == RaftGroupId(6), &mut effects);
        assert!(effects.is_empty());
        assert_eq!(answers(&vouch(&mut confirmations, 2, 1, &[5, 6])), [(1, vec![6])]);
    }

    proptest! {
        /// What the proof in the module's documentation rests on.
        #[test]
        fn whoever_could_elect_another_leader_is_among_those_who_vouch(voters in 1_usize..9, pick: u16) {
            let peers = voters - 1;
            let chosen = (0..peers).filter(|peer| pick & (1 << peer) != 0).count();
            let electors = chosen > voters / 2;
            prop_assert!(!electors || chosen + needed_of(voters) > peers);
        }
    }
}
