//! Raw requests and what is answered, the same against Trilog and Apache Kafka. `tests/compat/run differences` starts the cluster and
//! this program:
//!
//! ```console
//! $ differences ANSWERS [SCENARIO…]
//! ```
//!
//! Without names, all scenarios are played but those of `expiry-`, which wait for a minute, and want a cluster with short times:
//! `tests/compat/run expiry`.
//!
//! A scenario asks, and notes each question with its answer. `ANSWERS/SCENARIO.txt` has what Apache Kafka 4.3 answers to each, and
//! what Trilog answers where that is something else, with the reason; see [`answers`].
//!
//! | variable | meaning |
//! | --- | --- |
//! | `COMPAT_BOOTSTRAP` | where the cluster's three nodes listen |
//! | `COMPAT_CLUSTER` | `trilog` or `kafka` |
//! | `REWRITE_ANSWERS` | with `kafka`: writes its answers to the files instead of comparing them |

#![expect(clippy::print_stdout, reason = "what this program has to say")]

mod absent;
mod answers;
mod batches;
mod configs;
mod elections;
mod expiry;
mod groups;
mod log_dirs;
mod members;
mod offsets;
mod producers;
mod reassignments;
mod records;
mod stage;
mod strings;
mod told;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;

use self::answers::Answers;
use self::stage::Stage;

/// How long a scenario may take: far longer than any needs.
const PATIENCE: Duration = Duration::from_secs(240);

type Played = Pin<Box<dyn Future<Output = ()>>>;

/// A scenario's name, and what plays it.
type Scenario = (&'static str, fn(Rc<Stage>) -> Played);

/// All of them are played at once, each on topics and groups of its own.
const SCENARIOS: [Scenario; 19] = [
    ("records-without-keys", |stage| Box::pin(records::without_keys(stage))),
    ("records-that-are-blamed", |stage| Box::pin(records::blamed(stage))),
    ("acknowledgements", |stage| Box::pin(records::acknowledgements(stage))),
    ("batches-that-are-none", |stage| Box::pin(batches::bad(stage))),
    ("delete-records", |stage| Box::pin(offsets::delete_records(stage))),
    ("leader-epochs", |stage| Box::pin(offsets::leader_epochs(stage))),
    ("fetch", |stage| Box::pin(offsets::fetch(stage))),
    ("producer-ids", |stage| Box::pin(producers::ids(stage))),
    ("strings-that-are-not-utf-8", |stage| Box::pin(strings::latin_1(stage))),
    ("groups-of-administrators", |stage| Box::pin(groups::of_administrators(stage))),
    ("groups-of-classic-members", |stage| Box::pin(members::classic(stage))),
    ("groups-of-consumer-members", |stage| Box::pin(members::consumer(stage))),
    ("expiry-of-groups", |stage| Box::pin(expiry::of_groups(stage))),
    ("expiry-of-records", |stage| Box::pin(expiry::of_records(stage))),
    ("settings", |stage| Box::pin(configs::bad(stage))),
    ("log-dirs-and-producers", |stage| Box::pin(log_dirs::bad(stage))),
    ("quorum-and-elections", |stage| Box::pin(elections::bad(stage))),
    ("reassignments", |stage| Box::pin(reassignments::bad(stage))),
    ("what-there-is-none-of", |stage| Box::pin(absent::bad(stage))),
];

/// A scenario that is being played.
struct Playing {
    name: &'static str,
    answers: Rc<Answers>,
    task: JoinHandle<Duration>,
}

fn start((name, scenario): Scenario) -> Playing {
    let answers = Rc::new(Answers::default());
    let noted = Rc::clone(&answers);
    let task = tokio::task::spawn_local(async move {
        let started = Instant::now();
        let played = timeout(PATIENCE, async { scenario(Rc::new(Stage::new(name, noted).await)).await });
        assert!(played.await.is_ok(), "it is not over after {PATIENCE:?}");
        started.elapsed()
    });
    Playing { name, answers, task }
}

/// Waits for a scenario's end and returns whether all answers were right.
async fn judge(playing: Playing, file: &Path) -> bool {
    let Playing { name, answers, task } = playing;
    let ended = task.await;
    let verdict = answers.judge(file, ended.is_ok());
    let seconds = ended.as_ref().map_or(0.0, Duration::as_secs_f32);
    match (ended, verdict) {
        (Ok(_), Ok(())) => {
            println!("passed  {name}, {seconds:.1} s");
            true
        }
        (Err(_), verdict) => {
            println!("FAILED  {name}: it panicked, see above\n{}", verdict.err().unwrap_or_default());
            false
        }
        (Ok(_), Err(why)) => {
            println!("FAILED  {name}, {seconds:.1} s\n{why}");
            false
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("the directory of answers is the first argument"));
    let wanted: Vec<String> = arguments.collect();
    let is_wanted = |name: &str| {
        let is_short = !name.starts_with("expiry-");
        if wanted.is_empty() { is_short } else { wanted.iter().any(|wanted| wanted == name) }
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("the system gives a runtime");
    let (count, failed) = LocalSet::new().block_on(&runtime, async {
        let scenarios = SCENARIOS.into_iter().filter(|(name, _)| is_wanted(name));
        let playing: Vec<_> = scenarios.map(start).collect();
        let (count, mut failed) = (playing.len(), 0);
        for playing in playing {
            let file = directory.join(playing.name).with_extension("txt");
            failed += usize::from(!judge(playing, &file).await);
        }
        (count, failed)
    });
    println!("{count} scenarios, {failed} failed");
    if failed == 0 && count > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
