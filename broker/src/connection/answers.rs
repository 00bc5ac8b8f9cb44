//! The node's budget of answers: how much memory the answers of all connections together may take, from the work on them
//! until they are written to the socket.
//!
//! An answer has its [`Share`] of the budget before it is built, by what it is known or estimated to take, and waits for it if
//! there is none; then it keeps what its frame takes. A fetch does not wait: it takes a part of what is free and reads no
//! more than that. Where not even its first batch fits, it waits for the overdraft, as everything does that needs more than
//! there is: one answer at a time may overdraw the budget. So memory is bounded by the budget and one largest answer, and
//! there is always progress.
//!
//! Small answers need no share, up to [`SMALL_ANSWERS_BYTES`] on a connection: while so much waits for a client to read it, the
//! connection is not read. So acknowledgements and heartbeats pass while others wait.
//!
//! Once half of the memory is taken, a connection gets one share at a time, for the oldest of its replies, as Kafka works on one
//! request of a connection at a time. So one that asks often waits as one that asks once, and no reply holds what an earlier one
//! needs.
//!
//! A client that does not read holds its answer's share. That disturbs nobody while there is memory. When an answer has
//! waited for [`WAITS`], connections whose clients have taken nothing meanwhile are closed, or, where all take
//! something, the one that takes least ([`Arrivals`] tells). Fetches that hold something while they wait for more answer then with
//! what they have.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;

use prometheus::IntGauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::arrivals::{Arrival, Arrivals, WAITS};

/// Bytes that the answers of all connections may take.
pub(crate) const NODE_ANSWER_BYTES: usize = 64 << 20;

/// Bytes of a connection's answers that need no share. One small answer may go beyond.
pub(crate) const SMALL_ANSWERS_BYTES: usize = 16 << 10;

/// A fetch takes no more than this part of what is free, so that others find something.
const FETCH_PART: usize = 8;

/// The budget of a node. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct AnswerBudget {
    size: usize,
    bytes: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
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
    /// Whether the reply that is worked on is the oldest of the connection: see [`super::queue`].
    turn: Arc<AtomicBool>,
}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<AnswerMemory>,
    bytes: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
    /// Once the answer is there, and it is the client's turn to read it.
    reader: Option<Arc<Arrival>>,
}

impl AnswerBudget {
    /// A budget of so many bytes. `taken` shows how many are taken.
    pub(super) fn new(bytes: usize, taken: IntGauge) -> Self {
        Self {
            size: bytes,
            bytes: Arc::new(Semaphore::new(bytes)),
            overdraft: Arc::new(Semaphore::new(1)),
            readers: Arrivals::default(),
            scarce: Arc::default(),
            taken,
        }
    }
}

impl AnswerMemory {
    /// A connection's access. `put_out` is told when the connection may have to go, and `turn` tells whose turn it is.
    pub(super) fn new(budget: AnswerBudget, put_out: Arc<Notify>, turn: Arc<AtomicBool>) -> Self {
        Self { budget, put_out, reader: Mutex::default(), turn }
    }

    /// A share that covers `bytes`, if they are free.
    pub(crate) fn try_share(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let mut share = self.nothing();
        share.try_grow_to(bytes).then_some(share)
    }

    /// A share that covers nothing yet.
    pub(crate) fn nothing(self: &Arc<Self>) -> Share {
        Share { memory: Arc::clone(self), bytes: None, overdraft: None, reader: None }
    }

