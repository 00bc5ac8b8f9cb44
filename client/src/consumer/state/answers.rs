//! What came of the jobs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::{ErrorCode, Meaning};
use uuid::Uuid;

use super::{FetchJob, Job, MembershipId, State};
use crate::Error;
use crate::consumer::fetch::readable::readable;
use crate::consumer::fetch::session::SessionAnswer;
use crate::consumer::group::classic;
use crate::consumer::group::modern::HeartbeatAnswer;
use crate::consumer::ledger::Committable;
use crate::consumer::membership::Membership;
use crate::consumer::partition::TopicPartition;
use crate::consumer::positions::{Position, Positions, Ticket};
use crate::consumer::requests::group::ClassicAnswer;
use crate::consumer::requests::log::{Fetched, FetchedPartition, PerPartition};
use crate::metadata::NodeId;

/// How long a partition is left alone that nobody but a person can mend.
const UNUSABLE_FOR: Duration = Duration::from_secs(5);

impl State {
    pub(in crate::consumer) fn coordinator_answered(&mut self, found: Result<NodeId, Error>, now: Duration) {
        self.finding = false;
        match found {
            Ok(node) => {
                self.coordinator = Some(node);
                self.member.coordinator(true, now);
            }
            Err(error) => {
                self.coordinator = None;
                self.member.coordinator(false, now);
                self.tell_if_hopeless(error);
                let until = now + self.config.common.retry.initial;
                for place in self.assignment() {
                    if self.positions.position(&place).is_none() {
                        self.not_before.insert(place, until);
                    }
                }
            }
        }
    }

    /// The answer to a classic request. What it leads to at once is added to `jobs`.
    pub(in crate::consumer) fn classic_answered(
        &mut self,
        membership: MembershipId,
        answer: ClassicAnswer,
        now: Duration,
        jobs: &mut Vec<Job>,
    ) {
        if membership != self.membership {
            jobs.extend(self.left_behind(membership, answer));
            return;
        }
        let Membership::Classic(member) = &mut self.member else { return };
        match answer {
            ClassicAnswer::Joined(joined) => {
                if let Some(action) = member.joined(joined, now) {
                    self.step(action.into(), jobs);
                }
            }
            ClassicAnswer::MemberId(id) => member.member_id_given(id, now),
            ClassicAnswer::Synced(assignment) => {
                member.synced(assignment.as_deref().map_err(|code| *code), now)
            }
            ClassicAnswer::Beat { generation, answer } => member.heartbeat_answered(generation, answer, now),
            ClassicAnswer::Left => {}
        }
    }

    /// A membership that is over has joined the group after all: the group would wait for a member that nobody is.
    fn left_behind(&self, membership: MembershipId, answer: ClassicAnswer) -> Option<Job> {
        let (ClassicAnswer::Joined(Ok(joined)), None) = (answer, &self.config.instance) else { return None };
        let request = classic::Request::Leave { member_id: joined.member_id };
        Some(Job::Classic { node: self.coordinator?, membership, request })
    }

    pub(in crate::consumer) fn classic_failed(
        &mut self,
        membership: MembershipId,
        request: &classic::Request,
        error: Error,
        now: Duration,
    ) {
        if membership == self.membership
            && let Membership::Classic(member) = &mut self.member
        {
            member.request_failed(request, now);
            self.coordinator = None;
            self.tell_if_hopeless(error);
        }
    }

    pub(in crate::consumer) fn topics_named(
        &mut self,
        membership: MembershipId,
        names: BTreeMap<Uuid, Arc<str>>,
        now: Duration,
    ) {
        if membership == self.membership
            && let Membership::Modern(member) = &mut self.member
        {
            member.topics_named(names, now);
        }
    }

