//! The regular expression of a member of a classic group: which topics match it, now and later.
//!
//! The topics of the cluster are listed at once and then every `metadata.max.age.ms`; soon, when one that matched is gone. A list that
//! cannot be had is asked for again, ever more rarely. Those that match are what the member subscribes to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::topic_pattern::TopicPattern;

use super::subscription::Choice;
use super::{Job, Lifetime, State};
use crate::Error;
use crate::consumer::membership::Membership;
use crate::consumer::requests::topics::ListedTopic;
use crate::metadata::Snapshot;

/// Tells a watch from those before it: a list that one of them asked for may be older than the expression of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) struct WatchId(u64);

/// An expression, and when to look at the topics next.
#[derive(Debug)]
pub(super) struct Watch {
    id: WatchId,
    pattern: Box<TopicPattern>,
    next: Duration,
    is_asked: bool,
    /// Lists in a row that could not be had.
    failures: u32,
}

impl Watch {
    /// When the topics are listed next, unless they are being listed.
    fn due(&self) -> Option<Duration> {
        (!self.is_asked).then_some(self.next)
    }
}

impl State {
    /// Lists the topics from now on. The subscription of before stays until the first list is there.
    pub(super) fn watch_for(&mut self, pattern: Box<TopicPattern>, now: Duration) {
        self.watches += 1;
        let id = WatchId(self.watches);
        self.choice = Choice::Watched(Watch { id, pattern, next: now, is_asked: false, failures: 0 });
    }

    /// The expression, while the consumer is to follow it.
    const fn watch(&self) -> Option<&Watch> {
        let follows = !self.is_leaving && matches!(self.phase, Lifetime::Consuming);
        match &self.choice {
            Choice::Watched(watch) if follows => Some(watch),
            _ => None,
        }
    }

    /// When the topics are to be listed.
    pub(super) fn next_list(&self) -> Option<Duration> {
        self.watch()?.due()
    }

    /// Asks for a list of the topics if it is time to.
    pub(super) fn look(&mut self, now: Duration, jobs: &mut Vec<Job>) {
        if self.next_list().is_some_and(|next| next <= now)
            && let Choice::Watched(watch) = &mut self.choice
        {
            watch.is_asked = true;
            jobs.push(Job::ListTopics { watch: watch.id });
        }
    }

    /// A topic that matched may be gone: the topics are listed sooner.
    pub(super) fn look_for_the_missing(&mut self, now: Duration, snapshot: &Snapshot) {
        if let Choice::Watched(watch) = &mut self.choice
            && self.subscription.iter().any(|topic| snapshot.lacks(topic))
        {
            // A broker that still lists it is not asked without a pause.
            watch.next = watch.next.min(now + self.config.common.retry.max);
        }
    }

    /// The topics of the cluster, as far as the consumer may know of them. `random` lies in `0.0..1.0`.
    pub(in crate::consumer) fn topics_listed(
        &mut self,
        of: WatchId,
        listed: Result<Vec<ListedTopic>, Error>,
        now: Duration,
        random: f64,
    ) {
        if self.watch().is_none_or(|watch| watch.id != of) {
            return;
        }
        let Choice::Watched(watch) = &mut self.choice else { return };
        watch.is_asked = false;
        match listed {
            Ok(topics) => {
                watch.failures = 0;
                watch.next = now.saturating_add(self.config.common.metadata_max_age);
                let is_wanted = |topic: &ListedTopic| {
                    !(topic.is_internal && self.config.exclude_internal_topics)
                        && watch.pattern.matches(&topic.name)
                };
                let matching: BTreeSet<_> =
                    topics.into_iter().filter(is_wanted).map(|topic| topic.name).collect();
                self.matched(matching, now);
            }
            Err(error) => {
                watch.failures = watch.failures.saturating_add(1);
                watch.next = now + self.config.common.retry.delay(watch.failures, random);
                self.tell_if_hopeless(error);
            }
        }
    }

    fn matched(&mut self, topics: BTreeSet<Arc<str>>, now: Duration) {
        self.subscription.clone_from(&topics);
        if let Membership::Classic(member) = &mut self.member {
            member.topics_matched(topics, now);
        }
    }
}
