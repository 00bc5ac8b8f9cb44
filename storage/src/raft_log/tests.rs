//! A log against what raft expects of its storage.

use std::collections::BTreeMap;

use proptest::prelude::*;
use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, Storage, StorageError};

use super::*;
use crate::entry::LogEntry;
use crate::fixture::{Node, entry};
use crate::ids::Offset;
use crate::keys::offset_index::{IndexSpan, OffsetIndexRow};
use crate::keys::raft_entry::{self, Header};
use crate::keys::{Family, slot};
use crate::tail::TailCache;

const GROUP: RaftGroupId = RaftGroupId(3);

fn create(node: &Node) -> RaftLog {
    node.apply(|batch| RaftLog::create(&node.store, &node.tail, GROUP, &[1, 2, 3], batch))
}

fn append(node: &Node, log: &mut RaftLog, entries: &[Entry]) {
    node.apply(|batch| log.append(entries, batch).unwrap());
    log.appended(entries);
}

fn commit_and_apply(node: &Node, log: &mut RaftLog, index: u64) {
    node.apply(|batch| log.set_applied(RaftIndex(index), batch));
}

fn read(log: &RaftLog, low: u64, high: u64) -> raft::Result<Vec<Entry>> {
    log.entries(low, high, u64::MAX, GetEntriesContext::empty(false))
}

fn is(result: raft::Result<impl std::fmt::Debug>, expected: &StorageError) -> bool {
    matches!(result, Err(Error::Store(error)) if error == *expected)
}

/// How many rows of entries this group has, and how many slots hold something.
fn stored(node: &Node) -> (usize, usize) {
    let rows = node.store.scan(&Family::RaftEntry.group_prefix(GROUP));
    let is_entry = |key: &[u8]| raft_entry::decode_key(key).is_some_and(|(_, index)| index.0 > 0);
    let rows = rows.filter(|row| is_entry(&row.as_ref().unwrap().0)).count();
    let slots = node.store.scan(&Family::Slot.group_prefix(GROUP));
    (rows, slots.filter(|slot| !slot.as_ref().unwrap().1.is_empty()).count())
}

/// The same log read from disk, with nothing in memory.
fn from_disk(node: &Node) -> RaftLog {
    RaftLog::open(&node.store, &TailCache::new(0), GROUP).unwrap().unwrap()
}

#[test]
fn a_new_log_is_empty_and_knows_its_members() {
    let node = Node::new();
    for log in [create(&node), from_disk(&node)] {
        let state = log.initial_state().unwrap();
        assert_eq!(state.hard_state, HardState::default());
        assert_eq!(state.conf_state.voters, [1, 2, 3]);
        assert_eq!((log.first_index().unwrap(), log.last_index().unwrap()), (1, 0));
        assert_eq!(log.term(0).unwrap(), 0);
        assert!(is(log.term(1), &StorageError::Unavailable));
    }
    assert!(RaftLog::open(&node.store, &node.tail, RaftGroupId(4)).unwrap().is_none());
}

#[test]
fn entries_are_the_same_from_memory_and_from_disk() {
    let node = Node::new();
    let mut log = create(&node);
    let entries = [entry(1, 1, 0), entry(2, 1, 200_000), entry(3, 2, 10), entry(4, 3, 70_000)];
    append(&node, &mut log, &entries);
    for log in [&log, &from_disk(&node)] {
        assert_eq!(read(log, 1, 5).unwrap(), entries);
        assert_eq!(read(log, 2, 4).unwrap(), entries[1..3]);
        assert!(read(log, 3, 3).unwrap().is_empty());
        let terms: Vec<u64> = (0..=4).map(|index| log.term(index).unwrap()).collect();
        assert_eq!(terms, [0, 1, 1, 2, 3]);
        let bounded = |max| log.entries(1, 5, max, GetEntriesContext::empty(false)).unwrap().len();
        assert_eq!((bounded(0), bounded(1000), bounded(250_000), bounded(u64::MAX)), (1, 1, 3, 4));
    }
    assert_eq!(node.store.groups().unwrap(), [GROUP]);
}

