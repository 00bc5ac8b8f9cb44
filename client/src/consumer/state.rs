//! A consumer's whole state, and what follows from it: the machines put together. No socket and no clock.
//!
//! The application's side and the driver share it. Each change happens under one lock, and none waits for anything.

mod answers;
mod demand;
mod subscription;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::ErrorCode;
use trilog_protocol::records::{Record, Records, RecordsError, decode_records};
use uuid::Uuid;

use self::subscription::Choice;
pub(super) use self::subscription::Subscription;
pub(super) use self::watch::WatchId;
use super::Batch;
use super::config::ConsumerConfig;
use super::fetch::prefetch::Prefetch;
use super::fetch::readable::FetchedBatch;
use super::fetch::session::{FetchSession, SessionRequest};
use super::group::classic::{self, Identity};
use super::group::modern::HeartbeatRequest;
use super::group::{Callback, MemberFailure};
use super::ledger::{Committable, Ledger};
use super::membership::Membership;
use super::partition::TopicPartition;
use super::positions::{Position, Positions, Ticket};
use super::requests::log::Asked;
use crate::Error;
use crate::metadata::NodeId;

/// Something that only a socket can do. Each is done once and its outcome told to [`State`].
#[derive(Debug)]
pub(super) enum Job {
    FindCoordinator,
    Classic { node: NodeId, membership: MembershipId, request: classic::Request },
    Modern { node: NodeId, membership: MembershipId, request: HeartbeatRequest },
    NameTopics { membership: MembershipId, ids: BTreeSet<Uuid> },
    ListTopics { watch: WatchId },
    Committed { node: NodeId, partitions: BTreeMap<TopicPartition, Ticket> },
    Landmarks { node: NodeId, times: BTreeMap<TopicPartition, (Ticket, i64)> },
    EpochEnds { node: NodeId, epochs: BTreeMap<TopicPartition, (Ticket, i32, Option<i32>)> },
    Fetch(FetchJob),
}

/// Tells a membership from those before it: what one of them asked is answered to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MembershipId(u64);

/// A Fetch to one broker.
#[derive(Debug)]
pub(super) struct FetchJob {
    pub(super) node: NodeId,
    pub(super) request: SessionRequest<TopicPartition, Asked>,
    /// The room that it has reserved, in bytes.
    pub(super) reserved: usize,
    /// How long the broker may wait for records.
    pub(super) max_wait: Duration,
    /// What every partition of the session was asked for.
    pub(super) asked: BTreeMap<TopicPartition, (Ticket, Position)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Arc<ConsumerConfig>,
    pub(super) member: Membership,
    membership: MembershipId,
    /// The broker that coordinates the group, while that is believed.
    pub(super) coordinator: Option<NodeId>,
    /// The topics that were subscribed to by name, or that match the expression of a member that matches itself.
    subscription: BTreeSet<Arc<str>>,
    /// How they were chosen.
    choice: Choice,
    /// How many expressions were watched.
    watches: u64,
    /// The topics whose partitions the leader of a classic group counts.
    counting: Option<BTreeSet<Arc<str>>>,
    pub(super) positions: Positions,
    prefetch: Prefetch<FetchedBatch>,
    pub(super) ledger: Ledger,
    sessions: BTreeMap<NodeId, FetchSession<TopicPartition, Asked>>,
    /// Brokers that are fetching for this consumer.
    fetching: BTreeSet<NodeId>,
    /// The number of each broker's last Fetch: the one that has waited longest is given room first.
    last_fetch: BTreeMap<NodeId, u64>,
    /// How many Fetches there were.
    fetches: u64,
    /// Whether a Fetch was not sent because there was no room for its answer.
    lacks_room: bool,
    /// Fetches beside partitions that are held back, by broker, since the application last took something.
    fetches_unread: BTreeMap<NodeId, u32>,
    /// The coordinator is being looked for on behalf of committed offsets.
    finding: bool,
    /// Questions that wait for their answers.
    asked: BTreeSet<(TopicPartition, Ticket)>,
    /// Partitions that are left alone for a while.
    not_before: BTreeMap<TopicPartition, Duration>,
    /// The last known high watermarks.
    high_watermarks: BTreeMap<TopicPartition, i64>,
    /// What the application has to be called for.
    pub(super) callback: Option<Callback>,
    /// What the application is to be told.
    errors: VecDeque<Error>,
    /// Partitions that cannot be read on where they are, and why, until the application is told. A seek makes it untrue.
    stopped: BTreeMap<TopicPartition, Error>,
    /// Tells an assignment of a partition from the next one of the same partition.
    tenures: BTreeMap<TopicPartition, u64>,
    next_tenure: u64,
    /// Whether knowledge of topics or leaders has turned out to be wrong.
    pub(super) metadata_is_stale: bool,
    pub(super) phase: Lifetime,
    /// The member leaves its group, and the consumer stays.
    is_leaving: bool,
    /// What was subscribed to while the member was leaving.
    resubscription: Option<Subscription>,
}

/// Whether somebody is there to consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    Consuming,
    /// The application waits for the end, and answers callbacks.
    Closing,
    /// The application has dropped the consumer. Nobody answers callbacks.
    Abandoned,
}

