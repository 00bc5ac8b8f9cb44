//! Asks one node, again and again and without waiting for the answers, what it would tell as a leader and as a coordinator,
//! and writes to it.
//!
//! A client that is told of a new leader turns to it, and hears no more of the old one. The prober goes on asking each node
//! for itself. While a node stands still, requests pile up in its sockets; when it goes on, it answers them before it has heard
//! of anything that happened meanwhile: the moment when a deposed leader gives itself away. The same for one that is cut off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use trilog_client::wire::{Connection, ConnectionOptions};

use super::member::GroupProtocol;
use super::payload::first_value;
use super::probe::{Probe, Question};
use super::{ANSWER_WITHIN, Stage};

/// How often a node is asked something.
const INTERVAL: Duration = Duration::from_millis(10);

/// Questions without an answer at a time; further ones are not asked. As many as pile up while a node stands still.
const UNANSWERED: usize = 600;

/// Values of probers begin behind those of producers.
const FIRST_CLIENT: u32 = 1_000;

/// A prober of one node.
#[derive(Debug)]
pub struct Prober {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Prober {
    /// Starts asking a node.
    ///
    /// # Panics
    /// If the stage has no such node.
    pub fn start(stage: &Stage, node: i32) -> Self {
        let (stop, stopped) = watch::channel(false);
        let address = stage.addresses.get(&node).expect("a node of the stage").clone();
        let task = tokio::spawn(ask(stage.clone(), node, address, stopped));
        Self { stop, task }
    }

    /// Asks no more, and waits until everything asked is answered or given up.
    ///
    /// # Panics
    /// If its task panicked.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("a prober's task ends well");
    }
}

/// What is asked of a node in turn.
fn questions(stage: &Stage) -> Vec<Question> {
    let of_records = |partition| {
        [Question::Produce(partition), Question::ListOffsets(partition), Question::Fetch(partition)]
    };
    let of_groups = GroupProtocol::ALL.map(|group| [Question::Offsets(group), Question::Members(group)]);
    let mut questions = Vec::new();
    for partition in 0..stage.partitions {
        questions.extend(of_records(partition));
    }
    questions.extend(of_groups.concat());
    questions.extend([Question::CommitAlone, Question::CommitAsNobody, Question::OffsetsAlone]);
    questions
}

async fn ask(stage: Stage, node: i32, address: String, mut stopped: watch::Receiver<bool>) {
    let client = format!("prober-{node}");
    let number = FIRST_CLIENT + u32::try_from(node).expect("a node's number is positive");
    let mut values = first_value(number)..;
    let questions = questions(&stage);
    let options = ConnectionOptions {
        client_id: client.clone(),
        connect_timeout: Duration::from_secs(1),
        request_timeout: ANSWER_WITHIN,
        ..ConnectionOptions::default()
    };
    let unanswered = Arc::new(Semaphore::new(UNANSWERED));
    let own = node.rem_euclid(stage.partitions);
    let probe = Arc::new(Probe { stage, client, own });
    let mut tasks = JoinSet::new();
    let mut connection: Option<Connection> = None;
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for question in questions.iter().copied().cycle() {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        while tasks.try_join_next().is_some() {}
        let up = match connection.take().filter(|connection| connection.closed().is_none()) {
            Some(connection) => connection,
            None => match Connection::connect(&address, &options).await {
                Ok(connection) => connection,
                Err(_) => continue,
            },
        };
        connection = Some(up.clone());
        let Ok(permit) = Arc::clone(&unanswered).try_acquire_owned() else { continue };
        let (probe, value) = (Arc::clone(&probe), values.next().expect("there are values without end"));
        tasks.spawn(async move {
            probe.ask(&up, question, value).await;
            drop(permit);
        });
    }
    while let Some(asked) = tasks.join_next().await {
        asked.expect("a question ends well");
    }
}
