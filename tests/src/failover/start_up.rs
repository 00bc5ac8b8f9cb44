//! Nodes with much on their disks are killed, and start.
//!
//! A thousand partitions with three replicas take gigabytes. Then all nodes are killed at one moment and started, and after that
//! one of them alone. What an opening reads, the nodes tell in their logs: it should not grow with what is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::figure::{Figure, Unit, Wanted};
use super::flood::{Demand, Flood};
use super::stage::wait_balanced;
use crate::admin::NewTopic;
use crate::batch::{BatchBuilder, Record};
use crate::cluster::{Cluster, ClusterOptions};
use crate::waiting::within;

const TOPIC: &str = "archive";
const PARTITIONS: i32 = 1000;

/// Records of 1 KiB a batch. There are many pages, as with many partitions batches are small.
const BATCH: u32 = 32;

/// The node that is killed alone.
const ALONE: i32 = 3;

/// The most that a start may take, and the most that an opening may read: what is allowed to be in the log behind the page
/// table, the table, and some.
const WANTED_MS: f64 = 2000.0;
const WANTED_MIB: f64 = 192.0;

/// How long a start is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often somebody asks meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// See [`Scenario::run`](super::Scenario::run). The rounds share a cluster with so many gigabytes of records on each node, and
/// some are written before each round.
pub async fn run(rounds: usize, gigabytes: u64) -> Vec<Figure> {
    let mut all = Figures::new("all nodes killed and started");
    let mut one = Figures::new("one node killed and started");
    let mut elections = Figure::new(
        "one node killed and started: partitions led elsewhere that elected",
        Unit::Partitions,
        Wanted::AtMost { p50: None, worst: 0.0 },
    );
    let mut repeated = Figure::new(
        "all nodes killed and started: elections beyond one a partition",
        Unit::Elections,
        Wanted::Nothing,
    );
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let connection = cluster.connect_any().await;
    NewTopic::new(TOPIC).partitions(PARTITIONS).create(&connection).await;
    wait_balanced(&cluster, &connection).await;
    for round in 0..rounds {
        let bytes = if round == 0 { gigabytes * 1_000_000_000 } else { 300_000_000 };
        fill(&cluster, bytes).await;
        let before = epochs(&cluster).await;
        let ids = cluster.ids();
        start_again(&mut cluster, &ids, &mut all).await;
        wait_balanced(&cluster, &cluster.connect_any().await).await;

        let after = epochs(&cluster).await;
        repeated.add(repeated_elections(&before, &after));
        let before = after;
        fill(&cluster, 300_000_000).await;
        start_again(&mut cluster, &[ALONE], &mut one).await;
        let after = epochs(&cluster).await;
        let elsewhere = before.iter().filter(|(_, (leader, _))| *leader != ALONE);
        let elected = elsewhere.filter(|(partition, was)| after.get(*partition) != Some(*was)).count();
        elections.add(f64::from(u32::try_from(elected).expect("a thousand at the most")));
        wait_balanced(&cluster, &cluster.connect_any().await).await;
        eprintln!(
            "round {}: {}, elections too many {}; {}; {}",
            round + 1,
            all.last(),
            repeated.last(),
            one.last(),
            elections.last()
        );
    }
    let mut figures = all.into_list();
    figures.push(repeated);
    figures.extend(one.into_list());
    figures.push(elections);
    figures
}

/// The figures of one kind of start.
struct Figures {
    ready: Figure,
    acknowledged: Figure,
    opening: Figure,
    read: Figure,
}

impl Figures {
    fn new(what: &str) -> Self {
        let read = Wanted::AtMost { p50: None, worst: WANTED_MIB };
        Self {
            ready: Figure::at_most_ms(format!("{what}: until they are ready"), None, WANTED_MS),
            acknowledged: Figure::at_most_ms(
                format!("{what}: until the first acknowledgement"),
                None,
                WANTED_MS,
            ),
            opening: Figure::explaining_ms(format!("{what}: until the last store is open")),
            read: Figure::new(format!("{what}: read to open a store"), Unit::Mebibytes, read),
        }
    }

    fn last(&self) -> String {
        let Self { ready, acknowledged, opening, read } = self;
        format!(
            "ready {}, acknowledged {}, opened {}, read {}",
            ready.last(),
            acknowledged.last(),
            opening.last(),
            read.last()
        )
    }

    fn into_list(self) -> Vec<Figure> {
        vec![self.ready, self.acknowledged, self.opening, self.read]
    }
}

