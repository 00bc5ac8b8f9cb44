//! A member that speaks the classic protocol: it joins, syncs, heartbeats, and assigns when it leads.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use uuid::Uuid;

use super::client::{BACKOFF, HEARTBEAT_INTERVAL, Identity, Next, REBALANCE_TIMEOUT, SESSION_TIMEOUT};
use super::topics::{TopicPartition, Topics};
use crate::coordinator::{
    Generation, GroupErrorCode, GroupRequest, GroupResponse, Heartbeat, JoinGroup, JoinProtocol, JoinedGroup,
    JoinedMember, LeaveGroup, LeavingMember, MemberId, SyncGroup, SyncedGroup,
};
use crate::ids::{PartitionIndex, TopicId};
use trilog_protocol::consumer_protocol::{
    NamedPartitions, Subscription, encode_assignment, parse_assignment,
};

/// The protocol of groups whose members give everything up before they join again, and of those whose members do not.
const EAGER: &str = "range";
const COOPERATIVE: &str = "cooperative";

#[derive(Clone, Debug)]
pub(super) struct ClassicClient {
    member: MemberId,
    generation: Generation,
    phase: Phase,
    owned: BTreeSet<TopicPartition>,
    /// While it leads: the topics of the group, as they were when it assigned.
    watched: BTreeMap<String, (Option<TopicId>, i32)>,
    subscribed: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// It has to join.
    Outside,
    /// It has joined, and has to ask for its assignment; the leader brings everybody's.
    Joined(Vec<(MemberId, Bytes)>),
    /// It consumes.
    Stable,
}

impl Default for ClassicClient {
    fn default() -> Self {
        Self {
            member: MemberId::from(""),
            generation: Generation(-1),
            phase: Phase::Outside,
            owned: BTreeSet::new(),
            watched: BTreeMap::new(),
            subscribed: BTreeSet::new(),
        }
    }
}

impl ClassicClient {
    pub(super) fn act(&mut self, identity: &Identity, topics: &Topics, fresh: Uuid) -> GroupRequest {
        if self.phase == Phase::Stable && self.has_to_rejoin(identity, topics) {
            self.phase = Phase::Outside;
        }
        match &self.phase {
            Phase::Outside => GroupRequest::Join(self.join(identity, topics, fresh)),
            Phase::Joined(assignments) => GroupRequest::Sync(SyncGroup {
                group: identity.group.clone(),
                member: self.member.clone(),
                instance: identity.instance.clone(),
                generation: self.generation,
                protocol_type: Some("consumer".into()),
                protocol: Some(protocol(identity).into()),
                assignments: assignments.clone(),
            }),
            Phase::Stable => GroupRequest::Heartbeat(Heartbeat {
                group: identity.group.clone(),
                member: self.member.clone(),
                instance: identity.instance.clone(),
                generation: self.generation,
            }),
        }
    }

    fn has_to_rejoin(&self, identity: &Identity, topics: &Topics) -> bool {
        let changed = self.watched.iter().any(|(name, seen)| view(topics, name) != *seen);
        changed || self.subscribed != identity.topics
    }

    fn join(&mut self, identity: &Identity, topics: &Topics, fresh: Uuid) -> JoinGroup {
        if !identity.is_cooperative {
            self.owned.clear();
        }
        self.watched.clear();
        self.subscribed.clone_from(&identity.topics);
        let subscription = Subscription {
            topics: identity.topics.iter().cloned().collect(),
            owned: by_name(&self.owned, topics),
            generation: Some(self.generation.0).filter(|generation| *generation >= 0),
            rack: None,
        };
        JoinGroup {
            group: identity.group.clone(),
            member: self.member.clone(),
            instance: identity.instance.clone(),
            client_id: format!("client-{}", identity.number),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: i32::try_from(SESSION_TIMEOUT.as_millis()).unwrap(),
            rebalance_timeout_ms: i32::try_from(REBALANCE_TIMEOUT.as_millis()).unwrap(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinProtocol {
                name: protocol(identity).into(),
                metadata: subscription.encode(3, None).into(),
            }],
            requires_member_id: identity.number.is_multiple_of(2),
            supports_skip_assignment: true,
            fresh,
        }
    }

    /// Static members just go: their place is kept until their session is over.
    pub(super) fn leave(&self, identity: &Identity) -> Option<GroupRequest> {
        let leaves = identity.instance.is_none() && !self.member.as_str().is_empty();
        leaves.then(|| {
            GroupRequest::Leave(LeaveGroup {
                group: identity.group.clone(),
                members: vec![LeavingMember { member: self.member.clone(), instance: None }],
            })
        })
    }

    pub(super) fn lose_answer(&mut self) {
        if matches!(self.phase, Phase::Joined(_)) {
            self.phase = Phase::Outside;
        }
    }

    pub(super) fn hear(&mut self, identity: &Identity, topics: &Topics, response: GroupResponse) -> Next {
        match response {
            GroupResponse::Join(JoinedGroup {
                error: None,
                generation,
                leader,
                member,
                members,
                skip_assignment,
                ..
            }) => {
                self.generation = generation;
                self.watched = watch(&members, topics);
                let assigns = leader == member && !skip_assignment;
                self.phase =
                    Phase::Joined(if assigns { assign(identity, &members, topics) } else { Vec::new() });
                self.member = member;
                Next::Now
            }
            GroupResponse::Join(JoinedGroup {
                error: Some(GroupErrorCode::MemberIdRequired),
                member,
                ..
            }) => {
                self.member = member;
                Next::Now
            }
            GroupResponse::Join(JoinedGroup { error: Some(error), .. }) => self.refused(identity, error),
            GroupResponse::Sync(Ok(SyncedGroup { assignment, .. })) => self.assigned(topics, &assignment),
            GroupResponse::Heartbeat(Ok(())) => Next::After(HEARTBEAT_INTERVAL),
            GroupResponse::Sync(Err(error)) | GroupResponse::Heartbeat(Err(error)) => {
                self.refused(identity, error)
            }
            other => panic!("{other:?} answers nothing that a member asks"),
        }
    }

