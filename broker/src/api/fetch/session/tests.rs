//! The rules of sessions, one by one.

use trilog_cluster::ids::Offset;
use uuid::Uuid;

use super::one::{EMPTY_SESSION_BYTES, PARTITION_BYTES};
use super::*;
use crate::api::fetch::asked::TopicKey;

const QUIET: Seen = Seen { high_watermark: 5, log_start_offset: 0, has_records: false, is_urgent: false };
const RECORDS: Seen = Seen { has_records: true, ..QUIET };
const FAILED: Seen = Seen { high_watermark: -1, log_start_offset: -1, has_records: false, is_urgent: true };

/// A node with its clock, whose ids are drawn in order.
struct Node {
    sessions: Sessions,
    now: Instant,
    last_id: i32,
}

fn key(index: i32) -> PartitionKey {
    PartitionKey { topic: TopicKey::Id(Uuid::from_u128(1)), index }
}

fn from(offset: i64) -> Asked {
    Asked { offset: Offset(offset), max_bytes: 100, believed_epoch: -1, last_fetched_epoch: -1 }
}

fn partitions(indexes: impl IntoIterator<Item = i32>) -> Partitions {
    indexes.into_iter().map(|index| (key(index), from(0))).collect()
}

fn request(id: i32, epoch: i32, partitions: Partitions) -> SessionRequest {
    SessionRequest { id, epoch, by_id: true, partitions, forgotten: vec![] }
}

