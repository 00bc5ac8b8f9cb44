//! What holds of groups whatever happens: members of both protocols that come, go, hang and come back, requests that
//! come twice or get no answer, topics that change, a log that stands still, and coordinators that are lost.
//!
//! A case is a list of [actions](Action) on a [world](world::World) of one coordinator, some clients and no threads, so
//! that it runs the same whenever it is run, and shrinks. Clients behave as real ones do, as far as nobody hinders them.
//!
//! Checked after everything that happens:
//! * No partition is given to two members in one generation or epoch. In a consumer group no two members own one at the
//!   same time, by what they were told and have not given up.
//! * Committed offsets are those of the last commit that was accepted, before and after a failover; those of deleted
//!   topics are gone; none is accepted from who is no member, or is of an earlier generation. A sweep takes only those
//!   that have been of no use for the whole retention.
//! * What is due has happened before a request is decided. Whoever is refused changes nothing.
//! * A static member that left for a while keeps its place until its session is over.
//! * There are no more groups, forming ones included, than may be.
//! * Records and state come back from their encodings, and the records make the coordinator's own state.
//! * Every request is decided in time, and answered once; or told, once, that its coordinator is lost.
//!
//! And in the end, when nobody hinders anybody any more: every group settles, with all that its members subscribe to;
//! after the last member nothing is left that the coordinator waits for, and when its offsets have expired, nothing of the
//! group.
//!
//! Rules [broken on purpose](mutant) are found.
//!
//! What is left out: duplicates of what a member of a consumer group says about its partitions. A request that is
//! delayed until its sender has been told something else acknowledges what it has not seen. TCP rules that out but for a
//! connection that dies, and the protocol has no answer to it.
//!
//! `PROPTEST_CASES=20000 cargo test -p trilog-cluster coordinator::properties` looks for what is rarer.

mod classic_client;
mod client;
mod consumer_client;
mod invariants;
mod mutant;
mod offsets;
mod ownership;
mod places;
mod topics;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use self::client::Life;
pub(crate) use self::client::{Client, Identity};
use self::mutant::Mutant;
pub(crate) use self::ownership::{Assigned, assigned, has_members, is_last_step, left, owned_twice};
use self::topics::NAMES;
pub(crate) use self::topics::Topics;
use self::world::World;
use super::{
    CoordinatorState, GroupProtocol, GroupRequest, GroupSettings, LeaveGroup, LeavingMember, Limits, MemberId,
};

/// Something that happens. Clients and topics are called by number.
#[derive(Clone, Debug)]
enum Action {
    /// Milliseconds pass, and whatever is due happens.
    Pass(u64),
    Start(usize, GroupProtocol),
    Stop(usize),
    /// Static members that have partitions to give up leave for a while, and the coordinator is lost with some decisions.
    LeaveWithPartitions(usize),
    /// The process ends without a word.
    Crash(usize),
    Pause(usize),
    Resume(usize),
    /// The client subscribes to those topics.
    Subscribe(usize, BTreeSet<usize>),
    Commit(usize),
    /// The client's next answer gets lost.
    LoseAnswer(usize),
    /// The next answer with the last step to a member's target gets lost, and its coordinator with it.
    LoseLastStep,
    /// The client's last request arrives once more.
    Repeat(usize),
    /// An administrator puts a static member out.
    PutOut(usize),
    DeleteGroup(usize),
    /// A topic gets more partitions, or its first.
    MakeMore(usize),
    DeleteTopic(usize),
    /// The log stands still, or goes on.
    HoldUp(bool),
    /// The coordinator is lost, and some decisions with it.
    FailOver(usize),
    /// The log stands still until so many more things have happened; then the coordinator is lost with some decisions.
    FailOverAfter(usize, usize),
    Sweep,
    /// Everybody goes, a client comes for a moment and goes again, between two sweeps that are twice so many milliseconds apart.
    Visit(usize, GroupProtocol, u64),
}

