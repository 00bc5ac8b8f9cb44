//! The node's budget of answers: how much memory the answers of all connections together may take, from the work on them
//! until they are written to the socket.
//!
//! An answer has its [`Share`] of the budget before it is built, by what it is known or estimated to take, and waits for it if
//! there is none; then it keeps what its frame takes. A fetch does not wait: it takes a part of what is free and reads no
//! more than that. Where not even its first batch fits, it waits for what a usual batch takes, and then for the overdraft, as
//! everything does that needs more than there is: one answer at a time may overdraw the budget. So memory is bounded by the
//! budget and one largest answer, and there is always progress.
//!
//! Small answers need no share, up to [`SMALL_ANSWERS_BYTES`] on a connection: while so much waits for a client to read it, the
//! connection is not read. So acknowledgements and heartbeats pass while others wait.
//!
//! Once half of the memory is taken, a connection gets one share at a time, for the oldest of its replies, as Kafka works on one
//! request of a connection at a time. So one that asks often waits as one that asks once, and no reply holds what an earlier one
//! needs.
//!
//! # Clients that do not read
//!
//! A client that does not read holds its answer's share. That disturbs nobody while there is memory. When an answer has
//! waited for [`WAITS`], connections whose clients have taken nothing meanwhile are closed, or, where all take
//! something, the one that takes least ([`Arrivals`] tells). Fetches that hold something while they wait for more answer then with
//! what they have.
//!
//! A client whose connection was closed can connect again, and hold memory again. So a connection is a *newcomer* until its client has
//! read [`NEWCOMER_BYTES`], which is more than the kernels keep for a client that reads nothing. Newcomers together have
//! a [part](NEWCOMER_PART) of the budget. While newcomers wait for that, others of them that have taken nothing for
//! [`NEWCOMER_WAITS`] are closed. So clients that read nothing and come again hold up those that read by fractions of a second, and only
//! until these are newcomers no more.

mod level;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::level::{Level, Part};
use super::arrivals::{Arrival, Arrivals, WAITS};

/// Bytes that the answers of all connections may take.
pub(crate) const NODE_ANSWER_BYTES: usize = 32 << 20;

/// The answers of newcomers may take no more than this part of the budget.
pub(crate) const NEWCOMER_PART: usize = 2;

/// Bytes that a client has read before its connection is no newcomer any more. Above what the kernels of both ends take for a
/// client that reads nothing: between 2 and 3 MiB over the loopback of Linux, and less over a network.
pub(crate) const NEWCOMER_BYTES: usize = 4 << 20;

/// How long a newcomer may take nothing of its answers while other newcomers wait for memory. Above the round trip of a satellite
/// line.
pub(crate) const NEWCOMER_WAITS: Duration = Duration::from_millis(250);

/// Bytes of a connection's answers that need no share. One small answer may go beyond.
pub(crate) const SMALL_ANSWERS_BYTES: usize = 16 << 10;

/// A fetch takes no more than this part of what is free, so that others find something. One of a newcomer takes half of that.
const FETCH_PART: usize = 4;

/// The budget of a node. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct AnswerBudget {
    all: Level,
    /// What newcomers have to have beside that.
    newcomers: Level,
    /// Connections whose clients have something to read.
    readers: Arrivals,
    /// Told when an answer has waited for long.
    scarce: Arc<Notify>,
    taken: IntGauge,
}

/// A connection's access to the budget.
#[derive(Debug)]
pub(crate) struct AnswerMemory {
    budget: AnswerBudget,
    /// Wakes the connection when it has to go.
    put_out: Arc<Notify>,
    /// How fast the client reads, while it has something to read.
    reader: Mutex<Weak<Arrival>>,
    /// Bytes of answers that the client has taken.
    read: AtomicUsize,
    /// Whether the reply that is worked on is the oldest of the connection: see [`super::queue`].
    turn: Arc<AtomicBool>,
}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<AnswerMemory>,
    of_all: Part,
    /// The same of what newcomers have, while the connection is one.
    of_newcomers: Option<Part>,
    /// Once the answer is there, and it is the client's turn to read it.
    reader: Option<Arc<Arrival>>,
}

