//! A fetch session with one broker (KIP-227): after a first request that names all partitions, each one names only what has
//! changed, and the broker remembers the rest.
//!
//! The machine is generic over what names a partition (`K`) and what is asked of it (`V`: offset, epochs, bytes), as this
//! differs between versions of Fetch. One request is in flight at a time, which the epochs of the protocol demand.

use std::collections::BTreeMap;

/// No session: the request is a full one, and the broker may open a session with its answer.
const NO_SESSION: i32 = 0;
/// The epoch of a full request.
const INITIAL_EPOCH: i32 = 0;

/// What is known of a session with one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSession<K, V> {
    id: i32,
    /// The epoch of the next request.
    epoch: i32,
    /// What the broker remembers once it has answered the last request.
    known: BTreeMap<K, V>,
}

/// The part of a Fetch that depends on the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest<K, V> {
    /// The session, 0 for none.
    pub session_id: i32,
    /// The session's epoch, 0 for a full request.
    pub session_epoch: i32,
    /// The partitions to name.
    pub fetch: Vec<(K, V)>,
    /// The partitions that the broker may forget.
    pub forget: Vec<K>,
}

/// What a broker answered about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionAnswer {
    /// The fetch went well, in this session; 0 if the broker keeps none for this client.
    Ok(i32),
    /// `FETCH_SESSION_ID_NOT_FOUND`: the broker has forgotten the session.
    NotFound,
    /// Any other error, or no answer at all: nobody knows what the broker remembers.
    Failed,
}