/// How long offsets are kept that are of no use.
const RETENTION: Duration = Duration::from_millis(RETENTION_MS);
const RETENTION_MS: u64 = 40_000;

/// Two groups: of eager members, of which two claim to be the same static one, and of cooperative ones.
const CLIENTS: usize = 7;

fn identity(number: usize) -> Identity {
    Identity {
        number,
        group: if number < 4 { "eager" } else { "cooperative" }.into(),
        instance: [None, Some("i1"), Some("i2"), Some("i2"), None, Some("i5"), None][number].map(Into::into),
        is_cooperative: number >= 4,
        topics: BTreeSet::from([NAMES[0].to_owned(), NAMES[1].to_owned()]),
    }
}

fn settings() -> GroupSettings {
    GroupSettings {
        initial_rebalance_delay: Duration::from_secs(1),
        consumer_session_timeout: client::SESSION_TIMEOUT,
        consumer_heartbeat_interval: client::HEARTBEAT_INTERVAL,
        offsets_retention: RETENTION,
        ..GroupSettings::default()
    }
}

/// How much the coordinator holds: enough in most cases.
fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        3 => Just(Limits::DEFAULT),
        1 => (1..3_usize, 2..9_usize).prop_map(|(groups, deadlines)| Limits { groups, deadlines }),
    ]
}

fn action(protocols: &'static [GroupProtocol]) -> impl Strategy<Value = Action> {
    let client = || 0..CLIENTS;
    let topic = || 0..NAMES.len();
    let protocol = prop::sample::select(protocols);
    prop_oneof![
        12 => (0..6_000_u64).prop_map(Action::Pass),
        1 => (0..50_000_u64).prop_map(Action::Pass),
        8 => (client(), protocol).prop_map(|(client, protocol)| Action::Start(client, protocol)),
        2 => client().prop_map(Action::Stop),
        2 => client().prop_map(Action::Crash),
        1 => client().prop_map(Action::Pause),
        1 => client().prop_map(Action::Resume),
        2 => (client(), prop::collection::btree_set(topic(), 0..=NAMES.len()))
            .prop_map(|(client, topics)| Action::Subscribe(client, topics)),
        4 => client().prop_map(Action::Commit),
        2 => client().prop_map(Action::LoseAnswer),
        1 => Just(Action::LoseLastStep),
        2 => client().prop_map(Action::Repeat),
        1 => client().prop_map(Action::PutOut),
        1 => client().prop_map(Action::DeleteGroup),
        2 => topic().prop_map(Action::MakeMore),
        1 => topic().prop_map(Action::DeleteTopic),
        1 => any::<bool>().prop_map(Action::HoldUp),
        2 => (0..8_usize).prop_map(Action::FailOver),
        2 => (0..12_usize, 0..12_usize)
            .prop_map(|(steps, committed)| Action::FailOverAfter(steps, committed)),
        2 => (0..8_usize).prop_map(Action::LeaveWithPartitions),
        1 => (client(), prop::sample::select(protocols), 0..RETENTION_MS)
            .prop_map(|(client, protocol, between)| Action::Visit(client, protocol, between)),
        3 => Just(Action::Sweep),
    ]
}

