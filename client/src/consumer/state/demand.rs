//! What is to be done next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::ErrorCode;

use super::{FetchJob, Job, State};
use crate::Error;
use crate::consumer::assignor::Topics;
use crate::consumer::group::classic;
use crate::consumer::ledger::Committable;
use crate::consumer::membership::{Membership, Step};
use crate::consumer::partition::TopicPartition;
use crate::consumer::positions::{Landmark, Position, Ticket, Want};
use crate::consumer::requests::log::{Asked, BEGINNING, END};
use crate::metadata::{NodeId, Snapshot};

/// How long a broker may wait for records of some partitions while others of it are held back: the application may have read
/// those in no time, and one request at a time is on its way to a broker. It doubles with each Fetch until the application takes
/// something.
const WAIT_BESIDE_OTHERS: Duration = Duration::from_millis(20);

/// Questions for one broker: what to ask, by partition.
type Questions<T> = BTreeMap<NodeId, BTreeMap<TopicPartition, T>>;

impl State {
    /// All that is due at `now`. `wall_clock` is the time in milliseconds since 1970, for offsets by age.
    pub(in crate::consumer) fn jobs(
        &mut self,
        now: Duration,
        wall_clock: i64,
        snapshot: &Snapshot,
    ) -> Vec<Job> {
        let mut jobs = Vec::new();
        self.count(snapshot, &mut jobs);
        self.look_for_the_missing(now, snapshot);
        self.look(now, &mut jobs);
        if let Membership::Classic(member) = &mut self.member {
            member.topics_changed(&counts(&self.subscription, snapshot));
        }
        while let Some(step) = self.member.next(now) {
            self.step(step, &mut jobs);
        }
        self.follow_leaders(snapshot);
        self.ask(now, wall_clock, snapshot, &mut jobs);
        jobs
    }

    /// The earliest time at which [`jobs`](Self::jobs) has something to do although nothing happens until then.
    pub(in crate::consumer) fn deadline(&self) -> Option<Duration> {
        self.not_before.values().copied().chain(self.member.deadline()).chain(self.next_list()).min()
    }

    /// A leader's question for the numbers of partitions is answered when something is known of each topic.
    fn count(&mut self, snapshot: &Snapshot, jobs: &mut Vec<Job>) {
        let known = |topic: &Arc<str>| {
            snapshot
                .topics
                .get(topic)
                .is_some_and(|topic| topic.error.is_some() || !topic.partitions.is_empty())
        };
        let Some(topics) = self.counting.take_if(|topics| topics.iter().all(known)) else { return };
        let Membership::Classic(member) = &mut self.member else { return };
        if let Some(action) = member.topics_counted(counts(&topics, snapshot)) {
            self.step(action.into(), jobs);
        }
    }

    pub(super) fn step(&mut self, step: Step, jobs: &mut Vec<Job>) {
        let membership = self.membership;
        match (step, self.coordinator) {
            (Step::FindCoordinator, _) => jobs.push(Job::FindCoordinator),
            (Step::Classic(request), Some(node)) => jobs.push(Job::Classic { node, membership, request }),
            (Step::Modern(request), Some(node)) => jobs.push(Job::Modern { node, membership, request }),
            (Step::Classic(request), None) => self.unsent(&request),
            (Step::Modern(_), None) => self.unsent_heartbeat(),
            (Step::Call(callback), _) => {
                self.callback_begins(&callback);
                self.callback = Some(callback);
            }
            (Step::Count(topics), _) => self.counting = Some(topics),
            (Step::Name(ids), _) => jobs.push(Job::NameTopics { membership, ids }),
            (Step::Fail(failure), _) => self.failed(failure),
        }
    }

    /// The coordinator was lost since it was found: the request counts as failed.
    fn unsent(&mut self, request: &classic::Request) {
        if let Membership::Classic(member) = &mut self.member {
            member.request_failed(request, Duration::ZERO);
        }
    }

    fn unsent_heartbeat(&mut self) {
        if let Membership::Modern(member) = &mut self.member {
            member.heartbeat_failed(Duration::ZERO);
        }
    }

    fn follow_leaders(&mut self, snapshot: &Snapshot) {
        for place in self.assignment() {
            let at = usize::try_from(place.partition).ok();
            let known = at.and_then(|at| snapshot.topics.get(&place.topic)?.partitions.get(at));
            if let Some(epoch) = known.map(|known| known.leader_epoch).filter(|epoch| *epoch >= 0) {
                self.positions.led_in(&place, epoch);
            }
        }
    }

