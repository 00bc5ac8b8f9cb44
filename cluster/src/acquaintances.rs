//! The stores under which this node knows its peers.
//!
//! A node that comes back with an empty disk has forgotten whom it voted for, in which term it was, and what it had said
//! that it holds. Others have counted on all of that. By itself such a node cannot tell that it is not simply new: it has
//! to be told, and this is what it is told from. Each node writes down, before it takes a first frame from a peer, which
//! [store](StoreId) that peer has. A peer that comes with another one has lost the first.
//!
//! **Invariant:** whatever a peer said that had any effect here, it said under a store that is written down here for good.
//! So if no other node knows a node under an earlier store, no promise of that node's counts anywhere, and it is new.
//!
//! **An old disk put back** is refused from the moment in which its successor may have been counted on, which every majority
//! that lets the successor in [takes note of](readmitted). Before that it has forgotten nothing: a data directory that was not
//! mounted may simply be there again.
//!
//! What cannot be told: a disk that was set back to an earlier state of itself (a backup, a snapshot of a virtual machine)
//! has the same id and has forgotten just as much. It must not be done, and docs/operations.md says so.

use std::collections::BTreeMap;

use trilog_storage::{Store, StoreError, WriteBatch};

use crate::ids::{NodeId, RaftGroupId, StoreId};

/// What the keys of the records begin with; the peer's number follows. They are the controller's group's, as the one group
/// that every node has.
const KEY_PREFIX: &[u8] = b"peer-store/";

/// What the keys of the records begin with that name the last store of a node that was let in after a loss; the node's
/// number follows. They are the controller's group's as well.
const READMITTED_PREFIX: &[u8] = b"readmitted/";

/// How many former stores of a peer are remembered. It takes as many lost disks of one node, or losses of power that made it forget
/// something, for the oldest to be forgotten.
const MAX_FORMER: usize = 16;

/// As what a peer is recognized by the store that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// Its store is the only one that it was ever known under.
    First,
    /// It was known under another store before: it has lost that one, and all that it had promised by it.
    Successor,
}

/// Why a peer is not recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecognized {
    /// Another store has taken this one's place since, and has been counted on: it is an old disk put back.
    Retired,
    /// Who it is could not be written down.
    NotRemembered,
}

/// One peer's stores.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Acquaintance {
    store: StoreId,
    /// Those before it, the latest first.
    former: Vec<StoreId>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Acquaintances {
    known: BTreeMap<NodeId, Acquaintance>,
}

/// Takes note that `node` is let in with `store` after the loss of another: in the batch that makes this node part of the
/// majority that does so.
pub(crate) fn readmitted(node: NodeId, store: StoreId, batch: &mut WriteBatch) {
    let key = [READMITTED_PREFIX, &node.0.to_be_bytes()].concat();
    batch.put_record(RaftGroupId::CONTROLLER, &key, store.0);
}

/// The last store with which `node` was let in after a loss.
pub(crate) fn last_readmitted(node: NodeId, store: &Store) -> Result<Option<StoreId>, StoreError> {
    let key = [READMITTED_PREFIX, &node.0.to_be_bytes()].concat();
    let record = store.record(RaftGroupId::CONTROLLER, &key)?;
    Ok(record.and_then(|id| id.try_into().ok()).map(StoreId))
}

