//! A coordinator, its replicated log, the clients and the time.
//!
//! What the coordinator decides is queued as it would be for Raft: answers leave when the records before them are
//! committed. While the log is held up, decisions pile up, and a failover commits some of them and loses the others; of
//! those that it commits, too, nobody hears the answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::client::{Client, Identity, Life};
use super::invariants::{self, Promises};
use super::mutant::{Leavings, Mutant};
use super::offsets::Offsets;
use super::ownership::is_last_step;
use super::places::Places;
use super::topics::{NAMES, Topics};
use crate::coordinator::{
    CoordinatorRecord, CoordinatorState, GroupCoordinator, GroupErrorCode, GroupRequest, GroupResponse,
    GroupSettings, Limits, decode_entry, encode_record, entry_header,
};
use crate::ids::Ticket;
use crate::shard::TICK;

/// By when every request has been decided, log or no log. A join waits longest.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// More than can happen in any time that a test lets pass.
const MAX_EVENTS: usize = 20_000;

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) coordinator: GroupCoordinator,
    pub(super) topics: Topics,
    pub(super) clients: Vec<Client>,
    /// The offsets as they are to be if everything that was decided is committed.
    pub(super) offsets: Offsets,
    pub(super) places: Places,
    promises: Promises,
    settings: Arc<GroupSettings>,
    pub(super) limits: Limits,
    pub(super) mutant: Option<Mutant>,
    leavings: Leavings,
    /// What is committed.
    applied: CoordinatorState,
    applied_offsets: Offsets,
    /// What is committed or may be, record by record.
    proposed: CoordinatorState,
    /// What was decided and is not committed.
    queue: VecDeque<Decided>,
    is_held_up: bool,
    /// After how many more things that happen the coordinator is lost, and how many of its decisions are not.
    loss: Option<(usize, usize)>,
    /// The next answer with the last step to a member's target gets lost, and its coordinator with it.
    pub(super) loses_last_step: bool,
    /// The last request to join, or to stay, that was refused.
    refused: Option<Ticket>,
    /// Whether what is done next lets offsets expire.
    is_sweeping: bool,
    next_ticket: u64,
    /// Requests without an answer.
    asked: BTreeMap<Ticket, Asked>,
}

/// What came of one call of the coordinator.
struct Decided {
    records: Vec<CoordinatorRecord>,
    answers: Vec<(Ticket, GroupResponse)>,
    /// As they are with this.
    offsets: Offsets,
}

/// A request under way.
struct Asked {
    at: Duration,
    /// Whether the coordinator has made up its mind.
    is_decided: bool,
    /// Who waits for it, if anybody does.
    by: Option<usize>,
    request: GroupRequest,
}

impl World {
    pub(super) fn new(
        identities: impl IntoIterator<Item = Identity>,
        settings: GroupSettings,
        limits: Limits,
    ) -> Self {
        let mut topics = Topics::default();
        NAMES[..2].iter().for_each(|name| topics.create(name, 4));
        let settings = Arc::new(settings);
        let state = CoordinatorState::default();
        let (settings_of_first, image) = (Arc::clone(&settings), topics.image());
        let mut coordinator = GroupCoordinator::new(state.clone(), settings_of_first, image, Duration::ZERO);
        coordinator.limits = limits;
        Self {
            now: Duration::ZERO,
            coordinator,
            topics,
            clients: identities.into_iter().map(Client::new).collect(),
            offsets: Offsets::default(),
            places: Places::default(),
            promises: Promises::default(),
            settings,
            limits,
            mutant: None,
            leavings: Leavings::default(),
            applied: state.clone(),
            applied_offsets: Offsets::default(),
            proposed: state,
            queue: VecDeque::new(),
            is_held_up: false,
            loss: None,
            loses_last_step: false,
            refused: None,
            is_sweeping: false,
            next_ticket: 0,
            asked: BTreeMap::new(),
        }
    }

