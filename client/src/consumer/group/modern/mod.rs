//! A member of a group of the consumer protocol (KIP-848, `group.protocol=consumer`).
//!
//! There is one request, the heartbeat. It carries what has changed of the member: its subscription, and what it has. The
//! answer carries the member's epoch, the interval to the next heartbeat and, when it has changed, the assignment that the
//! member is to get to: its target. The member gets there by itself, in one *reconciliation* at a time:
//!
//! ```text
//!   target ≠ owned ──► names of the new topics known ──► Revoke what is missing in the target ──► Assign what is new
//!         ▲                                                                                             │
//!         └──────── the coordinator learns what the member has, and gives more when others let go ◄─────┘
//! ```
//!
//! The owner of the machine drives it as it drives [`ClassicMember`](super::classic::ClassicMember): it sends, calls back and
//! tells what came of it.

mod answers;
mod message;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::ErrorCode;
use uuid::Uuid;

pub use self::message::{Action, HeartbeatAnswer, HeartbeatRequest, PartitionsById, Wanted};
use super::MemberFailure;
use super::classic::Identity;
use super::holding::Holding;
use crate::consumer::partition::TopicPartition;

/// The epoch with which a member joins.
const JOINING: i32 = 0;
/// The epoch with which a member leaves.
const LEAVING: i32 = -1;
/// The epoch with which a static member leaves for a while.
const LEAVING_STATIC: i32 = -2;

/// How long until unknown topics are asked for again. One that was just made is known soon; one that was deleted never is.
const NAMES_AGAIN: Duration = Duration::from_secs(1);

/// How a member behaves. The names are Kafka's.
#[derive(Clone, Debug)]
pub struct ModernOptions {
    /// The member's id, which it makes itself: a random UUID.
    pub member_id: String,
    /// `group.instance.id`, for a static member.
    pub instance: Option<String>,
    /// `client.rack`.
    pub rack: Option<String>,
    /// `group.remote.assignor`; the coordinator's default without.
    pub assignor: Option<String>,
    /// `max.poll.interval.ms`: how long the application may take between two polls, and to let go of partitions.
    pub max_poll_interval: Duration,
    /// How long to wait before a request is sent again.
    pub retry_backoff: Duration,
}

/// Where the member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is wanted, or the member has left.
    Idle,
    /// In the group, or on its way into it (epoch 0).
    In { epoch: i32 },
    /// The application does not poll; the coordinator is to be told so, or has been.
    Stalled { told: bool },
    /// The member leaves when the callbacks are done. Until then it is in the group, unless the epoch is 0.
    Leaving { epoch: i32 },
}

/// A member of a group of the consumer protocol.
#[derive(Debug)]
pub struct ModernMember {
    options: ModernOptions,
    wanted: Wanted,
    phase: Phase,
    /// What the coordinator wants the member to have.
    target: Option<PartitionsById>,
    /// What the application has, and is called for.
    holding: Holding,
    names: BTreeMap<Uuid, Arc<str>>,
    /// Names are being asked for, or are not to be asked for before a time.
    naming: Naming,
    coordinator: Coordinator,
    heartbeat: Heartbeat,
    polled: Duration,
    failure: Option<ErrorCode>,
    failure_told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    From(Duration),
    Asked,
}

/// What is known of the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinator {
    Unknown,
    Asked,
    Known,
}

/// What the coordinator knows, and when it is spoken to next.
#[derive(Clone, Debug, Default)]
struct Heartbeat {
    /// The request that waits for its answer.
    in_flight: Option<HeartbeatRequest>,
    next: Duration,
    /// What the coordinator has confirmed to know. None: it is to be told everything.
    known: Option<(Wanted, PartitionsById)>,
}