    /// Asks for what the positions want, one request a broker and kind.
    fn ask(&mut self, now: Duration, wall_clock: i64, snapshot: &Snapshot, jobs: &mut Vec<Job>) {
        self.not_before.retain(|_, until| *until > now);
        if self.config.group.is_none() {
            self.begin_without_a_group();
        }
        let mut committed = BTreeMap::new();
        let mut landmarks = Questions::new();
        let mut epochs = Questions::new();
        let mut records = Questions::new();
        let mut holding_back = BTreeSet::new();
        let mut told = Vec::new();
        let mut leaderless = false;
        for (place, ticket, want) in self.positions.wants() {
            if self.not_before.contains_key(place) || self.asked.contains(&(place.clone(), ticket)) {
                continue;
            }
            if want == Want::Committed {
                committed.insert(place.clone(), ticket);
                continue;
            }
            if let Want::Nothing(lost) = want {
                told.push((place.clone(), ticket, lost));
                continue;
            }
            let Some(leader) = snapshot.leader(&place.topic, place.partition) else {
                leaderless = true;
                continue;
            };
            match want {
                Want::Offset(landmark) => {
                    let time = time_of(landmark, wall_clock);
                    landmarks.entry(leader).or_default().insert(place.clone(), (ticket, time));
                }
                Want::EndOfEpoch { epoch, position } => {
                    let question = (ticket, epoch, position.leader_epoch);
                    epochs.entry(leader).or_default().insert(place.clone(), question);
                }
                Want::Records(position) if self.prefetch.wants(place) => {
                    records.entry(leader).or_default().insert(place.clone(), (ticket, position));
                }
                Want::Records(_) if self.prefetch.is_held_back(place) => {
                    holding_back.insert(leader);
                }
                Want::Records(_) | Want::Committed | Want::Nothing(_) => {}
            }
        }
        for (place, ticket, lost) in told {
            self.asked.insert((place.clone(), ticket));
            let message = Some(format!("{place}: {lost}"));
            self.stopped.insert(place, Error::Broker { code: ErrorCode::OFFSET_OUT_OF_RANGE, message });
        }
        self.metadata_is_stale |= leaderless;
        self.ask_for_committed(committed, jobs);
        for (node, times) in landmarks {
            self.asked.extend(times.iter().map(|(place, (ticket, _))| (place.clone(), *ticket)));
            jobs.push(Job::Landmarks { node, times });
        }
        for (node, epochs) in epochs {
            self.asked.extend(epochs.iter().map(|(place, (ticket, _, _))| (place.clone(), *ticket)));
            jobs.push(Job::EpochEnds { node, epochs });
        }
        self.fetch_from_brokers(records, &holding_back, jobs);
    }

    /// Fetches from each of these brokers. Some brokers also lead partitions that are held back.
    fn fetch_from_brokers(
        &mut self,
        records: Questions<(Ticket, Position)>,
        holding_back: &BTreeSet<NodeId>,
        jobs: &mut Vec<Job>,
    ) {
        let brokers: BTreeSet<_> = records.keys().chain(holding_back).chain(&self.fetching).collect();
        let share = self.share(brokers.len());
        let mut records: Vec<_> = records.into_iter().collect();
        records.sort_by_key(|(node, _)| self.last_fetch.get(node).copied());
        self.lacks_room = false;
        for (node, asked) in records {
            let patience = self.config.fetch_max_wait;
            let is_holding_back = holding_back.contains(&node);
            let max_wait =
                if is_holding_back { patience.min(self.wait_beside_others(node)) } else { patience };
            if let Some(job) = self.fetch(node, asked, share, max_wait) {
                if is_holding_back {
                    *self.fetches_unread.entry(node).or_default() += 1;
                }
                jobs.push(Job::Fetch(job));
            }
        }
    }

    /// Nobody has committed anything.
    fn begin_without_a_group(&mut self) {
        let wants = self.positions.wants().filter(|(_, _, want)| *want == Want::Committed);
        let places: Vec<_> = wants.map(|(place, ticket, _)| (place.clone(), ticket)).collect();
        for (place, ticket) in places {
            self.positions.committed(&place, ticket, None);
        }
    }