    /// Calls the coordinator, and takes what comes of it.
    fn act(&mut self, act: impl FnOnce(&mut GroupCoordinator, Duration)) {
        self.offsets.note_use(self.now, &self.coordinator);
        if let Some(mutant) = self.mutant {
            mutant.falsify_limits(&mut self.coordinator, self.limits.groups);
        }
        act(&mut self.coordinator, self.now);
        let actions = self.coordinator.take_actions();
        let mut payload = entry_header();
        actions.records.iter().for_each(|record| encode_record(record, &mut payload));
        assert_eq!(decode_entry(&payload).as_ref(), Ok(&actions.records), "records come back");
        actions.records.iter().for_each(|record| self.proposed.replay(record));
        assert!(self.proposed == self.coordinator.state, "the records make the coordinator's state");
        for (ticket, response) in &actions.answers {
            let asked = self.asked.get_mut(ticket).expect("nobody is answered twice");
            assert!(!asked.is_decided, "nobody is answered twice");
            asked.is_decided = true;
            let decided = (&asked.request, response);
            self.offsets.decide(self.now, &self.coordinator, &self.topics, decided);
            self.places.decide(self.now, &asked.request, response);
            self.refused = is_refusal(response).then_some(*ticket);
        }
        let sweeps = std::mem::take(&mut self.is_sweeping);
        self.offsets.expire(self.now, &self.coordinator, &self.topics, sweeps);
        let crate::coordinator::Actions { records, answers } = actions;
        self.queue.push_back(Decided { records, answers, offsets: self.offsets.clone() });
        if !self.is_held_up {
            self.commit(self.queue.len());
        }
    }

    /// Commits the first `count` decisions, and gives the answers.
    fn commit(&mut self, count: usize) {
        for decided in self.queue.drain(..count).collect::<Vec<_>>() {
            let answers = self.apply(decided);
            for (ticket, response) in answers {
                let Asked { by, request, .. } = self.asked.remove(&ticket).expect("an answer is given once");
                let is_lost = self.loses_last_step && is_last_step(&request, &response, &self.applied);
                if is_lost {
                    self.loses_last_step = false;
                    self.loss = Some((0, 0));
                }
                let Some(client) = by.map(|number| &mut self.clients[number]) else { continue };
                let hears = client.waiting == Some(ticket) && client.life == Life::Running && !is_lost;
                if hears && !std::mem::take(&mut client.loses_answer) {
                    client.hear(self.now, &self.topics, response.clone());
                    self.promises.keep(client, &response);
                }
            }
        }
    }

    fn apply(&mut self, decided: Decided) -> Vec<(Ticket, GroupResponse)> {
        for record in &decided.records {
            self.leavings.see(&self.applied, record);
            self.applied.replay(record);
        }
        self.applied_offsets = decided.offsets;
        self.promises.forget_empty_groups(&self.applied);
        decided.answers
    }

    /// Lets the log stand still, or go on.
    pub(super) fn hold_up(&mut self, is_held_up: bool) {
        self.is_held_up = is_held_up;
        if !is_held_up {
            self.loss = None;
            self.commit(self.queue.len());
        }
    }

    /// From now on nothing is committed, until the coordinator is lost after so many things have happened.
    pub(super) fn lose_after(&mut self, steps: usize, committed: usize) {
        self.hold_up(true);
        self.loss = Some((steps, committed));
    }

    /// One more thing has happened.
    fn count_down(&mut self) {
        match self.loss.take() {
            None => {}
            Some((0, committed)) => {
                self.fail_over(committed);
                self.hold_up(false);
            }
            Some((steps, committed)) => self.loss = Some((steps - 1, committed)),
        }
    }

    /// Another replica becomes the coordinator, once the first `committed` of the decisions are.
    pub(super) fn fail_over(&mut self, committed: usize) {
        let mut told = Vec::new();
        for (position, decided) in std::mem::take(&mut self.queue).into_iter().enumerate() {
            told.extend(decided.answers.iter().map(|(ticket, _)| *ticket));
            if position < committed {
                self.apply(decided);
            }
        }
        let mut restored = CoordinatorState::decode(&self.applied.encode()).unwrap();
        assert!(restored == self.applied, "a checkpoint holds the whole state");
        if let Some(mutant) = self.mutant {
            mutant.falsify_state(&mut restored, &self.leavings);
        }
        let begins_with = restored.clone();
        let settings = Arc::clone(&self.settings);
        let mut next = GroupCoordinator::new(restored, settings, self.topics.image(), self.now);
        next.limits = self.limits;
        if let Some(mutant) = self.mutant {
            mutant.falsify_timers(&mut next, self.now, &self.leavings);
        }
        told.extend(std::mem::replace(&mut self.coordinator, next).abandon());
        told.sort_unstable();
        assert!(told.iter().eq(self.asked.keys()), "whoever waits is told once that the coordinator is lost");
        for client in &mut self.clients {
            let is_told = client.waiting.is_some_and(|ticket| self.asked.contains_key(&ticket));
            if is_told && client.life == Life::Running {
                client.lose_answer(self.now);
            }
        }
        self.asked.clear();
        self.proposed = begins_with;
        self.offsets = self.applied_offsets.clone();
        self.places.fail_over(self.now, &self.coordinator);
        self.act(|_, _| ());
    }