#[test]
fn a_new_leaders_entries_replace_others_with_all_their_parts() {
    let node = Node::new();
    let mut log = create(&node);
    append(&node, &mut log, &[entry(1, 1, 10), entry(2, 1, 300_000), entry(3, 1, 300_000), entry(4, 1, 10)]);
    append(&node, &mut log, &[entry(2, 2, 10)]);
    assert_eq!(log.last(), RaftIndex(2));
    assert_eq!(stored(&node), (2, 0));
    append(&node, &mut log, &[entry(3, 2, 100_000)]);
    for log in [&log, &from_disk(&node)] {
        assert_eq!(read(log, 1, 4).unwrap(), [entry(1, 1, 10), entry(2, 2, 10), entry(3, 2, 100_000)]);
    }
    assert_eq!(stored(&node), (3, 2));
    // Also when the log was opened anew and knows nothing of the entries but their keys.
    let mut log = from_disk(&node);
    append(&node, &mut log, &[entry(3, 3, 10)]);
    assert_eq!(stored(&node), (3, 0));
}

#[test]
fn entries_may_be_replaced_within_one_batch() {
    let node = Node::new();
    let mut log = create(&node);
    node.apply(|batch| {
        log.append(&[entry(1, 1, 10), entry(2, 1, 300_000)], batch).unwrap();
        log.append(&[entry(2, 2, 10), entry(3, 2, 10)], batch).unwrap();
        assert_eq!(log.term(2).unwrap(), 2);
    });
    assert_eq!(stored(&node), (3, 0));
    assert_eq!(read(&from_disk(&node), 1, 4).unwrap(), [entry(1, 1, 10), entry(2, 2, 10), entry(3, 2, 10)]);
}

#[test]
fn terms_of_replaced_entries_are_the_new_ones_at_once() {
    let node = Node::new();
    let mut log = create(&node);
    append(&node, &mut log, &(1..=6).map(|index| entry(index, 1, 10)).collect::<Vec<_>>());
    commit_and_apply(&node, &mut log, 2);
    node.apply(|batch| log.compact(RaftIndex(2), batch).unwrap());
    let mut batch = WriteBatch::new();
    log.append(&[entry(4, 2, 10), entry(5, 2, 10), entry(6, 3, 10)], &mut batch).unwrap();
    let terms: Vec<u64> = (2..=6).map(|index| log.term(index).unwrap()).collect();
    assert_eq!(terms, [1, 1, 2, 2, 3]);
}

#[test]
fn state_survives_and_what_is_applied_is_committed() {
    let node = Node::new();
    let mut log = create(&node);
    append(&node, &mut log, &[entry(1, 4, 10), entry(2, 4, 10)]);
    node.apply(|batch| {
        let hard_state = HardState { term: 4, vote: 2, commit: 1, ..HardState::default() };
        log.set_hard_state(&hard_state, batch);
        log.set_applied(RaftIndex(2), batch);
    });
    for log in [&log, &from_disk(&node)] {
        let state = log.hard_state();
        assert_eq!((state.term, state.vote, state.commit), (4, 2, 2));
        assert_eq!(log.applied(), RaftIndex(2));
    }
}

#[test]
#[should_panic(expected = "would replace a committed one")]
fn a_committed_entry_is_never_replaced() {
    let node = Node::new();
    let mut log = create(&node);
    append(&node, &mut log, &[entry(1, 1, 10), entry(2, 1, 10)]);
    commit_and_apply(&node, &mut log, 2);
    let _ = log.append(&[entry(2, 2, 10)], &mut WriteBatch::new());
}