impl Acquaintances {
    /// Those that are written down in `store`.
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        for (key, value) in store.records(RaftGroupId::CONTROLLER, KEY_PREFIX)? {
            let node = key[KEY_PREFIX.len()..].try_into().map(u32::from_be_bytes).map(NodeId);
            let (Ok(node), Some(acquaintance)) = (node, Acquaintance::decode(&value)) else {
                let detail =
                    format!("what says which store a peer has cannot be read ({})", key.escape_ascii());
                return Err(StoreError::damaged_in(RaftGroupId::CONTROLLER, detail));
            };
            known.insert(node, acquaintance);
        }
        Ok(Self { known })
    }

    /// Meets `peer`, which has `store`; `readmitted` is the last one with which it was let in after a loss. What the batch holds must be durable before the peer is told, and before any of its
    /// frames is taken; none is needed for one that is known already.
    pub(crate) fn meet(
        &mut self,
        peer: NodeId,
        store: StoreId,
        readmitted: Option<StoreId>,
    ) -> Result<(Recognition, Option<WriteBatch>), Unrecognized> {
        let known = self.known.get(&peer);
        if known.is_some_and(|known| known.has_replaced(store, readmitted)) {
            return Err(Unrecognized::Retired);
        }
        if let Some(known) = known.filter(|known| known.store == store) {
            return Ok((known.recognition(), None));
        }
        let acquaintance =
            known.map_or_else(|| Acquaintance::new(store), |known| known.followed_by(store, readmitted));
        let recognition = acquaintance.recognition();
        let mut batch = WriteBatch::new();
        let key = [KEY_PREFIX, &peer.0.to_be_bytes()].concat();
        batch.put_record(RaftGroupId::CONTROLLER, &key, acquaintance.encode());
        self.known.insert(peer, acquaintance);
        Ok((recognition, Some(batch)))
    }

    /// The store under which `peer` is known.
    pub(crate) fn store_of(&self, peer: NodeId) -> Option<StoreId> {
        self.known.get(&peer).map(|known| known.store)
    }
}

impl Acquaintance {
    const fn new(store: StoreId) -> Self {
        Self { store, former: Vec::new() }
    }

    /// The peer with another store, whether it is one of its former ones or not.
    fn followed_by(&self, store: StoreId, readmitted: Option<StoreId>) -> Self {
        // Others may have let it in with a store that was never met here.
        let unmet = readmitted.filter(|unmet| self.age(*unmet).is_none());
        let former = unmet.into_iter().chain([self.store]).chain(self.former.iter().copied());
        let mut former: Vec<StoreId> = former.filter(|former| *former != store).take(MAX_FORMER).collect();
        // The one that was let in stays known: what is older than it is told by it.
        if let Some(readmitted) = readmitted.filter(|known| *known != store && !former.contains(known)) {
            former.push(readmitted);
        }
        Self { store, former }
    }

    /// How many stores of the peer are later than this one.
    fn age(&self, store: StoreId) -> Option<usize> {
        std::iter::once(&self.store).chain(&self.former).position(|known| *known == store)
    }

    /// Whether a store that was let in after `store` has taken its place.
    fn has_replaced(&self, store: StoreId, readmitted: Option<StoreId>) -> bool {
        let (Some(readmitted), Some(age)) = (readmitted, self.age(store)) else { return false };
        // One that was never met here was let in since this one was.
        readmitted != store && self.age(readmitted).is_none_or(|readmitted| readmitted < age)
    }

    const fn recognition(&self) -> Recognition {
        if self.former.is_empty() { Recognition::First } else { Recognition::Successor }
    }