    fn is_turn(&self) -> bool {
        let is_plenty = self.budget.bytes.available_permits() >= self.budget.size / 2;
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
            let entered = Arc::new(self.budget.readers.enter(Instant::now(), &self.put_out));
            *reader = Arc::downgrade(&entered);
            entered
        })
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Arrival>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Bytes that it covers; what needs no share is not counted.
    fn bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// How many bytes it lacks to cover `bytes`. A small answer needs none.
    fn lacks(&self, bytes: usize) -> usize {
        if self.overdraft.is_some() || bytes <= SMALL_ANSWERS_BYTES {
            return 0;
        }
        bytes.saturating_sub(self.bytes())
    }

    /// Whether it covers more than what needs no share.
    pub(crate) fn is_any(&self) -> bool {
        self.bytes.is_some() || self.overdraft.is_some()
    }

    /// Covers `bytes`, if what it lacks is free.
    pub(crate) fn try_grow_to(&mut self, bytes: usize) -> bool {
        let Ok(lacking) = u32::try_from(self.lacks(bytes)) else { return false };
        if lacking == 0 {
            return true;
        }
        if !self.memory.is_turn() {
            return false;
        }
        let granted = Arc::clone(&self.memory.budget.bytes).try_acquire_many_owned(lacking);
        granted.map(|granted| self.add(granted)).is_ok()
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
        if self.overdraft.is_none() {
            self.memory.head().await;
            self.wait_for(usize::MAX).await;
        }
    }

    async fn wait_for(&mut self, bytes: usize) {
        let budget = self.memory.budget.clone();
        let lacking = u32::try_from(self.lacks(bytes)).unwrap_or(u32::MAX);
        let grant = async {
            tokio::select! {
                biased;
                // More than there is at all is for the overdraft alone.
                granted = Arc::clone(&budget.bytes).acquire_many_owned(lacking), if bytes <= budget.size => (granted, true),
                granted = Arc::clone(&budget.overdraft).acquire_owned() => (granted, false),
            }
        };
        let mut grant = std::pin::pin!(grant);
        let (granted, is_of_budget) = loop {
            if let Ok(granted) = timeout(WAITS, &mut grant).await {
                break granted;
            }
            budget.scarce.notify_waiters();
            budget.readers.put_out_still(Instant::now());
        };
        let granted = granted.expect("the budget's semaphores are never closed");
        if is_of_budget {
            self.add(granted);
        } else {
            self.overdraft = Some(granted);
        }
    }

    /// Takes a part of what is free, up to `most` bytes in all, and returns how many bytes may be used. There is always a
    /// little that needs no share.
    pub(crate) fn grow_for_fetch(&mut self, most: usize) -> usize {
        let free = self.memory.budget.bytes.available_permits();
        let part = self.bytes() + free / FETCH_PART;
        if self.overdraft.is_some() {
            return most;
        }
        let wanted = most.min(part);
        let covered = if self.try_grow_to(wanted) { wanted } else { self.bytes() };
        covered.max(SMALL_ANSWERS_BYTES)
    }

    /// Gives back what is not needed to cover `bytes`, and the overdraft if it is not needed either.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if let Some(overdraft) = self.overdraft.take()
            && !self.try_grow_to(bytes)
        {
            self.overdraft = Some(overdraft);
            return;
        }
        let needed = if bytes <= SMALL_ANSWERS_BYTES { 0 } else { bytes };
        let surplus = self.bytes().saturating_sub(needed);
        if let Some(permit) = &mut self.bytes
            && let Some(given_back) = permit.split(surplus)
        {
            self.memory.budget.taken.sub(gauged(given_back.num_permits()));
        }
        self.bytes.take_if(|permit| permit.num_permits() == 0);
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

    fn add(&mut self, granted: OwnedSemaphorePermit) {
        self.memory.budget.taken.add(gauged(granted.num_permits()));
        match &mut self.bytes {
            Some(bytes) => bytes.merge(granted),
            none => *none = Some(granted),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.budget.taken.sub(gauged(self.bytes()));
    }
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

    fn connection(budget: &AnswerBudget) -> Arc<AnswerMemory> {
        Arc::new(AnswerMemory::new(budget.clone(), Arc::default(), Arc::new(AtomicBool::new(true))))
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
        assert_eq!((budget.taken.get(), budget.bytes.available_permits()), (0, SIZE));
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
        assert!(budget.bytes.available_permits() > SMALL_ANSWERS_BYTES);
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
}
