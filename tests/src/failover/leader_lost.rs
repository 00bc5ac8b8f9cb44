//! A partition's leader is lost without a word: killed, standing still, or cut off.

use std::time::{Duration, Instant};

use super::figure::Figure;
use super::journal::Gap;
use super::stage::{NODES, TOPIC, preferred, set_up, wait_balanced, wait_elected, wait_in_order};
use super::steady_load::{IMPATIENT, SteadyLoad};
use crate::cluster::{Cluster, ClusterOptions};

/// Acknowledgements of the new leader after which a gap is over, and of the old one before a fault.
const STEADY: usize = 60;

/// What a producer may wait when a leader's process is killed: half of the times, and each time.
const HALF_OF_KILLS: Duration = Duration::from_millis(50);
const WORST_OF_A_KILL: Duration = Duration::from_millis(250);

/// Lines of each node's log that explain a gap.
const LAST_LINES: usize = 12;

/// How the leader is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL: its connections are reset.
    Kill,
    /// SIGSTOP: it keeps its connections and says nothing.
    Pause,
    /// It is cut off from the other nodes, in both directions, and not from its clients.
    Cut,
}

/// The figures of one kind of fault.
struct Figures {
    /// The longest time without an acknowledgement of the partition.
    gap: Figure,
    /// Until another node knows another leader.
    elected: Figure,
    /// From the start of a killed node's process until every leader is where it was.
    balance: Figure,
}

/// See [`Scenario::run`](super::Scenario::run).
pub async fn run(fault: Fault, rounds: usize) -> Vec<Figure> {
    let mut figures = Figures::new(fault);
    let cluster_options = ClusterOptions::nodes(3);
    let (options, settings) = match fault {
        Fault::Kill => (cluster_options, &[][..]),
        Fault::Pause => (cluster_options, &IMPATIENT[..]),
        Fault::Cut => (cluster_options.links(), &IMPATIENT[..]),
    };
    let mut cluster = set_up(options).await;
    let load = SteadyLoad::start(&cluster, TOPIC, NODES, settings);
    for round in 0..rounds {
        one_round(&mut cluster, &load, fault, round % NODES, &mut figures).await;
        load.verify(&cluster).await;
        eprintln!("round {}: {} (elected {})", round + 1, figures.gap.last(), figures.elected.last());
    }
    assert_eq!(load.failures(), 0, "idempotent producers try again until it is done");
    match fault {
        Fault::Kill => vec![figures.gap, figures.elected, figures.balance],
        Fault::Pause | Fault::Cut => vec![figures.gap, figures.elected],
    }
}

async fn one_round(
    cluster: &mut Cluster,
    load: &SteadyLoad,
    fault: Fault,
    partition: usize,
    figures: &mut Figures,
) {
    wait_in_order(cluster, partition).await;
    load.wait_acknowledged(partition, Instant::now(), STEADY).await;
    let victim = preferred(partition);
    let witness = cluster.connect(preferred((partition + 1) % NODES)).await;

    let struck = Instant::now();
    match fault {
        Fault::Kill => cluster.kill(victim),
        Fault::Pause => cluster.pause(victim),
        Fault::Cut => cluster.links().cut_off(victim),
    }
    let elected = wait_elected(&witness, partition, victim).await;
    load.wait_acknowledged(partition, elected, STEADY).await;
    let gap = load.widest_gap(partition, struck);
    let names_it = |line: &str| {
        line.contains(&format!("{TOPIC} [{partition}]: leader"))
            && line.contains(&format!("-> leader {victim} epoch"))
    };
    if fault == Fault::Kill && load.said_between(struck, elected).lines().any(names_it) {
        // Its next look is that of a timer, once a second.
        eprintln!("the client was told of the dead leader");
    }
    figures.gap.add_time(gap.length);
    figures.elected.add_time(elected - struck);
    if fault == Fault::Kill && gap.length > WORST_OF_A_KILL {
        explain(cluster, load, struck, gap);
    }

    match fault {
        Fault::Kill => {
            let returned = Instant::now();
            cluster.start_node(victim);
            wait_balanced(cluster, &witness).await;
            figures.balance.add_time(returned.elapsed());
        }
        Fault::Pause => cluster.resume(victim),
        Fault::Cut => cluster.links().heal_all(),
    }
}

/// Tells what the client and the nodes said when a gap was too wide.
fn explain(cluster: &Cluster, load: &SteadyLoad, struck: Instant, gap: Gap) {
    let began = if gap.began < struck { struck - gap.began } else { gap.began - struck };
    let word = if gap.began < struck { "before" } else { "after" };
    eprintln!("a gap of {:?} that began {began:?} {word} the kill, {:?} ago", gap.length, struck.elapsed());
    eprintln!("ms since the kill, and what the client said:");
    eprint!("{}", load.said_between(struck, gap.began + gap.length));
    for id in cluster.started() {
        let log = cluster.node(id).log();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("node {id} said last:");
        lines[lines.len().saturating_sub(LAST_LINES)..].iter().for_each(|line| eprintln!("  {line}"));
    }
}

impl Figures {
    fn new(fault: Fault) -> Self {
        let silent = (Duration::from_millis(1_200), Duration::from_millis(2_500));
        let (name, p50, worst) = match fault {
            Fault::Kill => ("leader killed (SIGKILL)", HALF_OF_KILLS, WORST_OF_A_KILL),
            Fault::Pause => ("leader paused (SIGSTOP)", silent.0, silent.1),
            Fault::Cut => ("leader cut off from both others", silent.0, silent.1),
        };
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        Self {
            gap: Figure::at_most_ms(
                format!("{name}: gap in a producer's acknowledgements"),
                Some(ms(p50)),
                ms(worst),
            ),
            elected: Figure::explaining_ms(format!("{name}: until another leader is known")),
            balance: Figure::at_most_ms(
                "node returns after SIGKILL: until leaders are in balance",
                None,
                10_000.0,
            ),
        }
    }
}
