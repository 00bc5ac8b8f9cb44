//! Which topics to ask for, and when.
//!
//! A refresh is due when the last answer is old, when somebody asked for one, or while a topic in use has no leader or is not
//! known. Two refreshes are never closer than the retry back-off, which doubles while they do not help.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Snapshot;
use crate::backoff::Backoff;

/// How often to ask. Times are counted from the client's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between refreshes that do not help.
    pub(crate) retry: Backoff,
    /// The age at which an answer is refreshed.
    pub(crate) max_age: Duration,
    /// How long after its last use a topic is asked for.
    pub(crate) max_idle: Duration,
}

/// What the client uses, and what it waits for.
#[derive(Debug)]
pub(crate) struct Demand {
    pace: Pace,
    topics: BTreeMap<Arc<str>, Duration>,
    /// Somebody waits for news.
    is_urgent: bool,
    /// The end of the last attempt, if there was one.
    last_attempt: Option<Duration>,
    /// Attempts in a row that did not bring what was waited for.
    fruitless: u32,
    /// Not before this time, while it is urgent.
    not_before: Duration,
    /// Attempts in a row at which brokers have refused this client.
    refusals: u32,
    /// The next attempt waits until then. The client asks brokers that refuse it more rarely than brokers that are away.
    held_until: Duration,
}

/// Between attempts of a client that is refused. Its password will hardly change, and brokers may lock its account.
pub(crate) const REFUSED: Backoff = Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60) };

impl Demand {
    pub(crate) const fn new(pace: Pace) -> Self {
        Self {
            pace,
            topics: BTreeMap::new(),
            is_urgent: true,
            last_attempt: None,
            fruitless: 0,
            not_before: Duration::ZERO,
            refusals: 0,
            held_until: Duration::ZERO,
        }
    }

    /// A topic is used. Returns whether it is a new one, which is to be asked for at once.
    pub(crate) fn uses(&mut self, topic: &Arc<str>, now: Duration) -> bool {
        if let Some(last_use) = self.topics.get_mut(topic) {
            *last_use = now;
            return false;
        }
        self.topics.insert(Arc::clone(topic), now);
        self.is_urgent = true;
        // Nobody has asked for this one yet: no reason to hold back.
        self.fruitless = 0;
        self.not_before = now;
        true
    }

    /// Something that is known has turned out to be wrong.
    pub(crate) const fn ask_anew(&mut self) {
        self.is_urgent = true;
    }

    /// The topics to ask for. Those idle for too long are forgotten.
    pub(crate) fn topics(&mut self, now: Duration) -> Vec<Arc<str>> {
        let max_idle = self.pace.max_idle;
        self.topics.retain(|_, last_use| now.saturating_sub(*last_use) < max_idle);
        self.topics.keys().cloned().collect()
    }

    /// No topic is used any more.
    pub(crate) fn forget(&mut self) {
        self.topics.clear();
    }

