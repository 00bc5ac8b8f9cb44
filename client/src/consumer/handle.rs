//! The application's side of a consumer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use trilog_protocol::ErrorCode;
use trilog_protocol::topic_pattern::TopicPattern;

use super::Batch;
use super::config::{ConsumerConfig, GroupProtocol};
use super::driver::{self, LEAVE_WITHIN};
use super::group::Callback;
use super::ledger::Committable;
use super::listener::{CallbackFuture, Committer, RebalanceListener};
use super::membership::Membership;
use super::partition::TopicPartition;
use super::positions::Landmark;
use super::shared::Shared;
use super::state::{Lifetime, Subscription};
use super::stream::RecordStream;
use crate::Error;

/// How often an application that waits in `poll` is taken for one that polls.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// Automatic commits are no more frequent, whatever `auto.commit.interval.ms` says.
const COMMIT_AT_MOST_EVERY: Duration = Duration::from_millis(10);

/// Reads records: as a member of a group, which shares the partitions out, or of partitions that are assigned by hand.
///
/// Dropped, it leaves its group in the background, as long as the runtime lives; what was not committed is read again by
/// whoever has its partitions next. [`close`](Self::close) commits first.
pub struct Consumer {
    pub(super) shared: Arc<Shared>,
    listener: Option<Arc<dyn RebalanceListener>>,
    /// The callback that runs, kept over a `poll` that is dropped. The lock is never taken: it only makes the consumer `Sync`, so that
    /// calls by `&self` can be spawned.
    running: Mutex<Option<CallbackFuture>>,
    /// The automatic commit that is on its way.
    committing: Option<JoinHandle<Result<(), Error>>>,
    next_commit: Instant,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("group", &self.shared.group()).finish_non_exhaustive()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.state().phase = Lifetime::Abandoned;
        self.shared.driver.notify_one();
    }
}