impl AnswerBudget {
    /// A budget of so many bytes. `taken` shows how many are taken.
    pub(super) fn new(bytes: usize, taken: IntGauge) -> Self {
        Self {
            all: Level::new(bytes),
            newcomers: Level::new(bytes / NEWCOMER_PART),
            readers: Arrivals::default(),
            scarce: Arc::default(),
            taken,
        }
    }

    /// An answer has waited for long. What can be done about it is done.
    fn is_scarce(&self) {
        self.scarce.notify_waiters();
        self.readers.put_out_still(Instant::now());
    }
}

impl AnswerMemory {
    /// A connection's access. `put_out` is told when the connection may have to go, and `turn` tells whose turn it is.
    pub(super) fn new(budget: AnswerBudget, put_out: Arc<Notify>, turn: Arc<AtomicBool>) -> Self {
        Self { budget, put_out, reader: Mutex::default(), read: AtomicUsize::new(0), turn }
    }

    /// A share that covers `bytes`, if they are free.
    pub(crate) fn try_share(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let mut share = self.nothing();
        share.try_grow_to(bytes).then_some(share)
    }

    /// A share that covers nothing yet.
    pub(crate) fn nothing(self: &Arc<Self>) -> Share {
        let of_newcomers = self.is_newcomer().then(Part::default);
        Share { memory: Arc::clone(self), of_all: Part::default(), of_newcomers, reader: None }
    }

    fn is_newcomer(&self) -> bool {
        self.read.load(Ordering::Relaxed) < NEWCOMER_BYTES
    }

    fn is_turn(&self) -> bool {
        let AnswerBudget { all, newcomers, .. } = &self.budget;
        let is_plenty = all.is_half_free() && (newcomers.is_half_free() || !self.is_newcomer());
        is_plenty || self.turn.load(Ordering::Relaxed)
    }

