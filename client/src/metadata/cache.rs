//! Answers of several brokers, in any order, merged to what is true most recently.

use std::collections::BTreeMap;
use std::sync::Arc;

use trilog_protocol::ErrorCode;
use uuid::Uuid;

use super::{NodeId, Partition, Snapshot, Topic, UNKNOWN_EPOCH};
use crate::Error;
use crate::config::Address;

/// The most partitions that a topic may have here. An answer with a greater number is taken for a lie.
const MAX_PARTITIONS: usize = 1 << 20;

/// A Metadata answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// All brokers that live.
    pub(crate) brokers: BTreeMap<NodeId, Address>,
    /// The topics that were asked for.
    pub(crate) topics: Vec<TopicAnswer>,
}

/// What a Metadata answer tells of one topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicAnswer {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) error: ErrorCode,
    /// Numbers and leaders, in any order.
    pub(crate) partitions: Vec<(i32, Partition)>,
}

/// What a broker that refused a request tells of the next leader (KIP-951).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaderHint {
    pub(crate) leader: NodeId,
    pub(crate) leader_epoch: i32,
    /// Where it listens, if the answer says so.
    pub(crate) address: Option<Address>,
}

/// The knowledge, and the snapshot that readers have of it.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    snapshot: Arc<Snapshot>,
}

impl Cache {
    /// What is known now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// Takes an answer in. An answer without any broker tells nothing of them, as a broker that starts may send.
    pub(crate) fn merge(&mut self, answer: Answer) {
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.refusal = None;
        if !answer.brokers.is_empty() {
            snapshot.brokers = answer.brokers;
        }
        for topic in answer.topics {
            let known = snapshot.topics.entry(Arc::clone(&topic.name)).or_default();
            merge_topic(known, topic);
        }
    }

    /// No broker accepts who this client is. Topics of which nothing is known will stay unknown.
    pub(crate) fn refused(&mut self, why: Error, wanted: impl IntoIterator<Item = Arc<str>>) {
        let snapshot = Arc::make_mut(&mut self.snapshot);
        for topic in wanted {
            let known = snapshot.topics.entry(topic).or_default();
            if known.partitions.is_empty() {
                known.error = Some(ErrorCode::SASL_AUTHENTICATION_FAILED);
            }
        }
        snapshot.refusal = Some(why);
    }

    /// Believes a hint if it is news. Returns whether it is.
    pub(crate) fn hint(&mut self, topic: &str, partition: i32, hint: LeaderHint) -> bool {
        let snapshot = Arc::make_mut(&mut self.snapshot);
        let known = usize::try_from(partition)
            .ok()
            .and_then(|at| snapshot.topics.get_mut(topic)?.partitions.get_mut(at));
        let Some(known) = known else { return false };
        let is_reachable = hint.address.is_some() || snapshot.brokers.contains_key(&hint.leader);
        if hint.leader_epoch <= known.leader_epoch || !is_reachable {
            return false;
        }
        *known = Partition { leader: Some(hint.leader), leader_epoch: hint.leader_epoch };
        if let Some(address) = hint.address {
            snapshot.brokers.insert(hint.leader, address);
        }
        true
    }

    /// Another answer than Metadata told where a broker listens. Returns whether that is news.
    pub(crate) fn located(&mut self, node: NodeId, address: Address) -> bool {
        if self.snapshot.brokers.get(&node) == Some(&address) {
            return false;
        }
        Arc::make_mut(&mut self.snapshot).brokers.insert(node, address);
        true
    }

    /// Forgets the topics that nobody uses any more.
    pub(crate) fn retain(&mut self, is_used: impl Fn(&str) -> bool) {
        if self.snapshot.topics.keys().any(|topic| !is_used(topic)) {
            Arc::make_mut(&mut self.snapshot).topics.retain(|topic, _| is_used(topic));
        }
    }
}

fn merge_topic(known: &mut Topic, answer: TopicAnswer) {
    if answer.error != ErrorCode::NONE {
        // What was known of its partitions stays: that a topic is gone is told by the brokers that led it.
        known.error = Some(answer.error);
        return;
    }
    let Some(mut partitions) = in_order(answer.partitions) else {
        known.error = Some(ErrorCode::UNKNOWN_SERVER_ERROR);
        return;
    };
    if known.id == answer.id {
        for (told, before) in partitions.iter_mut().zip(&known.partitions) {
            if told.leader_epoch != UNKNOWN_EPOCH && told.leader_epoch < before.leader_epoch {
                *told = *before;
            }
        }
    }
    *known = Topic { id: answer.id, partitions, error: None };
}