impl ModernMember {
    /// A member that has not joined. It does so once it is [subscribed](Self::subscribe).
    #[must_use]
    pub fn new(options: ModernOptions, now: Duration) -> Self {
        Self {
            options,
            wanted: Wanted::default(),
            phase: Phase::Idle,
            target: None,
            holding: Holding::default(),
            names: BTreeMap::new(),
            naming: Naming::From(now),
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

    /// Under which id and epoch offsets are committed. None outside the group.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let generation = self.epoch().filter(|epoch| *epoch > JOINING)?;
        Some(Identity {
            member_id: self.options.member_id.clone(),
            generation,
            instance: self.options.instance.clone(),
        })
    }

    /// The epoch of a member that is in the group or on its way into it.
    const fn epoch(&self) -> Option<i32> {
        match self.phase {
            Phase::In { epoch } | Phase::Leaving { epoch } => Some(epoch),
            Phase::Idle | Phase::Stalled { .. } => None,
        }
    }

    /// The coordinator has put the member into this epoch. One that leaves goes on leaving.
    const fn enter(&mut self, epoch: i32) {
        self.phase = match self.phase {
            Phase::Leaving { .. } => Phase::Leaving { epoch },
            _ => Phase::In { epoch },
        };
    }

    /// Replaces what the member wants. The coordinator is told at once.
    pub fn subscribe(&mut self, wanted: Wanted, now: Duration) {
        if self.wanted == wanted {
            return;
        }
        self.wanted = wanted;
        match self.phase {
            Phase::Idle if !self.wanted.is_nothing() => {
                self.polled = now;
                self.join(now);
            }
            Phase::In { .. } => self.heartbeat.next = self.heartbeat.next.min(now),
            Phase::Idle | Phase::Stalled { .. } | Phase::Leaving { .. } => {}
        }
    }

    /// The application asked for records, and so it lives. Returns whether the member joins again, as it had been given up.
    pub fn polled(&mut self, now: Duration) -> bool {
        self.polled = now;
        let joins_again = matches!(self.phase, Phase::Stalled { .. });
        if joins_again {
            self.lose_all();
            self.join(now);
        }
        joins_again
    }

    /// Ends the membership: what the member has is revoked, then the coordinator is told.
    pub fn leave(&mut self) {
        if matches!(self.phase, Phase::Idle | Phase::Leaving { .. }) {
            return;
        }
        if self.identity().is_some() {
            self.holding.revoke_all();
        } else {
            self.lose_all();
        }
        self.target = None;
        self.phase = Phase::Leaving { epoch: self.epoch().unwrap_or(JOINING) };
        if self.holding.is_settled() {
            self.heartbeat.next = Duration::ZERO;
        }
    }

    /// Whether nothing more will happen without a new subscription.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.phase == Phase::Idle && self.holding.is_settled()
    }

    /// The coordinator is known.
    pub fn coordinator_found(&mut self) {
        self.coordinator = Coordinator::Known;
    }

    /// The coordinator could not be found. It is asked for again after a while.
    pub fn coordinator_missing(&mut self, now: Duration) {
        self.coordinator = Coordinator::Unknown;
        self.heartbeat.next = self.heartbeat.next.max(now + self.options.retry_backoff);
    }

    /// These topics have these names. Those that [`Action::NameTopics`] named and this does not are asked for again.
    pub fn topics_named(&mut self, names: impl IntoIterator<Item = (Uuid, Arc<str>)>, now: Duration) {
        for (id, name) in names {
            // A topic that was made again has its former name and another id.
            self.names.retain(|_, known| *known != name);
            self.names.insert(id, name);
        }
        self.naming = Naming::From(now + NAMES_AGAIN);
    }

