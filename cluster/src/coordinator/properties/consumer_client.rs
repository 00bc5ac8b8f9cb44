//! A member that speaks the consumer protocol (KIP-848): it heartbeats and does as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::client::{BACKOFF, HEARTBEAT_INTERVAL, Identity, Next};
use super::topics::TopicPartition;
use crate::coordinator::{
    ConsumerHeartbeat, ConsumerHeartbeatAnswer, GroupError, GroupErrorCode, GroupRequest, MemberEpoch,
    MemberId, TopicPartitions,
};
use crate::ids::{PartitionIndex, TopicId};

#[derive(Clone, Debug)]
pub(super) struct ConsumerClient {
    member: MemberId,
    epoch: MemberEpoch,
    owned: BTreeSet<TopicPartition>,
    /// What it was told to own and has not yet followed.
    told: Option<BTreeSet<TopicPartition>>,
    /// Whether the coordinator may not know all there is to say.
    says_all: bool,
    /// Whether the coordinator has yet to hear what it owns.
    has_news: bool,
    subscribed: BTreeSet<String>,
    repeats_itself: bool,
    last_request: Option<ConsumerHeartbeat>,
    /// A request that got no answer and is sent again.
    unanswered: Option<ConsumerHeartbeat>,
    /// How long it takes to give partitions up, as it commits before.
    slowness: Duration,
}

impl ConsumerClient {
    pub(super) fn new(identity: &Identity, fresh: Uuid) -> Self {
        let slowness =
            if identity.number.is_multiple_of(2) { Duration::ZERO } else { Duration::from_secs(2) };
        Self {
            member: MemberId::from(format!("c{}-{}", identity.number, fresh.as_u128()).as_str()),
            epoch: MemberEpoch(0),
            owned: BTreeSet::new(),
            told: None,
            says_all: true,
            has_news: true,
            subscribed: BTreeSet::new(),
            repeats_itself: identity.repeats_itself(),
            last_request: None,
            unanswered: None,
            slowness,
        }
    }

    pub(super) fn act(&mut self, identity: &Identity, fresh: Uuid) -> ConsumerHeartbeat {
        let request = self.unanswered.take().unwrap_or_else(|| self.heartbeat(identity, fresh));
        self.last_request = Some(request.clone());
        request
    }

    fn heartbeat(&mut self, identity: &Identity, fresh: Uuid) -> ConsumerHeartbeat {
        if let Some(told) = self.told.take() {
            self.has_news |= told != self.owned;
            self.owned = told;
        }
        let joins = self.epoch == MemberEpoch(0);
        let says_all = std::mem::take(&mut self.says_all) || joins;
        let resubscribes = says_all || self.subscribed != identity.topics;
        self.subscribed.clone_from(&identity.topics);
        let has_news = std::mem::take(&mut self.has_news) || says_all;
        ConsumerHeartbeat {
            rebalance_timeout_ms: if says_all {
                i32::try_from(identity.rebalance_timeout().as_millis()).unwrap()
            } else {
                -1
            },
            topic_names: resubscribes.then(|| identity.topics.iter().cloned().collect()),
            owned: has_news.then(|| by_topic(&self.owned)),
            fresh,
            ..self.request(identity)
        }
    }

    fn request(&self, identity: &Identity) -> ConsumerHeartbeat {
        ConsumerHeartbeat {
            group: identity.group.clone(),
            member: self.member.clone(),
            epoch: self.epoch,
            instance: identity.instance.clone(),
            rack: None,
            rebalance_timeout_ms: -1,
            topic_names: None,
            topic_regex: None,
            assignor: identity.number.is_multiple_of(3).then(|| "range".to_owned()),
            owned: None,
            client_id: format!("client-{}", identity.number),
            client_host: "/127.0.0.1".into(),
            fresh: Uuid::nil(),
        }
    }

    /// A static member leaves for a while, the others for good.
    pub(super) fn leave(&self, identity: &Identity) -> Option<GroupRequest> {
        let epoch = MemberEpoch(if identity.instance.is_some() { -2 } else { -1 });
        let request = ConsumerHeartbeat { epoch, ..self.request(identity) };
        (self.epoch.0 > 0).then_some(GroupRequest::ConsumerHeartbeat(request))
    }

    pub(super) fn lose_answer(&mut self) {
        if self.repeats_itself {
            self.unanswered = self.last_request.clone();
        } else {
            self.says_all = true;
        }
    }

    pub(super) fn hear(
        &mut self,
        identity: &Identity,
        answer: Result<ConsumerHeartbeatAnswer, GroupError>,
    ) -> Next {
        match answer {
            Ok(answer) => {
                assert_eq!(answer.member, self.member, "members keep the ids that they bring");
                self.epoch = answer.epoch;
                self.told = answer.assignment.map(|assignment| partitions(&assignment));
                let has_to_follow = self.told.as_ref().is_some_and(|told| *told != self.owned);
                let resubscribed = self.subscribed != identity.topics;
                let wait = if has_to_follow || resubscribed { self.slowness } else { HEARTBEAT_INTERVAL };
                Next::After(wait)
            }
            Err(error) => self.refused(identity, &error),
        }
    }

    fn refused(&mut self, identity: &Identity, error: &GroupError) -> Next {
        match error.code {
            GroupErrorCode::FencedMemberEpoch | GroupErrorCode::UnknownMemberId => {
                self.epoch = MemberEpoch(0);
                self.owned.clear();
                self.told = None;
                Next::After(BACKOFF)
            }
            // Another one is in its place, or there is no room, or its group is gone, or is none of this protocol any more:
            // as with real clients, that is for somebody else to look at.
            GroupErrorCode::FencedInstanceId
            | GroupErrorCode::UnreleasedInstanceId
            | GroupErrorCode::GroupMaxSizeReached
            | GroupErrorCode::GroupIdNotFound => Next::Stop,
            _ => panic!("client {} is refused: {error}", identity.number),
        }
    }

    pub(super) fn member(&self) -> (MemberId, i32) {
        (self.member.clone(), self.epoch.0)
    }

    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// What it was told to own and has not yet followed.
    pub(super) fn told(&self) -> Option<&BTreeSet<TopicPartition>> {
        self.told.as_ref()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.epoch.0 > 0 && self.told.as_ref().is_none_or(|told| *told == self.owned)
    }
}

fn partitions(assignment: &[TopicPartitions]) -> BTreeSet<TopicPartition> {
    assignment.iter().flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic, *index))).collect()
}

fn by_topic(owned: &BTreeSet<TopicPartition>) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<TopicId, Vec<PartitionIndex>> = BTreeMap::new();
    for (topic, index) in owned {
        topics.entry(*topic).or_default().push(*index);
    }
    topics.into_iter().map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect()
}