/// Partitions by number, `None` if these are not the numbers from 0 on.
fn in_order(mut numbered: Vec<(i32, Partition)>) -> Option<Vec<Partition>> {
    numbered.sort_unstable_by_key(|(number, _)| *number);
    let are_dense = numbered.iter().enumerate().all(|(at, (number, _))| usize::try_from(*number) == Ok(at));
    let is_sound = are_dense && !numbered.is_empty() && numbered.len() <= MAX_PARTITIONS;
    is_sound.then(|| numbered.into_iter().map(|(_, partition)| partition).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(port: u16) -> Address {
        Address { host: "127.0.0.1".to_owned(), port }
    }

    fn led(leader: NodeId, leader_epoch: i32) -> Partition {
        Partition { leader: Some(leader), leader_epoch }
    }

    fn answer(id: u128, partitions: &[Partition]) -> Answer {
        let numbered = (0..).zip(partitions.iter().copied()).collect();
        let topic = TopicAnswer {
            name: "t".into(),
            id: Uuid::from_u128(id),
            error: ErrorCode::NONE,
            partitions: numbered,
        };
        Answer { brokers: [(1, address(1)), (2, address(2))].into(), topics: vec![topic] }
    }

    #[test]
    fn a_broker_is_known_from_whichever_answer_told_of_it_last() {
        let mut cache = Cache::default();
        assert!(cache.located(3, address(3)));
        assert!(!cache.located(3, address(3)), "nothing new");
        assert!(cache.located(3, address(4)));
        assert_eq!(cache.snapshot().brokers, [(3, address(4))].into());
        cache.merge(answer(7, &[led(1, 0)]));
        assert_eq!(cache.snapshot().brokers, [(1, address(1)), (2, address(2))].into());
    }

    fn refused(error: ErrorCode) -> Answer {
        let topic = TopicAnswer { name: "t".into(), id: Uuid::nil(), error, partitions: Vec::new() };
        Answer { topics: vec![topic], ..Answer::default() }
    }

    #[test]
    fn an_older_answer_does_not_bring_a_deposed_leader_back() {
        let mut cache = Cache::default();
        cache.merge(answer(7, &[led(1, 5)]));
        cache.merge(answer(7, &[led(2, 4)]));
        assert_eq!(cache.snapshot().leader("t", 0), Some(1));
        cache.merge(answer(7, &[led(2, 6)]));
        assert_eq!(cache.snapshot().leader("t", 0), Some(2));
    }

    #[test]
    fn a_topic_made_again_starts_anew() {
        let mut cache = Cache::default();
        cache.merge(answer(7, &[led(1, 5), led(1, 5)]));
        cache.merge(answer(8, &[led(2, 0)]));
        assert_eq!(cache.snapshot().leader("t", 0), Some(2));
        assert_eq!(cache.snapshot().leader("t", 1), None);
    }

    #[test]
    fn an_error_leaves_what_was_known_in_place() {
        let mut cache = Cache::default();
        cache.merge(answer(7, &[led(1, 5)]));
        cache.merge(refused(ErrorCode::LEADER_NOT_AVAILABLE));
        let snapshot = cache.snapshot();
        assert_eq!(snapshot.leader("t", 0), Some(1), "brokers are still known, too");
        assert_eq!(snapshot.topics["t"].error, Some(ErrorCode::LEADER_NOT_AVAILABLE));
    }

    #[test]
    fn a_hint_counts_if_it_is_newer_and_its_broker_can_be_reached() {
        let mut cache = Cache::default();
        let hint = |leader, leader_epoch, address| LeaderHint { leader, leader_epoch, address };
        assert!(!cache.hint("t", 0, hint(2, 6, None)), "nothing is known of the topic");
        cache.merge(answer(7, &[led(1, 5)]));
        assert!(!cache.hint("t", 0, hint(2, 5, None)), "no news");
        assert!(!cache.hint("t", 0, hint(9, 6, None)), "nobody knows where it listens");
        assert!(!cache.hint("t", 1, hint(2, 6, None)) && !cache.hint("t", -1, hint(2, 6, None)));
        assert!(cache.hint("t", 0, hint(2, 6, None)));
        assert!(cache.hint("t", 0, hint(9, 7, Some(address(9)))));
        assert_eq!(cache.snapshot().leader("t", 0), Some(9));
    }

    #[test]
    fn partitions_that_are_not_numbered_from_0_on_are_not_believed() {
        for numbers in [&[1][..], &[0, 2], &[0, 0], &[-1, 0], &[i32::MAX], &[]] {
            let mut lie = answer(7, &[]);
            lie.topics[0].partitions = numbers.iter().map(|number| (*number, led(1, 1))).collect();
            let mut cache = Cache::default();
            cache.merge(lie);
            assert!(cache.snapshot().topics["t"].partitions.is_empty(), "{numbers:?}");
        }
    }

    proptest! {
        #[test]
        fn known_epochs_never_go_down(answers in prop::collection::vec((1..3, 0..9, any::<bool>()), 1..20)) {
            let mut cache = Cache::default();
            cache.merge(answer(7, &[led(1, 0)]));
            let mut highest = 0;
            for (leader, epoch, as_hint) in answers {
                if as_hint {
                    cache.hint("t", 0, LeaderHint { leader, leader_epoch: epoch, address: None });
                } else {
                    cache.merge(answer(7, &[led(leader, epoch)]));
                }
                highest = highest.max(epoch);
                prop_assert_eq!(cache.snapshot().topics["t"].partitions[0].leader_epoch, highest);
            }
        }
    }
}