impl World {
    fn happens(&mut self, action: &Action) {
        match action {
            Action::Pass(milliseconds) => self.pass(Duration::from_millis(*milliseconds)),
            Action::Start(client, protocol) => self.start(*client, *protocol),
            Action::Stop(client) => {
                if let Some(request) = self.clients[*client].stop() {
                    self.ask(None, request);
                }
            }
            Action::LeaveWithPartitions(committed) => self.leave_with_partitions(*committed),
            Action::Crash(client) => self.clients[*client].kill(),
            Action::Pause(client) => self.set_life(*client, Life::Running, Life::Paused),
            Action::Resume(client) => self.set_life(*client, Life::Paused, Life::Running),
            Action::Subscribe(client, topics) => {
                let names = topics.iter().map(|topic| NAMES[*topic].to_owned());
                self.clients[*client].identity.topics = names.collect();
            }
            Action::Commit(client) => self.commit_some(*client),
            Action::LoseAnswer(client) => self.clients[*client].loses_answer = true,
            Action::LoseLastStep => self.loses_last_step = true,
            Action::Repeat(client) => self.repeat(*client),
            Action::PutOut(client) => self.put_out(*client),
            Action::DeleteGroup(client) => {
                let group = self.clients[*client].identity.group.clone();
                self.ask(None, GroupRequest::Delete(group));
            }
            Action::MakeMore(topic) => self.make_more(NAMES[*topic]),
            Action::DeleteTopic(topic) => {
                if let Some(id) = self.topics.id(NAMES[*topic]) {
                    self.change_topics(|topics| topics.delete(id));
                }
            }
            Action::HoldUp(is_held_up) => self.hold_up(*is_held_up),
            Action::FailOver(committed) => self.fail_over(*committed),
            Action::FailOverAfter(steps, committed) => self.lose_after(*steps, *committed),
            Action::Sweep => self.sweep(),
            Action::Visit(client, protocol, between) => {
                self.visit(*client, *protocol, Duration::from_millis(*between));
            }
        }
        self.check();
    }

    fn make_more(&mut self, name: &str) {
        self.change_topics(|topics| match topics.id(name) {
            Some(id) => topics.grow(id, 2),
            None => topics.create(name, 3),
        });
    }

    fn start(&mut self, client: usize, protocol: GroupProtocol) {
        let (now, fresh) = (self.now, self.fresh());
        let client = &mut self.clients[client];
        if client.life == Life::Stopped {
            client.start(now, protocol, fresh);
        }
    }

    fn visit(&mut self, client: usize, protocol: GroupProtocol, between: Duration) {
        self.hold_up(false);
        self.clients.iter_mut().for_each(Client::kill);
        self.pass(Duration::from_secs(15));
        self.sweep();
        self.pass(between);
        self.start(client, protocol);
        self.pass(Duration::from_secs(5));
        self.clients.iter_mut().for_each(Client::kill);
        self.pass(between);
        self.sweep();
    }

    fn leave_with_partitions(&mut self, committed: usize) {
        let leaves = |client: &Client| {
            client.life == Life::Running && client.identity.instance.is_some() && client.gives_up()
        };
        for number in 0..CLIENTS {
            if leaves(&self.clients[number])
                && let Some(request) = self.clients[number].stop()
            {
                self.ask(None, request);
            }
        }
        self.fail_over(committed);
    }

    fn set_life(&mut self, client: usize, from: Life, to: Life) {
        let client = &mut self.clients[client];
        if client.life == from {
            client.life = to;
        }
    }

    fn commit_some(&mut self, client: usize) {
        let offset = i64::try_from(self.serial()).unwrap();
        let client = &self.clients[client];
        let request = client.commit(&self.topics, offset).filter(|_| client.life != Life::Stopped);
        if let Some(request) = request {
            self.ask(None, GroupRequest::CommitOffsets(request));
        }
    }

    fn repeat(&mut self, client: usize) {
        let client = &self.clients[client];
        let Some(request) = client.last_request.clone() else { return };
        if self.coordinator.describe_consumer(&client.identity.group).is_err()
            && !matches!(request, GroupRequest::ConsumerHeartbeat(_))
        {
            self.ask(None, request);
        }
    }

    fn put_out(&mut self, client: usize) {
        let Identity { group, instance, .. } = self.clients[client].identity.clone();
        let Some(instance) = instance else { return };
        let members = vec![LeavingMember { member: MemberId::from(""), instance: Some(instance) }];
        self.ask(None, GroupRequest::Leave(LeaveGroup { group, members }));
    }

