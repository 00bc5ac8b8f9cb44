//! What a commit costs: one entry for each of many groups, applied in one batch and synced.
//!
//! ```sh
//! cargo bench -p trilog-storage
//! ```
//!
//! Each line is a store of its own, written to for two seconds: a commit is one entry a group, for as many groups as
//! fit into 4 MiB, in turn. The store is in the directory for temporary files, so `TMPDIR` chooses the disk. The last
//! two columns tell how often a payload byte was written, and how large the store is for each of them; what sled
//! writes twice it writes for good reasons, but it is the first suspect when a figure falls.
#![expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use raft::eraftpb::Entry;
use trilog_storage::ids::RaftGroupId;
use trilog_storage::{Identity, RaftLog, Store, StoreOptions, TailCache, WriteBatch};

const GROUPS: [u64; 3] = [1, 10, 100];
const PAYLOAD_BYTES: [usize; 4] = [100, 1024, 64 * 1024, 1024 * 1024];
/// How long each store is written to.
const DURATION: Duration = Duration::from_secs(2);
/// How much one commit holds at most.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// What was measured of one store.
struct Measured {
    /// How long each commit took, in ascending order.
    commits: Vec<Duration>,
    elapsed: Duration,
    payload_bytes: usize,
    written_bytes: Option<u64>,
    disk_bytes: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "groups  payload  commits/s   entries/s     MB/s    p50 ms    p99 ms    max ms  written  on disk"
    );
    for groups in GROUPS {
        for payload in PAYLOAD_BYTES {
            print_line(groups, payload, &measure(groups, payload)?);
        }
    }
    Ok(())
}

/// Commits to a new store for a while.
fn measure(groups: u64, payload: usize) -> Result<Measured, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let identity = Identity { cluster_id: "bench".to_owned(), node_id: 1 };
    let store = Store::open(dir.path(), &identity, StoreOptions::default())?;
    let tail = TailCache::new(TailCache::DEFAULT_BUDGET_BYTES);
    let mut batch = WriteBatch::new();
    let mut logs: Vec<_> = (1..=groups)
        .map(|group| RaftLog::create(&store, &tail, RaftGroupId(group), &[1, 2, 3], &mut batch))
        .collect();
    store.apply(batch)?;
    store.sync()?;

    let a_commit = (COMMIT_BYTES / payload).clamp(1, logs.len());
    let written_before = written_bytes();
    let started = Instant::now();
    let mut commits = Vec::new();
    let mut turn = 0;
    while started.elapsed() < DURATION {
        let commit_started = Instant::now();
        let mut batch = WriteBatch::new();
        for _ in 0..a_commit {
            let next = turn % logs.len();
            append_one(&mut logs[next], payload, &mut batch)?;
            turn += 1;
        }
        store.apply(batch)?;
        store.sync()?;
        commits.push(commit_started.elapsed());
    }
    let elapsed = started.elapsed();
    commits.sort_unstable();
    let written_bytes = written_bytes().zip(written_before).map(|(after, before)| after - before);
    let measured = Measured {
        commits,
        elapsed,
        payload_bytes: turn * payload,
        written_bytes,
        disk_bytes: store.disk_usage()?,
    };
    assert_eq!(store.blob_files()?, 0, "pages have left the data file");
    Ok(measured)
}

/// Appends one entry to a log, and commits and applies the one before, as a busy leader does.
fn append_one(log: &mut RaftLog, payload: usize, batch: &mut WriteBatch) -> Result<(), Box<dyn Error>> {
    let before = log.last();
    let data = vec![0x5a; payload].into();
    let entries = [Entry { index: before.next().0, term: 1, data, ..Entry::default() }];
    log.append(&entries, batch)?;
    log.set_applied(before, batch);
    log.appended(&entries);
    Ok(())
}

/// How much this process has handed to the operating system to write, where that can be known.
fn written_bytes() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "figures for a table")]
fn print_line(groups: u64, payload: usize, measured: &Measured) {
    let Measured { commits, elapsed, payload_bytes, written_bytes, disk_bytes } = measured;
    let seconds = elapsed.as_secs_f64();
    let bytes = *payload_bytes as f64;
    let milliseconds = |at: usize| commits[at.min(commits.len() - 1)].as_secs_f64() * 1000.0;
    let written = written_bytes.map_or("-".to_owned(), |written| format!("{:.1}", written as f64 / bytes));
    println!(
        "{groups:>6}{payload:>9}{:>11.0}{:>12.0}{:>9.1}{:>10.2}{:>10.2}{:>10.2}{written:>9}{:>9.1}",
        commits.len() as f64 / seconds,
        bytes / payload as f64 / seconds,
        bytes / 1e6 / seconds,
        milliseconds(commits.len() / 2),
        milliseconds(commits.len() * 99 / 100),
        milliseconds(commits.len()),
        *disk_bytes as f64 / bytes,
    );
}
