//! Three nodes in one thread, and one seed that decides everything else: the network, the disks, the clocks, what breaks
//! and when, and what clients do meanwhile.
//!
//! Shards are real, and so are their stores; only the driver around them is played by hand, since it is where threads,
//! clocks and sockets would come in. What happens is held against the [invariants] at every step; at the end the faults
//! stop, and what must come true does so within a [bounded time](liveness). The same seed gives the same [trace], so
//! whatever was found once is found again.
//!
//! ```text
//! SIMULATION_SEEDS=5000 cargo test --release -p trilog-cluster simulation::tests::seeds -- --nocapture     many seeds
//! SIMULATION_FROM=4711 SIMULATION_SEEDS=1 cargo test -p trilog-cluster simulation::tests::seeds            one of them
//! SIMULATION_TRACE=all                                                                              with all lines
//! ```
//!
//! That the invariants bite is shown by [mutants](mutant): rules broken on purpose, each of which some seed must find.
//!
//! # Operations of several steps
//!
//! A crash may come between any two steps of an operation. Each line below is an operation, its steps, and what lets a
//! crash come between them. A batch is atomic, and a crash drops a suffix of what was not synced, so that two batches are
//! two steps wherever they are written. Thresholds are drawn small, so that each operation happens often.
//!
//! | operation | steps | crossed by |
//! | --- | --- | --- |
//! | create a group | entry applied; batch with the group, one or more rounds later; checkpoint of the metadata | crashes between batches, `every_entries` from 1, `arrivals_per_round` from 1 |
//! | delete a group | entry applied; batch with the tombstone; values blanked and keys removed one by one; tombstone says emptied; checkpoint of the metadata without it | the same, [`Change::Purge`](disk) cut short after any write, `purge_keys` from 1, `purge_pause` |
//! | cut a log | state kept with a checkpoint; command applied; batch that moves the log's beginning; keys removed one by one | the same, `kept_entries` and `kept_bytes` from 0 |
//! | install a snapshot | batch with state, log and hard state; sync; Raft told | crashes between write and sync |
//! | send a snapshot in parts | parts sent; each acknowledged; all put together | the same, and lost frames, between any two parts: `part_bytes` from 40 |
//! | install a snapshot of the metadata | the same; batch that creates and deletes groups | crashes between batches |
//! | readmit a replica | bar written; barrier appended; leave to follow written; barrier applied; bar removed | `Wipe` with any other fault |
//! | reserve slots | blank keys, one by one; batch with the bodies | [`Change::Reservation`](disk): the keys without the batch |
//! | checkpoint | batch with state and applied index; entries behind it replayed | `every_entries` and `every_bytes` small |
//! | forget a producer | entries with steps of time; the ninth after its last batch | `producer.id.expiration.ms` from 2 s, few producers a partition and a node |
//! | start again on a full disk | process gone, room awaited, store opened | `FillDisk`; the new process image: `nemesis --faults full` |

mod aim;
mod breakdown;
mod burden;
mod call;
mod clients;
mod clock;
mod disk;
mod event;
mod fault;
mod handshake;
mod hardship;
mod invariants;
mod liveness;
mod memory;
mod mutant;
mod network;
mod node;
mod observation;
mod random;
mod retention;
mod tests;
mod trace;
mod watch;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::invariants::Violation;
use self::mutant::Mutant;
use self::trace::Trace;
use self::world::World;

/// How a simulation ended.
struct Outcome {
    violation: Option<Violation>,
    digest: u32,
    lines: Vec<String>,
}

/// Plays one seed from beginning to end.
fn play(seed: u64, mutant: Option<Mutant>) -> Outcome {
    let all = std::env::var_os("SIMULATION_TRACE").is_some();
    let mut world = World::new(seed, mutant, Trace::new(all));
    let played = catch_unwind(AssertUnwindSafe(|| world.play()));
    let violation = match played {
        Ok(played) => played.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            Some(Violation { rule: "nothing panics", detail: text.to_owned() })
        }
    };
    let trace = world.trace;
    Outcome { violation, digest: trace.digest(), lines: trace.into_lines() }
}
