//! Any file, damaged anywhere: what was synced is read back as it was written, or there is an error.
//!
//! `DAMAGE_ROUNDS=500 cargo test --release -p trilog-storage damage` tries more places than `cargo test` does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::fixture::copy_dir;
use crate::store::lock;

/// Groups of the store that is damaged, each with a log and a record.
const GROUPS: std::ops::RangeInclusive<u64> = 1..=6;

/// How often each group's log and record grow.
const STEPS: u64 = 24;

/// The key of the one record that each group has.
const RECORD: &[u8] = b"state";

/// A store with a history: logs of several groups, some of whose entries were replaced by others, and records that were
/// written again and again. In a directory, with what it holds.
struct History {
    dir: tempfile::TempDir,
    held: BTreeMap<RaftGroupId, Held>,
}

/// How a store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    InGoodOrder,
    Crash,
    /// sled goes through its whole file when it opens, as it does for all that was written since it was last opened, and
    /// leaves out what it cannot read.
    CrashWithoutSnapshot,
}

/// What a group holds.
struct Held {
    terms: Vec<u64>,
    record: Vec<u8>,
}

/// The length of an entry's payload: of several parts, of one, or of none.
fn payload_len(group: RaftGroupId, index: u64) -> usize {
    [50_000, 3_000, 300][usize::try_from((group.0 + index) % 3).unwrap()]
}

impl History {
    /// Writes it and ends in this way.
    fn write(end: End) -> Self {
        let node = Node::new();
        let groups = || GROUPS.map(RaftGroupId);
        let mut logs: Vec<RaftLog> = groups()
            .map(|group| node.apply(|batch| RaftLog::create(&node.store, &node.tail, group, &[1], batch)))
            .collect();
        let mut held: BTreeMap<_, _> =
            groups().map(|group| (group, Held { terms: Vec::new(), record: Vec::new() })).collect();
        for step in 1..=STEPS {
            for log in &mut logs {
                let group = log.group();
                let held = held.get_mut(&group).unwrap();
                // Now and then a later term overrules the last two entries.
                let kept = if step % 5 == 0 { held.terms.len().saturating_sub(2) } else { held.terms.len() };
                held.terms.truncate(kept);
                let first = kept as u64 + 1;
                let entries: Vec<_> =
                    (first..first + 2).map(|index| entry(index, step, payload_len(group, index))).collect();
                held.terms.extend([step, step]);
                held.record =
                    vec![u8::try_from(step).unwrap(); 100 + usize::try_from(step * group.0).unwrap() * 300];
                node.apply(|batch| {
                    log.append(&entries, batch).unwrap();
                    batch.put_record(group, RECORD, held.record.clone());
                });
                log.appended(&entries);
            }
            node.store.sync().unwrap();
        }
        drop(logs);
        let Node { dir, store, .. } = node;
        if end == End::InGoodOrder {
            store.close().unwrap();
        } else {
            // The mark is written once a second; here it is to be as new as it ever is.
            lock(&store.shared.durable).write_now().unwrap();
            drop(store);
        }
        settle(dir.path());
        if end == End::CrashWithoutSnapshot {
            for snapshot in files::snapshots(&dir.path().join("store")).unwrap() {
                fs::remove_file(snapshot).unwrap();
            }
        }
        Self { dir, held }
    }

    /// Opens a damaged copy and compares all of it.
    ///
    /// # Errors
    ///
    /// What was said about the damage.
    fn compare(&self, dir: &Path) -> Result<(), String> {
        let store = open(dir).map_err(|error| error.to_string())?;
        let tail = TailCache::new(0);
        assert_eq!(store.groups().unwrap(), self.held.keys().copied().collect::<Vec<_>>());
        for (group, held) in &self.held {
            let log = RaftLog::open(&store, &tail, *group).map_err(|error| error.to_string())?;
            let log = log.expect("the group is there");
            assert_eq!(log.last(), RaftIndex(held.terms.len() as u64), "{group}: the log is shorter");
            let reader = store.reader(&tail);
            for (index, term) in (1..).zip(&held.terms) {
                let found = reader.entry(*group, RaftIndex(index)).map_err(|error| error.to_string())?;
                let found = found.ok_or_else(|| format!("damaged: {group}: entry {index} is missing"))?;
                assert_eq!(found.to_raft(), entry(index, *term, payload_len(*group, index)), "{group}");
            }
            let record = store.record(*group, RECORD).map_err(|error| error.to_string())?;
            assert_eq!(record.as_ref(), Some(&held.record), "{group}: the record fell back");
        }
        Ok(())
    }
}

/// Numbers that look random, the same each time.
struct Places(u64);

impl Places {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Damages one file of a store; says how.
fn damage(dir: &Path, places: &mut Places) -> String {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir.join("store")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.is_file());
    files.push(dir.join("durable"));
    files.sort();
    // Most of the time it is the data file that is hit, as most of the disk is.
    let data = dir.join("store/db");
    let at = usize::try_from(places.below(files.len() as u64)).unwrap();
    let file = if places.below(10) < 7 { &data } else { &files[at] };
    let mut bytes = fs::read(file).unwrap();
    let len = bytes.len() as u64;
    let from = places.below(len);
    let (from, until) =
        (from, (from + [1, 64, 4096, 1 << 20][usize::try_from(places.below(4)).unwrap()]).min(len));
    let range = usize::try_from(from).unwrap()..usize::try_from(until).unwrap();
    let how = match places.below(4) {
        0 => {
            bytes[range].fill(0);
            "zeroed"
        }
        1 => {
            bytes[range].iter_mut().for_each(|byte| *byte = u8::try_from(places.below(256)).unwrap());
            "scrambled"
        }
        2 => {
            bytes.truncate(range.start);
            "cut off from there"
        }
        _ => {
            bytes[range].iter_mut().for_each(|byte| *byte ^= 0x10);
            "flipped"
        }
    };
    fs::write(file, bytes).unwrap();
    format!("{} of {len} bytes, {from}..{until} {how}", file.display())
}

#[test]
fn damage_anywhere_is_found_or_does_no_harm() {
    let rounds = std::env::var("DAMAGE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(30);
    let histories = [End::InGoodOrder, End::Crash, End::CrashWithoutSnapshot].map(History::write);
    let mut places = Places(7);
    let mut found = 0;
    for round in 0..rounds {
        let history = &histories[round % histories.len()];
        let copy = tempfile::tempdir().unwrap();
        copy_dir(history.dir.path(), copy.path());
        let done = damage(copy.path(), &mut places);
        // The second time sled has tidied up what it found the first time.
        for opening in 1..=2 {
            eprintln!("round {round}, opening {opening}: {done}");
            if let Err(said) = history.compare(copy.path()) {
                assert!(said.contains("damaged") && !said.contains('\n'), "{done}: {said}");
                eprintln!("  {said}");
                found += 1;
            }
        }
    }
    assert!(found > 0, "nothing was ever found");
}
