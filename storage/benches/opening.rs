//! What it costs to open a store whose process was killed, with and without the page table that was saved meanwhile.
//!
//! ```sh
//! cargo bench -p trilog-storage --bench opening -- --gigabytes 10
//! ```
//!
//! A process fills a store with entries of 32 KiB in 1,000 logs, and is killed. The store is in the directory for temporary
//! files, so `TMPDIR` chooses the disk. Without the table, sled reads its log from where it opened the store before: here from
//! the beginning. The page cache is as the kernel has left it.
#![expect(clippy::print_stdout, reason = "the figures are what the benchmark is for")]

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use raft::eraftpb::Entry;
use trilog_storage::ids::RaftGroupId;
use trilog_storage::{Identity, RaftLog, Store, StoreOptions, TailCache, WriteBatch};

const LOGS: u64 = 1000;
const ENTRY_BYTES: usize = 32 * 1024;
/// How many entries are written, and made durable, at once.
const ENTRIES_A_BATCH: usize = 64;
/// As a node does it.
const SAVE_AFTER_BYTES: u64 = 16 << 20;
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How often a store is opened for each line.
const OPENINGS: usize = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().collect();
    let after = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let gigabytes = after("--gigabytes").map_or(Ok(1), |number| number.parse())?;
    match after("--fill") {
        Some(dir) => fill(Path::new(dir), gigabytes),
        None => measure(gigabytes),
    }
}

/// Fills a store, says so, and waits to be killed.
fn fill(dir: &Path, gigabytes: u64) -> Outcome<()> {
    let store = open(dir)?;
    let tail = TailCache::new(0);
    let mut batch = WriteBatch::new();
    let mut logs: Vec<_> = (1..=LOGS)
        .map(|group| RaftLog::create(&store, &tail, RaftGroupId(group), &[1], &mut batch))
        .collect();
    store.apply(batch)?;
    let (mut saved_at, mut saves, mut saving) = (Instant::now(), 0, Duration::ZERO);
    let entries = usize::try_from(gigabytes * 1_000_000_000)? / ENTRY_BYTES;
    let mut commits = Vec::new();
    for first in (0..entries).step_by(ENTRIES_A_BATCH) {
        let began = Instant::now();
        let mut batch = WriteBatch::new();
        for entry in first..first + ENTRIES_A_BATCH {
            let count = logs.len();
            let log = &mut logs[entry % count];
            let index = log.last().0 + 1;
            log.append(
                &[Entry { index, term: 1, data: vec![7; ENTRY_BYTES].into(), ..Entry::default() }],
                &mut batch,
            )?;
        }
        store.apply(batch)?;
        store.sync()?;
        commits.push(began.elapsed());
        if saved_at.elapsed() >= SAVE_EVERY {
            saved_at = Instant::now();
            saves += usize::from(store.save_page_table(SAVE_AFTER_BYTES)?);
            saving += saved_at.elapsed();
        }
    }
    let filling: Duration = commits.iter().sum();
    println!("filled in {filling:.1?}; the table was saved {saves} times in {saving:.1?}");
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn measure(gigabytes: u64) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--fill")
        .arg(dir.path())
        .args(["--gigabytes", &gigabytes.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut told = String::new();
    BufReader::new(child.stdout.take().ok_or("it has an output")?).read_line(&mut told)?;
    child.kill()?;
    child.wait()?;
    let data = fs::metadata(dir.path().join("store/db"))?.len();
    print!("{told}{data} bytes are in the file\ntable   read MiB   open ms   logs ms\n");
    let (path, table) = newest_table(dir.path())?.ok_or("a table was saved")?;
    for _ in 0..OPENINGS {
        put_table(dir.path(), Some((&path, &table)))?;
        print_opening("saved", dir.path())?;
    }
    for _ in 0..OPENINGS {
        put_table(dir.path(), None)?;
        print_opening("none", dir.path())?;
    }
    Ok(())
}

fn print_opening(table: &str, dir: &Path) -> Outcome<()> {
    let began = Instant::now();
    let store = open(dir)?;
    let opened = began.elapsed();
    let tail = TailCache::new(0);
    for group in store.groups()? {
        RaftLog::open(&store, &tail, group)?.ok_or("the log is there")?;
    }
    let read = store.opening_read_bytes().unwrap_or(0) >> 20;
    println!("{table:5} {read:10} {:9} {:9}", opened.as_millis(), (began.elapsed() - opened).as_millis());
    Ok(())
}

fn open(dir: &Path) -> Outcome<Store> {
    let identity = Identity { cluster_id: "bench".to_owned(), node_id: 1 };
    Ok(Store::open(dir, &identity, StoreOptions::default())?)
}

/// sled's page tables.
fn tables(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let files = fs::read_dir(dir.join("store"))?.map(|file| file.map(|file| file.path()));
    let files = files.collect::<io::Result<Vec<_>>>()?;
    Ok(files.into_iter().filter(|path| path.to_string_lossy().contains("/snap.")).collect())
}

fn newest_table(dir: &Path) -> Outcome<Option<(PathBuf, Vec<u8>)>> {
    let newest = tables(dir)?.into_iter().max();
    Ok(newest.map(|path| fs::read(&path).map(|table| (path, table))).transpose()?)
}

/// Leaves this table alone.
fn put_table(dir: &Path, table: Option<(&Path, &[u8])>) -> Outcome<()> {
    for path in tables(dir)? {
        fs::remove_file(path)?;
    }
    if let Some((path, table)) = table {
        fs::write(path, table)?;
    }
    Ok(())
}
