//! Whatever members of both protocols do in one group, no two of them own one partition, and the group settles: as a
//! classic one if only classic members are left, as a consumer group otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::super::testing::{Client, GROUP, Stage};
use crate::coordinator::request::{
    GroupRequest, GroupResponse, Heartbeat, JoinGroup, JoinProtocol, JoinedGroup, LeaveGroup, LeavingMember,
    SyncGroup,
};
use crate::coordinator::{Generation, GroupErrorCode, GroupSettings, MemberEpoch, MemberId};
use crate::ids::{PartitionIndex, Ticket, TopicId};
use trilog_protocol::consumer_protocol::{Subscription, encode_assignment, parse_assignment};

const TOPIC: &str = "t";

/// How often clients heartbeat.
const INTERVAL: Duration = Duration::from_secs(3);

/// Something that happens. Members are called by number.
#[derive(Clone, Debug)]
enum Event {
    JoinClassic(usize),
    JoinConsumer(usize),
    Step(usize),
    Leave(usize),
    Vanish(usize),
    Grow,
    FailOver,
}

fn event() -> impl Strategy<Value = Event> {
    let member = 0..5_usize;
    prop_oneof![
        3 => member.clone().prop_map(Event::JoinClassic),
        2 => member.clone().prop_map(Event::JoinConsumer),
        12 => member.clone().prop_map(Event::Step),
        2 => member.clone().prop_map(Event::Leave),
        1 => member.prop_map(Event::Vanish),
        1 => Just(Event::Grow),
        1 => Just(Event::FailOver),
    ]
}

/// A client of either protocol.
enum Member {
    Classic(Classic),
    Consumer(Client),
}

/// A classic client. It gives everything up before it joins again, or rebalances cooperatively: it says what it owns, is
/// dealt what nobody else owns, and joins once more when it has given up the rest (KIP-429).
struct Classic {
    cooperative: bool,
    /// Nobody else's, so that ids are drawn from it.
    fresh: u128,
    id: MemberId,
    generation: Generation,
    phase: Phase,
    owned: BTreeSet<(TopicId, PartitionIndex)>,
    /// How many partitions it has dealt out, if it leads.
    dealt: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Out,
    Waiting,
    In,
}

struct Fleet {
    stage: Stage,
    cooperative: bool,
    members: BTreeMap<usize, Member>,
    /// Whose answer is to come.
    asked: BTreeMap<Ticket, usize>,
    tickets: u64,
}

