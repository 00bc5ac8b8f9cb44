//! A member of a classic group, request by request.
//!
//! Its assignor is the test's, and an assignment is bytes that nobody but members reads. A subscription had better be one:
//! Apache Kafka looks into those of consumers, and never answers a JoinGroup with one that it cannot read.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::{Request, StrBytes};
use trilog_client::wire::{ClientError, Connection, PendingAnswer};

use super::Group;
use super::embedded::subscription;
use crate::cluster::connection_options;
use crate::requests::{error, group_id, only, served, text};
use crate::waiting::wait_until;

/// A member, on a connection of its own.
#[derive(Debug, Clone)]
pub struct ClassicMember {
    /// To the coordinator.
    pub connection: Connection,
    /// The group's name.
    pub group: String,
    /// Its id, empty before it is given one.
    pub id: String,
    /// Its static name.
    pub instance: Option<String>,
    /// The generation it believes in, -1 before the first.
    pub generation: i32,
    /// The group's leader by the last join.
    pub leader: String,
    /// The protocol chosen by the last join.
    pub protocol: String,
    /// After how long without a word it is gone.
    pub session_timeout_ms: i32,
    /// How long it may take to join a rebalance.
    pub rebalance_timeout_ms: i32,
    /// The kind of its protocols.
    pub protocol_type: String,
    /// Its protocols, the best first, with what it says to each.
    pub protocols: Vec<(String, Bytes)>,
    /// The version of its requests, or the highest where an API has none so high.
    pub level: i16,
}

/// The version from which a member without an id is given one and has to come back (KIP-394).
const MEMBER_ID_REQUIRED: i16 = 4;