    pub(in crate::consumer) fn heartbeat_answered(
        &mut self,
        membership: MembershipId,
        answer: Result<Result<HeartbeatAnswer, ErrorCode>, Error>,
        now: Duration,
    ) {
        if membership != self.membership {
            return;
        }
        let Membership::Modern(member) = &mut self.member else { return };
        match answer {
            Ok(answer) => member.heartbeat_answered(answer, now),
            Err(error) => {
                member.heartbeat_failed(now);
                self.coordinator = None;
                self.tell_if_hopeless(error);
            }
        }
    }

    pub(in crate::consumer) fn committed_answered(
        &mut self,
        asked: &BTreeMap<TopicPartition, Ticket>,
        answer: Result<PerPartition<Option<Committable>>, Error>,
        now: Duration,
    ) {
        let each = |positions: &mut Positions, place: &TopicPartition, ticket, committed| {
            positions.committed(place, ticket, committed);
        };
        if answer.is_err() {
            self.coordinator_lost(now);
        }
        self.looked_up(asked, answer, now, each);
    }

    pub(in crate::consumer) fn landmarks_answered(
        &mut self,
        asked: &BTreeMap<TopicPartition, (Ticket, i64)>,
        answer: Result<PerPartition<Option<Committable>>, Error>,
        now: Duration,
    ) {
        let tickets = asked.iter().map(|(place, (ticket, _))| (place.clone(), *ticket)).collect();
        self.looked_up(&tickets, answer, now, |positions, place, ticket, found| match found {
            Some(found) => positions.landmark_found(place, ticket, found),
            // No record is so young: reading begins with the next one.
            None => positions.landmark_missing(place, ticket),
        });
    }

    pub(in crate::consumer) fn epoch_ends_answered(
        &mut self,
        asked: &BTreeMap<TopicPartition, (Ticket, i32, Option<i32>)>,
        answer: Result<PerPartition<Option<Committable>>, Error>,
        now: Duration,
    ) {
        let tickets = asked.iter().map(|(place, (ticket, _, _))| (place.clone(), *ticket)).collect();
        let before: BTreeMap<_, _> =
            asked.keys().filter_map(|place| Some((place.clone(), self.positions.position(place)?))).collect();
        let mut ends = BTreeMap::new();
        self.looked_up(&tickets, answer, now, |positions, place, ticket, end| {
            ends.insert(place.clone(), end);
            positions.epoch_ends(place, ticket, end);
        });
        for (place, position) in before {
            self.cut_off(&place, position, ends.remove(&place).flatten());
        }
    }

    /// A log that was truncated to `end`, or has nothing in common with what was read, takes with it what was fetched of the part
    /// that is gone. What the application has not been handed of the part that stays is fetched again: it has lost nothing then.
    fn cut_off(&mut self, place: &TopicPartition, before: Position, end: Option<Committable>) {
        if self.positions.position(place).is_some_and(|after| after.offset >= before.offset) {
            return;
        }
        let waiting = self.prefetch.first(place).map(|batch| batch.from.max(batch.header.base_offset.0));
        self.prefetch.discard(place);
        if self.positions.begins_anew(place) {
            // An offset of the former log says nothing in the new one.
            self.ledger.begin(place.clone(), None);
        } else if let (Some(offset), Some(end)) = (waiting, end)
            && offset <= end.offset
        {
            self.positions.seek(place, Committable { offset, leader_epoch: None });
        }
    }

    /// What the brokers answered to questions about partitions.
    fn looked_up<T>(
        &mut self,
        asked: &BTreeMap<TopicPartition, Ticket>,
        answer: Result<PerPartition<T>, Error>,
        now: Duration,
        mut take: impl FnMut(&mut Positions, &TopicPartition, Ticket, T),
    ) {
        let (mut rows, failure) = match answer {
            Ok(rows) => (rows, None),
            Err(error) => (BTreeMap::new(), Some(error)),
        };
        for (place, ticket) in asked {
            self.asked.remove(&(place.clone(), *ticket));
            match rows.remove(place) {
                Some(Ok(found)) => take(&mut self.positions, place, *ticket, found),
                Some(Err(code)) => self.refused(place, code, now),
                None => {
                    self.metadata_is_stale = true;
                    self.not_before.insert(place.clone(), now + self.config.common.retry.initial);
                }
            }
        }
        if let Some(error) = failure {
            self.tell_if_hopeless(error);
        }
    }

