//! A map for many small instances: one vector, sorted by key.
//!
//! A coordinator holds tens of thousands of groups, and most have offsets of a topic or two. The smallest `BTreeMap` has
//! room for eleven entries; here one entry costs itself. Looking up is a bisection. Adding keys moves what lies behind
//! them, once for all keys that come together: a group's partitions are added when they are first committed, and looked
//! up ever after.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

/// Entries in the order of their keys, each key at most once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(K, V)>", bound(deserialize = "K: Ord + Deserialize<'de>, V: Deserialize<'de>"))]
pub(super) struct FlatMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for FlatMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> FlatMap<K, V> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries by key.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.position(key).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.position(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Keeps only the entries that `keep` says.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
        self.0.shrink_to_fit();
    }

    fn position<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(present, _)| present.borrow().cmp(key))
    }
}

impl<K: Ord, V> Extend<(K, V)> for FlatMap<K, V> {
    /// Adds entries, or replaces those that have the same keys. Of entries with one key the last is kept.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        let mut added = Vec::new();
        for (key, value) in entries {
            match self.position(&key) {
                Ok(at) => self.0[at].1 = value,
                Err(_) => added.push((key, value)),
            }
        }
        if added.is_empty() {
            return;
        }
        self.0.reserve_exact(added.len());
        self.0.append(&mut added);
        // Two runs at best, which a stable sort merges in one pass.
        self.0.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.0.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for FlatMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

impl<K: Ord, V> From<Vec<(K, V)>> for FlatMap<K, V> {
    /// Whatever order the entries are in: bytes from a disk may hold any.
    fn from(entries: Vec<(K, V)>) -> Self {
        entries.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_entry_takes_no_more_than_itself() {
        let map: FlatMap<_, _> = [(1, "a")].into_iter().collect();
        assert_eq!(map.0.capacity(), 1);
    }

    proptest! {
        #[test]
        fn it_is_a_map(batches in prop::collection::vec(prop::collection::vec((0u8..40, any::<u8>()), 0..20), 0..8)) {
            let (mut map, mut model) = (FlatMap::default(), BTreeMap::new());
            for batch in batches {
                map.extend(batch.iter().copied());
                model.extend(batch);
            }
            prop_assert!(map.iter().eq(model.iter()));
            prop_assert!((0..40).all(|key| map.get(&key) == model.get(&key)));
            map.retain(|key, _| key % 3 == 0);
            model.retain(|key, _| key % 3 == 0);
            prop_assert!(map.iter().eq(model.iter()));
        }
    }
}