    /// Nobody hinders anybody any more, until all groups have settled.
    fn settle(&mut self) {
        self.hold_up(false);
        self.loses_last_step = false;
        for client in &mut self.clients {
            client.loses_answer = false;
            if client.life == Life::Paused {
                client.life = Life::Running;
            }
        }
        // Sessions of who is gone end, a join phase may wait for somebody who does not come, and so on.
        self.pass(Duration::from_secs(30));
        // A static leader that was away while a topic changed has missed that, and is told not to assign: in classic
        // groups nobody notices until a topic changes again.
        if !self.coordinator.classic.is_empty() {
            NAMES.into_iter().for_each(|name| self.make_more(name));
        }
        for _ in 0..60 {
            self.pass(Duration::from_secs(5));
            if self.clients.iter().all(Client::is_settled) && self.unsettled().is_none() {
                return;
            }
        }
        panic!("{:?} in {:#?}", self.unsettled(), self.clients);
    }

    /// What a settled group would not have.
    fn unsettled(&self) -> Option<String> {
        ["eager", "cooperative"].into_iter().find_map(|group| {
            let running = || {
                self.clients.iter().filter(move |client| {
                    client.identity.group.as_str() == group && client.life == Life::Running
                })
            };
            let state = self.coordinator.view(&group.into()).map_or("Empty", |view| view.state_name());
            let expected = if running().count() == 0 { "Empty" } else { "Stable" };
            if state != expected {
                return Some(format!("{group} is {state} and not {expected}"));
            }
            let owned: Vec<_> = running().flat_map(|client| client.owned().iter().copied()).collect();
            let wanted = self.topics.partitions(running().flat_map(|client| &client.identity.topics));
            let is_shared_out =
                owned.len() == wanted.len() && owned.into_iter().collect::<BTreeSet<_>>() == wanted;
            (!is_shared_out).then(|| format!("{group} has not shared out its partitions"))
        })
    }

    /// Everybody goes.
    fn end(&mut self) {
        self.clients.iter_mut().for_each(Client::kill);
        self.pass(Duration::from_secs(600));
        assert_eq!(self.unsettled(), None);
        assert!(self.is_idle(), "the coordinator still waits for something");
        // The first sweep may be the first to find a group unused.
        for _ in 0..2 {
            self.sweep();
            self.pass(RETENTION);
        }
        self.sweep();
        assert_eq!(self.coordinator.views().count(), 0, "nobody has a use for the groups any more");
    }
}

fn run(actions: &[Action], limits: Limits, mutant: Option<Mutant>) {
    let mut world = World::new((0..CLIENTS).map(identity), settings(), limits);
    world.mutant = mutant;
    actions.iter().for_each(|action| world.happens(action));
    world.settle();
    world.end();
}

proptest! {
    #[test]
    fn classic_groups_keep_their_promises(
        actions in vec(action(&[GroupProtocol::Classic]), 1..60),
        limits in limits(),
    ) {
        run(&actions, limits, None);
    }

    #[test]
    fn consumer_groups_keep_their_promises(
        actions in vec(action(&[GroupProtocol::Consumer]), 1..60),
        limits in limits(),
    ) {
        run(&actions, limits, None);
    }

    #[test]
    fn damaged_states_of_groups_are_refused_or_read(
        actions in vec(action(&[GroupProtocol::Classic, GroupProtocol::Consumer]), 1..40),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut world = World::new((0..CLIENTS).map(identity), settings(), Limits::DEFAULT);
        actions.iter().for_each(|action| world.happens(action));
        let mut bytes = world.coordinator.state.encode();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(state) = CoordinatorState::decode(&bytes) {
            prop_assert_eq!(&CoordinatorState::decode(&state.encode()).unwrap(), &state);
        }
    }

    #[test]
    fn groups_that_migrate_keep_their_promises(
        actions in vec(action(&[GroupProtocol::Classic, GroupProtocol::Consumer]), 1..60),
        limits in limits(),
    ) {
        run(&actions, limits, None);
    }
}
