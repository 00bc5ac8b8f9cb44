//! Clients that keep a cluster busy while it suffers, and write down what they were told.
//!
//! | client | what it is there for |
//! | --- | --- |
//! | [`producer`] | idempotent producers: nothing lost, nothing doubled, whatever they have to send again |
//! | [`member`] | consumers in a classic group and in one of KIP-848: polls, commits, rebalances |
//! | [`prober`] | asks each node for itself, over the plain wire, what it would tell as a leader or coordinator, and writes to it: catches who speaks from a time that is over |
//!
//! Producers and members are librdkafka's or those of `trilog-client` ([`own`]), as it is drawn for each: they share their groups.
//! All of them are impatient: a node that is mute for a second is given up, as otherwise a short round would be over before
//! they notice. None of them is cut off from any node; it is the nodes that are.

mod client_log;
mod diary;
pub mod member;
mod own;
mod payload;
mod probe;
pub mod prober;
pub mod producer;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use trilog_client::consumer::CommitOffset;
use trilog_client::{Admin, AdminConfig, TopicPartition};
use uuid::Uuid;

use crate::history::{Deed, Outcome, Place, Recorder};
use crate::requests::Target;
use crate::waiting::{PATIENCE, within};
use member::{GroupProtocol, Member};
use prober::Prober;
use producer::Producer;

/// Whose client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// librdkafka's.
    Librdkafka,
    /// That of `trilog-client`.
    Own,
}

impl Library {
    /// What stands in the names of its clients.
    const fn name(self) -> &'static str {
        match self {
            Self::Librdkafka => "librdkafka",
            Self::Own => "own",
        }
    }

    /// Either of them, with an even chance.
    fn drawn(random: &mut Rng) -> Self {
        if random.bool() { Self::Own } else { Self::Librdkafka }
    }
}

/// Records a second that each producer sends.
const RATE: u32 = 250;

/// How long members are left alone that own a partition, do not read it, and have an excuse.
const OLD_MEMBERS: Duration = Duration::from_secs(12);

/// Where the clients meet, and where they write down what happens.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The topic, which nobody else uses.
    pub topic: String,
    /// Its id.
    pub topic_id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
    /// Where clients reach each node.
    pub addresses: BTreeMap<i32, String>,
    /// What they write into.
    pub recorder: Recorder,
    /// A directory for their own logs.
    pub logs: PathBuf,
}

impl Stage {
    /// One partition of the topic.
    pub fn place(&self, partition: i32) -> Place {
        Place::new(&self.topic, partition)
    }

    /// The groups that commit offsets.
    pub fn groups(&self) -> Vec<String> {
        let of_members = GroupProtocol::ALL.map(|protocol| protocol.group(self));
        of_members.into_iter().chain([self.alone()]).collect()
    }

    /// Commits the beginning of each partition for the groups of members, before any member joins.
    ///
    /// Without a commit, librdkafka asks for the beginning. If a rebalance pauses the partition meanwhile, the answer is out of date, and
    /// librdkafka 2.12.1 leaves a timer behind: half a second later it sends the partition, which is read by then, back to the
    /// beginning ("timed offset query for offset BEGINNING in state active").
    ///
    /// # Panics
    /// If the cluster refuses that.
    pub async fn begin_groups(&self) {
        let config = AdminConfig::new(&self.bootstrap()).expect("addresses of nodes");
        let admin = Admin::new(config).expect("an administrator");
        for group in GroupProtocol::ALL.map(|protocol| protocol.group(self)) {
            let invoked = self.recorder.now();
            let partitions = (0..self.partitions).map(|number| TopicPartition::new(&*self.topic, number));
            let beginnings = partitions.map(|partition| (partition, CommitOffset::at(0))).collect();
            for (partition, committed) in admin.alter_group_offsets(&group, beginnings).await {
                committed.unwrap_or_else(|error| panic!("the beginning of {partition} for {group}: {error}"));
            }
            let offsets = (0..self.partitions).map(|number| (self.place(number), 0)).collect();
            let deed = Deed::Commit { group, offsets, outcome: Outcome::Acknowledged };
            self.recorder.ended("administrator", invoked, deed);
        }
    }

    /// The group without members, for which probers commit.
    fn alone(&self) -> String {
        format!("{}-alone", self.topic)
    }

    /// One partition of the topic, as requests name it.
    pub fn target(&self, partition: i32) -> Target {
        Target { topic: self.topic.clone(), id: self.topic_id, partition }
    }

    /// The addresses of all nodes, as librdkafka takes them.
    fn bootstrap(&self) -> String {
        self.addresses.values().cloned().collect::<Vec<_>>().join(",")
    }
}

/// How an entry of the history begins that tells of members which had to be replaced.
pub const MEMBERS_REPLACED: &str = "the members are replaced";

/// Settings of every librdkafka client here: impatient, and quick to come back.
const IMPATIENT: [(&str, &str); 6] = [
    ("socket.timeout.ms", "1000"),
    ("socket.connection.setup.timeout.ms", "1000"),
    ("reconnect.backoff.ms", "10"),
    ("reconnect.backoff.max.ms", "200"),
    ("retry.backoff.ms", "20"),
    ("topic.metadata.refresh.fast.interval.ms", "50"),
];

/// All clients of a round.
#[derive(Debug)]
pub struct Workload {
    stage: Stage,
    producers: Vec<Producer>,
    members: Vec<Member>,
    progress: Vec<(GroupProtocol, Progress)>,
    probers: Vec<Prober>,
    newcomers: u32,
    leaving: JoinSet<()>,
    random: Rng,
}

