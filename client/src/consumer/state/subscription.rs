//! How a consumer becomes a member of its group, and no member again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::topic_pattern::TopicPattern;
use uuid::Uuid;

use super::State;
use super::watch::Watch;
use crate::consumer::config::GroupProtocol;
use crate::consumer::group::classic::ClassicMember;
use crate::consumer::group::modern::{ModernMember, ModernOptions, Wanted};
use crate::consumer::membership::Membership;

/// What the application subscribes to.
#[derive(Debug)]
pub(in crate::consumer) enum Subscription {
    /// Topics by name.
    Named(BTreeSet<Arc<str>>),
    /// A regular expression that the coordinator of a group of the consumer protocol matches.
    MatchedByGroup(String),
    /// A regular expression that a member of a classic group matches.
    Matched(Box<TopicPattern>),
}

/// How the topics are chosen by now.
#[derive(Debug)]
pub(super) enum Choice {
    /// By the application, which names them or assigns their partitions by hand.
    ByName,
    /// By an expression that the coordinator matches.
    ByGroup,
    /// By an expression that this member matches.
    Watched(Watch),
}

impl State {
    /// Begins to leave the group, and gives up partitions that were assigned by hand.
    pub(in crate::consumer) fn unsubscribe(&mut self) {
        self.resubscription = None;
        if matches!(self.member, Membership::Alone) {
            self.assign(&BTreeSet::new());
        } else {
            self.member.leave();
            self.is_leaving = true;
        }
    }

    /// Whether the consumer is on its way out of its group.
    pub(in crate::consumer) const fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Ends the membership that [`unsubscribe`](Self::unsubscribe) began to end, if the group knows of it. True: it has just ended.
    pub(in crate::consumer) fn left(&mut self, now: Duration) -> bool {
        let has_left = self.is_leaving && self.callback.is_none() && self.member.has_left();
        if has_left {
            self.give_up_membership(now);
        }
        has_left
    }

    /// Ends the membership, whether the group knows of it or not.
    pub(in crate::consumer) fn give_up_membership(&mut self, now: Duration) {
        self.is_leaving = false;
        self.subscription.clear();
        self.end_membership();
        self.assign(&BTreeSet::new());
        if let Some(wanted) = self.resubscription.take() {
            self.subscribe(wanted, now);
        }
    }

    /// From here on, answers to what the member has asked are void.
    pub(super) fn end_membership(&mut self) {
        self.member = Membership::Alone;
        self.membership.0 += 1;
        self.counting = None;
        self.choice = Choice::ByName;
    }

    /// Subscribes, as a member of the group; one that is leaving it comes back when it has left.
    pub(in crate::consumer) fn subscribe(&mut self, subscription: Subscription, now: Duration) {
        if self.is_leaving {
            self.resubscription = Some(subscription);
            return;
        }
        if matches!(self.member, Membership::Alone) {
            self.assign(&BTreeSet::new());
            self.member = match self.config.protocol {
                GroupProtocol::Classic => Membership::Classic(ClassicMember::new(self.config.classic(), now)),
                GroupProtocol::Consumer => Membership::Modern(ModernMember::new(self.modern_options(), now)),
            };
        }
        match subscription {
            Subscription::Named(names) => {
                self.choice = Choice::ByName;
                self.subscription.clone_from(&names);
                self.wants(Wanted { names, pattern: None }, now);
            }
            Subscription::MatchedByGroup(pattern) => {
                self.choice = Choice::ByGroup;
                self.subscription.clear();
                self.wants(Wanted { names: BTreeSet::new(), pattern: Some(pattern) }, now);
            }
            // What the member has wanted so far stays until the topics are listed.
            Subscription::Matched(pattern) => self.watch_for(pattern, now),
        }
    }

    fn wants(&mut self, wanted: Wanted, now: Duration) {
        match &mut self.member {
            Membership::Alone => {}
            Membership::Classic(member) => member.subscribe(wanted.names, now),
            Membership::Modern(member) => member.subscribe(wanted, now),
        }
    }

    /// Whether the application has named all of the [topics](Self::topics) that are asked for. Others exist, or are gone: to ask
    /// for them must not create them.
    pub(in crate::consumer) fn has_named(&self, topics: &BTreeSet<Arc<str>>) -> bool {
        match self.choice {
            Choice::ByName if matches!(self.member, Membership::Alone) => true,
            // Partitions of an earlier subscription, and topics of other members, are not.
            Choice::ByName => topics.is_subset(&self.subscription),
            Choice::ByGroup | Choice::Watched(_) => false,
        }
    }

    fn modern_options(&self) -> ModernOptions {
        ModernOptions {
            member_id: Uuid::new_v4().to_string(),
            instance: self.config.instance.clone(),
            rack: self.config.rack.clone(),
            assignor: self.config.remote_assignor.clone(),
            max_poll_interval: self.config.max_poll_interval,
            retry_backoff: self.config.common.retry.initial,
        }
    }
}