#[test]
fn compaction_moves_the_beginning_at_once_and_the_keys_go_bit_by_bit() {
    let node = Node::new();
    let mut log = create(&node);
    let entries: Vec<_> = (1..=300).map(|index| entry(index, index / 100 + 1, 100)).collect();
    append(&node, &mut log, &entries);
    node.apply(|batch| {
        for index in 1..=300_i64 {
            let offset = Offset(index * 10);
            let row = OffsetIndexRow {
                base_offset: offset,
                last_offset: offset.plus(9),
                raft_index: RaftIndex(index.unsigned_abs()),
                bytes_so_far: index.unsigned_abs() * 100,
                number: 1,
                spans: vec![IndexSpan { max_timestamp: index, before: Offset(-1) }],
            };
            batch.put_index_row(GROUP, &row);
        }
        log.set_applied(RaftIndex(290), batch);
    });
    node.apply(|batch| log.compact(RaftIndex(250), batch).unwrap());
    assert_eq!((log.first_index().unwrap(), log.term(250).unwrap()), (251, 3));
    assert!(is(read(&log, 250, 252), &StorageError::Compacted));
    assert!(is(log.term(249), &StorageError::Compacted));
    assert_eq!(read(&log, 251, 301).unwrap(), entries[250..]);

    // A restart in the middle, and the rest is removed afterwards.
    assert!(node.store.purge(100).unwrap().more);
    assert_eq!(stored(&node).0, 200);
    drop(log);
    let node = node.reopen();
    while node.store.purge(100).unwrap().more {}
    assert_eq!(stored(&node).0, 50);
    let mut log = from_disk(&node);
    assert_eq!(log.first_index().unwrap(), 251);
    let reader = node.store.reader(&node.tail);
    assert_eq!(reader.index_floor(GROUP, Offset(2509)).unwrap(), None);
    assert_eq!(reader.index_floor(GROUP, Offset(2510)).unwrap().unwrap().raft_index, RaftIndex(251));
    assert_eq!(read(&log, 251, 301).unwrap(), entries[250..]);
    node.apply(|batch| log.compact(RaftIndex(100), batch).unwrap());
    assert_eq!(log.first_index().unwrap(), 251, "going back changes nothing");
}

#[test]
fn a_log_compacted_to_its_end_goes_on() {
    let node = Node::new();
    let mut log = create(&node);
    append(&node, &mut log, &[entry(1, 1, 10), entry(2, 2, 10)]);
    commit_and_apply(&node, &mut log, 2);
    node.apply(|batch| log.compact(RaftIndex(2), batch).unwrap());
    let mut log = from_disk(&node);
    assert_eq!((log.first_index().unwrap(), log.last_index().unwrap(), log.term(2).unwrap()), (3, 2, 2));
    append(&node, &mut log, &[entry(3, 2, 10)]);
    assert_eq!(read(&from_disk(&node), 3, 4).unwrap(), [entry(3, 2, 10)]);
}

#[test]
fn a_snapshot_replaces_the_log() {
    let node = Node::new();
    let mut log = create(&node);
    append(&node, &mut log, &(1..=20).map(|index| entry(index, 1, 100_000)).collect::<Vec<_>>());
    node.apply(|batch| log.install_snapshot(RaftIndex(15), 4, &[2, 3, 4], batch).unwrap());
    for log in [&log, &from_disk(&node)] {
        assert_eq!((log.first_index().unwrap(), log.last_index().unwrap()), (16, 15));
        assert_eq!(log.term(15).unwrap(), 4);
        assert_eq!(log.voters(), [2, 3, 4]);
        assert_eq!((log.applied(), log.hard_state().commit), (RaftIndex(15), 15));
    }
    append(&node, &mut log, &[entry(16, 5, 10)]);
    while node.store.purge(7).unwrap().more {}
    assert_eq!(stored(&node), (1, 0));
    assert_eq!(read(&from_disk(&node), 16, 17).unwrap(), [entry(16, 5, 10)]);
}

#[test]
fn old_entries_are_fetched_elsewhere() {
    let node = Node::new();
    append(&node, &mut create(&node), &(1..=9).map(|index| entry(index, 1, 1000)).collect::<Vec<_>>());
    let mut log = from_disk(&node);
    let reader = node.store.reader(&node.tail);
    let ask = |log: &RaftLog, low, high| log.entries(low, high, u64::MAX, GetEntriesContext::empty(true));
    assert!(is(ask(&log, 2, 8), &StorageError::LogTemporarilyUnavailable));
    assert!(is(ask(&log, 2, 8), &StorageError::LogTemporarilyUnavailable));
    let mut fetches = log.take_fetches();
    assert_eq!(fetches.len(), 1, "what is being read is not asked for again");
    assert!(log.take_fetches().is_empty());
    let fetched = fetches.remove(0).read(&reader).unwrap();
    assert!(log.provide_fetched(fetched).can_async());
    assert_eq!(ask(&log, 2, 7).unwrap().len(), 5, "raft may want less when it asks again");
    assert!(is(ask(&log, 2, 8), &StorageError::LogTemporarilyUnavailable), "it was used once");
    let fetched = log.take_fetches().remove(0).read(&reader).unwrap();
    log.provide_fetched(fetched);
    assert!(log.fetched_bytes() > 6 * 1000);
    log.forget_fetched();
    assert_eq!(log.fetched_bytes(), 0);
    assert!(is(ask(&log, 2, 8), &StorageError::LogTemporarilyUnavailable), "it can be asked for again");
    assert_eq!(log.take_fetches().len(), 1);
}

