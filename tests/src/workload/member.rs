//! Consumers, members of a group, each on a thread of its own: what they are assigned, what they are handed, what they commit.
//! librdkafka's are here, those of `trilog-client` in [`own`](super::own).
//!
//! A member commits where it is several times a second, one commit at a time: of several that are on their way when a
//! coordinator is lost, librdkafka may send an earlier one again behind a later one. It polls meanwhile, and does not commit what
//! it is about to give up, so that somebody else reads some of it again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client_log::ClientLog;
use super::diary::{Diary, Progress, lock};
use super::payload::seen;
use super::validation::Validations;
use super::{IMPATIENT, Library, Stage, end_of, own};
use crate::history::{Outcome, Place};

/// How long a poll waits.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// How often a member commits.
pub(super) const COMMIT_EVERY: Duration = Duration::from_millis(150);

/// The protocol of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// One of the members assigns.
    Classic,
    /// The coordinator assigns (KIP-848).
    Consumer,
}

impl GroupProtocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Classic, Self::Consumer];

    /// Its name as librdkafka's `group.protocol` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }

    /// The group of this protocol on a stage.
    pub fn group(self, stage: &Stage) -> String {
        format!("{}-{}", stage.topic, self.name())
    }

    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Classic => &[
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("session.timeout.ms", "4000"),
                ("heartbeat.interval.ms", "200"),
            ],
            // Session and heartbeats are the coordinator's affair.
            Self::Consumer => &[("group.remote.assignor", "uniform")],
        }
    }
}

/// What a member has, and whether its library has given that up.
///
/// librdkafka (2.12) asks for the committed offsets of what it is assigned. If a coordinator that moved refuses to tell them
/// (`NOT_COORDINATOR`), or the connection breaks, and the assignment has changed meanwhile, it never asks again. Such a member owns
/// the partitions and reads nothing of them as long as it lives. After a broken connection, or a refusal that names no partition, it takes
/// the question for one that is open: it asks about nothing else either, and never confirms what it has to give up. It says so in its
/// log, and nowhere else.
#[derive(Debug, Clone, Default)]
struct Standing(Arc<Mutex<Stand>>);

#[derive(Debug, Default)]
struct Stand {
    owned: BTreeSet<Place>,
    /// It does not ask again about what it was assigned.
    has_given_up: bool,
    /// It waits for an answer for ever.
    is_stuck: bool,
}

/// How librdkafka's lines begin when it gives up on committed offsets: of a refusal, and of a connection that broke.
const GIVES_UP_ON_OFFSETS: [&str; 2] = ["Offset fetch error for ", "Offset fetch error: "];

/// Those of them after which it waits for ever.
const IS_STUCK: [&str; 2] = ["Offset fetch error for 0 partition(s)", "Offset fetch error: "];

impl Standing {
    fn assigned(&self, places: &[Place]) {
        lock(&self.0).owned.extend(places.iter().cloned());
    }

    fn revoked(&self, places: &[Place]) {
        let stand = &mut *lock(&self.0);
        stand.owned.retain(|place| !places.contains(place));
        // What it is assigned next it asks about anew, unless it is stuck.
        stand.has_given_up &= !stand.owned.is_empty();
    }

    /// A line of librdkafka's log.
    fn said(&self, message: &str) {
        let is = |lines: [&str; 2]| lines.iter().any(|line| message.contains(line));
        if is(GIVES_UP_ON_OFFSETS) {
            let stand = &mut *lock(&self.0);
            stand.has_given_up = true;
            stand.is_stuck |= is(IS_STUCK);
        }
    }
}

/// What librdkafka tells of a member.
struct Context {
    diary: Diary,
    standing: Standing,
    validations: Validations,
    log: ClientLog,
}

impl Context {
    fn read(&self, message: &BorrowedMessage<'_>) {
        let place = Place::new(message.topic(), message.partition());
        self.diary.read(place, message.offset(), seen(message.offset(), message.payload()));
    }

