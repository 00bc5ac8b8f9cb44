//! Clients and a node together: whatever is lost, evicted or sent again, the node reads what its client wants, and the client
//! knows what the node has told.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use trilog_cluster::ids::Offset;
use uuid::Uuid;

use super::one::{EMPTY_SESSION_BYTES, PARTITION_BYTES, bytes_of};
use super::*;
use crate::api::fetch::asked::TopicKey;

const SLOTS: usize = 2;
const CLIENTS: usize = 3;

/// What happens to a request and its answer.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    RequestLost,
    AnswerLost,
    /// The request comes a second time before it is answered, as over two connections.
    SentTwice,
    /// The node loses its memory.
    NodeLost,
}

/// A step of a run: a client fetches partitions, which stand at these high watermarks in the log.
#[derive(Clone, Debug)]
struct Step {
    client: usize,
    wanted: BTreeMap<i32, i64>,
    logs: BTreeMap<i32, i64>,
    seconds: u64,
    fate: Fate,
}

/// A client as KIP-227 describes it.
#[derive(Default)]
struct Client {
    id: i32,
    epoch: i32,
    /// What the node has been asked of each partition.
    asked: BTreeMap<i32, i64>,
    /// The high watermark that the client was told of each partition.
    known: BTreeMap<i32, i64>,
}

impl Client {
    fn request(&mut self, wanted: &BTreeMap<i32, i64>) -> SessionRequest {
        let is_full = self.epoch == 0;
        let is_new = |(index, offset): &(&i32, &i64)| is_full || self.asked.get(index) != Some(offset);
        let partitions = wanted.iter().filter(is_new).map(|(index, offset)| (key(*index), from(*offset)));
        let forgotten = self.asked.keys().filter(|index| !is_full && !wanted.contains_key(index));
        let request = SessionRequest {
            id: self.id,
            epoch: self.epoch,
            by_id: true,
            partitions: partitions.collect(),
            forgotten: forgotten.map(|index| key(*index)).collect(),
        };
        self.asked = wanted.clone();
        self.known.retain(|index, _| wanted.contains_key(index));
        request
    }

    fn answered(&mut self, id: i32) {
        if id == NO_SESSION {
            *self = Self { known: std::mem::take(&mut self.known), ..Self::default() };
        } else {
            (self.id, self.epoch) = (id, self.epoch.checked_add(1).unwrap_or(1));
        }
    }

    fn failed(&mut self, error: Option<SessionError>) {
        self.epoch = 0;
        if error == Some(SessionError::NotFound) {
            self.id = NO_SESSION;
        }
    }
}

fn key(index: i32) -> PartitionKey {
    PartitionKey { topic: TopicKey::Id(Uuid::from_u128(9)), index }
}

fn from(offset: i64) -> Asked {
    Asked { offset: Offset(offset), max_bytes: 1, believed_epoch: -1, last_fetched_epoch: -1 }
}

/// A partition as the node sees it: an offset beyond the log is an error.
fn seen(logs: &BTreeMap<i32, i64>, key: &PartitionKey, asked: Asked) -> Seen {
    let end = logs.get(&key.index).copied().unwrap_or(0);
    if asked.offset.0 > end {
        Seen { high_watermark: -1, log_start_offset: -1, has_records: false, is_urgent: true }
    } else {
        let has_records = asked.offset.0 < end;
        Seen { high_watermark: end, log_start_offset: 0, has_records, is_urgent: false }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        1 => Just(Fate::RequestLost),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::SentTwice),
        1 => Just(Fate::NodeLost),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let partitions = || btree_map(0..6_i32, 0..4_i64, 0..6);
    (0..CLIENTS, partitions(), partitions(), 0..90_u64, fate())
        .prop_map(|(client, wanted, logs, seconds, fate)| Step { client, wanted, logs, seconds, fate })
}

