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
//! What cannot be told: a disk that was set back to an earlier state of itself (a backup, a snapshot of a virtual machine)
//! has the same id and has forgotten just as much. It must not be done, and the README says so.

use std::collections::BTreeMap;

use trilog_storage::{Store, StoreError, WriteBatch};

use crate::ids::{NodeId, RaftGroupId, StoreId};

/// What the keys of the records begin with; the peer's number follows. They are the controller's group's, as the one group
/// that every node has.
const KEY_PREFIX: &[u8] = b"peer-store/";

/// How many former stores of a peer are remembered. It takes as many lost disks of one node for the oldest to be forgotten.
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
    /// Another store has taken this one's place since: it is an old disk put back.
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

impl Acquaintances {
    /// Those that are written down in `store`.
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        for (key, value) in store.records(RaftGroupId::CONTROLLER, KEY_PREFIX)? {
            let node = key[KEY_PREFIX.len()..].try_into().map(u32::from_be_bytes).map(NodeId);
            let (Ok(node), Some(acquaintance)) = (node, Acquaintance::decode(&value)) else {
                let detail =
                    format!("what says which store a peer has cannot be read ({})", key.escape_ascii());
                return Err(StoreError::Damaged { detail });
            };
            known.insert(node, acquaintance);
        }
        Ok(Self { known })
    }

    /// Meets `peer`, which has `store`. What the batch holds must be durable before the peer is told, and before any of its
    /// frames is taken; none is needed for one that is known already.
    pub(crate) fn meet(
        &mut self,
        peer: NodeId,
        store: StoreId,
    ) -> Result<(Recognition, Option<WriteBatch>), Unrecognized> {
        let known = self.known.get(&peer);
        if let Some(known) = known.filter(|known| known.store == store) {
            return Ok((known.recognition(), None));
        }
        if known.is_some_and(|known| known.former.contains(&store)) {
            return Err(Unrecognized::Retired);
        }
        let former =
            known.into_iter().flat_map(|known| [known.store].into_iter().chain(known.former.clone()));
        let acquaintance = Acquaintance { store, former: former.take(MAX_FORMER).collect() };
        let recognition = acquaintance.recognition();
        let mut batch = WriteBatch::new();
        let key = [KEY_PREFIX, &peer.0.to_be_bytes()].concat();
        batch.put_record(RaftGroupId::CONTROLLER, &key, acquaintance.encode());
        self.known.insert(peer, acquaintance);
        Ok((recognition, Some(batch)))
    }

    /// The store under which `peer` is known.
    #[cfg(test)]
    pub(crate) fn store_of(&self, peer: NodeId) -> Option<StoreId> {
        self.known.get(&peer).map(|known| known.store)
    }
}

impl Acquaintance {
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
    use trilog_storage::{Identity, StoreOptions};

    use super::*;

    const PEER: NodeId = NodeId(2);
    const ONE: StoreId = StoreId([1; 16]);
    const TWO: StoreId = StoreId([2; 16]);

    #[test]
    fn a_peer_is_recognized_by_its_store_and_an_old_one_is_not_taken_back() {
        let mut known = Acquaintances::default();
        let meet = |known: &mut Acquaintances, store| {
            known.meet(PEER, store).map(|(recognition, batch)| (recognition, batch.is_some()))
        };
        assert_eq!(meet(&mut known, ONE), Ok((Recognition::First, true)));
        assert_eq!(meet(&mut known, ONE), Ok((Recognition::First, false)));
        assert_eq!(meet(&mut known, TWO), Ok((Recognition::Successor, true)));
        assert_eq!(meet(&mut known, TWO), Ok((Recognition::Successor, false)), "however often it asks");
        assert_eq!(meet(&mut known, ONE), Err(Unrecognized::Retired));
        assert_eq!(known.store_of(PEER), Some(TWO));
    }

    #[test]
    fn what_is_written_down_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity { cluster_id: "test".into(), node_id: 1 };
        let store = Store::open(dir.path(), &identity, StoreOptions::default()).unwrap();
        let mut known = Acquaintances::load(&store).unwrap();
        for id in [ONE, TWO] {
            let (_, batch) = known.meet(PEER, id).unwrap();
            store.apply(batch.unwrap()).unwrap();
        }
        known.meet(NodeId(3), ONE).unwrap();
        let loaded = Acquaintances::load(&store).unwrap();
        assert_eq!(loaded.known.get(&PEER), known.known.get(&PEER));
        assert_eq!(loaded.store_of(NodeId(3)), None, "its batch was never applied");
    }

    #[test]
    fn no_more_former_stores_are_kept_than_the_bound() {
        let mut known = Acquaintances::default();
        for number in 0..100 {
            known.meet(PEER, StoreId([number; 16])).unwrap();
        }
        let kept = known.known.get(&PEER).unwrap();
        assert_eq!((kept.former.len(), kept.former[0]), (MAX_FORMER, StoreId([98; 16])));
    }
}