impl ClassicMember {
    /// A new member that supports the assignor `range`.
    ///
    /// # Panics
    /// If the coordinator's node does not answer.
    pub async fn new(group: &Group) -> Self {
        let connection = Connection::connect(group.connection.address(), &connection_options()).await;
        Self {
            connection: connection.expect("the coordinator's node answers"),
            group: group.name.clone(),
            id: String::new(),
            instance: None,
            generation: -1,
            leader: String::new(),
            protocol: String::new(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), subscription(&["some-topic"], &[]))],
            level: i16::MAX,
        }
    }

    /// The same as a static member.
    #[must_use]
    pub fn named(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }

    /// The same speaking this version, or the highest where an API has none so high.
    #[must_use]
    pub fn level(mut self, level: i16) -> Self {
        self.level = level;
        self
    }

    /// The same with protocols of another kind than consumers'. What it says to them need not be a subscription.
    #[must_use]
    pub fn kind(mut self, protocol_type: &str) -> Self {
        protocol_type.clone_into(&mut self.protocol_type);
        self
    }

    /// The same with these protocols.
    #[must_use]
    pub fn protocols(mut self, protocols: &[(&str, &[u8])]) -> Self {
        let owned = |(name, data): &(&str, &[u8])| ((*name).to_owned(), Bytes::copy_from_slice(data));
        self.protocols = protocols.iter().map(owned).collect();
        self
    }

    /// The version it speaks of an API.
    pub fn version<R: Request>(&self) -> i16 {
        self.level.min(*served::<R>(&self.connection).end())
    }

    /// Its static name, in a version that has one.
    fn instance_since<R: Request>(&self, since: i16) -> Option<StrBytes> {
        let instance = if self.version::<R>() >= since { self.instance.as_deref() } else { None };
        instance.map(text)
    }

    /// Its JoinGroup as it is now.
    pub fn join_request(&self) -> JoinGroupRequest {
        let protocols = self.protocols.iter().map(|(name, metadata)| {
            JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(metadata.clone())
        });
        let rebalance_timeout =
            if self.version::<JoinGroupRequest>() >= 1 { self.rebalance_timeout_ms } else { -1 };
        JoinGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_session_timeout_ms(self.session_timeout_ms)
            .with_rebalance_timeout_ms(rebalance_timeout)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance_since::<JoinGroupRequest>(5))
            .with_protocol_type(text(&self.protocol_type))
            .with_protocols(protocols.collect())
    }

    /// Joins once and returns the answer, error code and all; takes nothing over.
    ///
    /// # Panics
    /// If there is no answer, as in all of these.
    pub async fn try_join(&self) -> JoinGroupResponse {
        let pending = self.enqueue_join().await;
        pending.answer().await.expect("JoinGroup is answered")
    }

    async fn enqueue_join(&self) -> PendingAnswer<JoinGroupRequest> {
        let version = self.version::<JoinGroupRequest>();
        let pending = self.connection.enqueue_at(self.join_request(), version).await;
        pending.expect("the connection is up")
    }

    /// Sends its JoinGroup, with an id that it asks for before where it has to (KIP-394).
    pub async fn start_join(&mut self) -> PendingAnswer<JoinGroupRequest> {
        let asks = self.id.is_empty()
            && self.instance.is_none()
            && self.version::<JoinGroupRequest>() >= MEMBER_ID_REQUIRED;
        if asks {
            let answer = self.try_join().await;
            assert_eq!(error(answer.error_code), Some(ResponseError::MemberIdRequired));
            assert!(!answer.member_id.is_empty(), "an id is given");
            self.id = answer.member_id.to_string();
        }
        self.enqueue_join().await
    }

    /// Waits until it is in, and takes over id, generation and leader.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn finish_join(&mut self, pending: PendingAnswer<JoinGroupRequest>) -> JoinGroupResponse {
        let answer = pending.answer().await.expect("JoinGroup is answered");
        assert_eq!(error(answer.error_code), None, "{} joins {}", self.id, self.group);
        assert!(self.id.is_empty() || *self.id == *answer.member_id, "a member keeps its id");
        self.id = answer.member_id.to_string();
        self.generation = answer.generation_id;
        self.leader = answer.leader.to_string();
        self.protocol = answer.protocol_name.as_deref().expect("a protocol is chosen").to_owned();
        assert_eq!(answer.members.is_empty(), !self.leads(), "only the leader is told the members");
        answer
    }

    /// Joins, whatever that takes.
    pub async fn join(&mut self) -> JoinGroupResponse {
        let pending = self.start_join().await;
        self.finish_join(pending).await
    }

    /// Whether it is to assign.
    pub fn leads(&self) -> bool {
        self.id == self.leader
    }

    /// Its SyncGroup with these assignments.
    pub fn sync_request(&self, assignments: &[(String, Bytes)]) -> SyncGroupRequest {
        let parts = assignments.iter().map(|(member, part)| {
            SyncGroupRequestAssignment::default().with_member_id(text(member)).with_assignment(part.clone())
        });
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_member_id(text(&self.id))
            .with_generation_id(self.generation)
            .with_group_instance_id(self.instance_since::<SyncGroupRequest>(3))
            .with_assignments(parts.collect());
        if self.version::<SyncGroupRequest>() < 5 {
            return request;
        }
        request
            .with_protocol_type(Some(text(&self.protocol_type)))
            .with_protocol_name(Some(text(&self.protocol)))
    }

    /// Sends its SyncGroup with these assignments.
    pub async fn start_sync(&self, assignments: &[(String, Bytes)]) -> PendingAnswer<SyncGroupRequest> {
        let version = self.version::<SyncGroupRequest>();
        let pending = self.connection.enqueue_at(self.sync_request(assignments), version).await;
        pending.expect("the connection is up")
    }

    /// Asks for its part and returns the answer, error code and all.
    pub async fn try_sync(&self, assignments: &[(String, Bytes)]) -> SyncGroupResponse {
        self.start_sync(assignments).await.answer().await.expect("SyncGroup is answered")
    }

    /// Asks for its part, assigning to everybody who joined if it leads; see [`part_of`].
    ///
    /// # Panics
    /// If it is refused.
    pub async fn sync(&self, joined: &JoinGroupResponse) -> Bytes {
        let answer = self.try_sync(&parts(joined)).await;
        assert_eq!(error(answer.error_code), None, "{} syncs with {}", self.id, self.group);
        answer.assignment
    }

    /// A heartbeat; the error if it is refused.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer.
    pub async fn try_heartbeat(&self) -> Result<Option<ResponseError>, ClientError> {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(&self.group))
            .with_member_id(text(&self.id))
            .with_generation_id(self.generation)
            .with_group_instance_id(self.instance_since::<HeartbeatRequest>(3));
        let version = self.version::<HeartbeatRequest>();
        Ok(error(self.connection.request_at_version(request, version).await?.error_code))
    }

    /// A heartbeat; the error if it is refused.
    pub async fn heartbeat(&self) -> Option<ResponseError> {
        self.try_heartbeat().await.expect("Heartbeat is answered")
    }

    /// Leaves; the error if it is refused, be it on top or about this member.
    pub async fn leave(&self) -> Option<ResponseError> {
        let version = self.version::<LeaveGroupRequest>();
        let request = LeaveGroupRequest::default().with_group_id(group_id(&self.group));
        let request = match version {
            3.. => request.with_members(vec![
                MemberIdentity::default()
                    .with_member_id(text(&self.id))
                    .with_group_instance_id(self.instance.as_deref().map(text)),
            ]),
            _ => request.with_member_id(text(&self.id)),
        };
        let answer = self.connection.request_at_version(request, version).await;
        left(answer.expect("LeaveGroup is answered"), version)
    }

    /// Waits until a heartbeat says that it has to join again.
    ///
    /// # Panics
    /// If a heartbeat says anything else.
    pub async fn hears_of_rebalance(&self) {
        wait_until(&format!("{} hears of a rebalance of {}", self.id, self.group), async || {
            match self.heartbeat().await {
                None => None,
                Some(ResponseError::RebalanceInProgress) => Some(()),
                Some(other) => panic!("{other:?} upon a heartbeat"),
            }
        })
        .await;
    }
}

