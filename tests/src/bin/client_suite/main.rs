//! The suite of the client's own: producer, consumer and administration against a cluster that is there already, Trilog's or Apache
//! Kafka's. `tests/compat/run client` starts the cluster and this program.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `COMPAT_BOOTSTRAP` | where the cluster's three nodes listen |
//! | `COMPAT_NODE` | the program that kills and starts nodes: `kill N`, `start N` |
//! | `COMPAT_JAVA` | the program that runs a class of Kafka's tools, for members in Java |
//!
//! With names as arguments, only these scenarios are played. All but the last run at once, each on topics and groups of its own; the
//! last kills a node.

#![expect(clippy::print_stdout, reason = "what this program has to say")]

mod administration;
mod crowd;
mod expressions;
mod failover;
mod mixed;
mod records;
mod rolling;
mod security;
mod stage;

use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::time::timeout;

use self::stage::Stage;

/// How long a scenario may take: far longer than any needs.
const PATIENCE: Duration = Duration::from_secs(150);

type Played = Pin<Box<dyn Future<Output = ()>>>;

/// A scenario's name, and what plays it.
type Scenario = (&'static str, fn(Stage) -> Played);

/// What is played side by side.
const SCENARIOS: [Scenario; 11] = [
    ("records-come-back", |stage| Box::pin(records::come_back(stage))),
    ("classic-group-shares-and-resumes", |stage| Box::pin(records::group_resumes(stage, "classic"))),
    ("consumer-group-shares-and-resumes", |stage| Box::pin(records::group_resumes(stage, "consumer"))),
    ("classic-group-follows-an-expression", |stage| Box::pin(expressions::follow(stage, "classic"))),
    ("consumer-group-follows-an-expression", |stage| Box::pin(expressions::follow(stage, "consumer"))),
    ("administration", |stage| Box::pin(administration::everything(stage))),
    ("classic-group-of-three-libraries", |stage| Box::pin(mixed::group(stage, "classic"))),
    ("consumer-group-of-three-libraries", |stage| Box::pin(mixed::group(stage, "consumer"))),
    ("rolling-restarts-move-little", |stage| Box::pin(rolling::restarts(stage))),
    ("security-that-a-listener-lacks-is-named", |stage| Box::pin(security::lacking(stage))),
    ("a-hundred-members", |stage| Box::pin(crowd::hundred(stage))),
];

/// What is played alone, as it breaks the cluster for a while.
const ALONE: Scenario = ("a-node-dies-in-the-middle", |stage| Box::pin(failover::node_dies(stage)));

/// Plays a scenario on a thread of its own.
fn play(name: &'static str, scenario: fn(Stage) -> Played) -> bool {
    let started = Instant::now();
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("the system gives a runtime");
        let outcome = runtime.block_on(async { timeout(PATIENCE, scenario(Stage::of(name))).await });
        runtime.shutdown_background();
        outcome.is_ok()
    });
    let outcome = match thread.join() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("it is not over after {PATIENCE:?}")),
        Err(_) => Err("it panicked, see above".to_owned()),
    };
    let seconds = started.elapsed().as_secs_f32();
    match &outcome {
        Ok(()) => println!("passed  {name}, {seconds:.1} s"),
        Err(why) => println!("FAILED  {name}, {seconds:.1} s: {why}"),
    }
    outcome.is_ok()
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let side_by_side = SCENARIOS.into_iter().filter(|(name, _)| is_wanted(name));
    let threads: Vec<_> =
        side_by_side.map(|(name, scenario)| std::thread::spawn(move || play(name, scenario))).collect();
    let mut outcomes: Vec<bool> =
        threads.into_iter().map(|thread| thread.join().is_ok_and(|passed| passed)).collect();
    if is_wanted(ALONE.0) {
        outcomes.push(play(ALONE.0, ALONE.1));
    }
    let failed = outcomes.iter().filter(|passed| !**passed).count();
    println!("{} scenarios, {failed} failed", outcomes.len());
    if failed == 0 && !outcomes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