    pub(in crate::consumer) fn fetch_answered(
        &mut self,
        job: FetchJob,
        answer: Result<Fetched, Error>,
        now: Duration,
    ) {
        let FetchJob { node, reserved, asked, .. } = job;
        self.fetching.remove(&node);
        self.prefetch.release(reserved);
        let session = self.sessions.entry(node).or_default();
        let fetched = match answer {
            Ok(fetched) => fetched,
            Err(error) => {
                session.answered(SessionAnswer::Failed);
                self.metadata_is_stale = true;
                let until = now + self.config.common.retry.initial;
                self.not_before.extend(asked.into_keys().map(|place| (place, until)));
                self.tell_if_hopeless(error);
                return;
            }
        };
        session.answered(fetched.session);
        if !matches!(fetched.session, SessionAnswer::Ok(_)) {
            // A broker that refuses every session is not asked without a pause.
            let until = now + self.config.common.retry.initial;
            self.not_before.extend(asked.keys().map(|place| (place.clone(), until)));
        }
        for (place, row) in fetched.partitions {
            let Some(&(ticket, position)) = asked.get(&place) else { continue };
            if !self.positions.is_current(&place, ticket) {
                continue;
            }
            match row {
                Ok(row) => self.partition_fetched(&place, ticket, position, row, now),
                Err(ErrorCode::OFFSET_OUT_OF_RANGE) => self.positions.out_of_range(&place, ticket),
                Err(code) => self.refused(&place, code, now),
            }
        }
    }

    fn partition_fetched(
        &mut self,
        place: &TopicPartition,
        ticket: Ticket,
        position: Position,
        row: FetchedPartition,
        now: Duration,
    ) {
        if row.diverging.is_some() {
            self.positions.epoch_ends(place, ticket, row.diverging);
            self.cut_off(place, position, row.diverging);
            if self.positions.position(place) == Some(position) {
                // It says nothing new, and would say it again at once.
                self.not_before.insert(place.clone(), now + self.config.common.retry.initial);
            }
            return;
        }
        self.high_watermarks.insert(place.clone(), row.high_watermark);
        match readable(&row.records, position.offset, self.config.check_crcs, &row.aborted) {
            Ok(readable) => {
                for batch in readable.batches {
                    let bytes = batch.bytes.len();
                    self.prefetch.put(place.clone(), batch, bytes);
                }
                if let Some((offset, epoch)) = readable.next {
                    let leader_epoch = (epoch >= 0).then_some(epoch);
                    self.positions.advance(place, ticket, Committable { offset, leader_epoch });
                }
            }
            Err(cause) => {
                self.not_before.insert(place.clone(), now + UNUSABLE_FOR);
                self.stopped.insert(place.clone(), Error::Malformed { cause: format!("{place}: {cause}") });
            }
        }
    }

    /// A broker refused something about a partition.
    fn refused(&mut self, place: &TopicPartition, code: ErrorCode, now: Duration) {
        let pause = match code.meaning() {
            Meaning::Success | Meaning::Retry => self.config.common.retry.initial,
            Meaning::Refresh | Meaning::RefreshCoordinator => {
                self.metadata_is_stale = true;
                self.config.common.retry.initial
            }
            Meaning::Rejoin | Meaning::Fenced | Meaning::Abort | Meaning::Fatal | Meaning::Refused => {
                self.tell(Error::Broker { code, message: Some(place.to_string()) });
                UNUSABLE_FOR
            }
        };
        self.not_before.insert(place.clone(), now + pause);
    }

    /// What a retry may mend is not the application's affair.
    pub(in crate::consumer) fn tell_if_hopeless(&mut self, error: Error) {
        if error.class() != crate::ErrorClass::Retriable {
            self.tell(error);
        }
    }
}