    /// Whether a topic is in use.
    pub(crate) fn is_used(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// When the next refresh is due.
    pub(crate) fn due(&self) -> Duration {
        let by_age = self.last_attempt.map_or(Duration::ZERO, |at| at.saturating_add(self.pace.max_age));
        let due = if self.is_urgent { by_age.min(self.not_before) } else { by_age };
        due.max(self.held_until)
    }

    /// An attempt has ended, and a broker does not accept who this client is.
    pub(crate) fn refused(&mut self, now: Duration, random: f64) {
        self.attempted(now, None, random);
        self.refusals = self.refusals.saturating_add(1);
        self.held_until = now + REFUSED.delay(self.refusals, random);
    }

    /// An attempt has ended; `None` if nobody answered. `random` lies in `0.0..1.0`.
    pub(crate) fn attempted(&mut self, now: Duration, known: Option<&Snapshot>, random: f64) {
        self.last_attempt = Some(now);
        if known.is_some() {
            self.refusals = 0;
        }
        let is_satisfied = known.is_some_and(|snapshot| self.is_satisfied_by(snapshot));
        self.is_urgent = !is_satisfied;
        self.fruitless = if is_satisfied { 0 } else { self.fruitless.saturating_add(1) };
        // After a success, too: an answer that was asked for again within the back-off cannot be much newer.
        self.not_before = now + self.pace.retry.delay(self.fruitless.max(1), random);
    }

    fn is_satisfied_by(&self, snapshot: &Snapshot) -> bool {
        self.topics.keys().all(|name| {
            snapshot.topics.get(name).is_some_and(|topic| match topic.error {
                // An error that stays is an answer, too.
                Some(error) => !error.is_retriable(),
                None => (0..).zip(&topic.partitions).all(|(at, _)| snapshot.leader(name, at).is_some()),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;
    use crate::metadata::{Partition, Topic};

    const PACE: Pace = Pace {
        retry: Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) },
        max_age: Duration::from_secs(300),
        max_idle: Duration::from_secs(60),
    };

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_client_that_is_refused_asks_rarely_whatever_is_wanted() {
        let mut demand = Demand::new(PACE);
        demand.refused(at(0), 0.5);
        assert_eq!(demand.due(), at(1000));
        assert!(demand.uses(&"t".into(), at(10)), "a new topic changes nothing");
        assert_eq!(demand.due(), at(1000));
        demand.refused(at(1000), 0.5);
        demand.ask_anew();
        assert_eq!(demand.due(), at(3000));
        for _ in 0..20 {
            demand.refused(at(3000), 0.5);
        }
        assert_eq!(demand.due(), at(63_000));
        demand.attempted(at(63_000), Some(&snapshot(Some(1))), 0.5);
        demand.refused(at(64_000), 0.5);
        assert_eq!(demand.due(), at(65_000), "it was accepted meanwhile");
    }

    fn snapshot(leader: Option<i32>) -> Snapshot {
        let partitions = vec![Partition { leader, leader_epoch: 1 }];
        let topic = Topic { partitions, ..Topic::default() };
        let address = Address { host: "h".to_owned(), port: 1 };
        Snapshot {
            brokers: [(1, address)].into(),
            topics: [("t".into(), topic)].into(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_first_refresh_is_due_at_once_and_the_next_by_age() {
        let mut demand = Demand::new(PACE);
        assert_eq!(demand.due(), at(0));
        demand.attempted(at(10), Some(&Snapshot::default()), 0.5);
        assert_eq!(demand.due(), at(300_010));
    }

    #[test]
    fn a_new_topic_is_asked_for_at_once_and_an_old_one_is_not() {
        let mut demand = Demand::new(PACE);
        demand.attempted(at(10), Some(&Snapshot::default()), 0.5);
        assert!(demand.uses(&"t".into(), at(20)));
        assert_eq!(demand.due(), at(20));
        demand.attempted(at(30), Some(&snapshot(Some(1))), 0.5);
        assert!(!demand.uses(&"t".into(), at(40)));
        assert_eq!(demand.due(), at(300_030));
    }

    #[test]
    fn a_partition_without_a_leader_is_asked_for_ever_more_rarely() {
        let mut demand = Demand::new(PACE);
        demand.uses(&"t".into(), at(0));
        let mut now = at(0);
        let mut gaps = Vec::new();
        for _ in 0..5 {
            demand.attempted(now, Some(&snapshot(None)), 0.5);
            gaps.push((demand.due() - now).as_millis());
            now = demand.due();
        }
        assert_eq!(gaps, [100, 200, 400, 800, 1000]);
        demand.attempted(now, Some(&snapshot(Some(1))), 0.5);
        demand.ask_anew();
        assert_eq!(demand.due(), now + at(100), "news are never closer than the back-off");
    }

    #[test]
    fn silence_is_no_answer() {
        let mut demand = Demand::new(PACE);
        demand.attempted(at(0), None, 0.5);
        assert_eq!(demand.due(), at(100));
    }

    #[test]
    fn idle_topics_are_forgotten() {
        let mut demand = Demand::new(PACE);
        demand.uses(&"old".into(), at(0));
        demand.uses(&"new".into(), at(30_000));
        assert_eq!(demand.topics(at(61_000)), ["new".into()]);
        assert!(!demand.is_used("old"));
    }
}
