//! Many seeds, the same seed twice, and mutants.

use std::sync::atomic::{AtomicU64, Ordering};

use super::invariants::Violation;
use super::mutant::Mutant;
use super::play;

/// How many seeds every test run plays.
const SEEDS: u64 = 200;

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |given| given.parse().unwrap_or_else(|_| panic!("{variable} is not a number")))
}

fn report(seed: u64, violation: &Violation, lines: &[String]) -> String {
    format!(
        "{}\n\nseed {seed}: {}: {}\nagain with: SIMULATION_FROM={seed} SIMULATION_SEEDS=1 cargo test -p \
         trilog-cluster simulation::tests::seeds",
        lines.join("\n"),
        violation.rule,
        violation.detail
    )
}

#[test]
fn seeds() {
    let (first, count) = (number("SIMULATION_FROM", 0), number("SIMULATION_SEEDS", SEEDS));
    let next = AtomicU64::new(first);
    let work = || {
        let mut failures = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return failures;
            }
            let outcome = play(seed, None);
            if let Some(violation) = outcome.violation {
                failures.push(report(seed, &violation, &outcome.lines));
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{} of {count} seeds fail:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..3 {
        assert_eq!(play(seed, None).digest, play(seed, None).digest, "seed {seed}");
    }
}

/// How many seeds a mutant has to be found in.
const MUTANT_SEEDS: u64 = 200;

/// Plays seeds until one finds the mutant.
fn finds(mutant: Mutant) {
    let first = number("SIMULATION_FROM", 0);
    let found = (first..MUTANT_SEEDS).find_map(|seed| {
        let violation = play(seed, Some(mutant)).violation?;
        Some(format!("{mutant:?}: seed {seed}: {}: {}", violation.rule, violation.detail))
    });
    println!("{}", found.unwrap_or_else(|| panic!("{mutant:?} is not found in {MUTANT_SEEDS} seeds")));
}

#[test]
fn acknowledging_what_is_not_synced_is_found() {
    finds(Mutant::AcknowledgeUnsynced);
}

#[test]
fn promising_what_is_not_synced_is_found() {
    finds(Mutant::PromiseUnsynced);
}

#[test]
fn flushing_promises_only_is_found() {
    finds(Mutant::FlushPromises);
}

#[test]
fn acknowledging_what_is_not_flushed_is_found() {
    finds(Mutant::AcknowledgeUnflushed);
}

#[test]
fn forgetting_nothing_is_found() {
    finds(Mutant::ForgetNothing);
}

#[test]
fn going_on_after_a_failed_sync_is_found() {
    finds(Mutant::GoOnAfterFailedSync);
}

#[test]
fn answering_unconfirmed_is_found() {
    finds(Mutant::AnswerUnconfirmed);
}

#[test]
fn vouching_for_anybody_is_found() {
    finds(Mutant::VouchForAnybody);
}

#[test]
fn serving_at_once_is_found() {
    finds(Mutant::ServeAtOnce);
}

#[test]
fn trusting_an_empty_disk_is_found() {
    finds(Mutant::TrustEmptyDisk);
}

#[test]
fn readmitting_at_once_is_found() {
    finds(Mutant::ReadmitAtOnce);
}

#[test]
fn ignoring_terms_is_found() {
    finds(Mutant::IgnoreTerms);
}

#[test]
fn a_snapshot_of_now_is_found() {
    finds(Mutant::SnapshotOfNow);
}

#[test]
fn forgetting_truncations_is_found() {
    finds(Mutant::ForgetTruncation);
}

#[test]
fn forgetting_producers_is_found() {
    finds(Mutant::ForgetProducers);
}

#[test]
fn losing_last_answers_is_found() {
    finds(Mutant::LoseLastAnswers);
}

#[test]
fn no_patience_with_a_slow_disk_is_found() {
    finds(Mutant::NoHardship);
}

#[test]
fn not_noting_late_answers_is_found() {
    finds(Mutant::LateUnnoted);
}

#[test]
fn noting_use_at_sweeps_alone_is_found() {
    finds(Mutant::UseUnnoted);
}

#[test]
fn forgetting_refusals_is_found() {
    finds(Mutant::RefuseUnnoted);
}

#[test]
fn confirming_all_members_is_found() {
    finds(Mutant::ConfirmAll);
}

#[test]
fn trusting_wall_clocks_is_found() {
    finds(Mutant::TrustWallClocks);
}