impl Fleet {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::JoinClassic(number) if !self.members.contains_key(number) => {
                self.tickets += 1;
                let classic = Classic {
                    cooperative: self.cooperative,
                    fresh: u128::from(self.tickets) << 64,
                    id: "".into(),
                    generation: Generation(-1),
                    phase: Phase::Out,
                    owned: BTreeSet::new(),
                    dealt: None,
                };
                self.members.insert(*number, Member::Classic(classic));
                self.step(*number);
            }
            Event::JoinConsumer(number) if !self.members.contains_key(number) => {
                self.tickets += 1;
                let client = Client::new(&format!("m{number}-{}", self.tickets), &[TOPIC]);
                self.members.insert(*number, Member::Consumer(client));
                self.step(*number);
            }
            Event::JoinClassic(_) | Event::JoinConsumer(_) => {}
            Event::Step(number) => self.step(*number),
            Event::Leave(number) => self.leave(*number),
            Event::Vanish(number) => {
                self.members.remove(number);
                self.pass(16);
            }
            Event::Grow => self.stage.add_partitions(TOPIC, 1),
            Event::FailOver => self.fail_over(),
        }
        self.no_partition_has_two_owners();
    }

    /// A client does what it has to do next.
    fn step(&mut self, number: usize) {
        let partitions = self.partitions();
        match self.members.get_mut(&number) {
            None => {}
            Some(Member::Consumer(client)) => {
                self.stage.heartbeat(client).expect("a member that does as it is told is not refused");
                self.hear();
            }
            Some(Member::Classic(classic)) => {
                if let Some(request) = classic.next_request(partitions) {
                    self.ask(number, request);
                }
            }
        }
    }

    fn ask(&mut self, number: usize, request: GroupRequest) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.insert(ticket, number);
        self.stage.handle(ticket, request);
        self.hear();
    }

    /// Gives answers to those who asked.
    fn hear(&mut self) {
        let (topic, partitions) = (self.stage.image.topic(TOPIC).unwrap().id, self.partitions());
        while let Some((ticket, response)) = self.stage.answers.pop() {
            let number = self.asked.remove(&ticket).expect("nobody is answered twice");
            // Who has vanished hears nothing, and whoever has come in its place has another id.
            let Some(Member::Classic(classic)) = self.members.get_mut(&number) else { continue };
            if let Some(next) = classic.hear(response, topic, partitions) {
                self.ask(number, next);
            }
        }
    }

    fn partitions(&self) -> usize {
        self.stage.image.topic(TOPIC).unwrap().partitions.len()
    }

    fn leave(&mut self, number: usize) {
        match self.members.remove(&number) {
            None => {}
            Some(Member::Consumer(client)) => {
                let goodbye = Client { epoch: MemberEpoch::LEAVE, ..client };
                self.stage.send(goodbye.request()).expect("a member may leave");
                self.hear();
            }
            Some(Member::Classic(classic)) => {
                let leaving = LeavingMember { member: classic.id, instance: None };
                self.ask(
                    number,
                    GroupRequest::Leave(LeaveGroup { group: GROUP.into(), members: vec![leaving] }),
                );
            }
        }
    }

    /// Time passes, and everybody heartbeats.
    fn pass(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.stage.advance(INTERVAL);
            self.hear();
            for number in self.members.keys().copied().collect::<Vec<_>>() {
                self.step(number);
                self.no_partition_has_two_owners();
            }
        }
    }

    /// Whoever waits is told that the coordinator is another one, and asks again.
    fn fail_over(&mut self) {
        self.stage.fail_over();
        self.asked.clear();
        for member in self.members.values_mut() {
            if let Member::Classic(classic) = member
                && classic.phase == Phase::Waiting
            {
                classic.phase = Phase::Out;
            }
        }
    }

    fn owned(&self) -> impl Iterator<Item = &(TopicId, PartitionIndex)> {
        self.members.values().flat_map(|member| match member {
            Member::Classic(classic) => &classic.owned,
            Member::Consumer(client) => &client.owned,
        })
    }

    fn no_partition_has_two_owners(&self) {
        let mut owned = BTreeSet::new();
        for partition in self.owned() {
            assert!(owned.insert(*partition), "{partition:?} has two owners");
        }
    }

    fn settles(&mut self) {
        self.pass(60);
        let topic = self.stage.image.topic(TOPIC).unwrap();
        let wanted: BTreeSet<_> = topic.indexed_partitions().map(|(index, _)| (topic.id, index)).collect();
        if self.members.is_empty() {
            return;
        }
        assert_eq!(self.owned().copied().collect::<BTreeSet<_>>(), wanted, "everything is owned");
        let is_classic = |member: &Member| matches!(member, Member::Classic(_));
        let state = if self.members.values().all(is_classic) {
            self.stage.coordinator.describe_classic(&GROUP.into()).unwrap().state
        } else {
            self.stage.coordinator.describe_consumer(&GROUP.into()).unwrap().state
        };
        assert_eq!(state, "Stable");
    }
}

impl Classic {
    fn next_request(&mut self, partitions: usize) -> Option<GroupRequest> {
        match self.phase {
            // A leader watches the topics, and joins again to deal them out anew.
            Phase::In if self.dealt.is_some_and(|dealt| dealt != partitions) => Some(self.join()),
            Phase::Waiting => None,
            Phase::Out => Some(self.join()),
            Phase::In => Some(GroupRequest::Heartbeat(Heartbeat {
                group: GROUP.into(),
                member: self.id.clone(),
                instance: None,
                generation: self.generation,
            })),
        }
    }

    fn join(&mut self) -> GroupRequest {
        self.phase = Phase::Waiting;
        self.fresh += 1;
        if !self.cooperative {
            self.owned.clear();
        }
        let owned: Vec<i32> = self.owned.iter().map(|(_, index)| index.0).collect();
        GroupRequest::Join(JoinGroup {
            group: GROUP.into(),
            member: self.id.clone(),
            instance: None,
            client_id: "classic".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 30_000,
            protocol_type: "consumer".into(),
            protocols: vec![JoinProtocol { name: "range".into(), metadata: subscription(&owned).into() }],
            requires_member_id: true,
            supports_skip_assignment: true,
            fresh: Uuid::from_u128(self.fresh),
        })
    }