    /// Commits these offsets and waits for the outcome. Not even a refusal is certain: librdkafka asks again when a
    /// connection breaks, and tells the last answer.
    fn commit(&self, consumer: &BaseConsumer<Self>, offsets: BTreeMap<Place, i64>) {
        let mut list = TopicPartitionList::new();
        for (Place { topic, partition }, offset) in &offsets {
            let added = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
            added.expect("an offset that was read is one");
        }
        let invoked = self.diary.recorder.now();
        let result = consumer.commit(&list, CommitMode::Sync);
        let is_well = |place: &Place| {
            let row = list.find_partition(&place.topic, place.partition);
            result.is_ok() && row.is_some_and(|row| row.error().is_ok())
        };
        let (yes, no): (BTreeMap<_, _>, BTreeMap<_, _>) =
            offsets.into_iter().partition(|(place, _)| is_well(place));
        self.diary.committed(invoked, yes, Outcome::Acknowledged);
        self.diary.committed(invoked, no, Outcome::Unknown);
    }
}

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.standing.said(message);
        if let Some(back) = self.validations.said(facility, message) {
            self.diary.went_back(back);
        }
        self.log.write(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.diary.gave_up(format!("{error}: {reason}"));
        }
    }
}

impl ConsumerContext for Context {
    // It is told before librdkafka acts, on the thread that polls: whoever gives a partition up handles none of its records
    // any more, and has not yet told the coordinator.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let places = places(list);
                self.standing.assigned(&places);
                self.diary.assigned(places);
            }
            Rebalance::Revoke(list) => {
                let places = places(list);
                self.standing.revoked(&places);
                self.diary.revoked(places);
            }
            Rebalance::Error(_) => {}
        }
    }
}

fn places(list: &TopicPartitionList) -> Vec<Place> {
    list.elements().iter().map(|row| Place::new(row.topic(), row.partition())).collect()
}

/// A member of a group. Dropped, it leaves.
#[derive(Debug)]
pub struct Member {
    client: String,
    protocol: GroupProtocol,
    standing: Standing,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    /// Joins the group of this protocol. Its number tells it from others of the group.
    ///
    /// # Panics
    /// If librdkafka refuses the settings.
    pub fn start(
        stage: &Stage,
        library: Library,
        protocol: GroupProtocol,
        number: u32,
        progress: &Progress,
    ) -> Self {
        let client = format!("{}-{number}-{}", protocol.name(), library.name());
        let diary = Diary::new(client, protocol.group(stage), stage.recorder.clone(), progress.clone());
        match library {
            Library::Librdkafka => Self::of_librdkafka(stage, protocol, diary),
            Library::Own => Self::own(stage, protocol, diary),
        }
    }

    fn own(stage: &Stage, protocol: GroupProtocol, diary: Diary) -> Self {
        let (client, stop, stage) = (diary.client.clone(), Arc::new(AtomicBool::new(false)), stage.clone());
        let stops = Arc::clone(&stop);
        let thread = std::thread::spawn(move || own::consume(&stage, protocol, diary, &stops));
        Self { client, protocol, standing: Standing::default(), stop, thread: Some(thread) }
    }

    fn of_librdkafka(stage: &Stage, protocol: GroupProtocol, diary: Diary) -> Self {
        let client = diary.client.clone();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", stage.bootstrap())
            .set("client.id", &client)
            .set("group.id", &diary.group);
        config.set("group.protocol", protocol.name());
        for (name, value) in IMPATIENT.iter().chain(protocol.settings()) {
            config.set(*name, *value);
        }
        config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        config.set("fetch.wait.max.ms", "200");
        let log = ClientLog::new(&stage.logs, &client, "cgrp,topic,fetch", &mut config);
        let standing = Standing::default();
        let context =
            Context { diary, standing: standing.clone(), validations: Validations::new(&stage.topic), log };
        let consumer: BaseConsumer<Context> =
            config.create_with_context(context).expect("librdkafka takes the settings");
        consumer.subscribe(&[&stage.topic]).expect("librdkafka takes the topic");
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let thread = std::thread::spawn(move || consume(&consumer, &stops));
        Self { client, protocol, standing, stop, thread: Some(thread) }
    }