/// Holds the sums that are kept against the sessions.
fn check_sums(sessions: &Sessions) {
    let all = || sessions.sessions.values();
    assert_eq!(sessions.bytes, all().map(|session| session.bytes).sum::<usize>());
    assert_eq!(sessions.partitions, all().map(|session| session.order.len()).sum::<usize>());
    assert!(sessions.bytes <= sessions.most_bytes && sessions.count() <= SLOTS);
    for session in all() {
        assert_eq!(session.places.len(), session.order.len());
        assert!(session.places.iter().all(|(key, place)| session.order[place].key == *key));
        let bytes: usize = session.places.keys().map(bytes_of).sum();
        assert_eq!(session.bytes, EMPTY_SESSION_BYTES + bytes);
    }
}

/// A node and its clients.
struct Run {
    sessions: Sessions,
    clients: Vec<Client>,
    now: Instant,
    last_id: i32,
}

impl Run {
    fn new() -> Self {
        // Room for eight partitions in all.
        let sessions = Sessions::new(SLOTS, SLOTS * EMPTY_SESSION_BYTES + 8 * PARTITION_BYTES);
        let clients = std::iter::repeat_with(Client::default).take(CLIENTS).collect();
        Self { sessions, clients, now: Instant::now(), last_id: 0 }
    }

    fn play(&mut self, step: &Step) {
        self.now += Duration::from_secs(step.seconds);
        let request = self.clients[step.client].request(&step.wanted);
        if let Fate::NodeLost = step.fate {
            self.sessions = Sessions::new(SLOTS, self.sessions.most_bytes);
        }
        let outcome = match step.fate {
            Fate::RequestLost => None,
            Fate::SentTwice => {
                let first = self.sessions.begin(request.clone(), self.now);
                let second = self.fetch(request, step);
                if let Ok((Ticket::Continuing(turn), _)) = first {
                    assert!(second.is_err(), "it is not its turn");
                    self.sessions.answer(turn, step.wanted.keys().map(|_| QUIET));
                }
                None
            }
            Fate::AnswerLost => {
                let _ = self.fetch(request, step);
                None
            }
            Fate::Answered | Fate::NodeLost => Some(self.fetch(request, step)),
        };
        check_sums(&self.sessions);
        let client = &mut self.clients[step.client];
        match outcome {
            None => client.failed(None),
            Some(Err(error)) => client.failed(Some(error)),
            Some(Ok((id, told))) => {
                client.known.extend(told);
                client.answered(id);
                let expected = step.wanted.iter().map(|(index, offset)| {
                    (*index, seen(&step.logs, &key(*index), from(*offset)).high_watermark)
                });
                assert_eq!(client.known, expected.collect(), "the client knows what the node has");
            }
        }
    }

    /// What the node answers: the session, and the high watermark of each partition that it tells.
    fn fetch(
        &mut self,
        request: SessionRequest,
        step: &Step,
    ) -> Result<(i32, BTreeMap<i32, i64>), SessionError> {
        let (ticket, partitions) = self.sessions.begin(request, self.now)?;
        let read = partitions.iter().map(|(key, asked)| (key.index, asked.offset.0));
        assert_eq!(read.collect::<BTreeMap<_, _>>(), step.wanted, "what is read is what is wanted");
        let seen = |(key, asked): &(PartitionKey, Asked)| seen(&step.logs, key, *asked);
        let (id, told) = match ticket {
            Ticket::Sessionless => (NO_SESSION, vec![true; partitions.len()]),
            Ticket::Opening { by_id } => {
                let answered = partitions.iter().map(|row| (row.0.clone(), row.1, seen(row)));
                let id = self.sessions.open(by_id, answered, self.now, || {
                    self.last_id += 1;
                    self.last_id
                });
                (id, vec![true; partitions.len()])
            }
            Ticket::Continuing(turn) => (turn.id, self.sessions.answer(turn, partitions.iter().map(seen))),
        };
        let told = partitions.iter().zip(told).filter(|(_, told)| *told);
        Ok((id, told.map(|(row, _)| (row.0.index, seen(row).high_watermark)).collect()))
    }
}

const QUIET: Seen = Seen { high_watermark: 0, log_start_offset: 0, has_records: false, is_urgent: false };

proptest! {
    #[test]
    fn client_and_node_agree_or_find_out_that_they_do_not(steps in vec(step(), 1..40)) {
        let mut run = Run::new();
        for step in &steps {
            run.play(step);
        }
    }
}