#[test]
fn fetched_entries_of_a_log_that_was_cut_are_dropped() {
    let node = Node::new();
    append(&node, &mut create(&node), &(1..=9).map(|index| entry(index, 1, 1000)).collect::<Vec<_>>());
    let mut log = from_disk(&node);
    let reader = node.store.reader(&TailCache::new(0));
    let ask = |log: &RaftLog| log.entries(2, 8, u64::MAX, GetEntriesContext::empty(true));
    assert!(ask(&log).is_err());
    let fetched = log.take_fetches().remove(0).read(&reader).unwrap();
    node.apply(|batch| log.append(&[entry(7, 2, 10)], batch).unwrap());
    log.appended(&[entry(7, 2, 10)]);
    log.provide_fetched(fetched);
    assert!(is(ask(&log), &StorageError::LogTemporarilyUnavailable));
    let fetched = log.take_fetches().remove(0).read(&reader).unwrap();
    log.provide_fetched(fetched);
    assert_eq!(ask(&log).unwrap().last(), Some(&entry(7, 2, 10)));
}

#[test]
fn snapshots_are_asked_for_and_handed_out() {
    let node = Node::new();
    let mut log = create(&node);
    append(&node, &mut log, &(1..=9).map(|index| entry(index, 1, 10)).collect::<Vec<_>>());
    commit_and_apply(&node, &mut log, 9);
    let snapshot = |index| {
        let mut snapshot = Snapshot::default();
        snapshot.mut_metadata().index = index;
        snapshot
    };
    assert!(!log.take_snapshot_wanted());
    assert!(is(log.snapshot(0, 2), &StorageError::SnapshotTemporarilyUnavailable));
    assert!(log.take_snapshot_wanted() && !log.take_snapshot_wanted());
    log.provide_snapshot(snapshot(5));
    assert_eq!(log.snapshot(5, 2).unwrap(), snapshot(5));
    assert!(is(log.snapshot(6, 2), &StorageError::SnapshotTemporarilyUnavailable));
    node.apply(|batch| log.compact(RaftIndex(6), batch).unwrap());
    assert!(is(log.snapshot(0, 2), &StorageError::SnapshotTemporarilyUnavailable), "the log begins after it");
    log.provide_snapshot(snapshot(9));
    assert_eq!(log.snapshot(0, 2).unwrap(), snapshot(9));
}

#[test]
fn a_log_that_lacks_its_end_is_damaged() {
    let node = Node::new();
    append(&node, &mut create(&node), &[entry(1, 1, 10), entry(2, 1, 200_000)]);
    node.apply(|batch| batch.remove(&raft_entry::key(GROUP, RaftIndex(2))));
    let error = RaftLog::open(&node.store, &node.tail, GROUP).unwrap_err();
    assert!(error.damaged_group() == Some(RaftGroupId(3)), "{error}");
}

#[test]
fn opening_reads_no_bodies_and_a_missing_one_is_found_by_the_read() {
    let node = Node::new();
    append(&node, &mut create(&node), &[entry(1, 1, 10), entry(2, 1, 200_000)]);
    node.apply(|batch| batch.remove(&slot::key(GROUP, slot::FIRST_SLOT + 3)));
    let mut log = from_disk(&node);
    assert_eq!(log.take_read_bytes(), 0);
    assert!(is(read(&log, 2, 3), &StorageError::Unavailable));
    assert_eq!(log.check().unwrap_err().damaged_group(), Some(RaftGroupId(3)));
}

