//! A short round of each fault: clients at work, the fault, and the judgement of the history afterwards.
//!
//! Rounds of a family share a cluster, one after the other; longer ones, in which faults overlap, are played by
//! `cargo run --release -p trilog-tests --bin nemesis`.

mod bites;
mod clocks;
mod disks;
mod links;
mod network;
mod power;
mod processes;
mod promises;

use std::time::Duration;

use trilog_tests::checker::Violation;
use trilog_tests::cluster::Cluster;
use trilog_tests::history::{History, Recorder};
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::round;

/// How long a fault lasts here: longer than a peer that is silent counts as alive, and than clients wait for an answer.
const LASTS: Duration = Duration::from_millis(1_600);

/// Plays a round, in which nothing may be wrong, and returns its history.
async fn play(cluster: &mut Cluster, name: &str, plan: &Plan) -> History {
    let recorder = Recorder::default();
    let violations = round::play(cluster, name, plan, &recorder).await;
    let history = recorder.history();
    if !violations.is_empty() {
        let path = cluster.scratch().join(&format!("{name}.jsonl"));
        history.save(&path).unwrap();
        let texts = violations.iter().map(Violation::to_string).collect::<Vec<_>>();
        panic!("{name}: {texts:#?}\n{plan}history in {}", path.display());
    }
    history
}