    fn assigned(&mut self, topics: &Topics, assignment: &[u8]) -> Next {
        let assigned = match assignment {
            [] => Vec::new(),
            bytes => parse_assignment(bytes).expect("what leaders and the coordinator write can be read"),
        };
        let assigned: BTreeSet<_> = assigned
            .iter()
            .filter_map(|(name, indexes)| Some((topics.id(name)?, indexes)))
            .flat_map(|(topic, indexes)| indexes.iter().map(move |index| (topic, PartitionIndex(*index))))
            .collect();
        let gives_up = !self.owned.is_subset(&assigned);
        self.owned = assigned;
        // Others wait for what it has just given up.
        self.phase = if gives_up { Phase::Outside } else { Phase::Stable };
        if gives_up { Next::Now } else { Next::After(HEARTBEAT_INTERVAL) }
    }

    fn refused(&mut self, identity: &Identity, error: GroupErrorCode) -> Next {
        self.phase = Phase::Outside;
        match error {
            GroupErrorCode::RebalanceInProgress => {}
            GroupErrorCode::IllegalGeneration => {
                self.generation = Generation(-1);
                self.owned.clear();
            }
            GroupErrorCode::UnknownMemberId => {
                self.generation = Generation(-1);
                self.member = MemberId::from("");
                self.owned.clear();
            }
            GroupErrorCode::FencedInstanceId | GroupErrorCode::GroupMaxSizeReached => return Next::Stop,
            other => panic!("client {} is refused: {other:?}", identity.number),
        }
        Next::After(BACKOFF)
    }

    pub(super) fn member(&self) -> (MemberId, i32) {
        (self.member.clone(), self.generation.0)
    }

    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    pub(super) fn is_settled(&self) -> bool {
        self.phase == Phase::Stable
    }
}

fn protocol(identity: &Identity) -> &'static str {
    if identity.is_cooperative { COOPERATIVE } else { EAGER }
}

fn view(topics: &Topics, name: &str) -> (Option<TopicId>, i32) {
    (topics.id(name), topics.partition_count(name))
}

/// The topics of the group, for its leader to watch. Nothing for the others, who are not told of anybody.
fn watch(members: &[JoinedMember], topics: &Topics) -> BTreeMap<String, (Option<TopicId>, i32)> {
    let names = members.iter().flat_map(|member| subscription(member).topics);
    names.map(|name| (name.clone(), view(topics, &name))).collect()
}

fn subscription(member: &JoinedMember) -> Subscription {
    Subscription::parse(&member.metadata).expect("members tell the leader what they told the coordinator")
}

fn by_name(owned: &BTreeSet<TopicPartition>, topics: &Topics) -> NamedPartitions {
    let mut names: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, index) in owned {
        if let Some(name) = topics.name(*topic) {
            names.entry(name).or_default().push(index.0);
        }
    }
    names.into_iter().collect()
}

/// What the leader assigns: the partitions of each topic in turns. Among cooperative members, a partition that is to go
/// from one to another goes to nobody until it was given up.
fn assign(identity: &Identity, members: &[JoinedMember], topics: &Topics) -> Vec<(MemberId, Bytes)> {
    let subscriptions: BTreeMap<_, _> =
        members.iter().map(|member| (&member.member, subscription(member))).collect();
    let claims = if identity.is_cooperative { claims(&subscriptions) } else { BTreeMap::new() };
    let mut assignments: BTreeMap<&MemberId, NamedPartitions> =
        subscriptions.keys().map(|member| (*member, Vec::new())).collect();
    let names: BTreeSet<_> = subscriptions.values().flat_map(|subscription| &subscription.topics).collect();
    for name in names {
        let subscribes = |(_, subscription): &(&&MemberId, &Subscription)| subscription.topics.contains(name);
        let takers: Vec<_> = subscriptions.iter().filter(subscribes).map(|(member, _)| *member).collect();
        for (position, taker) in takers.iter().enumerate() {
            let turns = (0..topics.partition_count(name)).skip(position).step_by(takers.len());
            let free =
                |index: &i32| claims.get(&(name.clone(), *index)).is_none_or(|(_, owner)| owner == taker);
            assignments.get_mut(taker).unwrap().push((name.clone(), turns.filter(free).collect()));
        }
    }
    let encode =
        |(member, part): (&MemberId, NamedPartitions)| (member.clone(), encode_assignment(&part, 3).into());
    assignments.into_iter().map(encode).collect()
}

/// Who owns each partition by what the members say. Of two that say so, the one of the later generation does.
fn claims<'a>(
    subscriptions: &BTreeMap<&'a MemberId, Subscription>,
) -> BTreeMap<(String, i32), (Option<i32>, &'a MemberId)> {
    let mut claims = BTreeMap::new();
    for (member, subscription) in subscriptions {
        for (name, indexes) in &subscription.owned {
            for index in indexes {
                let claim = (subscription.generation, *member);
                let known = claims.entry((name.clone(), *index)).or_insert(claim);
                *known = claim.max(*known);
            }
        }
    }
    claims
}