    /// Waits until the reply that waits is the oldest of its connection, unless half of the memory is free. The queue works on it
    /// anew then.
    pub(crate) async fn turn(&self) {
        poll_fn(|_| if self.is_turn() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Waits until the reply that waits is the oldest of its connection. What waits for memory has to be: the others are not always
    /// worked on, and would keep what they are given meanwhile.
    async fn head(&self) {
        let is_head = || self.turn.load(Ordering::Relaxed);
        poll_fn(|_| if is_head() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Waits until memory is scarce: another answer has waited for long.
    pub(crate) async fn scarce(&self) {
        self.budget.scarce.notified().await;
    }

    /// The client has taken `bytes` of its answers.
    pub(super) fn written(&self, now: Instant, bytes: usize) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
        if let Some(reader) = self.lock().upgrade() {
            reader.received(now, bytes);
        }
    }

    /// Whether the connection has to go, because it holds answers that are not read.
    pub(super) fn is_put_out(&self) -> bool {
        self.lock().upgrade().is_some_and(|reader| reader.is_put_out())
    }

    /// The client has something to read as long as this is kept.
    pub(super) fn reader(&self) -> Arc<Arrival> {
        let mut reader = self.lock();
        reader.upgrade().unwrap_or_else(|| {
            let entered = self.budget.readers.enter(Instant::now(), &self.put_out);
            if self.is_newcomer() {
                entered.is_newcomer();
            }
            let entered = Arc::new(entered);
            *reader = Arc::downgrade(&entered);
            entered
        })
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Arrival>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Whether it covers more than what needs no share.
    pub(crate) fn is_any(&self) -> bool {
        self.of_all.is_any()
    }

    /// Whether it covers an answer of any size.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.of_all.is_overdrawn()
    }

    /// What the share has of newcomers' memory is given back once the connection is none.
    fn outgrow(&mut self) {
        if !self.memory.is_newcomer() {
            self.of_newcomers = None;
        }
    }

    /// Covers `bytes`, if what it lacks is free.
    pub(crate) fn try_grow_to(&mut self, bytes: usize) -> bool {
        self.outgrow();
        let bytes = with_share(bytes);
        let AnswerBudget { all, newcomers, .. } = &self.memory.budget;
        let of_newcomers = self.of_newcomers.as_mut();
        if self.of_all.covers(bytes) && of_newcomers.as_ref().is_none_or(|part| part.covers(bytes)) {
            return true;
        }
        if !self.memory.is_turn() {
            return false;
        }
        let before = self.of_all.bytes();
        if let Some(part) = of_newcomers {
            let had = part.bytes();
            if !part.try_grow_to(newcomers, bytes) {
                return false;
            }
            if !self.of_all.try_grow_to(all, bytes) {
                part.shrink_to(had);
                return false;
            }
        } else if !self.of_all.try_grow_to(all, bytes) {
            return false;
        }
        self.memory.budget.taken.add(gauged(self.of_all.bytes()) - gauged(before));
        true
    }

    /// Waits until it covers `bytes`.
    pub(crate) async fn grow_to(&mut self, bytes: usize) {
        if self.try_grow_to(bytes) {
            return;
        }
        self.memory.head().await;
        if !self.try_grow_to(bytes) {
            self.wait_for(bytes).await;
        }
    }

    /// Waits until it covers an answer of any size.
    pub(crate) async fn overdraw(&mut self) {
        if !self.is_overdrawn() {
            self.memory.head().await;
            self.wait_for(usize::MAX).await;
        }
    }

    async fn wait_for(&mut self, bytes: usize) {
        self.outgrow();
        let bytes = with_share(bytes);
        let budget = self.memory.budget.clone();
        if let Some(part) = self.of_newcomers.as_mut().filter(|part| !part.covers(bytes)) {
            let mut grant = std::pin::pin!(budget.newcomers.wait(part.lacks(bytes)));
            let granted = loop {
                if let Ok(granted) = timeout(NEWCOMER_WAITS, &mut grant).await {
                    break granted;
                }
                budget.scarce.notify_waiters();
                budget.readers.put_out_newcomers(Instant::now(), NEWCOMER_WAITS);
            };
            part.add(granted);
        }
        let mut grant = std::pin::pin!(budget.all.wait(self.of_all.lacks(bytes)));
        let granted = loop {
            if let Ok(granted) = timeout(WAITS, &mut grant).await {
                break granted;
            }
            budget.is_scarce();
        };
        let before = self.of_all.bytes();
        self.of_all.add(granted);
        budget.taken.add(gauged(self.of_all.bytes()) - gauged(before));
    }

    /// Takes a part of what is free, up to `most` bytes in all, and returns how many bytes may be used. There is always a
    /// little that needs no share.
    pub(crate) fn grow_for_fetch(&mut self, most: usize) -> usize {
        self.outgrow();
        if self.is_overdrawn() {
            return most;
        }
        let AnswerBudget { all, newcomers, .. } = &self.memory.budget;
        let free = match self.of_newcomers {
            Some(_) => all.free().min(newcomers.free()) / 2,
            None => all.free(),
        };
        let part = self.of_all.bytes() + free / FETCH_PART;
        let wanted = most.min(part);
        let covered = if self.try_grow_to(wanted) { wanted } else { self.of_all.bytes() };
        covered.max(SMALL_ANSWERS_BYTES)
    }

    /// Gives back what is not needed to cover `bytes`, and the overdraft if it is not needed either.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.outgrow();
        let bytes = with_share(bytes);
        let AnswerBudget { all, newcomers, taken, .. } = &self.memory.budget;
        let before = self.of_all.bytes();
        self.of_all.settle(all, bytes);
        taken.add(gauged(self.of_all.bytes()) - gauged(before));
        if let Some(part) = &mut self.of_newcomers {
            part.settle(newcomers, bytes);
        }
    }

    /// The answer is there, and takes `bytes`: from now on it is the client that holds them.
    pub(crate) fn handed_over(mut self, bytes: usize) -> Option<Self> {
        self.shrink_to(bytes);
        if !self.is_any() {
            return None;
        }
        self.reader = Some(self.memory.reader());
        Some(self)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.budget.taken.sub(gauged(self.of_all.bytes()));
    }
}

/// The bytes of an answer that have to be covered: none of a small one.
const fn with_share(bytes: usize) -> usize {
    if bytes <= SMALL_ANSWERS_BYTES { 0 } else { bytes }
}

fn gauged(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    fn budget() -> AnswerBudget {
        AnswerBudget::new(SIZE, IntGauge::new("taken", "taken").unwrap())
    }

    /// A connection whose client has read nothing yet.
    fn newcomer(budget: &AnswerBudget) -> Arc<AnswerMemory> {
        Arc::new(AnswerMemory::new(budget.clone(), Arc::default(), Arc::new(AtomicBool::new(true))))
    }

    /// A connection whose client has read enough.
    fn connection(budget: &AnswerBudget) -> Arc<AnswerMemory> {
        let connection = newcomer(budget);
        connection.written(Instant::now(), NEWCOMER_BYTES);
        connection
    }

    async fn is_ready(future: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = future => true,
            () = std::future::ready(()) => false,
        }
    }

    #[test]
    fn small_answers_need_no_share_and_others_give_theirs_back() {
        let budget = budget();
        let memory = connection(&budget);
        let all = memory.try_share(SIZE).unwrap();
        assert_eq!(budget.taken.get(), gauged(SIZE));
        let small = memory.try_share(SMALL_ANSWERS_BYTES).unwrap();
        assert!(!small.is_any() && memory.try_share(SMALL_ANSWERS_BYTES + 1).is_none());
        let built = all.handed_over(100_000).unwrap();
        assert_eq!(budget.taken.get(), 100_000);
        assert!(memory.try_share(SIZE - 100_000).is_some());
        drop(built);
        assert_eq!((budget.taken.get(), budget.all.free()), (0, SIZE));
        assert!(memory.try_share(SIZE).unwrap().handed_over(10).is_none(), "a small one keeps nothing");
    }

    #[tokio::test]
    async fn only_the_oldest_reply_of_a_connection_waits_for_memory() {
        let budget = budget();
        let (first, second) = (connection(&budget), connection(&budget));
        let taken = first.try_share(SIZE / 2).unwrap();
        second.turn.store(false, Ordering::Relaxed);
        let mut share = second.nothing();
        assert!(share.try_grow_to(SIZE / 4), "what there is plenty of anybody may have");
        let mut waiting = Box::pin(share.grow_to(SIZE));
        assert!(!is_ready(&mut waiting).await);
        drop(taken);
        assert!(!is_ready(&mut waiting).await, "it is not given what it may not be there to use");
        assert!(first.try_share(SIZE / 2).is_some());
        second.turn.store(true, Ordering::Relaxed);
        assert!(is_ready(&mut waiting).await);
    }

    #[tokio::test]
    async fn one_answer_at_a_time_overdraws() {
        let budget = budget();
        let memory = connection(&budget);
        let mut first = memory.try_share(SIZE).unwrap();
        let mut second = memory.nothing();
        first.grow_to(100 * SIZE).await;
        assert!(!is_ready(second.grow_to(2 * SIZE)).await && !is_ready(second.grow_to(SIZE)).await);
        assert_eq!(first.grow_for_fetch(50 * SIZE), 50 * SIZE);
        first.shrink_to(SIZE / 2);
        assert!(is_ready(second.grow_to(SIZE / 2)).await, "what fits gives the overdraft back");
        second.grow_to(2 * SIZE).await;
    }

    #[tokio::test]
    async fn only_the_oldest_reply_of_a_connection_gets_a_share_when_half_is_taken() {
        let memory = connection(&budget());
        memory.turn.store(false, Ordering::Relaxed);
        let mut share = memory.nothing();
        let _half = memory.try_share(SIZE / 2 + 1).expect("there is plenty");
        assert!(memory.try_share(SIZE / 4).is_none() && memory.try_share(SMALL_ANSWERS_BYTES).is_some());
        assert!(!is_ready(share.grow_to(SIZE / 4)).await && !is_ready(share.overdraw()).await);
        memory.turn.store(true, Ordering::Relaxed);
        assert!(is_ready(share.grow_to(SIZE / 4)).await);
    }

    #[test]
    fn fetches_leave_something_for_others() {
        let budget = budget();
        let memory = connection(&budget);
        let mut fetches: Vec<(Share, usize)> = Vec::new();
        for _ in 0..100 {
            let mut share = memory.nothing();
            let covered = share.grow_for_fetch(16 << 20);
            assert!(covered >= SMALL_ANSWERS_BYTES, "a fetch always gets something");
            fetches.push((share, covered));
        }
        assert_eq!(fetches[0].1, SIZE / FETCH_PART);
        assert!(fetches[99].1 < fetches[0].1 / 2);
        assert!(budget.all.free() > SMALL_ANSWERS_BYTES);
    }

    #[tokio::test]
    async fn who_reads_nothing_gives_way_when_others_wait_for_long() {
        let budget = budget();
        let clients: Vec<_> = (0..4).map(|_| connection(&budget)).collect();
        let held: Vec<_> =
            clients.iter().map(|memory| memory.try_share(SIZE / 4).unwrap().handed_over(SIZE / 4)).collect();
        let memory = connection(&budget);
        let (mut overdrawn, mut waiting) = (memory.nothing(), memory.nothing());
        overdrawn.overdraw().await;
        assert!(!is_ready(waiting.grow_to(SIZE / 2)).await);
        let now = Instant::now();
        clients[0].written(now + 3 * WAITS / 2, 1_000);
        // What those that wait do after a while.
        budget.readers.put_out_still(now + 9 * WAITS / 4);
        let put_out: Vec<bool> = clients.iter().map(|client| client.is_put_out()).collect();
        assert_eq!(put_out, [false, true, true, true]);
        clients[1].put_out.notified().await;
        drop(held);
        waiting.grow_to(SIZE / 2).await;
    }
    #[tokio::test]
    async fn newcomers_have_a_part_of_the_memory_until_they_have_read() {
        let budget = budget();
        let crowd: Vec<_> = (0..4).map(|_| newcomer(&budget)).collect();
        let part = SIZE / NEWCOMER_PART;
        let held: Vec<_> = crowd.iter().map(|memory| memory.try_share(part / 4).unwrap()).collect();
        let newcomer = newcomer(&budget);
        assert!(newcomer.try_share(part / 4).is_none(), "newcomers have no more");
        assert_eq!(budget.all.free(), SIZE - part, "and nothing is taken where they get nothing");
        assert!(connection(&budget).try_share(SIZE - part).is_some(), "the rest is for others");
        let mut share = newcomer.nothing();
        assert_eq!(share.grow_for_fetch(SIZE), SMALL_ANSWERS_BYTES);
        newcomer.written(Instant::now(), NEWCOMER_BYTES);
        assert!(share.try_grow_to(part / 4), "it is no newcomer any more");
        drop((held, share));
        assert_eq!((budget.newcomers.free(), budget.all.free(), budget.taken.get()), (part, SIZE, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn newcomers_that_read_nothing_give_way_at_once_to_each_other_and_to_nobody_else() {
        let budget = budget();
        let part = SIZE / NEWCOMER_PART;
        let known = connection(&budget);
        let of_known = known.try_share(part).unwrap().handed_over(part);
        let crowd: Vec<_> = (0..4).map(|_| newcomer(&budget)).collect();
        let of_crowd: Vec<_> =
            crowd.iter().map(|memory| memory.try_share(part / 4).unwrap().handed_over(part / 4)).collect();
        let (mut overdrawn, late) = (newcomer(&budget).nothing(), newcomer(&budget));
        overdrawn.overdraw().await;
        let mut share = late.nothing();
        let begun = Instant::now();
        let leave = async {
            for memory in &crowd[1..] {
                memory.put_out.notified().await;
                assert!(memory.is_put_out());
            }
            drop(of_known);
            drop(of_crowd);
        };
        let read = async {
            loop {
                tokio::time::sleep(NEWCOMER_WAITS / 5).await;
                crowd[0].written(Instant::now(), 1);
            }
        };
        tokio::select! {
            biased;
            ((), ()) = async { tokio::join!(share.grow_to(part / 2), leave) } => {}
            () = read => {}
        }
        assert!(begun.elapsed() < WAITS && !crowd[0].is_put_out() && !known.is_put_out());
    }

    #[tokio::test]
    async fn a_newcomer_may_overdraw_both() {
        let budget = budget();
        let (first, second) = (newcomer(&budget), newcomer(&budget));
        let mut share = first.nothing();
        share.overdraw().await;
        assert!(share.is_overdrawn() && !is_ready(second.nothing().overdraw()).await);
        assert!(!is_ready(connection(&budget).nothing().overdraw()).await);
        share.shrink_to(SIZE / 4);
        assert!(!share.is_overdrawn() && share.is_any());
        assert!(is_ready(second.nothing().overdraw()).await);
    }
}