/// About how many records and headers are decoded at once, whatever a batch has.
const MAX_ITEMS: usize = 1 << 16;

/// The most errors that wait for the application. More say nothing new.
const MAX_ERRORS: usize = 16;

impl State {
    pub(super) fn new(config: Arc<ConsumerConfig>) -> Self {
        Self {
            member: Membership::Alone,
            membership: MembershipId::default(),
            coordinator: None,
            subscription: BTreeSet::new(),
            choice: Choice::ByName,
            watches: 0,
            counting: None,
            positions: Positions::new(config.reset),
            prefetch: Prefetch::new(config.prefetch_bytes),
            ledger: Ledger::default(),
            sessions: BTreeMap::new(),
            fetching: BTreeSet::new(),
            last_fetch: BTreeMap::new(),
            fetches: 0,
            lacks_room: false,
            fetches_unread: BTreeMap::new(),
            finding: false,
            asked: BTreeSet::new(),
            not_before: BTreeMap::new(),
            high_watermarks: BTreeMap::new(),
            callback: None,
            errors: VecDeque::new(),
            stopped: BTreeMap::new(),
            tenures: BTreeMap::new(),
            next_tenure: 0,
            metadata_is_stale: false,
            phase: Lifetime::Consuming,
            is_leaving: false,
            resubscription: None,
            config,
        }
    }

    /// Replaces the partitions of a consumer that assigns by hand. What stays goes on where it is.
    pub(super) fn assign(&mut self, partitions: &BTreeSet<TopicPartition>) {
        let gone: Vec<_> = self
            .positions
            .wants()
            .map(|(place, _, _)| place)
            .filter(|place| !partitions.contains(*place))
            .cloned()
            .collect();
        gone.iter().for_each(|place| self.forget(place));
        for place in partitions {
            if !self.positions.contains(place) {
                self.begin(place.clone());
            }
        }
    }

    fn begin(&mut self, place: TopicPartition) {
        self.positions.assign(place.clone());
        self.next_tenure += 1;
        self.tenures.insert(place.clone(), self.next_tenure);
        self.ledger.begin(place, None);
    }

    fn forget(&mut self, place: &TopicPartition) {
        self.positions.remove(place);
        self.tenures.remove(place);
        self.prefetch.discard(place);
        self.prefetch.resume(place);
        self.ledger.end(place);
        self.asked.retain(|(asked, _)| asked != place);
        self.not_before.remove(place);
        self.high_watermarks.remove(place);
        self.stopped.remove(place);
    }

    /// The partitions that are assigned now.
    pub(super) fn assignment(&self) -> BTreeSet<TopicPartition> {
        self.positions.wants().map(|(place, _, _)| place.clone()).collect()
    }

    /// Under which assignments a member commits offsets of these partitions. Nobody takes partitions from a consumer that is no
    /// member, and a member may commit for partitions that it never had.
    pub(super) fn tenures<'a>(
        &self,
        places: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> BTreeMap<TopicPartition, u64> {
        if matches!(self.member, Membership::Alone) {
            return BTreeMap::new();
        }
        let tenure = |place: &TopicPartition| Some((place.clone(), *self.tenures.get(place)?));
        places.into_iter().filter_map(tenure).collect()
    }

