//! One group with members of this client, of librdkafka and of Java's client: together they read everything.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::stage::{Stage, number, until};

/// Who has read what.
#[derive(Clone, Debug, Default)]
struct Read(Arc<Mutex<Vec<(&'static str, u32)>>>);

impl Read {
    fn note(&self, library: &'static str, number: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((library, number));
    }

    /// How many numbers were read, and by which libraries from the `since`th entry on.
    fn so_far(&self, since: usize) -> (BTreeSet<u32>, BTreeSet<&'static str>, usize) {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = read.iter().map(|(_, number)| *number).collect();
        (numbers, read.iter().skip(since).map(|(library, _)| *library).collect(), read.len())
    }
}

/// A member of Java's client, which prints what it reads.
fn java(stage: &Stage, protocol: &str, read: Read, members: &mut JoinSet<()>) -> Child {
    let program = std::env::var("COMPAT_JAVA").expect("COMPAT_JAVA is set by tests/compat/run");
    let mut arguments = vec!["run".to_owned(), "org.apache.kafka.tools.consumer.ConsoleConsumer".to_owned()];
    for (flag, value) in
        [("--bootstrap-server", stage.bootstrap.as_str()), ("--topic", stage.name), ("--group", stage.name)]
    {
        arguments.extend([flag.to_owned(), value.to_owned()]);
    }
    let mut properties = vec![format!("group.protocol={protocol}"), "auto.offset.reset=earliest".to_owned()];
    if protocol == "classic" {
        // What all three libraries have.
        let class = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        properties.push(format!("partition.assignment.strategy={class}"));
    }
    for property in properties {
        arguments.extend(["--command-property".to_owned(), property]);
    }
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().expect("Java starts");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    members.spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.parse::<u32>().is_ok() {
                read.note("java", number(Some(line.as_bytes())));
            }
        }
    });
    process
}

fn librdkafka(stage: &Stage, protocol: &str, read: Read, members: &mut JoinSet<()>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &stage.bootstrap).set("group.id", stage.name);
    config.set("group.protocol", protocol).set("auto.offset.reset", "earliest");
    if protocol == "classic" {
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    let consumer: StreamConsumer = config.create().expect("librdkafka takes the settings");
    consumer.subscribe(&[stage.name]).expect("librdkafka takes the topic");
    members.spawn(async move {
        loop {
            // Errors are about connections that come and go.
            if let Ok(message) = consumer.recv().await {
                read.note("librdkafka", number(message.payload()));
            }
        }
    });
}

fn own(stage: &Stage, protocol: &str, read: Read, members: &mut JoinSet<()>) {
    let mut consumer = stage.consumer(&[("group.protocol", protocol)]);
    consumer.subscribe([stage.name]).expect("it has a group");
    members.spawn(async move {
        loop {
            let batch = consumer.poll().await.expect("records");
            batch.records.iter().for_each(|record| read.note("own", number(record.value.as_deref())));
        }
    });
}

/// Records come all the time; each library gets some, and nothing is missing.
pub(crate) async fn group(stage: Stage, protocol: &'static str) {
    stage.topic(6).await;
    let (read, mut members) = (Read::default(), JoinSet::new());
    own(&stage, protocol, read.clone(), &mut members);
    librdkafka(&stage, protocol, read.clone(), &mut members);
    let mut java = java(&stage, protocol, read.clone(), &mut members);
    let mut sent = 0;
    let mut since = 0;
    // A rebalance may come in between: what counts is what is read by three at once in the end.
    until("all three libraries read side by side", async || {
        stage.send(sent..sent + 120).await;
        sent += 120;
        let all = timeout(Duration::from_secs(2), async {
            loop {
                let (numbers, _, _) = read.so_far(0);
                if numbers.len() == usize::try_from(sent).ok()? {
                    return Some(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let complete = all.await.ok().flatten().is_some();
        let (_, libraries, length) = read.so_far(since);
        since = length;
        (complete && libraries.len() == 3).then_some(())
    })
    .await;
    // One of them leaves, and the others take over.
    java.kill().await.expect("it can be killed");
    stage.send(sent..sent + 120).await;
    sent += 120;
    until("the others take over", async || {
        (read.so_far(0).0.len() == usize::try_from(sent).ok()?).then_some(())
    })
    .await;
    members.shutdown().await;
}