    fn ask_for_committed(&mut self, committed: BTreeMap<TopicPartition, Ticket>, jobs: &mut Vec<Job>) {
        if committed.is_empty() {
            return;
        }
        if let Some(node) = self.coordinator {
            self.asked.extend(committed.iter().map(|(place, ticket)| (place.clone(), *ticket)));
            jobs.push(Job::Committed { node, partitions: committed });
        } else if matches!(self.member, Membership::Alone) && !self.finding {
            // A member finds its coordinator by itself.
            self.finding = true;
            jobs.push(Job::FindCoordinator);
        }
    }

    /// Paused partitions hold all of the room, and nobody may take what waits: it is fetched again when they are resumed.
    fn make_room(&mut self) {
        for place in self.prefetch.paused().clone() {
            let Some(batch) = self.prefetch.first(&place) else { continue };
            let offset = batch.from.max(batch.header.base_offset.0);
            self.prefetch.discard(&place);
            self.positions.seek(&place, Committable { offset, leader_epoch: None });
        }
    }

    /// How long a broker may wait for records beside partitions that are held back.
    fn wait_beside_others(&self, node: NodeId) -> Duration {
        let doublings = self.fetches_unread.get(&node).copied().unwrap_or(0);
        WAIT_BESIDE_OTHERS.saturating_mul(2_u32.saturating_pow(doublings))
    }

    /// The most that one of so many brokers is asked for at once. A single one may use all of the room. Several have equal parts of
    /// the half that is for fetches on their way: one that had all of it, and waits for records, would leave the others none.
    fn share(&self, brokers: usize) -> usize {
        match brokers {
            0 | 1 => self.prefetch.max_bytes(),
            _ => (self.prefetch.max_bytes() / 2 / brokers).max(1),
        }
    }

    /// A Fetch to a broker that has none in flight, if there is room for its answer.
    fn fetch(
        &mut self,
        node: NodeId,
        asked: BTreeMap<TopicPartition, (Ticket, Position)>,
        share: usize,
        max_wait: Duration,
    ) -> Option<FetchJob> {
        if self.fetching.contains(&node) {
            return None;
        }
        // More than its partitions may bring would only be taken from other brokers.
        let may_bring = self.config.partition_max_bytes.saturating_mul(asked.len());
        let most = self.config.fetch_max_bytes.min(may_bring).min(share);
        // A remnant of the room would bring a single batch, and soon be asked for again.
        let one_partition = self.config.partition_max_bytes.min(self.prefetch.max_bytes() / 2);
        let least = (most.min(one_partition) / 4).max(1);
        let mut reserved = self.prefetch.reserve(most);
        if reserved < least && self.fetching.is_empty() && !self.prefetch.has_some() {
            self.prefetch.release(reserved);
            self.make_room();
            reserved = self.prefetch.reserve(most);
        }
        if reserved < least {
            // Until another broker has answered, or the application has taken something.
            self.prefetch.release(reserved);
            self.lacks_room = true;
            return None;
        }
        self.fetching.insert(node);
        self.fetches += 1;
        self.last_fetch.insert(node, self.fetches);
        let question = |(place, (_, position)): (&TopicPartition, &(Ticket, Position))| {
            let Position { offset, offset_epoch, leader_epoch } = *position;
            (place.clone(), Asked { offset, leader_epoch, last_epoch: offset_epoch })
        };
        let session = self.sessions.entry(node).or_default();
        let request = session.request(asked.iter().map(question).collect());
        Some(FetchJob { node, request, reserved, max_wait, asked })
    }
}

fn counts<'a>(topics: impl IntoIterator<Item = &'a Arc<str>>, snapshot: &Snapshot) -> Topics {
    let count = |topic: &Arc<str>| {
        let partitions = snapshot.topics.get(topic)?.partitions.len();
        let count = i32::try_from(partitions).ok().filter(|count| *count > 0)?;
        Some((topic.clone(), count))
    };
    topics.into_iter().filter_map(count).collect()
}

fn time_of(landmark: Landmark, wall_clock: i64) -> i64 {
    match landmark {
        Landmark::Beginning => BEGINNING,
        Landmark::End => END,
        Landmark::Time(time) => time,
        Landmark::Age(age) => {
            wall_clock.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)).max(0)
        }
    }
}