    /// The ids one after the other, the present one first.
    fn encode(&self) -> Vec<u8> {
        std::iter::once(&self.store).chain(&self.former).flat_map(|store| store.0).collect()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (ids, rest) = value.as_chunks::<16>();
        let (store, former) = ids.split_first()?;
        let former = former.iter().copied().map(StoreId).collect();
        rest.is_empty().then_some(Self { store: StoreId(*store), former })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trilog_storage::{Identity, StoreOptions};

    use super::*;

    const PEER: NodeId = NodeId(2);
    const ONE: StoreId = StoreId([1; 16]);
    const TWO: StoreId = StoreId([2; 16]);
    const THREE: StoreId = StoreId([3; 16]);

    #[test]
    fn a_peer_is_recognized_by_its_store() {
        let mut known = Acquaintances::default();
        let mut meet = |store| known.meet(PEER, store, None).map(|(r, batch)| (r, batch.is_some()));
        assert_eq!(meet(ONE), Ok((Recognition::First, true)));
        assert_eq!(meet(ONE), Ok((Recognition::First, false)));
        assert_eq!(meet(TWO), Ok((Recognition::Successor, true)));
        assert_eq!(meet(TWO), Ok((Recognition::Successor, false)), "however often it asks");
        assert_eq!(known.store_of(PEER), Some(TWO));
    }

    #[test]
    fn an_old_disk_is_taken_back_until_its_successor_was_let_in() {
        let mut known = Acquaintances::default();
        let mut meet =
            |store, readmitted| known.meet(PEER, store, readmitted).map(|(recognition, _)| recognition);
        meet(ONE, None).unwrap();
        meet(TWO, None).unwrap();
        assert_eq!(meet(ONE, None), Ok(Recognition::Successor), "it was not mounted");
        meet(TWO, None).unwrap();
        assert_eq!(meet(ONE, Some(TWO)), Err(Unrecognized::Retired));
        assert_eq!(meet(THREE, Some(TWO)), Ok(Recognition::Successor));
        assert_eq!(meet(ONE, Some(TWO)), Err(Unrecognized::Retired));
        assert_eq!(meet(TWO, Some(TWO)), Ok(Recognition::Successor));
    }

    #[test]
    fn an_old_disk_is_refused_by_who_heard_of_its_successor_and_never_met_it() {
        let mut known = Acquaintances::default();
        let mut meet =
            |store, readmitted| known.meet(PEER, store, readmitted).map(|(recognition, _)| recognition);
        meet(ONE, None).unwrap();
        assert_eq!(meet(ONE, Some(TWO)), Err(Unrecognized::Retired));
        assert_eq!(meet(THREE, Some(TWO)), Ok(Recognition::Successor));
        assert_eq!(meet(THREE, Some(TWO)), Ok(Recognition::Successor));
        assert_eq!(meet(ONE, Some(TWO)), Err(Unrecognized::Retired));
    }

    #[test]
    fn what_is_written_down_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity { cluster_id: "test".into(), node_id: 1 };
        let store = Store::open(dir.path(), &identity, StoreOptions::default()).unwrap();
        let mut known = Acquaintances::load(&store).unwrap();
        for id in [ONE, TWO] {
            let (_, batch) = known.meet(PEER, id, None).unwrap();
            store.apply(batch.unwrap()).unwrap();
        }
        let mut batch = WriteBatch::new();
        readmitted(PEER, TWO, &mut batch);
        store.apply(batch).unwrap();
        assert_eq!(last_readmitted(PEER, &store).unwrap(), Some(TWO));
        assert_eq!(last_readmitted(NodeId(3), &store).unwrap(), None);
        known.meet(NodeId(3), ONE, None).unwrap();
        let loaded = Acquaintances::load(&store).unwrap();
        assert_eq!(loaded.known.get(&PEER), known.known.get(&PEER));
        assert_eq!(loaded.store_of(NodeId(3)), None, "its batch was never applied");
    }

    #[test]
    fn a_store_that_was_let_in_stays_known_however_many_follow_without_being_let_in() {
        let mut known = Acquaintances::default();
        let mut meet =
            |store, readmitted| known.meet(PEER, store, readmitted).map(|(recognition, _)| recognition);
        meet(ONE, None).unwrap();
        meet(TWO, None).unwrap();
        for number in 10..50 {
            for _ in 0..2 {
                assert_eq!(meet(StoreId([number; 16]), Some(TWO)), Ok(Recognition::Successor), "{number}");
            }
        }
    }

    #[test]
    fn no_more_former_stores_are_kept_than_the_bound() {
        let mut known = Acquaintances::default();
        for number in 0..100 {
            known.meet(PEER, StoreId([number; 16]), None).unwrap();
        }
        let kept = known.known.get(&PEER).unwrap();
        assert_eq!((kept.former.len(), kept.former[0]), (MAX_FORMER, StoreId([98; 16])));
    }
    proptest! {
        #[test]
        fn any_bytes_are_stores_or_not(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            match Acquaintance::decode(&bytes) {
                Some(known) => prop_assert_eq!(known.encode(), bytes),
                None => prop_assert!(bytes.is_empty() || bytes.len() % 16 != 0),
            }
        }
    }
}
