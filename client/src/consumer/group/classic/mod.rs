//! A member of a classic group.
//!
//! ```text
//!            subscribe            answer (leader: count, assign)         answer
//!   Idle ──────────────► Joining ───────────────────────────► Syncing ─────────► Stable
//!                          ▲                                                       │ REBALANCE_IN_PROGRESS, a new
//!                          └──────────────── Revoking (eager: all; cooperative: what is unwanted) ◄┘ subscription, new partitions
//! ```
//!
//! The machine has no clock and no socket. Its owner sends each [`Action::Send`] to the coordinator, runs each
//! [`Action::Call`] to its end, and tells it what came of them. [`ClassicMember::next_action`] gives the next action that
//! is due at a time, [`ClassicMember::deadline`] the time at which to ask again.
//!
//! Heartbeats go on while callbacks run, so that a slow commit does not cost the membership. They stop when the application
//! has not polled for `max.poll.interval.ms`: the member leaves, as somebody else should have its partitions, and comes back
//! with the next poll.

mod action;
mod answers;
mod options;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::ErrorCode;
use trilog_protocol::consumer_protocol::{Subscription, encode_assignment};

pub use self::action::{Action, Identity, Joined, Request};
pub use self::options::ClassicOptions;
use super::MemberFailure;
use super::holding::Holding;
use crate::consumer::assignor::{Assignor, RebalanceProtocol, Topics};
use crate::consumer::partition::{TopicPartition, by_topic};

/// The version of subscriptions and assignments that is written. Every client reads it, as later versions only append.
const EMBEDDED_VERSION: i16 = 3;

/// Where the member stands.
#[derive(Clone, Debug)]
enum Phase {
    /// No subscription, or left.
    Idle,
    /// JoinGroup is due from this time on.
    Join { from: Duration },
    /// JoinGroup waits for its answer, which takes as long as the rebalance.
    Joining,
    /// The leader waits for the numbers of partitions.
    Counting(Joined),
    /// SyncGroup waits for its answer.
    Syncing,
    /// In the group, with its partitions or with callbacks on the way to them.
    Stable,
    /// The application does not poll. The member has left.
    Stalled,
    /// LeaveGroup is sent when the callbacks are done.
    Leaving,
}

/// A member of a classic group.
#[derive(Debug)]
pub struct ClassicMember {
    options: ClassicOptions,
    topics: BTreeSet<Arc<str>>,
    phase: Phase,
    /// Empty before the coordinator has given one.
    member_id: String,
    /// None outside the group.
    generation: Option<i32>,
    /// What the application has, and is called for.
    holding: Holding,
    /// The last assignment and its generation, which the sticky assignor is told after everything was revoked.
    last: (Vec<TopicPartition>, Option<i32>),
    /// The numbers of partitions that this member, as the leader, has assigned by.
    counted: Option<Topics>,
    /// The member has to join again as soon as it may.
    rejoin: bool,
    coordinator: Coordinator,
    heartbeat: Heartbeat,
    polled: Duration,
    failure: Option<ErrorCode>,
    failure_told: bool,
}

/// What is known of the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinator {
    Unknown,
    Asked,
    Known,
}

/// When the coordinator was heard last and is spoken to next.
#[derive(Clone, Copy, Debug, Default)]
struct Heartbeat {
    in_flight: bool,
    next: Duration,
    answered: Duration,
}

impl ClassicMember {
    /// A member that has not joined. It does so once it is [subscribed](Self::subscribe).
    ///
    /// # Panics
    ///
    /// Without an assignor, a group could not agree on one.
    #[must_use]
    pub fn new(options: ClassicOptions, now: Duration) -> Self {
        assert!(!options.assignors.is_empty(), "a member has an assignor");
        Self {
            options,
            topics: BTreeSet::new(),
            phase: Phase::Idle,
            member_id: String::new(),
            generation: None,
            holding: Holding::default(),
            last: (Vec::new(), None),
            counted: None,
            rejoin: false,
            coordinator: Coordinator::Unknown,
            heartbeat: Heartbeat::default(),
            polled: now,
            failure: None,
            failure_told: false,
        }
    }

