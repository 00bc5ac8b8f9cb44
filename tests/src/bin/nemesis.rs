//! Random rounds: `cargo run --release -p trilog-tests --bin nemesis -- --rounds 20 --seed 1`.
//!
//! Each round has a cluster of its own and a plan drawn from its seed; the next round's seed is the next number. A round that
//! fails is kept: its plan, what was wrong, its history, its nodes' logs and data. The exit code is 1 if any failed.

#![expect(clippy::print_stdout, reason = "what this program has to say")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::sync::Mutex;
use tokio::task::LocalSet;
use trilog_tests::checker::{Violation, check};
use trilog_tests::clock;
use trilog_tests::cluster::Cluster;
use trilog_tests::complete::not_tested;
use trilog_tests::faulty_disk::FaultyDisk;
use trilog_tests::history::{Deed, History, Recorder};
use trilog_tests::nemesis::Family;
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::network::Network;
use trilog_tests::round;
use trilog_tests::small_disk::SmallDisk;
use trilog_tests::workload::MEMBERS_REPLACED;

/// Ill-treats clusters at random and says whether they kept their promises.
#[derive(Debug, Parser)]
struct Options {
    /// How many rounds to play.
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// The seed of the first round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long faults go on in each round, in seconds.
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// What may happen; without it, everything that this machine allows.
    #[arg(long, value_enum, value_delimiter = ',')]
    faults: Vec<Family>,
    /// What an acknowledgement waits for; without it, the seed decides. With `relaxed`, power cuts of most nodes may lose what was
    /// acknowledged shortly before, and nothing else.
    #[arg(long, value_enum)]
    durability: Option<Durability>,
    /// Where rounds that fail are kept.
    #[arg(long, default_value = "nemesis-failures")]
    keep: PathBuf,
    /// Only judge the history in this file, and play nothing.
    #[arg(long)]
    check: Option<PathBuf>,
}

