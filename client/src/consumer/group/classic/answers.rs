//! What the coordinator answers, and what becomes of the member.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trilog_protocol::consumer_protocol::{Subscription, parse_assignment};
use trilog_protocol::{ErrorCode, Meaning};

use super::{Action, ClassicMember, Coordinator, Joined, Phase, Request};
use crate::consumer::assignor::{RebalanceProtocol, Topics};
use crate::consumer::partition::{TopicPartition, flatten};

impl ClassicMember {
    /// JoinGroup was answered. What it gives is to be done before [`next_action`](Self::next_action).
    pub fn joined(&mut self, answer: Result<Joined, ErrorCode>, now: Duration) -> Option<Action> {
        if !matches!(self.phase, Phase::Joining) {
            return None;
        }
        match answer {
            Ok(joined) => self.in_generation(joined, now),
            Err(code) => {
                self.phase = Phase::Join { from: now + self.options.retry_backoff };
                self.refused(code, now);
                None
            }
        }
    }

    /// JoinGroup answered `MEMBER_ID_REQUIRED` with this id: the member joins again under it, at once (KIP-394).
    pub fn member_id_given(&mut self, member_id: String, now: Duration) {
        if matches!(self.phase, Phase::Joining) {
            // One that has an id already should not be given another one, and is not given any without a pause.
            let pause = if self.member_id.is_empty() { Duration::ZERO } else { self.options.retry_backoff };
            self.member_id = member_id;
            self.phase = Phase::Join { from: now + pause };
        }
    }

    /// The numbers of partitions that [`Action::Count`] asked for. They come too late if the member leaves or joins again by now.
    pub fn topics_counted(&mut self, topics: Topics) -> Option<Action> {
        let Phase::Counting(joined) = &self.phase else { return None };
        let joined = joined.clone();
        let assignments = self.assign(&joined, topics);
        Some(self.sync(&joined, assignments))
    }

    /// SyncGroup was answered, with this member's assignment.
    pub fn synced(&mut self, answer: Result<&[u8], ErrorCode>, now: Duration) {
        let Phase::Syncing = self.phase else { return };
        match answer.map(parse_assignment) {
            Ok(Some(named)) => self.assigned(flatten(&named).collect(), now),
            // A new member of an assignor that knows nothing of it is sent no bytes at all.
            Ok(None) => self.assigned(BTreeSet::new(), now),
            Err(code) => {
                let is_expected = code == ErrorCode::REBALANCE_IN_PROGRESS;
                let pause = if is_expected { Duration::ZERO } else { self.options.retry_backoff };
                self.phase = Phase::Join { from: now + pause };
                self.refused(code, now);
            }
        }
    }

    /// A heartbeat of this generation was answered.
    pub fn heartbeat_answered(&mut self, generation: i32, answer: Result<(), ErrorCode>, now: Duration) {
        self.heartbeat.in_flight = false;
        if !self.speaks_of_now(generation) {
            return;
        }
        match answer {
            Ok(()) => {
                self.heartbeat.answered = now;
                self.heartbeat.next = now + self.options.heartbeat_interval;
            }
            Err(ErrorCode::REBALANCE_IN_PROGRESS) => {
                self.heartbeat.answered = now;
                self.heartbeat.next = now + self.options.heartbeat_interval;
                // One that is on its way into the next generation already learns nothing new.
                self.rejoin |= matches!(self.phase, Phase::Stable);
            }
            Err(code) => {
                self.heartbeat.next = now + self.options.retry_backoff;
                self.refused_in_group(code, now);
            }
        }
    }