    /// Asks the coordinator something, on behalf of a client that waits for the answer or of nobody.
    pub(super) fn ask(&mut self, by: Option<usize>, request: GroupRequest) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        if let Some(number) = by {
            self.clients[number].waiting = Some(ticket);
        }
        self.asked.insert(ticket, Asked { at: self.now, is_decided: false, by, request: request.clone() });
        self.places.ask(&request);
        let nothing_was_due = self.coordinator.next_deadline().is_none_or(|deadline| deadline > self.now);
        let before = nothing_was_due.then(|| self.coordinator.state.clone());
        let mutant = self.mutant;
        self.act(|coordinator, now| {
            let now = mutant.map_or(now, |mutant| mutant.falsify_time(coordinator.now, now));
            coordinator.handle(now, ticket, request);
        });
        let is_overdue = |deadline| deadline < self.now;
        assert!(
            !self.coordinator.next_deadline().is_some_and(is_overdue),
            "what is due happens before a request"
        );
        if let Some(before) = before.filter(|_| self.refused == Some(ticket)) {
            let changed = self.coordinator.state.groups().any(|(id, group)| {
                before.group(id).is_none_or(|before| before.membership != group.membership)
            });
            assert!(!changed, "whoever is refused changes nothing");
        }
    }

    /// A number that grows with every request.
    pub(super) fn serial(&self) -> u64 {
        self.next_ticket + 1
    }

    /// Something that was never there before.
    pub(super) fn fresh(&self) -> Uuid {
        Uuid::from_u128(self.serial().into())
    }

    fn turn(&mut self, number: usize) {
        let fresh = self.fresh();
        if let Some(request) = self.clients[number].act(self.now, &self.topics, fresh) {
            self.ask(Some(number), request);
        }
    }

    /// Changes the topics, and tells the coordinator.
    pub(super) fn change_topics(&mut self, change: impl FnOnce(&mut Topics)) {
        change(&mut self.topics);
        let image = self.topics.image();
        self.act(|coordinator, now| {
            coordinator.set_image(image);
            coordinator.topics_deleted(now);
        });
    }

    /// Looks for what is too old.
    pub(super) fn sweep(&mut self) {
        self.is_sweeping = true;
        self.act(GroupCoordinator::expire);
    }

    /// Lets time pass: whatever is due happens, in the order in which it is.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..MAX_EVENTS {
            let running = self.clients.iter().enumerate().filter(|(_, client)| client.life == Life::Running);
            let turn = running.map(|(number, client)| (client.due, number)).min();
            // What is due is looked for now and then. A request that comes first finds it done all the same.
            let deadline = self.coordinator.next_deadline().map(next_tick);
            let next = deadline.into_iter().chain(turn.map(|(due, _)| due)).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            match turn {
                Some((due, number)) if deadline.is_none_or(|deadline| due < deadline) => self.turn(number),
                _ => self.act(GroupCoordinator::handle_timeout),
            }
            self.count_down();
            self.check();
        }
        panic!("{MAX_EVENTS} things happened in {time:?}, which must be for ever");
    }

    /// What holds at all times.
    pub(super) fn check(&mut self) {
        for asked in self.asked.values().filter(|asked| !asked.is_decided) {
            assert!(self.now - asked.at <= MAX_WAIT, "nobody decides {:?}", asked.request);
        }
        invariants::check(self);
    }

    /// Whether the coordinator has nothing under way.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.coordinator.next_deadline().is_none()
    }
}

/// When the coordinator is asked next to do what is due then.
fn next_tick(deadline: Duration) -> Duration {
    let ticks = deadline.as_millis().div_ceil(TICK.as_millis());
    TICK * u32::try_from(ticks).expect("a test is short")
}

/// Whether it says that somebody may not join, or stay.
fn is_refusal(response: &GroupResponse) -> bool {
    match response {
        GroupResponse::Join(joined) => {
            joined.error.is_some_and(|error| error != GroupErrorCode::MemberIdRequired)
        }
        GroupResponse::ConsumerHeartbeat(outcome) => outcome.is_err(),
        _ => false,
    }
}
