//! How to reach a cluster, and its topics.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

/// How long a cluster may take to answer a question about metadata.
pub const METADATA_WITHIN: Duration = Duration::from_secs(10);

/// How long the partitions of a new topic may take to get leaders.
const LEADERS_WITHIN: Duration = Duration::from_secs(60);

/// Where a cluster is, and what the user wants librdkafka to do differently.
pub struct Cluster {
    brokers: String,
    properties: Vec<(String, String)>,
}

impl Cluster {
    /// Reads `NAME=VALUE` properties.
    pub fn new(brokers: String, properties: &[String]) -> Result<Self> {
        let pair = |text: &String| {
            let (name, value) =
                text.split_once('=').with_context(|| format!("-X {text}: NAME=VALUE expected"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(Self { brokers, properties: properties.iter().map(pair).collect::<Result<_>>()? })
    }

    /// The addresses of the brokers.
    pub fn brokers(&self) -> Vec<String> {
        self.brokers.split(',').map(str::to_owned).collect()
    }

    /// A client's configuration: what the command needs, overridden by what the user wants.
    pub fn config(&self, base: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in base {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// How many partitions a topic has.
    pub fn partitions(&self, topic: &str) -> Result<i32> {
        let consumer: BaseConsumer = self.config(&[]).create()?;
        let metadata = consumer.fetch_metadata(Some(topic), METADATA_WITHIN)?;
        let topic = metadata.topics().first().context("the topic is not in the answer")?;
        Ok(i32::try_from(topic.partitions().len())?)
    }
}

/// Creates a topic, unless it exists, and waits until each partition has a leader.
pub fn topic(cluster: &Cluster, name: &str, partitions: i32, replicas: i32) -> Result<()> {
    let started = Instant::now();
    let admin: AdminClient<DefaultClientContext> = cluster.config(&[]).create()?;
    let new = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    for result in wait_for(admin.create_topics(&[new], &options))? {
        match result {
            Err((topic, error)) if error != RDKafkaErrorCode::TopicAlreadyExists => bail!("{topic}: {error}"),
            _ => {}
        }
    }
    let answered = started.elapsed();
    let consumer: BaseConsumer = cluster.config(&[]).create()?;
    let wanted = usize::try_from(partitions)?;
    loop {
        let metadata = consumer.fetch_metadata(Some(name), METADATA_WITHIN)?;
        let found = metadata.topics().first().context("the topic is not in the answer")?.partitions();
        if found.len() == wanted && found.iter().all(|one| one.leader() >= 0 && one.error().is_none()) {
            break;
        }
        if started.elapsed() > LEADERS_WITHIN {
            bail!("no leaders after {LEADERS_WITHIN:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    println!(
        r#"{{"command":"topic","partitions":{partitions},"answered_ms":{},"leaders_ms":{}}}"#,
        answered.as_millis(),
        started.elapsed().as_millis()
    );
    Ok(())
}

/// A future to its end on this thread; librdkafka's own threads do the work.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = TaskContext::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