    /// A partition that has gone since, even if it is back.
    pub(super) fn gone_since<'a>(
        &self,
        tenures: &'a BTreeMap<TopicPartition, u64>,
    ) -> Option<&'a TopicPartition> {
        let gone = tenures.iter().find(|(place, tenure)| self.tenures.get(*place) != Some(tenure));
        gone.map(|(place, _)| place)
    }

    /// A commit under this name was refused. What was sent under the name of another time says nothing about the member of now.
    pub(super) fn commit_refused(&mut self, identity: &Identity, code: ErrorCode, now: Duration) {
        if self.member.identity().as_ref() == Some(identity) {
            self.member.commit_refused(identity.generation, code, now);
        }
    }

    /// The broker that was taken for the coordinator does not answer as one.
    pub(super) fn coordinator_lost(&mut self, now: Duration) {
        self.coordinator = None;
        self.member.coordinator(false, now);
    }

    /// The topics whose metadata is needed.
    pub(super) fn topics(&self) -> BTreeSet<Arc<str>> {
        let assigned = self.positions.wants().map(|(place, _, _)| place.topic.clone());
        let counting = self.counting.iter().flatten().cloned();
        self.subscription.iter().cloned().chain(assigned).chain(counting).collect()
    }

    /// What was assigned begins before the application is called, so that it can seek.
    pub(super) fn callback_begins(&mut self, callback: &Callback) {
        if let Callback::Assign(added) = callback {
            added.iter().for_each(|place| self.begin(place.clone()));
        }
    }

    /// The application is done with the callback: what is given up is forgotten, and the group may go on.
    pub(super) fn callback_ends(&mut self, now: Duration) {
        if let Some(Callback::Revoke(places) | Callback::Lose(places)) = self.callback.take() {
            places.iter().for_each(|place| self.forget(place));
        }
        self.member.callback_done(now);
    }

    /// The next batch for the application, or what it has to be told.
    pub(super) fn take(&mut self) -> Option<Result<Batch, Error>> {
        let stopped = || self.stopped.pop_first().map(|(_, error)| error);
        if let Some(error) = self.errors.pop_front().or_else(stopped) {
            return Some(Err(error));
        }
        while let Some((place, mut fetched)) = self.prefetch.take() {
            self.fetches_unread.clear();
            let rest = fetched.rest.take();
            match self.decoded(&fetched, rest.clone()) {
                Ok((records, rest)) => {
                    let batch = self.hand_out(place, fetched, records, rest);
                    if !batch.records.is_empty() {
                        return Some(Ok(batch));
                    }
                }
                Err(cause) => {
                    // It stays in front: an application that goes on without a seek is told again, and skips nothing.
                    let bytes = fetched.bytes.len();
                    let cause = format!("{place}, offset {}: {cause}", fetched.header.base_offset.0);
                    self.prefetch.put_back(place, FetchedBatch { rest, ..fetched }, bytes);
                    return Some(Err(Error::Malformed { cause }));
                }
            }
        }
        None
    }

    /// Whether something can be fetched because of what was [taken](Self::take), which could not before.
    pub(super) fn has_made_way(&mut self) -> bool {
        self.prefetch.has_made_way() || self.lacks_room
    }

    /// The next records of a batch, as many as the application takes at once, and what is left behind them. What is left stays
    /// encoded: decoded, records and headers take many times their length.
    fn decoded(
        &self,
        fetched: &FetchedBatch,
        rest: Option<Records>,
    ) -> Result<(Vec<Record>, Option<Records>), RecordsError> {
        let mut left = match rest {
            Some(rest) => rest,
            None => decode_records(&fetched.header, &fetched.bytes, self.config.max_decompressed_bytes)?,
        };
        let mut records = Vec::new();
        let mut items = 0;
        while records.len() < self.config.max_poll_records && items < MAX_ITEMS {
            let Some(record) = left.next() else { return Ok((records, None)) };
            let record = record?;
            if record.offset.0 >= fetched.from {
                items += 1 + record.headers.len();
                records.push(record);
            }
        }
        let is_all = left.clone().next().is_none();
        Ok((records, (!is_all).then_some(left)))
    }

    /// Hands out records of a batch. What is left of it waits in front of what else there is of the partition.
    fn hand_out(
        &mut self,
        place: TopicPartition,
        fetched: FetchedBatch,
        records: Vec<Record>,
        rest: Option<Records>,
    ) -> Batch {
        let leader_epoch = Some(fetched.header.partition_leader_epoch.0).filter(|epoch| *epoch >= 0);
        let mut offset = fetched.header.next_offset().0;
        if rest.is_some() {
            offset = records.last().map_or(fetched.from, |last| last.offset.0 + 1);
            let bytes = fetched.bytes.len();
            self.prefetch.put_back(place.clone(), FetchedBatch { from: offset, rest, ..fetched }, bytes);
        }
        self.ledger.handed_out(&place, Committable { offset, leader_epoch });
        Batch { partition: place, records, next_offset: offset }
    }

    /// Whether the application has a reason to come.
    pub(super) fn has_news(&self) -> bool {
        self.callback.is_some()
            || !self.errors.is_empty()
            || !self.stopped.is_empty()
            || self.prefetch.has_some()
    }

    fn tell(&mut self, error: Error) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push_back(error);
        }
    }

    fn failed(&mut self, failure: MemberFailure) {
        self.tell(Error::code(failure.0));
        self.is_leaving = false;
        self.end_membership();
        self.subscription.clear();
        self.assign(&BTreeSet::new());
    }

    /// Reads on from elsewhere. What was fetched and not handed out is void, and so is what was wrong where it was read.
    pub(super) fn seek(&mut self, place: &TopicPartition, to: impl FnOnce(&mut Positions) -> bool) -> bool {
        if !to(&mut self.positions) {
            return false;
        }
        self.prefetch.discard(place);
        self.ledger.begin(place.clone(), None);
        self.asked.retain(|(asked, _)| asked != place);
        self.not_before.remove(place);
        self.stopped.remove(place);
        true
    }

    pub(super) fn pause(&mut self, place: &TopicPartition) {
        if self.positions.contains(place) {
            self.prefetch.pause(place.clone());
        }
    }

    pub(super) fn resume(&mut self, place: &TopicPartition) {
        self.prefetch.resume(place);
    }

    /// The offset of the next record that the application is handed, if it is known.
    pub(super) fn next_offset(&self, place: &TopicPartition) -> Option<i64> {
        let waiting = self.prefetch.first(place);
        let waiting = waiting.map(|batch| batch.from.max(batch.header.base_offset.0));
        waiting.or_else(|| self.positions.position(place).map(|position| position.offset))
    }

    /// How many records of a partition the application has not been handed, as of the last fetch.
    pub(super) fn lag(&self, place: &TopicPartition) -> Option<i64> {
        let end = self.high_watermarks.get(place)?;
        Some((end - self.next_offset(place)?).max(0))
    }
}
