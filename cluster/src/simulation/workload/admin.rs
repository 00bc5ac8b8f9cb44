//! Whoever sets the cluster up: registers the nodes, makes the topics, and all the while makes and deletes others.

use std::collections::VecDeque;

use uuid::Uuid;

use super::{Client, Desk};
use crate::controller::topic_name::CONSUMER_OFFSETS;
use crate::controller::{
    Broker, ControllerRequest, ControllerResponse, CreateTopics, DeleteTopics, ErrorCode, Listener, NewTopic,
    TopicRef,
};
use crate::ids::{NodeId, RaftGroupId, Ticket};
use crate::simulation::burden::Burden;
use crate::simulation::call::{Answer, Call};
use crate::simulation::random::Random;

/// The topics that stay: name, partitions, replicas. One loses a majority with any node, one with one node.
const LASTING: [(&str, i32, i16); 4] =
    [("orders", 2, 3), (CONSUMER_OFFSETS, 2, 3), ("pair", 1, 2), ("lone", 1, 1)];

/// How many partitions a topic has that weighs on a simulation.
const MANY: (u64, u64) = (200, 400);

/// How many topics come and go.
const PASSING: u32 = 8;

/// See the module's documentation.
pub(super) struct Admin {
    /// What is to be done, in this order, each until it is.
    plan: VecDeque<ControllerRequest>,
    asked: Option<Ticket>,
}

impl Admin {
    pub(super) fn new(burden: Burden, random: &mut Random) -> Self {
        let many = (burden == Burden::ManyPartitions).then(|| {
            let partitions = random.between(MANY.0, MANY.1);
            ("many", i32::try_from(partitions).expect("a small number"), 3)
        });
        let lasting = LASTING.into_iter().chain(many);
        let lasting = lasting.map(|(name, partitions, replicas)| create(name, partitions, replicas));
        let passing = (1..=PASSING).flat_map(|number| {
            let name = format!("passing-{number}");
            [create(&name, 1, 3), delete(name)]
        });
        Self { plan: (1..=3).map(register).chain(lasting).chain(passing).collect(), asked: None }
    }
}

impl Client for Admin {
    fn wake(&mut self, desk: &mut Desk<'_>) {
        if self.asked.is_some() || self.is_done() {
            return;
        }
        if let Some(request) = self.plan.front() {
            self.asked = Some(desk.ask_leader(RaftGroupId::CONTROLLER, Call::Control(request.clone())));
        }
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, desk: &mut Desk<'_>) {
        if self.asked != Some(ticket) {
            return;
        }
        self.asked = None;
        if let Answer::Controlled(Ok(response)) = &answer
            && is_done(response)
        {
            self.plan.pop_front();
        }
        match self.plan.front() {
            // Time for somebody to use the topic.
            Some(ControllerRequest::DeleteTopics(_)) if !desk.ending => desk.wake_within(100, 2_000),
            _ => desk.wake_within(5, 50),
        }
    }

    fn is_done(&self) -> bool {
        self.plan.is_empty()
    }
}

fn register(node: u32) -> ControllerRequest {
    ControllerRequest::RegisterBroker(Broker {
        node: NodeId(node),
        incarnation: Uuid::from_u128(node.into()),
        listeners: vec![Listener { name: "PLAINTEXT".into(), host: "127.0.0.1".into(), port: 9092 }],
        rack: None,
    })
}

fn create(name: &str, num_partitions: i32, replication_factor: i16) -> ControllerRequest {
    let topic = NewTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    ControllerRequest::CreateTopics(CreateTopics { topics: vec![topic], validate_only: false })
}

fn delete(name: String) -> ControllerRequest {
    ControllerRequest::DeleteTopics(DeleteTopics { topics: vec![TopicRef::Name(name)] })
}

/// Whether what was asked for has happened, now or by an earlier attempt.
fn is_done(response: &ControllerResponse) -> bool {
    match response {
        ControllerResponse::RegisterBroker(outcome) => outcome.is_ok(),
        ControllerResponse::CreateTopics(topics) => topics.iter().all(|topic| match &topic.outcome {
            Ok(_) => true,
            Err(error) => error.code == ErrorCode::TopicAlreadyExists,
        }),
        ControllerResponse::DeleteTopics(topics) => topics.iter().all(|topic| match &topic.outcome {
            Ok(_) => true,
            Err(error) => error.code == ErrorCode::UnknownTopicOrPartition,
        }),
        _ => true,
    }
}
