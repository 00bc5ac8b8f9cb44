//! Brokers that lie, played against every call of every client.
//!
//! A seed decides what a broker does with each request: an honest answer, one of the right shape that makes no sense, a damaged or
//! cut off one, counts and lengths that lie, answers to other questions, frames that never end, silence, and batches that decompress
//! to more than anybody has. Whatever it is, each call of a client ends with a result or an error, no task panics, and memory stays
//! bounded.

mod broker;
mod calls;
mod sasl;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use self::broker::Liar;

/// How long a call may take before it counts as one that never ends. Its own timeouts are a hundredth of that.
const ENDLESS: Duration = Duration::from_secs(60);

/// How many brokers lie at once.
const AT_ONCE: usize = 24;

/// What the whole process may have taken, in KiB: far above what the tests need, and far below what a lie asks for.
const MOST_MEMORY: u64 = 3 << 20;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics of this test's tasks, which tokio would swallow.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name().is_some_and(|name| name.starts_with("hostile")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            former(panic);
        }));
    });
}

/// The most memory that the process had at a time, in KiB; None where the system does not tell.
fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Plays `seeds` against all clients.
fn play(seeds: std::ops::Range<u64>) {
    count_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("hostile")
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut seeds = seeds.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(seed) = seeds.next()
            {
                running.spawn(one(seed));
            }
            let Some(ended) = running.join_next().await else { break };
            ended.unwrap();
        }
    });
    drop(runtime);
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a task of a client has panicked");
    assert!(most_memory().is_none_or(|most| most < MOST_MEMORY), "{:?} KiB", most_memory());
}

async fn one(seed: u64) {
    let liar = Arc::new(Liar::start(seed).await);
    let address = liar.address();
    let mut calls = JoinSet::new();
    calls::start_all(&address, seed, &mut calls);
    let all = async {
        while let Some(ended) = calls.join_next().await {
            ended.expect("a call neither panics nor is aborted");
        }
    };
    assert!(timeout(ENDLESS, all).await.is_ok(), "seed {seed}: {} calls do not end", calls.len());
}

#[test]
fn a_broker_that_lies_costs_errors_and_nothing_else() {
    let seeds = std::env::var("HOSTILE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(24);
    play(0..seeds);
}