    /// Follows an answer. What it asks next at once, if anything.
    fn hear(&mut self, response: GroupResponse, topic: TopicId, partitions: usize) -> Option<GroupRequest> {
        match response {
            GroupResponse::Join(joined) => match joined.error {
                None => Some(self.sync(&joined, partitions)),
                Some(GroupErrorCode::MemberIdRequired) => {
                    self.id = joined.member;
                    Some(self.join())
                }
                Some(error) => self.start_over(error),
            },
            GroupResponse::Sync(Ok(synced)) => {
                let assigned = parse_assignment(&synced.assignment).unwrap();
                let indexes = assigned.into_iter().flat_map(|(_, indexes)| indexes);
                let assigned = indexes.map(|index| (topic, PartitionIndex(index))).collect();
                let before = std::mem::replace(&mut self.owned, assigned);
                self.phase = if before.is_subset(&self.owned) { Phase::In } else { Phase::Out };
                None
            }
            GroupResponse::Sync(Err(error)) | GroupResponse::Heartbeat(Err(error)) => self.start_over(error),
            _ => None,
        }
    }

    fn start_over(&mut self, error: GroupErrorCode) -> Option<GroupRequest> {
        match error {
            GroupErrorCode::RebalanceInProgress => {}
            GroupErrorCode::IllegalGeneration => self.owned.clear(),
            GroupErrorCode::UnknownMemberId => {
                self.owned.clear();
                self.id = "".into();
            }
            other => panic!("a member that does as it is told hears {other:?}"),
        }
        self.phase = Phase::Out;
        None
    }

    /// Asks for its assignment. A leader deals the partitions out.
    fn sync(&mut self, joined: &JoinedGroup, partitions: usize) -> GroupRequest {
        self.generation = joined.generation;
        self.dealt = (joined.leader == self.id).then_some(partitions);
        let claims = |place: usize| -> Vec<i32> {
            let claimed = Subscription::parse(&joined.members[place].metadata).unwrap().owned;
            claimed.into_iter().flat_map(|(_, indexes)| indexes).collect()
        };
        let places = 0..joined.members.len();
        let claimed: Vec<Vec<i32>> = places.clone().map(claims).collect();
        let is_free_for = |place: usize, index: i32| {
            claimed.iter().enumerate().all(|(other, indexes)| other == place || !indexes.contains(&index))
        };
        let assignments = places.map(|place| {
            let dealt = (0..partitions).filter(|index| index % claimed.len() == place);
            let dealt = dealt.map(|index| i32::try_from(index).unwrap());
            let indexes = dealt.filter(|index| is_free_for(place, *index)).collect();
            let member = joined.members[place].member.clone();
            (member, encode_assignment(&[(TOPIC.to_owned(), indexes)], 1).into())
        });
        GroupRequest::Sync(SyncGroup {
            group: GROUP.into(),
            member: self.id.clone(),
            instance: None,
            generation: self.generation,
            protocol_type: joined.protocol_type.clone(),
            protocol: joined.protocol.clone(),
            assignments: assignments.collect(),
        })
    }
}

/// A subscription to the one topic there is, in version 1 of the embedded protocol.
fn subscription(owned: &[i32]) -> Vec<u8> {
    let name = [&[0, 1], TOPIC.as_bytes()].concat();
    let mut bytes =
        [&[0, 1, 0, 0, 0, 1], name.as_slice(), &(-1_i32).to_be_bytes(), &[0, 0, 0, 1], &name].concat();
    bytes.extend(u32::try_from(owned.len()).unwrap().to_be_bytes());
    bytes.extend(owned.iter().flat_map(|index| index.to_be_bytes()));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_mixed_group_has_one_owner_for_each_partition(
        cooperative: bool,
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let settings = GroupSettings { initial_rebalance_delay: Duration::ZERO, ..GroupSettings::default() };
        let stage = Stage::new(settings, &[(TOPIC, 4)]);
        let mut fleet = Fleet { stage, cooperative, members: BTreeMap::new(), asked: BTreeMap::new(), tickets: 0 };
        for event in &events {
            fleet.happens(event);
        }
        fleet.settles();
        fleet.stage.fail_over();
    }
}