/// What an acknowledgement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Durability {
    /// The disks of most nodes.
    Sync,
    /// The kernels of most nodes.
    Relaxed,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(path) = &options.check {
        return judge(path);
    }
    let families = families(&options);
    let mut failed = Vec::new();
    for seed in (options.seed..).take(usize::try_from(options.rounds).unwrap_or(usize::MAX)) {
        if !play(seed, &options, &families).await {
            failed.push(seed);
        }
    }
    println!("{} rounds, {} failed {failed:?}", options.rounds, failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judge(path: &Path) -> ExitCode {
    match History::load(path) {
        Ok(history) => {
            let violations = check(&history);
            tell(&violations);
            println!("{} entries, {} violations", history.entries.len(), violations.len());
            if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            println!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// The faults that are wanted and that this machine allows; what it does not is said aloud.
fn families(options: &Options) -> Vec<Family> {
    let mut families = options.faults.clone();
    if families.is_empty() {
        families.extend(Family::value_variants());
    }
    if families.contains(&Family::Clocks) && clock::library().is_none() {
        not_tested("clocks that jump", &clock::MISSING);
        families.retain(|family| *family != Family::Clocks);
    }
    let disks = if families.contains(&Family::Disks) { SmallDisk::mount(1).err() } else { None };
    if let Some(why) = disks {
        not_tested("disks that fill up (are you root?)", &why);
        families.retain(|family| *family != Family::Disks);
    }
    let faulty = [Family::Power, Family::Devices];
    let wanted = families.iter().any(|family| faulty.contains(family));
    if let Some(why) = wanted.then(FaultyDisk::mount).and_then(Result::err) {
        not_tested("power cuts and disks in trouble (are you root?)", &why);
        families.retain(|family| !faulty.contains(family));
    }
    let network = if families.contains(&Family::Network) { Network::lay(&[]).err() } else { None };
    if let Some(why) = network {
        not_tested("networks in which packets are lost (are you root?)", &why);
        families.retain(|family| *family != Family::Network);
    }
    families
}

/// Plays one round; whether all was well.
async fn play(seed: u64, options: &Options, families: &[Family]) -> bool {
    let mut plan = Plan::random(seed, &[1, 2, 3], Duration::from_secs(options.seconds), families);
    match options.durability {
        Some(Durability::Relaxed) => plan = plan.relaxed(),
        Some(Durability::Sync) => plan.relaxed = false,
        None => {}
    }
    println!("seed {seed}\n{plan}");
    let cluster = Cluster::start(round::options(&plan)).await;
    let recorder = Recorder::default();
    // In a task of its own: what panics on the way is a failure like any other, and its files are wanted more than ever.
    let (task_plan, task_recorder) = (plan.clone(), recorder.clone());
    let cluster = Arc::new(Mutex::new(cluster));
    let task_cluster = Arc::clone(&cluster);
    let here = LocalSet::new();
    let playing = here.spawn_local(async move {
        round::play(&mut *task_cluster.lock().await, "round", &task_plan, &task_recorder).await
    });
    let played = here.run_until(playing).await;
    let history = recorder.history();
    let violations = match played {
        Ok(violations) if violations.is_empty() => {
            println!("  all well: {} entries{}\n", history.entries.len(), forgiven(&history));
            return true;
        }
        Ok(violations) => violations,
        Err(_) => {
            println!("  PANICKED");
            check(&history)
        }
    };
    tell(&violations);
    keep(&options.keep.join(format!("seed-{seed}")), &*cluster.lock().await, &history, &plan, &violations);
    false
}

/// What the client libraries did by faults of their own, in words.
fn forgiven(history: &History) -> String {
    let deeds = || history.entries.iter().map(|entry| &entry.deed);
    let back = deeds().filter(|deed| matches!(deed, Deed::WentBack { .. })).count();
    let mut words = if back == 0 {
        String::new()
    } else {
        format!(", librdkafka went back {back} times by its own fault")
    };
    for deed in deeds() {
        if let Deed::Fault { what } = deed
            && what.starts_with(MEMBERS_REPLACED)
        {
            words.push_str(", ");
            words.push_str(what);
        }
    }
    words
}

/// Violations of which more than a few would say nothing new.
const TOLD: usize = 12;

fn tell(violations: &[Violation]) {
    for violation in violations.iter().take(TOLD) {
        println!("  {violation}");
    }
    if violations.len() > TOLD {
        println!("  and {} more", violations.len() - TOLD);
    }
}

/// Keeps what there is of a round.
fn keep(dir: &Path, cluster: &Cluster, history: &History, plan: &Plan, violations: &[Violation]) {
    let wrong = violations.iter().map(|violation| format!("{violation}\n")).collect::<String>();
    let kept = std::fs::create_dir_all(dir)
        .and_then(|()| history.save(&dir.join("history.jsonl")))
        .and_then(|()| std::fs::write(dir.join("plan.txt"), format!("{plan}\n{wrong}")))
        // By `cp`, as the standard library copies no directories; the nodes may still run, and their data is for looking at.
        .and_then(|()| Command::new("cp").arg("-a").arg(cluster.scratch().path()).arg(dir).status())
        .and_then(|_| keep_own_disks(dir, cluster));
    match kept {
        Ok(()) => println!("  kept in {}\n", dir.display()),
        Err(error) => println!("  could not be kept in {}: {error}\n", dir.display()),
    }
}

/// Keeps the data of nodes that have disks of their own.
fn keep_own_disks(dir: &Path, cluster: &Cluster) -> std::io::Result<()> {
    for id in cluster.ids() {
        let data_dir = cluster.node(id).data_dir();
        if !data_dir.starts_with(cluster.scratch().path()) {
            let kept = dir.join(format!("node-{id}"));
            Command::new("cp").arg("-a").arg(data_dir).arg(kept).status()?;
        }
    }
    Ok(())
}