    /// The callback that was given out last is done: the application has let go of what was revoked or lost.
    pub fn callback_done(&mut self, now: Duration) {
        self.holding.done();
        // The coordinator learns at once what the member has come to: others wait for it.
        if self.holding.is_settled() && matches!(self.phase, Phase::In { .. } | Phase::Leaving { .. }) {
            self.heartbeat.next = self.heartbeat.next.min(now);
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
        if !self.holding.is_calling() {
            if matches!(self.phase, Phase::Leaving { .. }) && !self.waits_to_tell() {
                return self.finish_leaving();
            }
            if let Some(action) = self.reconcile(now) {
                return Some(action);
            }
        }
        if !self.heartbeat_due(now) {
            return None;
        }
        match self.coordinator {
            Coordinator::Unknown => {
                self.coordinator = Coordinator::Asked;
                Some(Action::FindCoordinator)
            }
            Coordinator::Asked => None,
            Coordinator::Known => Some(self.beat()),
        }
    }

    /// When [`next_action`](Self::next_action) will have something to do although nothing has happened until then.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.failure.is_some() {
            return None;
        }
        // Nothing is sent before the coordinator is found.
        let beating =
            self.beats() && self.heartbeat.in_flight.is_none() && self.coordinator != Coordinator::Asked;
        let beat = beating.then_some(self.heartbeat.next);
        let stall = self.may_stall().then(|| self.polled + self.options.max_poll_interval);
        let naming = match self.naming {
            Naming::From(from) if !self.holding.is_calling() && !self.unnamed().is_empty() => Some(from),
            _ => None,
        };
        [beat, stall, naming].into_iter().flatten().min()
    }

    fn fail(&mut self, code: ErrorCode) -> Option<Action> {
        let told = std::mem::replace(&mut self.failure_told, true);
        (!told).then_some(Action::Fail(MemberFailure(code)))
    }

    fn join(&mut self, now: Duration) {
        self.phase = Phase::In { epoch: JOINING };
        self.target = None;
        self.heartbeat.known = None;
        self.heartbeat.next = now;
    }

    /// Gives the membership up when the application does not poll.
    fn expire(&mut self, now: Duration) {
        if self.may_stall() && now.saturating_sub(self.polled) >= self.options.max_poll_interval {
            self.phase = Phase::Stalled { told: false };
            self.target = None;
            self.heartbeat.next = now;
        }
    }

    fn may_stall(&self) -> bool {
        matches!(self.phase, Phase::In { .. }) && self.holding.is_settled()
    }

    /// Whether the coordinator is to be told that the member leaves, and is not known.
    fn waits_to_tell(&self) -> bool {
        let is_member = matches!(self.phase, Phase::Leaving { epoch } if epoch > JOINING);
        is_member && self.coordinator != Coordinator::Known
    }

    fn beats(&self) -> bool {
        // A member that has everything to join with says so only when nothing of its former life is left.
        match self.phase {
            Phase::In { epoch: JOINING } => self.holding.is_settled(),
            Phase::In { .. } => true,
            Phase::Stalled { told } => !told,
            // A slow callback costs the membership no more than it does otherwise.
            Phase::Leaving { epoch } => {
                epoch > JOINING && (self.holding.is_calling() || self.waits_to_tell())
            }
            Phase::Idle => false,
        }
    }

    fn heartbeat_due(&self, now: Duration) -> bool {
        self.beats() && self.heartbeat.in_flight.is_none() && self.heartbeat.next <= now
    }

    fn beat(&mut self) -> Action {
        let Some(epoch) = self.epoch() else {
            self.phase = Phase::Stalled { told: true };
            return Action::Send(self.departure());
        };
        let owned = self.owned_by_id();
        let known = self.heartbeat.known.as_ref();
        let everything = known.is_none();
        let request = HeartbeatRequest {
            member_id: self.options.member_id.clone(),
            epoch,
            instance: self.options.instance.clone().filter(|_| everything),
            rack: self.options.rack.clone().filter(|_| everything),
            rebalance_timeout: everything.then_some(self.options.max_poll_interval),
            wanted: (known.map(|known| &known.0) != Some(&self.wanted)).then(|| self.wanted.clone()),
            assignor: self.options.assignor.clone().filter(|_| everything),
            owned: (known.map(|known| &known.1) != Some(&owned)).then_some(owned),
        };
        self.heartbeat.in_flight = Some(request.clone());
        Action::Send(request)
    }

    /// The heartbeat that ends the membership.
    fn departure(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            member_id: self.options.member_id.clone(),
            epoch: if self.options.instance.is_some() { LEAVING_STATIC } else { LEAVING },
            instance: self.options.instance.clone(),
            rack: None,
            rebalance_timeout: None,
            wanted: None,
            assignor: None,
            owned: None,
        }
    }

    fn finish_leaving(&mut self) -> Option<Action> {
        self.phase = Phase::Idle;
        self.wanted = Wanted::default();
        self.target = None;
        self.heartbeat = Heartbeat::default();
        Some(Action::Send(self.departure()))
    }

    /// Begins to get from what the member has to what it is to have. The names of all new topics must be known; what is to be
    /// given up waits for none.
    fn reconcile(&mut self, now: Duration) -> Option<Action> {
        let target = self.target.as_ref()?;
        let named = |(id, partitions): (&Uuid, &BTreeSet<i32>)| {
            let topic = self.names.get(id)?.clone();
            let place = move |&partition| TopicPartition { topic: topic.clone(), partition };
            Some(partitions.iter().map(place).collect::<Vec<_>>())
        };
        let target: BTreeSet<_> = target.iter().filter_map(named).flatten().collect();
        let given_up: BTreeSet<_> = self.holding.owned().difference(&target).cloned().collect();
        let added: BTreeSet<_> = target.difference(self.holding.owned()).cloned().collect();
        let unnamed = self.unnamed();
        if unnamed.is_empty() {
            self.target = None;
        }
        if !given_up.is_empty() || !added.is_empty() {
            self.holding.revoke(given_up);
            self.holding.assign(added);
            return self.next_action(now);
        }
        match self.naming {
            Naming::From(from) if from <= now && !unnamed.is_empty() => {
                self.naming = Naming::Asked;
                Some(Action::NameTopics(unnamed))
            }
            _ => None,
        }
    }

    /// The topics of the target whose names are not known.
    fn unnamed(&self) -> BTreeSet<Uuid> {
        let ids = self.target.iter().flat_map(BTreeMap::keys);
        ids.filter(|id| !self.names.contains_key(id)).copied().collect()
    }

    /// What the member has, as heartbeats list it.
    fn owned_by_id(&self) -> PartitionsById {
        let ids: BTreeMap<_, _> = self.names.iter().map(|(id, name)| (name, *id)).collect();
        let mut owned = PartitionsById::new();
        for TopicPartition { topic, partition } in self.holding.owned() {
            if let Some(id) = ids.get(topic) {
                owned.entry(*id).or_default().insert(*partition);
            }
        }
        owned
    }

    /// What the coordinator has given to others by now. What was to be revoked or assigned is void.
    fn lose_all(&mut self) {
        self.target = None;
        self.holding.lose_all();
    }
}