impl Node {
    fn new(slots: usize) -> Self {
        Self { sessions: Sessions::new(slots, SESSION_BYTES), now: Instant::now(), last_id: 0 }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Opens a session of so many partitions, in each of which nothing new is seen.
    fn open(&mut self, count: i32) -> i32 {
        self.open_with(partitions(0..count), QUIET)
    }

    fn open_with(&mut self, asked: Partitions, seen: Seen) -> i32 {
        let (ticket, partitions) = self.sessions.begin(request(0, 0, asked), self.now).unwrap();
        assert_eq!(ticket, Ticket::Opening { by_id: true });
        let answered = partitions.into_iter().map(|(key, asked)| (key, asked, seen));
        self.sessions.open(true, answered, self.now, || {
            self.last_id += 1;
            self.last_id
        })
    }

    /// The partitions that a request reads, in order.
    fn read(&mut self, request: SessionRequest) -> Result<(Turn, Vec<i32>), SessionError> {
        match self.sessions.begin(request, self.now)? {
            (Ticket::Continuing(turn), partitions) => {
                Ok((turn, partitions.iter().map(|(key, _)| key.index).collect()))
            }
            other => panic!("no session: {other:?}"),
        }
    }
}

#[test]
fn only_what_has_changed_is_answered() {
    let mut node = Node::new(10);
    let id = node.open(3);
    let (turn, read) = node.read(request(id, 1, vec![])).unwrap();
    assert_eq!(read, [0, 1, 2]);
    let higher = Seen { high_watermark: 6, ..QUIET };
    let told = node.sessions.answer(turn, [QUIET, higher, FAILED]);
    assert_eq!(told, [false, true, true]);
    // The error is told again, and so is its end; the high watermark is not.
    let (turn, _) = node.read(request(id, 2, vec![])).unwrap();
    assert_eq!(node.sessions.answer(turn, [QUIET, higher, FAILED]), [false, false, true]);
    let (turn, _) = node.read(request(id, 3, vec![])).unwrap();
    assert_eq!(node.sessions.answer(turn, [QUIET, higher, QUIET]), [false, false, true]);
    let (turn, _) = node.read(request(id, 4, vec![])).unwrap();
    let deleted = Seen { log_start_offset: 2, ..QUIET };
    let diverging = Seen { is_urgent: true, ..higher };
    assert_eq!(node.sessions.answer(turn, [deleted, diverging, QUIET]), [true, true, false]);
}

#[test]
fn partitions_are_added_altered_and_forgotten() {
    let mut node = Node::new(10);
    let id = node.open(3);
    let altered = vec![(key(1), from(9)), (key(7), from(0))];
    let change = SessionRequest { forgotten: vec![key(0), key(5)], ..request(id, 1, altered) };
    let (_, read) = node.sessions.begin(change, node.now).unwrap();
    assert_eq!(read, [(key(1), from(9)), (key(2), from(0)), (key(7), from(0))]);
    assert_eq!((node.sessions.partitions_of(id), node.sessions.partitions()), (3, 3));
    // A session without partitions ends.
    let rest = SessionRequest { forgotten: vec![key(1), key(2), key(7)], ..request(id, 2, vec![]) };
    assert_eq!(node.sessions.begin(rest, node.now), Ok((Ticket::Sessionless, vec![])));
    assert_eq!((node.sessions.count(), node.sessions.bytes), (0, 0));
}

#[test]
fn partitions_with_records_go_to_the_end() {
    let mut node = Node::new(10);
    let id = node.open(4);
    let (turn, _) = node.read(request(id, 1, vec![])).unwrap();
    node.sessions.answer(turn, [RECORDS, QUIET, RECORDS, QUIET]);
    let (turn, read) = node.read(request(id, 2, vec![])).unwrap();
    assert_eq!(read, [1, 3, 0, 2]);
    node.sessions.answer(turn, [RECORDS, QUIET, QUIET, QUIET]);
    let change = SessionRequest { forgotten: vec![key(3)], ..request(id, 3, vec![(key(1), from(4))]) };
    assert_eq!(node.read(change).unwrap().1, [0, 2, 1]);
}

#[test]
fn a_request_out_of_turn_is_refused() {
    let mut node = Node::new(10);
    let id = node.open(1);
    assert_eq!(node.read(request(id, 2, vec![])), Err(SessionError::InvalidEpoch));
    assert_eq!(node.read(request(id, -2, vec![])), Err(SessionError::InvalidEpoch));
    assert_eq!(node.read(request(id + 1, 1, vec![])), Err(SessionError::NotFound));
    let by_name = SessionRequest { by_id: false, ..request(id, 1, vec![]) };
    assert_eq!(node.read(by_name), Err(SessionError::TopicIds));
    let (first, _) = node.read(request(id, 1, vec![])).unwrap();
    assert_eq!(node.read(request(id, 1, vec![])), Err(SessionError::InvalidEpoch), "it was sent again");
    let (second, _) = node.read(request(id, 2, vec![])).unwrap();
    assert_eq!(
        node.sessions.answer(first, [QUIET]),
        [true],
        "the session is further on, and the answer whole"
    );
    assert_eq!(node.sessions.answer(second, [QUIET]), [false]);
}

#[test]
fn a_full_request_ends_the_session() {
    let mut node = Node::new(10);
    let (first, second) = (node.open(1), node.open(1));
    let (turn, _) = node.read(request(second, 1, vec![])).unwrap();
    let ends = |epoch| request(if epoch == 0 { first } else { second }, epoch, vec![]);
    assert_eq!(node.sessions.begin(ends(0), node.now), Ok((Ticket::Opening { by_id: true }, vec![])));
    assert_eq!(node.sessions.begin(ends(-1), node.now), Ok((Ticket::Sessionless, vec![])));
    assert_eq!(node.sessions.count(), 0);
    assert_eq!(node.sessions.answer(turn, [QUIET]), [true], "what waited meanwhile is answered whole");
    assert_eq!(node.open(0), NO_SESSION, "a session without partitions is of no use");
}

#[test]
fn epochs_begin_again_at_one() {
    let mut node = Node::new(1);
    let id = node.open(1);
    node.sessions.sessions.get_mut(&id).unwrap().epoch = i32::MAX;
    node.read(request(id, i32::MAX, vec![])).unwrap();
    node.read(request(id, 1, vec![])).unwrap();
}

#[test]
fn sessions_that_are_in_use_stay() {
    let mut node = Node::new(2);
    let (small, large) = (node.open(1), node.open(5));
    assert_eq!(node.open(9), NO_SESSION, "the others are young");
    node.pass(60);
    for id in [small, large] {
        node.read(request(id, 1, vec![])).unwrap();
    }
    node.pass(61);
    // Both are old now, and in use: a larger one replaces the smallest.
    assert_eq!(node.open(1), NO_SESSION);
    assert_ne!(node.open(2), NO_SESSION);
    assert_eq!(node.read(request(small, 2, vec![])), Err(SessionError::NotFound));
    node.read(request(large, 2, vec![])).unwrap();
    assert_eq!((node.sessions.count(), node.sessions.evictions()), (2, 1));
}

#[test]
fn a_session_that_is_not_used_makes_room_for_any() {
    let mut node = Node::new(2);
    let (unused, used) = (node.open(9), node.open(1));
    node.pass(60);
    node.read(request(used, 1, vec![])).unwrap();
    node.pass(61);
    assert_ne!(node.open(1), NO_SESSION);
    assert_eq!(node.read(request(unused, 1, vec![])), Err(SessionError::NotFound));
    node.read(request(used, 2, vec![])).unwrap();
}

#[test]
fn sessions_take_no_more_than_their_bytes() {
    let mut node = Node::new(1_000);
    let partitions_of = |index| i32::try_from(SESSION_BYTES / PARTITION_BYTES / 2).unwrap() + index;
    let first = node.open(partitions_of(-10));
    let second = node.open(partitions_of(-10));
    assert!(node.sessions.bytes <= SESSION_BYTES);
    assert_eq!(node.open(partitions_of(0)), NO_SESSION);
    // One that grows beyond the room is closed, and its client begins anew.
    assert_eq!(node.read(request(first, 1, partitions(500_000..500_100))), Err(SessionError::NotFound));
    assert_eq!((node.sessions.count(), node.sessions.partitions()), (1, node.sessions.partitions_of(second)));
    assert_eq!(node.open(partitions_of(partitions_of(0))), NO_SESSION, "larger than all the room");
}

#[test]
fn the_names_of_topics_take_bytes() {
    let mut node = Node::new(1);
    let named = PartitionKey { topic: TopicKey::Name("a-topic".into()), index: 0 };
    node.open_with(vec![(named, from(0))], QUIET);
    assert_eq!(node.sessions.bytes, EMPTY_SESSION_BYTES + PARTITION_BYTES + 7);
}

#[test]
fn without_slots_there_are_no_sessions() {
    assert_eq!(Node::new(0).open(1), NO_SESSION);
}

#[test]
fn an_id_is_positive_and_nobody_elses() {
    let mut node = Node::new(10);
    let id = node.open(1);
    let mut drawn = [0, -3, id, 77].into_iter();
    let answered = [(key(0), from(0), QUIET)];
    let other = node.sessions.open(true, answered, node.now, || drawn.next().unwrap());
    assert_eq!(other, 77);
}