impl Consumer {
    /// Starts a consumer, on the tokio runtime of the caller. It connects by itself; nothing is awaited.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(config: ConsumerConfig) -> Result<Self, Error> {
        config.validate()?;
        let next_commit = Instant::now() + config.auto_commit.unwrap_or_default();
        let shared = Arc::new(Shared::new(config));
        tokio::spawn(driver::run(Arc::clone(&shared)));
        Ok(Self { shared, listener: None, running: Mutex::default(), committing: None, next_commit })
    }

    /// Sets who is called when partitions come and go.
    pub fn set_listener(&mut self, listener: impl RebalanceListener) {
        self.listener = Some(Arc::new(listener));
    }

    /// Consumes these topics, as a member of the group. Replaces an earlier subscription, and partitions assigned by hand.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::INVALID_GROUP_ID`] without `group.id`.
    pub fn subscribe<T: AsRef<str>>(&mut self, topics: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let names = topics.into_iter().map(|topic| Arc::from(topic.as_ref())).collect();
        self.want(Subscription::Named(names))
    }

    /// Consumes the topics that match a regular expression in RE2's syntax, those that are made later included. Replaces an
    /// earlier subscription, and partitions assigned by hand.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), trilog_client::Error> {
    /// use trilog_client::{Consumer, ConsumerConfig};
    ///
    /// let mut consumer = Consumer::new(ConsumerConfig::new("127.0.0.1:9092")?.group("billing"))?;
    /// // orders-eu and orders-us, and not orders-eu-archive
    /// consumer.subscribe_pattern("orders-[a-z]+")?;
    ///
    /// let refused = consumer.subscribe_pattern("orders-[a-z").unwrap_err();
    /// assert!(refused.to_string().contains("unclosed character class"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The *whole* name of a topic has to match, as in Java: `orders` means one topic, and `orders.*` all whose names begin so. A
    /// leading `^`, which librdkafka needs, changes nothing.
    ///
    /// With `group.protocol=classic` this consumer matches. It lists the cluster's topics now and every `metadata.max.age.ms` (five
    /// minutes), so a new topic may wait for its readers that long. An earlier subscription stays until the first list arrives.
    /// While nothing matches, the consumer is a member without partitions. Internal topics, such as `__consumer_offsets`, match only with
    /// `exclude.internal.topics=false`. Members of a group may have different expressions.
    ///
    /// With `group.protocol=consumer` the coordinator matches, and leaves internal topics out; [`poll`](Self::poll) tells if it refuses
    /// the expression.
    ///
    /// The consumer does not create a topic again that matched and was deleted, even with `allow.auto.create.topics=true`.
    ///
    /// An expression is compiled here, which takes well below a millisecond for most, and tens of milliseconds for the largest that
    /// are taken.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe). With the classic protocol [`ErrorCode::INVALID_REGULAR_EXPRESSION`], with the reason; the
    /// consumer keeps its earlier subscription.
    pub fn subscribe_pattern(&mut self, pattern: &str) -> Result<(), Error> {
        let subscription = match self.shared.config.protocol {
            GroupProtocol::Classic => Subscription::Matched(Box::new(compiled(pattern)?)),
            GroupProtocol::Consumer => Subscription::MatchedByGroup(pattern.to_owned()),
        };
        self.want(subscription)
    }

    fn want(&mut self, subscription: Subscription) -> Result<(), Error> {
        if self.shared.config.group.is_none() {
            let message = Some("group.id is not set".to_owned());
            return Err(Error::Broker { code: ErrorCode::INVALID_GROUP_ID, message });
        }
        self.shared.state().subscribe(subscription, self.shared.now());
        self.shared.driver.notify_one();
        Ok(())
    }

    /// Leaves the group, or gives up the partitions that were assigned by hand. What the application is done with is committed
    /// first if commits are automatic, as by [`close`](Self::close), and callbacks run. The consumer may subscribe again.
    ///
    /// Cancel safety: dropped during the commit, the consumer is still subscribed, and the commit may or may not have been made.
    /// Dropped later, it goes on leaving; the next [`poll`](Self::poll) runs the callbacks.
    ///
    /// # Errors
    ///
    /// That of the automatic commit. The consumer has left all the same.
    pub async fn unsubscribe(&mut self) -> Result<(), Error> {
        self.come_back();
        let committed = self.commit_at_the_end().await;
        self.shared.state().unsubscribe();
        self.shared.driver.notify_one();
        let mut end = Instant::now() + LEAVE_WITHIN;
        while self.shared.state().is_leaving() && !*self.shared.ended.borrow() {
            tokio::select! {
                () = self.shared.application.notified() => {
                    let called = Instant::now();
                    self.run_callbacks().await;
                    // Callbacks take the time that they take.
                    end += called.elapsed();
                }
                () = tokio::time::sleep_until(end) => {
                    self.shared.state().give_up_membership(self.shared.now());
                }
            }
        }
        committed
    }

    /// The last commit of a membership, if commits are automatic. It does not hold the consumer.
    fn commit_at_the_end(&self) -> impl Future<Output = Result<(), Error>> + use<> {
        let config = &self.shared.config;
        let committer = (config.auto_commit.is_some() && config.group.is_some()).then(|| self.committer());
        async move {
            match committer {
                Some(committer) => committer.commit().await,
                None => Ok(()),
            }
        }
    }

    /// Consumes exactly these partitions, without a group's help. Those that were assigned before go on where they are; new ones
    /// begin at the group's committed offset if there is a group, else as `auto.offset.reset` says.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::INVALID_REQUEST`] while the consumer is a member of its group.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) -> Result<(), Error> {
        let mut state = self.shared.state();
        if !matches!(state.member, Membership::Alone) {
            let message = Some("the consumer is subscribed: its group assigns".to_owned());
            return Err(Error::Broker { code: ErrorCode::INVALID_REQUEST, message });
        }
        state.assign(&partitions.into_iter().collect());
        drop(state);
        self.shared.driver.notify_one();
        Ok(())
    }

    /// The next records of one partition. Waits until there are some.
    ///
    /// By coming back, the application says that it is done with all records of before: automatic commits cover them from now
    /// on. Callbacks run here. An application that does not come back for `max.poll.interval.ms` loses its partitions.
    ///
    /// Cancel safety: nothing is lost. A callback that has begun goes on with the next call.
    ///
    /// # Errors
    ///
    /// What the application has to know: a partition that cannot be read on ([`Error::Malformed`], `OFFSET_OUT_OF_RANGE` without
    /// `auto.offset.reset`), a group that does not take this member. The consumer goes on where it can.
    pub async fn poll(&mut self) -> Result<Batch, Error> {
        self.come_back();
        loop {
            self.run_callbacks().await;
            self.commit_in_time().await;
            let (taken, has_made_way) = {
                let mut state = self.shared.state();
                (state.take(), state.has_made_way())
            };
            if has_made_way {
                self.shared.driver.notify_one();
            }
            if let Some(taken) = taken {
                return taken;
            }
            if *self.shared.ended.borrow() {
                return Err(Error::Closed);
            }
            let commit_due = self.may_commit().then_some(self.next_commit);
            let alive = Instant::now() + ALIVE_EVERY;
            tokio::select! {
                () = self.shared.application.notified() => {}
                () = tokio::time::sleep_until(commit_due.map_or(alive, |due| due.min(alive))) => {}
            }
            self.shared.polled();
        }
    }

    /// The records one by one. What only a consumer can do comes first; its [`committer`](Self::committer) stays useful.
    pub fn into_stream(self) -> RecordStream {
        RecordStream::new(self)
    }

    fn come_back(&self) {
        self.shared.state().ledger.given_back();
        self.shared.polled();
    }

    fn running(&mut self) -> &mut Option<CallbackFuture> {
        self.running.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the callbacks that wait, one after the other.
    async fn run_callbacks(&mut self) {
        loop {
            if self.running().is_none() {
                let callback = self.shared.state().callback.clone();
                let Some(callback) = callback else { return };
                let called = self.called(callback);
                *self.running() = Some(called);
            }
            if let Some(running) = self.running() {
                running.await;
            }
            *self.running() = None;
            self.shared.state().callback_ends(self.shared.now());
            self.shared.driver.notify_one();
            // The driver brings the next one, if there is any.
            tokio::task::yield_now().await;
        }
    }

    /// What a callback is to the application. Before partitions go, what was given back of them is committed.
    fn called(&self, callback: Callback) -> CallbackFuture {
        let listener = self.listener.clone();
        let committer = self.committer();
        let commits = self.shared.config.auto_commit.is_some();
        Box::pin(async move {
            match callback {
                Callback::Revoke(partitions) => {
                    if let Some(listener) = &listener {
                        listener.revoked(committer.clone(), partitions).await;
                    }
                    if commits && let Err(error) = committer.commit().await {
                        tracing::warn!(%error, "offsets not committed before their partitions go");
                    }
                }
                Callback::Lose(partitions) => {
                    if let Some(listener) = &listener {
                        listener.lost(partitions).await;
                    }
                }
                Callback::Assign(partitions) => {
                    if let Some(listener) = &listener {
                        listener.assigned(partitions).await;
                    }
                }
            }
        })
    }

    /// Whether there are automatic commits, and none is on its way.
    fn may_commit(&self) -> bool {
        let config = &self.shared.config;
        config.auto_commit.is_some() && config.group.is_some() && self.committing.is_none()
    }

    /// Begins an automatic commit when it is due, and takes the outcome of the last one.
    async fn commit_in_time(&mut self) {
        if self.committing.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(finished) = self.committing.take()
            && let Ok(Err(error)) = finished.await
        {
            // A member that was given up has lost its partitions, which its callback tells.
            tracing::debug!(%error, "automatic commit refused");
        }
        let now = Instant::now();
        if !self.may_commit() || now < self.next_commit {
            return;
        }
        self.next_commit = now + self.shared.config.auto_commit.unwrap_or_default().max(COMMIT_AT_MOST_EVERY);
        if !self.shared.state().ledger.owed().is_empty() {
            let committer = self.committer();
            self.committing = Some(tokio::spawn(async move { committer.commit().await }));
        }
    }

    /// Commits offsets, here and from other tasks.
    #[must_use]
    pub fn committer(&self) -> Committer {
        Committer { shared: Arc::clone(&self.shared) }
    }

    /// Commits the offsets behind all records that were handed out, those of the last [`poll`](Self::poll) included: by this call,
    /// the application says that it is done with them.
    ///
    /// Cancel safety: dropped, the commit may or may not have been made.
    ///
    /// # Errors
    ///
    /// As [`Committer::commit`].
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.shared.state().ledger.given_back();
        self.committer().commit().await
    }

    /// The partitions that are assigned now.
    #[must_use]
    pub fn assignment(&self) -> BTreeSet<TopicPartition> {
        self.shared.state().assignment()
    }

    /// The offset of the next record of a partition that [`poll`](Self::poll) gives, once it is known.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared.state().next_offset(partition)
    }

    /// How many records of a partition [`poll`](Self::poll) has not given yet, as of the last fetch.
    #[must_use]
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared.state().lag(partition)
    }

    /// Reads a partition from this offset on. False if it is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) -> bool {
        let to = Committable { offset, leader_epoch: None };
        let sought = self.shared.state().seek(partition, |positions| positions.seek(partition, to));
        self.shared.driver.notify_one();
        sought
    }

    /// Reads a partition from its beginning, its end or a time on. False if it is not assigned.
    pub fn seek_to(&mut self, partition: &TopicPartition, landmark: Landmark) -> bool {
        let sought = self.shared.state().seek(partition, |positions| positions.seek_to(partition, landmark));
        self.shared.driver.notify_one();
        sought
    }

    /// Stops giving out records of these partitions. They stay assigned, and what was fetched stays while
    /// others have room beside it.
    pub fn pause<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut state = self.shared.state();
        partitions.into_iter().for_each(|partition| state.pause(partition));
    }

    /// Gives out records of these partitions again.
    pub fn resume<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut state = self.shared.state();
        partitions.into_iter().for_each(|partition| state.resume(partition));
        drop(state);
        self.shared.driver.notify_one();
        self.shared.application.notify_one();
    }

    /// Commits what the application is done with, if commits are automatic, and leaves the group. The application is done with all
    /// records that it was handed.
    ///
    /// Cancel safety: dropped, the consumer leaves in the background.
    ///
    /// # Errors
    ///
    /// That of the last automatic commit. The consumer has left all the same.
    pub async fn close(mut self) -> Result<(), Error> {
        self.come_back();
        let committed = self.commit_at_the_end().await;
        self.shared.state().phase = Lifetime::Closing;
        let mut ended = self.shared.ended.subscribe();
        self.shared.driver.notify_one();
        while !*ended.borrow_and_update() {
            self.run_callbacks().await;
            tokio::select! {
                () = self.shared.application.notified() => {}
                changed = ended.changed() => if changed.is_err() { break },
            }
        }
        committed
    }
}

/// A regular expression, or what is wrong with it.
fn compiled(pattern: &str) -> Result<TopicPattern, Error> {
    TopicPattern::new(pattern).map_err(|cause| {
        // One of 64 KiB is not repeated.
        let shown: String = pattern.chars().take(100).collect();
        let message = Some(format!("{shown:?}: {cause}"));
        Error::Broker { code: ErrorCode::INVALID_REGULAR_EXPRESSION, message }
    })
}
