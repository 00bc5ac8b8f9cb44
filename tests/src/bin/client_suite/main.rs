//! The suite of the client's own: producer, consumer and administration against a cluster that is there already, Trilog's or Apache
//! Kafka's. `tests/compat/run client` starts the cluster and this program.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `COMPAT_BOOTSTRAP` | where the cluster's three nodes listen |
//! | `COMPAT_NODE` | the program that kills and starts nodes: `kill N`, `start N` |
//! | `COMPAT_JAVA` | the program that runs a class of Kafka's tools, for members in Java |
//! | `COMPAT_CLUSTER` | `kafka` or `trilog` |
//!
//! With names as arguments, only these scenarios are played. Most run at once, each on topics and groups of its own; the last ones, of
//! which one kills a node, run at once after them.
//!
//! Transactions are played on Kafka only: Trilog serves none, and refuses `transactional.id` with a sentence that says so. That is what
//! is played there instead.

#![expect(clippy::print_stdout, reason = "what this program has to say")]

mod administration;
mod copy;
mod crowd;
mod expressions;
mod failover;
mod mixed;
mod records;
mod rolling;
mod security;
mod stage;
mod transactions;

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

/// What is played beside these where transactions are served.
const TRANSACTIONS: [Scenario; 6] = [
    ("a-transaction-is-seen-as-a-whole", |stage| Box::pin(transactions::whole(stage))),
    ("a-second-producer-fences-the-first", |stage| Box::pin(transactions::fenced(stage))),
    ("classic-group-refuses-offsets-of-a-zombie", |stage| Box::pin(transactions::zombie(stage, "classic"))),
    ("consumer-group-refuses-offsets-of-a-zombie", |stage| Box::pin(transactions::zombie(stage, "consumer"))),
    ("the-coordinator-aborts-what-takes-too-long", |stage| Box::pin(transactions::timed_out(stage))),
    ("a-transaction-over-many-partitions", |stage| Box::pin(transactions::large(stage))),
];

/// What is played beside these where they are not.
const NO_TRANSACTIONS: [Scenario; 1] =
    [("transactions-are-refused-plainly", |stage| Box::pin(transactions::refused(stage)))];

/// What is played alone, as it breaks the cluster for a while.
const ALONE: Scenario = ("a-node-dies-in-the-middle", |stage| Box::pin(failover::node_dies(stage)));

/// What is played beside that where transactions are served.
const BESIDE: Scenario = ("a-copy-is-made-exactly-once", |stage| Box::pin(copy::exactly_once(stage)));

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

/// Plays scenarios side by side, and returns which of them passed.
fn play_all(scenarios: Vec<Scenario>) -> Vec<bool> {
    let begin = |(name, scenario): Scenario| std::thread::spawn(move || play(name, scenario));
    let threads: Vec<_> = scenarios.into_iter().map(begin).collect();
    threads.into_iter().map(|thread| thread.join().is_ok_and(|passed| passed)).collect()
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let has_transactions = std::env::var("COMPAT_CLUSTER").is_ok_and(|cluster| cluster == "kafka");
    let more = if has_transactions { &TRANSACTIONS[..] } else { &NO_TRANSACTIONS[..] };
    let all = SCENARIOS.into_iter().chain(more.iter().copied());
    let mut outcomes = play_all(all.filter(|(name, _)| is_wanted(name)).collect());
    if is_wanted(ALONE.0) || is_wanted(BESIDE.0) {
        // Together, as the one waits for the node that the other kills.
        let beside = has_transactions.then_some(BESIDE);
        outcomes.extend(play_all([ALONE].into_iter().chain(beside).collect()));
    }
    let failed = outcomes.iter().filter(|passed| !**passed).count();
    println!("{} scenarios, {failed} failed", outcomes.len());
    if failed == 0 && !outcomes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
