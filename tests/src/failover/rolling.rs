//! Every node ends in good order and returns, one after the other, under load.

use std::time::{Duration, Instant};

use super::figure::Figure;
use super::stage::{NODES, TOPIC, preferred, set_up, wait_balanced, wait_in_order, wait_moved_back};
use super::steady_load::SteadyLoad;
use crate::cluster::ClusterOptions;

/// Acknowledgements after which a move is over, and before one begins.
const STEADY: usize = 60;

/// Acknowledgements of a partition in about the time of a return, while nothing happens.
const QUIET: usize = 1000;

/// How long ago clients may have felt a move of which the last node hears now.
const HEARD_LATE: Duration = Duration::from_millis(250);

/// See [`Scenario::run`](super::Scenario::run). A round is one node's restart, so that three are a rolling restart of
/// the cluster.
pub async fn run(rounds: usize) -> Vec<Figure> {
    let mut away =
        Figure::at_most_ms("SIGTERM of the leader: gap in a producer's acknowledgements", None, 50.0);
    let mut back =
        Figure::at_most_ms("its return under load: gap on any partition, from the move on", None, 50.0);
    let mut whole = Figure::explaining_ms("its return under load: gap on any partition, from its start on");
    let mut quiet = Figure::explaining_ms("nothing happens for as long: gap on any partition");
    let mut ended = Figure::explaining_ms("SIGTERM: until the process has ended");
    let mut balance =
        Figure::at_most_ms("node returns after SIGTERM: until leaders are in balance", None, 10_000.0);
    let mut cluster = set_up(ClusterOptions::nodes(3)).await;
    let load = SteadyLoad::start(&cluster, TOPIC, NODES, &[]);
    for round in 0..rounds {
        let partition = round % NODES;
        let node = preferred(partition);
        wait_in_order(&cluster, partition).await;
        load.wait_acknowledged(partition, Instant::now(), STEADY).await;
        let began = Instant::now();
        load.wait_acknowledged(partition, began, QUIET).await;
        quiet.add_time(load.widest_gap_of_all(began).length);
        let witness = cluster.connect(preferred((partition + 1) % NODES)).await;

        let asked = Instant::now();
        cluster.stop(node).await;
        ended.add_time(asked.elapsed());
        load.wait_acknowledged(partition, Instant::now(), STEADY).await;
        away.add_time(load.widest_gap_of_all(asked).length);

        let returned = Instant::now();
        cluster.start_node(node);
        let moved = wait_moved_back(&witness, partition).await;
        wait_balanced(&cluster, &witness).await;
        balance.add_time(returned.elapsed());
        load.wait_acknowledged(partition, Instant::now(), STEADY).await;
        back.add_time(load.widest_gap_of_all(moved - HEARD_LATE).length);
        let widest = load.widest_gap_of_all(returned);
        whole.add_time(widest.length);
        load.verify(&cluster).await;
        eprintln!(
            "round {}: quiet {}, away {}, back {} ({} after {} ms), balance {}",
            round + 1,
            quiet.last(),
            away.last(),
            back.last(),
            whole.last(),
            widest.began.saturating_duration_since(returned).as_millis(),
            balance.last()
        );
    }
    assert_eq!(load.failures(), 0, "no error that a client surfaces");
    vec![away, back, whole, quiet, ended, balance]
}
