//! The client's TLS and SASL against a node of Apache Kafka whose listeners require them. `tests/compat/secured/run` makes the certificates,
//! starts the node and this program.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `SECURED_PORT` | the first of the listeners' ports, see `Listener` |
//! | `SECURED_HOME` | where the certificates and keys are |
//! | `SECURED_TRILOG` | the executable `trilog` |
//!
//! With names as arguments, only these scenarios are played, one after the other.

#![expect(clippy::print_stdout, reason = "what this program has to say")]

mod commands;
mod confusion;
mod renewal;
mod sasl;
mod stage;
mod tls;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::time::timeout;

/// How long a scenario may take: far longer than any needs.
const PATIENCE: Duration = Duration::from_secs(120);

type Played = Pin<Box<dyn Future<Output = ()>>>;

/// A scenario's name, and what plays it.
type Scenario = (&'static str, fn() -> Played);

const SCENARIOS: [Scenario; 9] = [
    // Before all others: it makes the users.
    ("users-are-made", || Box::pin(stage::users())),
    ("records-go-through-tls", || Box::pin(tls::records())),
    ("a-broker-that-is-not-trusted-is-refused", || Box::pin(tls::refused())),
    ("a-broker-that-requires-a-certificate-gets-it", || Box::pin(tls::mutual())),
    ("each-mechanism-authenticates-every-client", || Box::pin(sasl::mechanisms())),
    ("a-wrong-password-is-told-at-once", || Box::pin(sasl::wrong_password())),
    ("sessions-are-renewed-under-load", || Box::pin(renewal::under_load())),
    ("the-wrong-protocol-is-told-with-the-right-one", || Box::pin(confusion::protocols())),
    ("commands-read-the-settings-of-a-file", || Box::pin(commands::files())),
];

fn play(name: &str, scenario: fn() -> Played) -> bool {
    let started = Instant::now();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system gives a runtime");
    let played = || runtime.block_on(async { timeout(PATIENCE, scenario()).await.is_ok() });
    let outcome = catch_unwind(AssertUnwindSafe(played));
    runtime.shutdown_background();
    let seconds = started.elapsed().as_secs_f32();
    match outcome {
        Ok(true) => println!("passed  {name}, {seconds:.1} s"),
        Ok(false) => println!("FAILED  {name}: it is not over after {PATIENCE:?}"),
        Err(_) => println!("FAILED  {name}, {seconds:.1} s: it panicked, see above"),
    }
    outcome.unwrap_or_default()
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let played: Vec<bool> = SCENARIOS
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, scenario)| play(name, *scenario))
        .collect();
    let failed = played.iter().filter(|passed| !**passed).count();
    println!("{} scenarios, {failed} failed", played.len());
    if failed == 0 && !played.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