    /// What the application has now.
    #[must_use]
    pub const fn owned(&self) -> &BTreeSet<TopicPartition> {
        self.holding.owned()
    }

    /// Under which name and generation offsets are committed. None outside the group.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let generation = self.generation?;
        Some(Identity {
            member_id: self.member_id.clone(),
            generation,
            instance: self.options.instance.clone(),
        })
    }

    /// Whether the member is on its way from one generation to the next: what it sends in the old one comes too late.
    #[must_use]
    pub const fn is_joining(&self) -> bool {
        matches!(self.phase, Phase::Joining | Phase::Counting(_) | Phase::Syncing)
    }

    /// Replaces the topics that the member wants, by name. No names are no reason to join.
    pub fn subscribe(&mut self, topics: BTreeSet<Arc<str>>, now: Duration) {
        if !matches!(self.phase, Phase::Idle) || !topics.is_empty() {
            self.topics_matched(topics, now);
        }
    }

    /// Replaces the topics that the member wants by those that a regular expression matches by now. While there are none, it is a
    /// member all the same, as in Java.
    pub fn topics_matched(&mut self, topics: BTreeSet<Arc<str>>, now: Duration) {
        let are_others = self.topics != topics;
        self.topics = topics;
        match self.phase {
            Phase::Idle => {
                self.polled = now;
                self.phase = Phase::Join { from: now };
            }
            Phase::Leaving | Phase::Stalled => {}
            _ => self.rejoin |= are_others,
        }
    }

    /// The application asked for records, and so it lives. Returns whether the member joins again, as it had been given up.
    pub fn polled(&mut self, now: Duration) -> bool {
        self.polled = now;
        let joins_again = matches!(self.phase, Phase::Stalled);
        if joins_again {
            self.lose_all();
            self.phase = Phase::Join { from: now };
        }
        joins_again
    }

    /// The topics have these numbers of partitions now. The leader, who has assigned by others, has the group rebalance.
    pub fn topics_changed(&mut self, topics: &Topics) {
        let Some(counted) = &self.counted else { return };
        let differs = |topic: &Arc<str>| counted.get(topic) != topics.get(topic);
        if self.topics.iter().any(differs) {
            self.rejoin = true;
        }
    }

    /// Ends the membership: what the member has is revoked, and the coordinator is told. A static member says nothing, as it
    /// may be back before the session ends.
    pub fn leave(&mut self) {
        if matches!(self.phase, Phase::Idle | Phase::Leaving) {
            return;
        }
        if self.generation.is_some() {
            self.holding.revoke_all();
        } else {
            self.lose_all();
        }
        self.phase = Phase::Leaving;
        if self.holding.is_settled() {
            self.heartbeat.next = Duration::ZERO;
        }
    }

    /// Whether nothing more will happen without a new subscription.
    #[must_use]
    pub fn has_left(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.holding.is_settled()
    }

    /// The coordinator is known.
    pub fn coordinator_found(&mut self) {
        self.coordinator = Coordinator::Known;
    }

    /// The coordinator could not be found. It is asked for again after a while.
    pub fn coordinator_missing(&mut self, now: Duration) {
        self.coordinator = Coordinator::Unknown;
        self.heartbeat.next = self.heartbeat.next.max(now + self.options.retry_backoff);
        if let Phase::Join { from } = &mut self.phase {
            *from = (*from).max(now + self.options.retry_backoff);
        }
    }

    /// The callback that was given out last is done: the application has let go of what was revoked or lost.
    pub fn callback_done(&mut self) {
        self.holding.done();
        if matches!(self.phase, Phase::Leaving) && self.holding.is_settled() {
            // A coordinator that is not known is found at once, to be told.
            self.heartbeat.next = Duration::ZERO;
        }
    }

    /// The next thing to do at `now`, if there is any. To be asked until it gives None.
    pub fn next_action(&mut self, now: Duration) -> Option<Action> {
        self.expire(now);
        if let Some(callback) = self.holding.begin_next() {
            return Some(Action::Call(callback));
        }
        if let Some(code) = self.failure {
            return if self.holding.is_calling() { None } else { self.fail(code) };
        }
        if self.rejoin && !self.holding.is_calling() && matches!(self.phase, Phase::Stable) {
            self.prepare_join(now);
            return self.next_action(now);
        }
        if matches!(self.phase, Phase::Leaving) && !self.holding.is_calling() && !self.waits_to_tell() {
            return self.finish_leaving();
        }
        if self.coordinator == Coordinator::Unknown && self.needs_coordinator(now) {
            self.coordinator = Coordinator::Asked;
            return Some(Action::FindCoordinator);
        }
        if self.coordinator != Coordinator::Known {
            return None;
        }
        match self.phase {
            Phase::Join { from } if from <= now && !self.holding.is_calling() => Some(self.join()),
            _ if self.heartbeat_due(now) => Some(self.beat()),
            _ => None,
        }
    }

    /// When [`next_action`](Self::next_action) will have something to do although nothing has happened until then.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.failure.is_some() {
            return None;
        }
        let join = match self.phase {
            Phase::Join { from } if !self.holding.is_calling() => Some(from),
            _ => None,
        };
        // Nothing is sent before the coordinator is found.
        let join = join.filter(|_| self.coordinator != Coordinator::Asked);
        let beating = self.beats() && !self.heartbeat.in_flight && self.coordinator != Coordinator::Asked;
        let beat = beating.then_some(self.heartbeat.next);
        let stall = self.may_stall().then(|| self.polled + self.options.max_poll_interval);
        let session = self.in_session().then(|| self.heartbeat.answered + self.options.session_timeout);
        [join, beat, stall, session].into_iter().flatten().min()
    }

    fn fail(&mut self, code: ErrorCode) -> Option<Action> {
        let told = std::mem::replace(&mut self.failure_told, true);
        (!told).then_some(Action::Fail(MemberFailure(code)))
    }

    /// Gives the membership up when the application does not poll, or when the coordinator must have done so.
    fn expire(&mut self, now: Duration) {
        if self.in_session() && now.saturating_sub(self.heartbeat.answered) >= self.options.session_timeout {
            self.lose_all();
            self.rejoin = false;
            self.coordinator = Coordinator::Unknown;
            self.phase = Phase::Join { from: now };
        }
        let silent = now.saturating_sub(self.polled) >= self.options.max_poll_interval;
        if silent && self.may_stall() {
            self.phase = Phase::Stalled;
            self.rejoin = false;
            self.generation = None;
            if self.options.instance.is_none() {
                self.heartbeat.next = now;
            }
        }
    }

    /// Whether the coordinator counts down for this member. One that takes part in a rebalance hears of its end.
    const fn in_session(&self) -> bool {
        self.generation.is_some() && matches!(self.phase, Phase::Stable)
    }

    /// A member that consumes may stall; one that waits for others, or for the application's callback, may not.
    fn may_stall(&self) -> bool {
        matches!(self.phase, Phase::Stable) && self.holding.is_settled()
    }

    fn needs_coordinator(&self, now: Duration) -> bool {
        let joins = matches!(self.phase, Phase::Join { from } if from <= now && !self.holding.is_calling());
        joins || self.heartbeat_due(now)
    }

    /// Whether the coordinator is to be told that the member leaves, and is not known.
    fn waits_to_tell(&self) -> bool {
        let is_member = self.generation.is_some() && self.options.instance.is_none();
        is_member && self.coordinator != Coordinator::Known
    }

    fn beats(&self) -> bool {
        let is_member = match self.phase {
            Phase::Stable | Phase::Counting(_) | Phase::Join { .. } => true,
            Phase::Leaving => self.holding.is_calling() || self.waits_to_tell(),
            Phase::Idle | Phase::Joining | Phase::Syncing | Phase::Stalled => false,
        };
        self.generation.is_some() && is_member || self.departs()
    }

    /// Whether the coordinator is still to be told that a stalled member is gone.
    fn departs(&self) -> bool {
        matches!(self.phase, Phase::Stalled) && self.options.instance.is_none() && !self.member_id.is_empty()
    }

    fn heartbeat_due(&self, now: Duration) -> bool {
        self.beats() && !self.heartbeat.in_flight && self.heartbeat.next <= now
    }

    fn beat(&mut self) -> Action {
        if self.departs() {
            return Action::Send(Request::Leave { member_id: std::mem::take(&mut self.member_id) });
        }
        self.heartbeat.in_flight = true;
        let generation = self.generation.unwrap_or(-1);
        Action::Send(Request::Heartbeat { generation, member_id: self.member_id.clone() })
    }

    /// Revokes what must not be kept through the next rebalance, and joins after that.
    fn prepare_join(&mut self, now: Duration) {
        self.rejoin = false;
        let given_up = match self.protocol() {
            RebalanceProtocol::Eager => self.holding.owned().clone(),
            RebalanceProtocol::Cooperative => self
                .holding
                .owned()
                .iter()
                .filter(|partition| !self.topics.contains(&partition.topic))
                .cloned()
                .collect(),
        };
        self.holding.revoke(given_up);
        self.phase = Phase::Join { from: now };
    }

    /// What the coordinator has given to others by now. What was to be revoked or assigned is void.
    fn lose_all(&mut self) {
        self.generation = None;
        self.holding.lose_all();
    }

    /// Cooperative only if every assignor is: the group may agree on any of them.
    fn protocol(&self) -> RebalanceProtocol {
        let eager =
            self.options.assignors.iter().any(|assignor| assignor.protocol() == RebalanceProtocol::Eager);
        if eager { RebalanceProtocol::Eager } else { RebalanceProtocol::Cooperative }
    }

    fn join(&mut self) -> Action {
        self.phase = Phase::Joining;
        // It says what the member wants by now, and the next leader counts anew.
        self.rejoin = false;
        self.counted = None;
        let owned = match self.protocol() {
            RebalanceProtocol::Eager => Vec::new(),
            RebalanceProtocol::Cooperative => by_topic(self.holding.owned()),
        };
        let subscription = Subscription {
            topics: self.topics.iter().map(ToString::to_string).collect(),
            owned,
            generation: self.last.1,
            rack: self.options.rack.clone(),
        };
        let metadata = |assignor: &Assignor| {
            let user_data = assignor.user_data(&self.last.0, self.last.1);
            (*assignor, subscription.encode(EMBEDDED_VERSION, user_data.as_deref()))
        };
        Action::Send(Request::Join {
            member_id: self.member_id.clone(),
            protocols: self.options.assignors.iter().map(metadata).collect(),
        })
    }

    fn finish_leaving(&mut self) -> Option<Action> {
        self.phase = Phase::Idle;
        self.topics.clear();
        self.generation = None;
        self.counted = None;
        let dynamic = self.options.instance.is_none() && !self.member_id.is_empty();
        let member_id = std::mem::take(&mut self.member_id);
        dynamic.then_some(Action::Send(Request::Leave { member_id }))
    }

    /// The leader's work: what every member gets, by the numbers of partitions.
    fn assign(&mut self, joined: &Joined, topics: Topics) -> BTreeMap<String, Vec<u8>> {
        let read = |(id, instance, metadata): &(String, Option<String>, Vec<u8>)| {
            joined.assignor.read_member(id, instance.as_deref(), metadata)
        };
        let members: Vec<_> = joined.members.iter().map(read).collect();
        let assignment = joined.assignor.assign(&members, &topics);
        self.counted = Some(topics);
        let encode = |(id, partitions): (String, Vec<TopicPartition>)| {
            (id, encode_assignment(&by_topic(&partitions), EMBEDDED_VERSION))
        };
        assignment.into_iter().map(encode).collect()
    }
}