    /// Its name in the history.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Whether it owns a partition, as far as it was told.
    pub fn owns(&self, place: &Place) -> bool {
        lock(&self.standing.0).owned.contains(place)
    }

    /// Whether its library has given up on committed offsets, which is a fault of its own.
    pub fn has_given_up_on_offsets(&self) -> bool {
        let stand = lock(&self.standing.0);
        stand.has_given_up || stand.is_stuck
    }

    /// Whether its library waits for committed offsets for ever, and so may keep from others what it has to give up.
    pub fn is_stuck(&self) -> bool {
        lock(&self.standing.0).is_stuck
    }

    /// The protocol of its group.
    pub fn protocol(&self) -> GroupProtocol {
        self.protocol
    }

    /// Leaves the group, having committed where it is.
    ///
    /// # Panics
    /// If its thread panicked.
    pub async fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            end_of(thread).await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Polls, and commits on another thread meanwhile: librdkafka tells the outcome of a commit only to who waits for it.
fn consume(consumer: &BaseConsumer<Context>, stop: &AtomicBool) {
    let context = consumer.context();
    let diary = &context.diary;
    std::thread::scope(|scope| {
        let (mut committing, mut since) = (None::<ScopedJoinHandle<'_, ()>>, Instant::now());
        let mut leaves = false;
        loop {
            poll(consumer);
            if committing.as_ref().is_some_and(|commit| !commit.is_finished()) {
                continue;
            }
            if leaves {
                break;
            }
            leaves = stop.load(Ordering::Relaxed);
            if leaves || since.elapsed() > COMMIT_EVERY {
                since = Instant::now();
                let offsets = diary.take_position();
                let some = !offsets.is_empty();
                committing = some.then(|| scope.spawn(move || context.commit(consumer, offsets)));
            }
        }
    });
    diary.end_run();
}

fn poll(consumer: &BaseConsumer<Context>) {
    match consumer.poll(POLL) {
        Some(Ok(message)) => consumer.context().read(&message),
        // Errors are about connections that come and go; what counts is what is read.
        Some(Err(_)) => {}
        None => consumer.context().diary.end_run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_an_excuse_while_it_has_what_its_library_gave_up_on() {
        let standing = Standing::default();
        let given_up = || lock(&standing.0).has_given_up;
        let (place, other) = (Place::new("topic", 0), Place::new("topic", 1));
        standing.assigned(&[place.clone(), other.clone()]);
        standing.said("[thrd:main]: OffsetFetch for 2/2 partition(s) returned Success");
        assert!(!given_up());
        standing.said("[thrd:main]: Offset fetch error for 2 partition(s): Broker: Not coordinator");
        standing.revoked(&[place]);
        assert!(given_up() && lock(&standing.0).owned.contains(&other));
        standing.revoked(std::slice::from_ref(&other));
        assert!(!given_up(), "what it is assigned next it asks about anew");
        standing.assigned(&[other]);
        standing.said("[thrd:main]: Offset fetch error: Local: Broker transport failure");
        assert!(given_up());
    }

    #[test]
    fn a_member_that_waits_for_ever_has_an_excuse_for_what_it_does_not_give_up() {
        let place = Place::new("topic", 0);
        for (line, stuck) in [
            ("Offset fetch error for 2 partition(s): Broker: Not coordinator", false),
            ("Offset fetch error for 0 partition(s): Broker: Not coordinator", true),
            ("Offset fetch error: Local: Broker transport failure", true),
        ] {
            let standing = Standing::default();
            standing.assigned(std::slice::from_ref(&place));
            standing.said(line);
            standing.revoked(std::slice::from_ref(&place));
            assert_eq!(lock(&standing.0).is_stuck, stuck, "{line}");
        }
    }
}