impl Workload {
    /// Starts three producers, two members in each of two groups, and a prober for each node. The topic's name decides whose client
    /// each producer and member is.
    pub fn start(stage: Stage) -> Self {
        let seed =
            stage.topic.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let mut random = Rng::with_seed(seed);
        let mut producer = |number| Producer::start(&stage, Library::drawn(&mut random), number, RATE);
        let producers = (0..3).map(&mut producer).collect();
        let progress = GroupProtocol::ALL.map(|protocol| (protocol, Progress::default())).to_vec();
        let probers = stage.addresses.keys().map(|node| Prober::start(&stage, *node)).collect();
        let leaving = JoinSet::new();
        let mut workload =
            Self { stage, producers, members: Vec::new(), progress, probers, newcomers: 0, leaving, random };
        workload.join();
        workload.join();
        workload
    }

    fn has_read(&self, ends: &BTreeMap<Place, i64>) -> Option<()> {
        self.progress.iter().all(|(_, progress)| progress.behind(ends).is_empty()).then_some(())
    }

    /// Each partition that a group has not read to its end, and by whose fault of its own, if it is one.
    fn starving(&self, ends: &BTreeMap<Place, i64>) -> Vec<(GroupProtocol, Place, Option<String>)> {
        let behind = self.progress.iter().flat_map(|(protocol, progress)| {
            progress.behind(ends).into_iter().map(|place| (*protocol, place))
        });
        let excused = behind.map(|(protocol, place)| {
            let mut members = self.members.iter().filter(|it| it.protocol() == protocol);
            let owner = members.clone().find(|it| it.owns(&place));
            // What nobody owns may be what a member has given up and does not confirm.
            let excuse = owner.map_or_else(
                || members.find(|it| it.is_stuck()),
                |owner| owner.has_given_up_on_offsets().then_some(owner),
            );
            let excuse = excuse.map(|it| it.client().to_owned());
            (protocol, place, excuse)
        });
        excused.collect()
    }

    /// The members that keep a group from reading, if all that is not read is a fault of theirs.
    fn excused(&self, ends: &BTreeMap<Place, i64>) -> Option<BTreeSet<String>> {
        let starving = self.starving(ends).into_iter();
        starving.map(|(_, _, excuse)| excuse).collect::<Option<BTreeSet<_>>>().filter(|all| !all.is_empty())
    }

    /// A new member joins each group.
    pub fn join(&mut self) {
        self.newcomers += 1;
        for (protocol, progress) in &self.progress {
            let library = Library::drawn(&mut self.random);
            let member = Member::start(&self.stage, library, *protocol, self.newcomers, progress);
            self.members.push(member);
        }
    }

    /// The member of each group that joined first leaves. That takes its time, which nobody waits for.
    pub fn leave(&mut self) {
        for protocol in GroupProtocol::ALL {
            let first = self.members.iter().position(|member| member.protocol() == protocol);
            if let Some(first) = first {
                self.leaving.spawn(self.members.remove(first).leave());
            }
        }
    }

    fn replace_members(&mut self) {
        let old = self.members.len();
        self.join();
        self.join();
        for _ in 0..old / GroupProtocol::ALL.len() {
            self.leave();
        }
    }

    /// Stops writing and settles all that is under way: what was sent is acknowledged, as all nodes are well again.
    pub async fn stop_writing(&mut self) {
        for prober in self.probers.drain(..) {
            prober.stop().await;
        }
        // All at once: what holds up one of them may well hold up the others, and their patience has an end.
        self.producers.drain(..).map(Producer::stop).collect::<JoinSet<()>>().join_all().await;
    }

    /// Waits until each group has read its partitions up to these ends, and has everybody leave. What was not read in time
    /// the checker finds.
    ///
    /// Members that do not get there are replaced, and the history says so, where their library is at fault and nobody else:
    /// see [`Member::has_given_up_on_offsets`]. Any other group has to get there as it is.
    pub async fn stop_reading(mut self, ends: &BTreeMap<Place, i64>) {
        let began = Instant::now();
        let is_over = |workload: &Self| {
            let excused = if began.elapsed() < OLD_MEMBERS { None } else { workload.excused(ends) };
            let read = workload.has_read(ends).map(|()| None);
            read.or(excused.map(Some))
        };
        let mut over = within(PATIENCE, async || is_over(&self)).await;
        if let Some(Some(excused)) = over {
            let what = format!("{MEMBERS_REPLACED}, as {excused:?} gave up on committed offsets");
            self.stage.recorder.happened("workload", Deed::Fault { what });
            self.replace_members();
            over = within(PATIENCE, async || self.has_read(ends).map(|()| None)).await;
        }
        if over.is_none() {
            let starving = self.starving(ends);
            let groups =
                starving.iter().map(|(protocol, place, _)| format!("{place} in {}", protocol.name()));
            let groups = groups.collect::<Vec<_>>().join(", ");
            let why = format!("waited {PATIENCE:?} in vain for all groups to read everything: {groups}");
            self.stage.recorder.happened("workload", Deed::GaveUp { why });
        }
        for member in self.members {
            self.leaving.spawn(member.leave());
        }
        // One that does not is left to itself: librdkafka may have come to a state that it does not come out of.
        if timeout(PATIENCE, self.leaving.join_all()).await.is_err() {
            let why = format!("members were told to leave and have not for {PATIENCE:?}");
            self.stage.recorder.happened("workload", Deed::GaveUp { why });
        }
    }
}

/// Waits until a client's thread has ended. It is looked at again and again, as a thread that were waited for could not be
/// given up.
async fn end_of(thread: JoinHandle<()>) {
    while !thread.is_finished() {
        sleep(Duration::from_millis(5)).await;
    }
    thread.join().expect("a client's thread ends well");
}

pub use diary::Progress;
pub use payload::{first_value, payload, seen as record_at};

/// How long a request of the plain wire waits for its answer: longer than a node stands still in any round, so that what a
/// node says when it goes on is heard.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