#[test]
fn what_raft_reads_from_the_store_is_counted_and_a_question_without_bound_reads_nothing() {
    let node = Node::new();
    let mut log = create(&node);
    append(&node, &mut log, &(1..=9).map(|index| entry(index, 1, 1000)).collect::<Vec<_>>());
    read(&log, 1, 10).unwrap();
    assert_eq!(log.take_read_bytes(), 0, "all of it is in memory");
    let mut log = from_disk(&node);
    assert!(log.entries(1, 10, None, GetEntriesContext::empty(false)).unwrap().is_empty());
    assert_eq!(log.take_read_bytes(), 0);
    read(&log, 3, 6).unwrap();
    let bytes = log.take_read_bytes();
    assert!((3000..4000).contains(&bytes), "{bytes}");
    assert_eq!(log.take_read_bytes(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Append { back: u64, lens: Vec<usize> },
    Apply { forward: u64 },
    Compact { behind: u64 },
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![4 => 0..2000_usize, 1 => 16_000..100_000_usize];
    prop_oneof![
        5 => (0..4_u64, prop::collection::vec(len, 1..4)).prop_map(|(back, lens)| Step::Append { back, lens }),
        3 => (0..6_u64).prop_map(|forward| Step::Apply { forward }),
        2 => (0..4_u64).prop_map(|behind| Step::Compact { behind }),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The log says what a plain list of entries says, whatever happens to it, in memory as on disk, and the store
    /// holds exactly the keys of that list.
    #[test]
    fn a_log_behaves_like_a_list(steps in prop::collection::vec(any_step(), 1..25), tail_bytes in 0..5000_usize) {
        let node = Node { tail: TailCache::new(tail_bytes), ..Node::new() };
        let mut log = create(&node);
        let mut list: BTreeMap<u64, Entry> = BTreeMap::new();
        let mut truncated = (0, 0);
        for (term, step) in (1_u64..).zip(steps) {
            match step {
                Step::Append { back, lens } => {
                    let first = (log.last().0 + 1).saturating_sub(back).max(log.hard_state().commit + 1);
                    let entries: Vec<_> =
                        (first..).zip(lens).map(|(index, len)| entry(index, term, len)).collect();
                    append(&node, &mut log, &entries);
                    list.split_off(&first);
                    list.extend(entries.into_iter().map(|entry| (entry.index, entry)));
                }
                Step::Apply { forward } => {
                    let applied = (log.applied().0 + forward).min(log.last().0);
                    commit_and_apply(&node, &mut log, applied);
                }
                Step::Compact { behind } => {
                    let up_to = log.applied().0.saturating_sub(behind);
                    if let Some(entry) = list.get(&up_to) {
                        truncated = (up_to, entry.term);
                    }
                    list = list.split_off(&(truncated.0 + 1));
                    node.apply(|batch| log.compact(RaftIndex(up_to), batch).unwrap());
                    let _ = node.store.purge(2).unwrap();
                }
                Step::Reopen => log = RaftLog::open(&node.store, &node.tail, GROUP).unwrap().unwrap(),
            }
            let expected: Vec<Entry> = list.values().cloned().collect();
            for log in [&log, &from_disk(&node)] {
                prop_assert_eq!(log.first_index().unwrap(), truncated.0 + 1);
                prop_assert_eq!(log.last_index().unwrap(), truncated.0 + u64::try_from(list.len()).unwrap());
                prop_assert_eq!(log.term(truncated.0).unwrap(), truncated.1);
                for entry in list.values() {
                    prop_assert_eq!(log.term(entry.index).unwrap(), entry.term);
                }
                prop_assert_eq!(&read(log, truncated.0 + 1, log.last().0 + 1).unwrap(), &expected);
            }
        }
        while node.store.purge(5).unwrap().more {}
        let header = |entry| Header::new(GROUP, &LogEntry::from_raft(entry), 0);
        let parts = list.values().map(|entry| header(entry).slots().count());
        prop_assert_eq!(stored(&node), (list.len(), parts.sum::<usize>()));
        prop_assert_eq!(node.store.blob_files().unwrap(), 0);
    }
}