impl<K, V> Default for FetchSession<K, V> {
    fn default() -> Self {
        Self { id: NO_SESSION, epoch: INITIAL_EPOCH, known: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: PartialEq + Clone> FetchSession<K, V> {
    /// The next request, so that the broker answers for exactly these partitions.
    pub fn request(&mut self, wanted: BTreeMap<K, V>) -> SessionRequest<K, V> {
        let full = self.epoch == INITIAL_EPOCH;
        let changed = |(key, value): &(&K, &V)| full || self.known.get(key) != Some(value);
        let fetch = wanted.iter().filter(changed).map(|(key, value)| (key.clone(), value.clone())).collect();
        let forgotten = self.known.keys().filter(|key| !full && !wanted.contains_key(key));
        let forget = forgotten.cloned().collect();
        self.known = wanted;
        SessionRequest { session_id: self.id, session_epoch: self.epoch, fetch, forget }
    }

    /// Whether the broker has anything to answer for a partition. An answer for another one is not to be believed.
    pub fn knows(&self, partition: &K) -> bool {
        self.known.contains_key(partition)
    }

    /// The request was answered, or was not.
    pub fn answered(&mut self, answer: SessionAnswer) {
        match answer {
            SessionAnswer::Ok(NO_SESSION) | SessionAnswer::NotFound => *self = Self::default(),
            SessionAnswer::Ok(id) if self.id == id || self.epoch == INITIAL_EPOCH => {
                self.id = id;
                // After the greatest epoch comes 1, as 0 asks for a new session.
                self.epoch = self.epoch.checked_add(1).unwrap_or(1);
            }
            // The next request closes the session that may still be there, and opens another one.
            SessionAnswer::Ok(_) | SessionAnswer::Failed => self.epoch = INITIAL_EPOCH,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn wanted(partitions: &[(i32, i64)]) -> BTreeMap<i32, i64> {
        partitions.iter().copied().collect()
    }

    #[test]
    fn only_what_has_changed_is_named() {
        let mut session = FetchSession::default();
        let first = session.request(wanted(&[(0, 10), (1, 20)]));
        assert_eq!((first.session_id, first.session_epoch), (0, 0));
        assert_eq!(first.fetch, [(0, 10), (1, 20)]);
        session.answered(SessionAnswer::Ok(77));
        let second = session.request(wanted(&[(0, 11), (1, 20), (2, 0)]));
        let expected =
            SessionRequest { session_id: 77, session_epoch: 1, fetch: vec![(0, 11), (2, 0)], forget: vec![] };
        assert_eq!(second, expected);
        session.answered(SessionAnswer::Ok(77));
        let third = session.request(wanted(&[(2, 0)]));
        assert_eq!((third.session_epoch, third.fetch, third.forget), (2, vec![], vec![0, 1]));
        assert!(session.knows(&2) && !session.knows(&1));
    }

    #[test]
    fn a_broker_without_room_for_a_session_is_asked_in_full() {
        let mut session = FetchSession::default();
        for _ in 0..2 {
            let request = session.request(wanted(&[(0, 10)]));
            assert_eq!((request.session_id, request.session_epoch, request.fetch.len()), (0, 0, 1));
            session.answered(SessionAnswer::Ok(0));
        }
    }

    #[test]
    fn a_forgotten_session_is_opened_anew_and_a_doubtful_one_closed_first() {
        for (answer, id) in
            [(SessionAnswer::NotFound, 0), (SessionAnswer::Failed, 77), (SessionAnswer::Ok(78), 77)]
        {
            let mut session = FetchSession::default();
            session.request(wanted(&[(0, 10)]));
            session.answered(SessionAnswer::Ok(77));
            session.request(wanted(&[(0, 10)]));
            session.answered(answer);
            let request = session.request(wanted(&[(0, 10)]));
            assert_eq!(
                (request.session_id, request.session_epoch, request.fetch),
                (id, 0, vec![(0, 10)]),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn epochs_begin_again_at_one() {
        let mut session = FetchSession::<i32, i64> { id: 5, epoch: i32::MAX, known: BTreeMap::new() };
        session.request(wanted(&[]));
        session.answered(SessionAnswer::Ok(5));
        assert_eq!(session.request(wanted(&[])).session_epoch, 1);
    }

    /// A broker that keeps sessions as KIP-227 says.
    #[derive(Default)]
    struct Broker {
        session: Option<(i32, i32, BTreeMap<i32, i64>)>,
        next_id: i32,
    }

    impl Broker {
        /// What the broker answers for, or its error.
        fn fetch(
            &mut self,
            request: &SessionRequest<i32, i64>,
        ) -> Result<(i32, BTreeMap<i32, i64>), SessionAnswer> {
            if request.session_epoch == INITIAL_EPOCH {
                self.next_id += 1;
                let partitions: BTreeMap<_, _> = request.fetch.iter().copied().collect();
                self.session = Some((self.next_id, 1, partitions.clone()));
                return Ok((self.next_id, partitions));
            }
            let Some((id, epoch, partitions)) = &mut self.session else {
                return Err(SessionAnswer::NotFound);
            };
            if *id != request.session_id {
                return Err(SessionAnswer::NotFound);
            }
            if *epoch != request.session_epoch {
                return Err(SessionAnswer::Failed);
            }
            *epoch += 1;
            partitions.extend(request.fetch.iter().copied());
            for partition in &request.forget {
                partitions.remove(partition);
            }
            Ok((*id, partitions.clone()))
        }
    }

    proptest! {
        /// Whatever is lost on the way, a broker that answers without an error answers for exactly what is wanted.
        #[test]
        fn the_broker_always_knows_what_is_wanted(
            rounds in vec((btree_map(0..6_i32, 0..4_i64, 0..5), 0..5_u8), 1..30),
        ) {
            let mut broker = Broker::default();
            let mut session = FetchSession::default();
            for (wanted, fate) in rounds {
                let request = session.request(wanted.clone());
                match fate {
                    // The request is lost, or its answer is, or the broker forgets.
                    0 => session.answered(SessionAnswer::Failed),
                    1 => {
                        let _ = broker.fetch(&request);
                        session.answered(SessionAnswer::Failed);
                    }
                    2 => {
                        broker.session = None;
                        session.answered(SessionAnswer::Failed);
                    }
                    _ => match broker.fetch(&request) {
                        Ok((id, answered)) => {
                            prop_assert_eq!(answered, wanted);
                            session.answered(SessionAnswer::Ok(id));
                        }
                        Err(error) => session.answered(error),
                    },
                }
            }
        }
    }
}
