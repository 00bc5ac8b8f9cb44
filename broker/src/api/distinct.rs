//! Names that a request lists more than once, each of which is answered once.
//!
//! A client asks for a name twice by mistake, or to have a small request cost much: a topic of 10,000 partitions, named
//! 4,500 times in 27 KB, would be gigabytes of answer. Kafka drops repeated names in some APIs (Metadata, DeleteGroups),
//! refuses them in others (INVALID_REQUEST for topics that are created, deleted or altered), and answers the rest as often as
//! they are listed. Here those of the last kind are dropped, too: clients look answers up by name.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Which mention of a partition counts when a request has several: the last one where Kafka reads a request into a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    First,
    Last,
}

/// Leaves the first mention of each name.
pub(super) fn keep_first<T, K: Eq + Hash>(items: &mut Vec<T>, name: impl Fn(&T) -> K) {
    let mut seen = HashSet::with_capacity(items.len());
    items.retain(|item| seen.insert(name(item)));
}

/// The names that are listed more than once.
pub(super) fn repeated<K: Eq + Hash>(names: impl IntoIterator<Item = K>) -> HashSet<K> {
    let mut seen = HashSet::new();
    let mut repeated = HashSet::new();
    for name in names {
        if let Some(name) = seen.replace(name) {
            repeated.insert(name);
        }
    }
    repeated
}

/// A topic of a request, with the partitions that are asked about.
pub(super) trait AskedTopic {
    /// What tells it from others.
    type Name: Eq + Hash;
    /// One of its partitions.
    type Partition;

    /// Its name or id.
    fn name(&self) -> Self::Name;
    /// Its partitions.
    fn partitions(&mut self) -> &mut Vec<Self::Partition>;
    /// A partition's index.
    fn index(partition: &Self::Partition) -> i32;
}

/// A topic of a request that goes by its name: which field that is, and which one of its partitions is their index; or which field
/// has its partitions, and what the index of one is.
macro_rules! asked_topic {
    ($topic:ty: $name:ident, $partition:ty: $index:ident) => {
        asked_topic!($topic: $name, partitions of $partition, |partition| partition.$index);
    };
    ($topic:ty: $name:ident, $partitions:ident of $partition:ty, |$one:ident| $index:expr) => {
        impl $crate::api::distinct::AskedTopic for $topic {
            type Name = kafka_protocol::messages::TopicName;
            type Partition = $partition;

            fn name(&self) -> Self::Name {
                self.$name.clone()
            }

            fn partitions(&mut self) -> &mut Vec<Self::Partition> {
                &mut self.$partitions
            }

            fn index($one: &Self::Partition) -> i32 {
                $index
            }
        }
    };
}
pub(super) use asked_topic;

/// Leaves one mention of each partition. A topic of whose partitions none is left goes, if it is mentioned elsewhere.
pub(super) fn keep_one<T: AskedTopic>(topics: &mut Vec<T>, counts: Counts) {
    let is_rising =
        |topic: &mut T| topic.partitions().is_sorted_by(|one, next| T::index(one) < T::index(next));
    if topics.iter_mut().all(is_rising) && are_distinct(topics.iter().map(T::name)) {
        return;
    }
    let is_last = counts == Counts::Last;
    if is_last {
        topics.reverse();
    }
    let mut seen: HashMap<T::Name, HashSet<i32>> = HashMap::new();
    topics.retain_mut(|topic| {
        let name = topic.name();
        let is_new = !seen.contains_key(&name);
        let seen = seen.entry(name).or_default();
        let partitions = topic.partitions();
        if is_last {
            partitions.reverse();
        }
        partitions.retain(|partition| seen.insert(T::index(partition)));
        if is_last {
            partitions.reverse();
        }
        is_new || !partitions.is_empty()
    });
    if is_last {
        topics.reverse();
    }
}

fn are_distinct<K: Eq + Hash>(mut names: impl Iterator<Item = K>) -> bool {
    let mut seen = HashSet::new();
    names.all(|name| seen.insert(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A topic's name, and its partitions: an index and a number that tells its mentions apart.
    type Topic = (u8, Vec<(i32, u32)>);

    impl AskedTopic for Topic {
        type Name = u8;
        type Partition = (i32, u32);

        fn name(&self) -> u8 {
            self.0
        }

        fn partitions(&mut self) -> &mut Vec<(i32, u32)> {
            &mut self.1
        }

        fn index((index, _): &(i32, u32)) -> i32 {
            *index
        }
    }

    fn kept(mut topics: Vec<Topic>, counts: Counts) -> Vec<Topic> {
        keep_one(&mut topics, counts);
        topics
    }

    #[test]
    fn the_first_of_a_name_stays_where_it_is() {
        let mut names = vec!["b", "a", "b", "c", "a"];
        keep_first(&mut names, |name| *name);
        assert_eq!(names, ["b", "a", "c"]);
        assert_eq!(repeated(["b", "a", "b", "b"]), HashSet::from(["b"]));
    }

    #[test]
    fn one_mention_of_a_partition_stays() {
        let asked = || vec![(1, vec![(0, 1), (5, 2), (0, 3)]), (2, vec![(0, 4)]), (1, vec![(5, 5), (6, 6)])];
        let first = vec![(1, vec![(0, 1), (5, 2)]), (2, vec![(0, 4)]), (1, vec![(6, 6)])];
        assert_eq!(kept(asked(), Counts::First), first);
        let last = vec![(1, vec![(0, 3)]), (2, vec![(0, 4)]), (1, vec![(5, 5), (6, 6)])];
        assert_eq!(kept(asked(), Counts::Last), last);
    }

    #[test]
    fn a_topic_that_adds_nothing_goes_and_one_without_partitions_stays() {
        assert_eq!(
            kept(vec![(1, vec![(3, 1)]), (1, vec![(3, 2)]), (2, vec![])], Counts::First),
            [(1, vec![(3, 1)]), (2, vec![])]
        );
        assert_eq!(kept(vec![(2, vec![]), (2, vec![])], Counts::First), [(2, vec![])]);
    }

    proptest! {
        #[test]
        fn every_partition_is_kept_once(
            names in prop::collection::vec((0u8..3, prop::collection::vec(0i32..4, 0..6)), 0..6),
            is_last: bool,
        ) {
            let mut number = 0;
            let mut mention = |index| {
                number += 1;
                (index, number)
            };
            let topics: Vec<Topic> = names
                .into_iter()
                .map(|(name, indexes)| (name, indexes.into_iter().map(&mut mention).collect()))
                .collect();
            let mut expected = HashMap::new();
            for (name, partitions) in &topics {
                for (index, mention) in partitions {
                    let counted = expected.entry((*name, *index)).or_insert(*mention);
                    if is_last {
                        *counted = *mention;
                    }
                }
            }
            let kept = kept(topics, if is_last { Counts::Last } else { Counts::First });
            let all: Vec<_> = kept
                .iter()
                .flat_map(|(name, partitions)| partitions.iter().map(|(index, number)| ((*name, *index), *number)))
                .collect();
            prop_assert_eq!(all.len(), expected.len());
            prop_assert_eq!(all.into_iter().collect::<HashMap<_, _>>(), expected);
        }
    }
}