/// Writes so many bytes of records.
async fn fill(cluster: &Cluster, bytes: u64) {
    let partitions = usize::try_from(PARTITIONS).expect("a small number");
    let flood = Flood::in_batches_of(BATCH, cluster, TOPIC, partitions, Demand::Limitless);
    while flood.bytes() < bytes {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cluster.assert_alive();
    }
    flood.finish().await;
}

/// Kills these nodes at one moment, starts them, and takes their times.
async fn start_again(cluster: &mut Cluster, ids: &[i32], figures: &mut Figures) {
    let logged: Vec<_> = ids.iter().map(|id| cluster.node(*id).log().len()).collect();
    cluster.kill_at_once(ids);
    let started = Instant::now();
    ids.iter().for_each(|id| cluster.start_node(*id));
    let ready = async {
        for id in ids {
            let node = cluster.node(*id);
            asked(async || node.get("/health/ready").await.filter(|answer| answer.status == 200)).await;
        }
        started.elapsed()
    };
    let acknowledged = async {
        asked(async || acknowledge(cluster, ids).await).await;
        started.elapsed()
    };
    let (ready, acknowledged) = tokio::join!(ready, acknowledged);
    figures.ready.add_time(ready);
    figures.acknowledged.add_time(acknowledged);
    let told = ids.iter().zip(logged).map(|(id, logged)| opened(&cluster.node(*id).log()[logged..]));
    let told: Vec<_> = told.collect();
    let worst = |figure: fn(&Opened) -> f64| told.iter().map(figure).fold(0.0, f64::max);
    figures.opening.add(worst(|opened| opened.milliseconds));
    figures.read.add(worst(|opened| opened.read_mib));
}

/// Asks again and again, at short intervals.
async fn asked<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let answer = within(PATIENCE, async || match ask().await {
        Some(answer) => Some(answer),
        None => {
            tokio::time::sleep(ASK_EVERY).await;
            None
        }
    });
    answer.await.expect("the nodes start in time")
}

/// A record to a partition that one of these nodes leads.
async fn acknowledge(cluster: &Cluster, ids: &[i32]) -> Option<()> {
    let shown = cluster.topic_at(*ids.first()?, TOPIC).await?;
    let led = shown.partitions.iter().find(|row| row.error_code == 0 && row.leader_id.0 > 0)?;
    let partition = cluster.partition_as_led(TOPIC, led.partition_index).await?;
    let answer = partition.try_produce(BatchBuilder::new(vec![Record::new(0, "again")]).build()).await;
    (answer.error_code == 0).then_some(())
}

/// What a node tells of its opening.
#[derive(Debug, PartialEq)]
struct Opened {
    read_mib: f64,
    milliseconds: f64,
}

/// Reads it from a log.
fn opened(log: &str) -> Opened {
    let line = log.lines().find(|line| line.contains("opened the store")).unwrap_or_default();
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!("{name}="))?;
        rest.split(|sign: char| !sign.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse().ok()
    };
    Opened {
        read_mib: field("read_mib").unwrap_or(f64::NAN),
        milliseconds: field("milliseconds").unwrap_or(f64::NAN),
    }
}

/// By how much more than one the leader epochs have grown.
fn repeated_elections(before: &Epochs, after: &Epochs) -> f64 {
    let grown = |(partition, (_, epoch)): (&i32, &(i32, i32))| {
        let (_, was) = before.get(partition)?;
        Some(epoch - was - 1)
    };
    f64::from(after.iter().filter_map(grown).sum::<i32>())
}

/// The leader and its epoch of each partition that has one.
type Epochs = BTreeMap<i32, (i32, i32)>;

async fn epochs(cluster: &Cluster) -> Epochs {
    let shown = cluster.topic(TOPIC).await.expect("the topic is there");
    let rows = shown.partitions.iter().filter(|row| row.leader_id.0 > 0);
    rows.map(|row| (row.partition_index, (row.leader_id.0, row.leader_epoch))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_tells_of_its_opening_is_read_from_its_log() {
        let log =
            "12:00 INFO a line\n12:01 INFO trilog: opened the store read_mib=Some(17) milliseconds=240\n";
        assert_eq!(opened(log), Opened { read_mib: 17.0, milliseconds: 240.0 });
        let log = "12:01 INFO trilog: opened the store read_mib=17 milliseconds=240";
        assert_eq!(opened(log), Opened { read_mib: 17.0, milliseconds: 240.0 });
    }
}
