//! A member of a consumer group (KIP-848), heartbeat by heartbeat.
//!
//! It does what it is told at once: gives up what is no longer assigned to it, takes what is. As it says all it knows in
//! each heartbeat, each answer tells it all of its assignment.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use trilog_client::wire::{ClientError, Connection};
use uuid::Uuid;

use super::Group;
use crate::cluster::connection_options;
use crate::requests::{error, group_id, text, topic_name};
use crate::waiting::wait_until;

/// Partitions by the id of their topic.
pub type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// The member epoch that joins.
pub const JOINS: i32 = 0;
/// The member epoch that leaves for good.
pub const LEAVES: i32 = -1;
/// The member epoch of a static member that leaves for a while.
pub const LEAVES_FOR_A_WHILE: i32 = -2;

/// A member, on a connection of its own.
#[derive(Debug, Clone)]
pub struct ConsumerMember {
    /// To the coordinator.
    pub connection: Connection,
    /// The group's name.
    pub group: String,
    /// Its id.
    pub id: String,
    /// Its static name.
    pub instance: Option<String>,
    /// The epoch it has reached.
    pub epoch: i32,
    /// The topics it wants by name.
    pub topics: Vec<String>,
    /// The topics it wants by pattern.
    pub regex: Option<String>,
    /// The assignor it wants.
    pub assignor: Option<String>,
    /// What it owns.
    pub owned: Partitions,
    /// How long it may take to give partitions up.
    pub rebalance_timeout_ms: i32,
}

impl ConsumerMember {
    /// A new member that wants these topics.
    ///
    /// # Panics
    /// If the coordinator's node does not answer.
    pub async fn new(group: &Group, topics: &[&str]) -> Self {
        let connection = Connection::connect(group.connection.address(), &connection_options()).await;
        Self {
            connection: connection.expect("the coordinator's node answers"),
            group: group.name.clone(),
            id: Uuid::new_v4().to_string(),
            instance: None,
            epoch: JOINS,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            regex: None,
            assignor: None,
            owned: Partitions::new(),
            rebalance_timeout_ms: 60_000,
        }
    }

    /// The same as a static member.
    #[must_use]
    pub fn named(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }

    /// The same wanting this assignor.
    #[must_use]
    pub fn assignor(mut self, assignor: &str) -> Self {
        self.assignor = Some(assignor.to_owned());
        self
    }

    /// The same wanting the topics whose names match, too.
    #[must_use]
    pub fn regex(mut self, regex: &str) -> Self {
        self.regex = Some(regex.to_owned());
        self
    }

    /// Its heartbeat as it is now, with all that it knows.
    pub fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let owned = self.owned.iter().map(|(topic, partitions)| {
            let partitions = partitions.iter().copied().collect();
            TopicPartitions::default().with_topic_id(*topic).with_partitions(partitions)
        });
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group_id(&self.group))
            .with_member_id(text(&self.id))
            .with_member_epoch(self.epoch)
            .with_instance_id(self.instance.as_deref().map(text))
            .with_rebalance_timeout_ms(self.rebalance_timeout_ms)
            .with_subscribed_topic_names(Some(self.topics.iter().map(|name| topic_name(name)).collect()))
            .with_subscribed_topic_regex(self.regex.as_deref().map(text))
            .with_server_assignor(self.assignor.as_deref().map(text))
            .with_topic_partitions(Some(owned.collect()))
    }

    /// Sends a heartbeat and returns the answer, error code and all; takes nothing over.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer.
    pub async fn try_heartbeat(&self) -> Result<ConsumerGroupHeartbeatResponse, ClientError> {
        self.connection.request(self.request()).await
    }

    /// Sends a heartbeat and does what it is told.
    ///
    /// # Panics
    /// If there is no answer, or it is refused.
    pub async fn heartbeat(&mut self) -> ConsumerGroupHeartbeatResponse {
        let answer = self.try_heartbeat().await.expect("ConsumerGroupHeartbeat is answered");
        assert_eq!(error(answer.error_code), None, "{:?}", answer.error_message);
        self.obey(&answer);
        answer
    }

    /// Takes over what an answer tells.
    pub fn obey(&mut self, answer: &ConsumerGroupHeartbeatResponse) {
        self.epoch = answer.member_epoch;
        if let Some(id) = &answer.member_id {
            self.id = id.to_string();
        }
        if let Some(assignment) = &answer.assignment {
            let topics = assignment.topic_partitions.iter();
            let owned = topics.map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect()));
            self.owned = owned.collect();
        }
    }

    /// Leaves for good, or for a while as a static member does.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn leave(&mut self, epoch: i32) {
        self.epoch = epoch;
        let answer = self.try_heartbeat().await.expect("ConsumerGroupHeartbeat is answered");
        assert_eq!((error(answer.error_code), answer.member_epoch), (None, epoch));
        self.owned.clear();
    }

    /// How many partitions it owns.
    pub fn count(&self) -> usize {
        self.owned.values().map(BTreeSet::len).sum()
    }

    /// The partitions of a topic that it owns.
    pub fn owned_of(&self, topic: Uuid) -> Vec<i32> {
        self.owned.get(&topic).into_iter().flatten().copied().collect()
    }
}

/// Has all these members heartbeat in turn until they suit. At no time do two of them own the same partition.
pub async fn beat_until(
    what: &str,
    members: &mut [ConsumerMember],
    suits: impl Fn(&[ConsumerMember]) -> bool,
) {
    wait_until(what, async || {
        for index in 0..members.len() {
            members[index].heartbeat().await;
            assert_one_owner(members);
        }
        suits(members).then_some(())
    })
    .await;
}

/// Has all these members heartbeat until each is in the same epoch and they own as many partitions as told, by member.
pub async fn settle(members: &mut [ConsumerMember], counts: &[usize]) {
    let what = format!("{} members own {counts:?} partitions in one epoch", members.len());
    beat_until(&what, members, |members| {
        let one_epoch = members.windows(2).all(|pair| pair[0].epoch == pair[1].epoch);
        let mut owned = members.iter().map(ConsumerMember::count).collect::<Vec<_>>();
        let mut wanted = counts.to_vec();
        owned.sort_unstable();
        wanted.sort_unstable();
        one_epoch && owned == wanted
    })
    .await;
}

/// Fails if two members own the same partition.
///
/// # Panics
/// If it is so.
fn assert_one_owner(members: &[ConsumerMember]) {
    let mut owners = BTreeMap::new();
    for member in members {
        for (topic, partitions) in &member.owned {
            for partition in partitions {
                let other = owners.insert((topic, partition), &member.id);
                assert_eq!(other, None, "{partition} of {topic} is owned twice, by {} too", member.id);
            }
        }
    }
}
