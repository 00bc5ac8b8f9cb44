//! Whatever members, topics and leaders do, no two members own one partition, and the group settles.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::testing::{Client, Stage};
use crate::coordinator::{AssignorName, GroupErrorCode, GroupSettings, MemberEpoch};
use crate::ids::{PartitionIndex, TopicId};

/// Something that happens. Members and topics are called by number.
#[derive(Clone, Debug)]
enum Event {
    Heartbeat(usize),
    LoseAnswer(usize),
    Join(usize, Vec<usize>, bool),
    Subscribe(usize, Vec<usize>, bool),
    Leave(usize),
    LeaveForAWhile(usize),
    Vanish(usize),
    Create(usize),
    Grow(usize),
    Delete(usize),
    FailOver,
}

fn event() -> impl Strategy<Value = Event> {
    let (member, topic) = (0..6_usize, 0..4_usize);
    let topics = proptest::collection::vec(topic.clone(), 0..3);
    prop_oneof![
        12 => member.clone().prop_map(Event::Heartbeat),
        2 => member.clone().prop_map(Event::LoseAnswer),
        4 => (member.clone(), topics.clone(), any::<bool>()).prop_map(|(m, t, p)| Event::Join(m, t, p)),
        2 => (member.clone(), topics, any::<bool>()).prop_map(|(m, t, p)| Event::Subscribe(m, t, p)),
        1 => member.clone().prop_map(Event::Leave),
        1 => member.clone().prop_map(Event::LeaveForAWhile),
        1 => member.prop_map(Event::Vanish),
        2 => topic.clone().prop_map(Event::Create),
        1 => topic.clone().prop_map(Event::Grow),
        1 => topic.prop_map(Event::Delete),
        1 => Just(Event::FailOver),
    ]
}

fn topic_name(topic: usize) -> String {
    format!("t{topic}")
}

/// The clients that believe that they are members. The odd ones are static.
struct Group {
    stage: Stage,
    clients: BTreeMap<usize, Client>,
    joined: u32,
}

impl Group {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Heartbeat(member) => self.heartbeat(*member),
            Event::LoseAnswer(member) => self.lose_answer(*member),
            Event::Join(member, topics, pattern) => self.join(*member, topics, *pattern),
            Event::Subscribe(member, topics, pattern) => self.subscribe(*member, topics, *pattern),
            Event::Leave(member) => self.leave(*member, MemberEpoch::LEAVE),
            Event::LeaveForAWhile(member) if member % 2 == 1 => {
                self.leave(*member, MemberEpoch::LEAVE_FOR_A_WHILE);
            }
            Event::LeaveForAWhile(member) => self.leave(*member, MemberEpoch::LEAVE),
            Event::Vanish(member) => self.vanish(*member),
            Event::Create(topic) if self.stage.image.topic(&topic_name(*topic)).is_none() => {
                self.stage.create_topic(&topic_name(*topic), 3);
            }
            Event::Grow(topic) if self.stage.image.topic(&topic_name(*topic)).is_some() => {
                self.stage.add_partitions(&topic_name(*topic), 2);
            }
            Event::Delete(topic) if self.stage.image.topic(&topic_name(*topic)).is_some() => {
                self.stage.delete_topic(&topic_name(*topic));
            }
            Event::Create(_) | Event::Grow(_) | Event::Delete(_) => {}
            Event::FailOver => self.stage.fail_over(),
        }
        self.no_partition_has_two_owners();
    }

    fn heartbeat(&mut self, member: usize) {
        let Some(client) = self.clients.get_mut(&member) else { return };
        self.stage.heartbeat(client).expect("a member that does as it is told is not refused");
    }

    /// The coordinator hears the member, which does not hear the answer and says it all again.
    fn lose_answer(&mut self, member: usize) {
        let Some(client) = self.clients.get_mut(&member) else { return };
        self.stage.send(client.request()).expect("a member that does as it is told is not refused");
        client.has_news = true;
        self.stage.heartbeat(client).expect("the answer may have been lost");
    }

    fn join(&mut self, member: usize, topics: &[usize], pattern: bool) {
        if self.clients.contains_key(&member) {
            return;
        }
        self.joined += 1;
        let mut client = Client::new(&format!("m{member}-{}", self.joined), &[]);
        client.instance = (member % 2 == 1).then(|| format!("i{member}"));
        client.assignor = Some(if member < 3 { AssignorName::Uniform } else { AssignorName::Range });
        resubscribe(&mut client, topics, pattern);
        match self.stage.heartbeat(&mut client) {
            Ok(_) => {
                self.clients.insert(member, client);
            }
            // Another process holds the instance id until its session is over.
            Err(error) => assert_eq!(error.code, GroupErrorCode::UnreleasedInstanceId),
        }
    }

    fn subscribe(&mut self, member: usize, topics: &[usize], pattern: bool) {
        let Some(client) = self.clients.get_mut(&member) else { return };
        resubscribe(client, topics, pattern);
        self.heartbeat(member);
    }

    fn leave(&mut self, member: usize, epoch: MemberEpoch) {
        let Some(client) = self.clients.remove(&member) else { return };
        self.stage.send(Client { epoch, ..client }.request()).expect("a member may leave");
    }

    /// A member is silent for its whole session, while the others are not.
    fn vanish(&mut self, member: usize) {
        self.clients.remove(&member);
        for _ in 0..4 {
            self.stage.advance(Duration::from_secs(15));
            let members: Vec<usize> = self.clients.keys().copied().collect();
            members.into_iter().for_each(|member| self.heartbeat(member));
        }
    }

    fn no_partition_has_two_owners(&self) {
        let mut owned = BTreeSet::new();
        for partition in self.clients.values().flat_map(|client| &client.owned) {
            assert!(owned.insert(*partition), "{partition:?} has two owners");
        }
    }

    /// Everybody heartbeats until nothing changes; members that never came back are gone by then.
    fn settles(&mut self) {
        self.vanish(usize::MAX);
        for _ in 0..8 {
            let members: Vec<usize> = self.clients.keys().copied().collect();
            members.into_iter().for_each(|member| self.heartbeat(member));
            self.no_partition_has_two_owners();
        }
        let state = self.stage.describe().state;
        assert_eq!(state, if self.clients.is_empty() { "Empty" } else { "Stable" });
        let owned: BTreeSet<_> = self.clients.values().flat_map(|client| client.owned.clone()).collect();
        assert_eq!(owned, self.wanted(), "everything that somebody wants is owned");
    }

    fn wanted(&self) -> BTreeSet<(TopicId, PartitionIndex)> {
        let everything = self.clients.values().any(|client| client.pattern.as_deref() == Some("t.*"));
        let named: BTreeSet<&String> = self.clients.values().flat_map(|client| &client.topics).collect();
        let topics =
            self.stage.image.topics().filter(|topic| everything || named.contains(&topic.name.to_string()));
        topics.flat_map(|topic| topic.indexed_partitions().map(|(index, _)| (topic.id, index))).collect()
    }
}

fn resubscribe(client: &mut Client, topics: &[usize], pattern: bool) {
    client.topics = topics.iter().copied().map(topic_name).collect();
    client.pattern = Some(if pattern { "t.*".to_owned() } else { String::new() });
    client.has_news = true;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn partitions_have_one_owner_and_groups_settle(events in proptest::collection::vec(event(), 1..60)) {
        let stage = Stage::new(GroupSettings::default(), &[("t0", 4)]);
        let mut group = Group { stage, clients: BTreeMap::new(), joined: 0 };
        for event in &events {
            group.happens(event);
        }
        group.settles();
        group.stage.fail_over();
    }
}