/// The error of a LeaveGroup with one member: on top, else about the member.
fn left(answer: LeaveGroupResponse, version: i16) -> Option<ResponseError> {
    match error(answer.error_code) {
        None if version >= 3 => error(only(answer.members).error_code),
        whole => whole,
    }
}

/// What a leader gives a member: something that nobody else gets.
pub fn part_of(member: &str, generation: i32) -> Bytes {
    Bytes::from(format!("part of {member} in generation {generation}"))
}

/// What a leader gives everybody who joined. Empty for all others.
pub fn parts(joined: &JoinGroupResponse) -> Vec<(String, Bytes)> {
    let part = |member: &str| (member.to_owned(), part_of(member, joined.generation_id));
    joined.members.iter().map(|member| part(&member.member_id)).collect()
}

/// Has members join a rebalance together, the leader assign, and everybody get its part. The group must be new, or
/// waiting for just these to join.
///
/// # Panics
/// If they do not all end up in one generation, led by one of them who was told of all of them.
pub async fn rebalance(members: &mut [ClassicMember]) {
    let mut pending = Vec::new();
    for member in members.iter_mut() {
        pending.push(member.start_join().await);
    }
    finish_rebalance(members, pending).await;
}

async fn finish_rebalance(members: &mut [ClassicMember], pending: Vec<PendingAnswer<JoinGroupRequest>>) {
    let mut given = Vec::new();
    for (member, pending) in members.iter_mut().zip(pending) {
        let joined = member.finish_join(pending).await;
        if member.leads() {
            given = parts(&joined);
        }
    }
    assert_eq!(given.len(), members.len(), "one leads, and is told of everybody");
    assert!(members.windows(2).all(|pair| pair[0].generation == pair[1].generation), "{members:?}");
    let mut pending = Vec::new();
    for member in members.iter() {
        let mine: &[(String, Bytes)] = if member.leads() { &given } else { &[] };
        pending.push(member.start_sync(mine).await);
    }
    for (member, pending) in members.iter().zip(pending) {
        let answer = pending.answer().await.expect("SyncGroup is answered");
        assert_eq!(error(answer.error_code), None);
        assert_eq!(answer.assignment, part_of(&member.id, member.generation), "{} gets its part", member.id);
    }
}

/// Has these members, and no others, form a group, one after the other.
pub async fn form(members: &mut [ClassicMember]) {
    for count in 1..=members.len() {
        let (old, new) = members[..count].split_at_mut(count - 1);
        let newcomer = new[0].start_join().await;
        if let Some(first) = old.first() {
            first.hears_of_rebalance().await;
        }
        let mut pending = Vec::new();
        for member in old.iter_mut() {
            pending.push(member.start_join().await);
        }
        pending.push(newcomer);
        finish_rebalance(&mut members[..count], pending).await;
    }
}