    /// A commit of this generation was refused with this code, which may say that the member is out of the group.
    pub fn commit_refused(&mut self, generation: i32, code: ErrorCode, now: Duration) {
        if !self.speaks_of_now(generation) {
            return;
        }
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => self.rejoin |= matches!(self.phase, Phase::Stable),
            code if code.meaning() == Meaning::Rejoin || code.meaning() == Meaning::Fenced => {
                self.refused_in_group(code, now);
            }
            _ => {}
        }
    }

    /// A request has no answer: the connection ended, or time did. Nobody knows what the coordinator did with it.
    pub fn request_failed(&mut self, request: &Request, now: Duration) {
        self.coordinator = Coordinator::Unknown;
        match (request, &self.phase) {
            (Request::Join { .. }, Phase::Joining) | (Request::Sync { .. }, Phase::Syncing) => {
                self.phase = Phase::Join { from: now + self.options.retry_backoff };
            }
            (Request::Heartbeat { .. }, _) => {
                self.heartbeat.in_flight = false;
                self.heartbeat.next = now + self.options.retry_backoff;
            }
            _ => {}
        }
    }

    /// Whether an answer to a request of this generation says anything about the member as it is. While it joins, the answer
    /// to that is the one that counts.
    fn speaks_of_now(&self, generation: i32) -> bool {
        self.generation == Some(generation) && !matches!(self.phase, Phase::Joining | Phase::Syncing)
    }

    fn in_generation(&mut self, joined: Joined, now: Duration) -> Option<Action> {
        self.member_id.clone_from(&joined.member_id);
        self.generation = Some(joined.generation);
        self.heartbeat.answered = now;
        self.heartbeat.next = now + self.options.heartbeat_interval;
        self.counted = None;
        if joined.leads && !joined.skip_assignment {
            let wanted = |(_, _, metadata): &(String, Option<String>, Vec<u8>)| {
                Subscription::parse(metadata).unwrap_or_default().topics
            };
            let topics = joined.members.iter().flat_map(wanted).map(Into::into).collect();
            self.phase = Phase::Counting(joined);
            return Some(Action::Count(topics));
        }
        Some(self.sync(&joined, BTreeMap::new()))
    }

    fn sync(&mut self, joined: &Joined, assignments: BTreeMap<String, Vec<u8>>) -> Action {
        self.phase = Phase::Syncing;
        Action::Send(Request::Sync {
            generation: joined.generation,
            member_id: joined.member_id.clone(),
            assignor: joined.assignor,
            assignments,
        })
    }

    /// Takes an assignment over. A cooperative member that gives something up joins again afterwards, so that its next owner
    /// is given it.
    fn assigned(&mut self, assigned: BTreeSet<TopicPartition>, now: Duration) {
        self.last = (assigned.iter().cloned().collect(), self.generation);
        self.phase = Phase::Stable;
        self.heartbeat.next = now + self.options.heartbeat_interval;
        let given_up: BTreeSet<_> = self.holding.owned().difference(&assigned).cloned().collect();
        let added = assigned.difference(self.holding.owned()).cloned().collect();
        if self.protocol() == RebalanceProtocol::Cooperative && !given_up.is_empty() {
            self.rejoin = true;
        }
        self.holding.revoke(given_up);
        self.holding.assign(added);
    }

    /// What a refused JoinGroup or SyncGroup means. The member is on its way to join again.
    fn refused(&mut self, code: ErrorCode, now: Duration) {
        if code != ErrorCode::REBALANCE_IN_PROGRESS {
            self.refused_in_group(code, now);
        }
    }

    /// What a refusal means to a member that takes itself for one.
    fn refused_in_group(&mut self, code: ErrorCode, now: Duration) {
        match code.meaning() {
            Meaning::RefreshCoordinator => self.coordinator = Coordinator::Unknown,
            Meaning::Success | Meaning::Retry | Meaning::Refresh => {}
            Meaning::Rejoin => {
                if code == ErrorCode::UNKNOWN_MEMBER_ID {
                    self.member_id.clear();
                }
                self.lose_all();
                if !matches!(self.phase, Phase::Leaving | Phase::Idle | Phase::Stalled) {
                    self.rejoin = false;
                    let from = match self.phase {
                        Phase::Join { from } => from,
                        _ => now,
                    };
                    self.phase = Phase::Join { from };
                }
            }
            Meaning::Fenced | Meaning::Abort | Meaning::Fatal | Meaning::Refused => {
                self.lose_all();
                self.failure = Some(code);
            }
        }
    }
}
