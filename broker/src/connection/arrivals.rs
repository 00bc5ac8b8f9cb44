//! Large requests that are on their way, and which of them goes when others wait for memory.
//!
//! A large request holds a part of the node's budget from its first bytes to its answer, and how long that takes is up to
//! its sender. While there is memory for all, that disturbs nobody, so slow lines are served (see [`super::pace`]). When a
//! request has waited for memory for [`WAITS`], the one that arrives slowest is put out, and its memory goes to those that
//! wait; another one each time that much has passed. Requests that arrive at [`FAST_BYTES_PER_SECOND`] and above stay: they
//! are done soon, and what keeps the memory then is the node's own work. So memory is kept from others only by sending
//! faster than they do.
//!
//! A request that waits for memory itself is not put out: that it does not arrive is the broker's doing. One request at a
//! time may overdraw the budget ([`super::budget`]), so one of those that arrive can always go on, or be put out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a request waits for memory before a slower one is put out.
pub(crate) const WAITS: Duration = Duration::from_secs(1);

/// The rate, in bytes a second, from which on a request is not put out for the sake of others. A line of ten megabits
/// carries that.
pub(crate) const FAST_BYTES_PER_SECOND: u64 = 1 << 20;

/// How often a new connection is checked within the time that it may send nothing.
const LOOKS: u32 = 8;

/// Rates are taken over the last one or two of these.
const WINDOW: Duration = Duration::from_secs(1);

/// The large requests that arrive at a node. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: BTreeMap<u64, Entry>,
    entered: u64,
    last_put_out: Option<Instant>,
    /// When newcomers were last looked at.
    last_look: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    rate: Rate,
    /// It waits for memory.
    waits: bool,
    /// It has been told to go.
    put_out: bool,
    /// When bytes of it moved last.
    moved: Instant,
    /// Its client has not yet shown that it reads: see [`super::answers`].
    newcomer: bool,
    /// Wakes its connection.
    notify: Arc<Notify>,
}

/// A request that arrives, until this is dropped.
#[derive(Debug)]
pub(super) struct Arrival {
    arrivals: Arrivals,
    id: u64,
}

impl Arrivals {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins to arrive. `notify` is told if it is put out.
    pub(super) fn enter(&self, now: Instant, notify: &Arc<Notify>) -> Arrival {
        let mut shared = self.lock();
        shared.entered += 1;
        let id = shared.entered;
        let notify = Arc::clone(notify);
        let rate = Rate::new(now);
        let entry = Entry { rate, waits: false, put_out: false, moved: now, newcomer: false, notify };
        shared.requests.insert(id, entry);
        Arrival { arrivals: self.clone(), id }
    }

    /// Puts out the slowest request, unless one was put out just now, or none is slow.
    pub(super) fn put_out_slowest(&self, now: Instant) {
        self.put_out(now, false);
    }

    /// Puts out all that stand still. Where none does, it puts out the slowest. It does nothing if it did so just now.
    pub(super) fn put_out_still(&self, now: Instant) {
        self.put_out(now, true);
    }

    /// Puts out all newcomers that have stood still for so long. It does nothing if it looked at them just now: thousands may ask.
    pub(super) fn put_out_newcomers(&self, now: Instant, still_for: Duration) {
        let is_still = |entry: &&mut Entry| now.duration_since(entry.moved) >= still_for;
        let mut shared = self.lock();
        if shared.last_look.is_some_and(|last| now.duration_since(last) < still_for / LOOKS) {
            return;
        }
        shared.last_look = Some(now);
        let newcomers = shared.requests.values_mut().filter(|entry| entry.newcomer && !entry.put_out);
        for entry in newcomers.filter(is_still) {
            entry.put_out = true;
            entry.notify.notify_one();
        }
    }

    fn put_out(&self, now: Instant, all_still: bool) {
        let mut shared = self.lock();
        if shared.last_put_out.is_some_and(|last| now.duration_since(last) < WAITS) {
            return;
        }
        let candidates = shared.requests.values_mut().filter(|entry| !entry.waits && !entry.put_out);
        let rated = candidates.filter_map(|entry| Some((entry.rate.at(now)?, entry)));
        let mut slow: Vec<_> = rated.filter(|(rate, _)| *rate < FAST_BYTES_PER_SECOND).collect();
        slow.sort_by_key(|(rate, _)| *rate);
        let still = slow.iter().filter(|(rate, _)| *rate == 0).count();
        let out = if all_still { still.max(1) } else { 1 };
        let mut is_any = false;
        for (_, entry) in slow.into_iter().take(out) {
            entry.put_out = true;
            entry.notify.notify_one();
            is_any = true;
        }
        if is_any {
            shared.last_put_out = Some(now);
        }
    }
}

impl Arrival {
    fn with(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.arrivals.lock().requests.get_mut(&self.id) {
            change(entry);
        }
    }

    /// Bytes of it have arrived.
    pub(super) fn received(&self, now: Instant, bytes: usize) {
        self.with(|entry| {
            entry.rate.add(now, bytes);
            entry.moved = now;
        });
    }

    /// It is of a newcomer, as long as it lasts.
    pub(super) fn is_newcomer(&self) {
        self.with(|entry| entry.newcomer = true);
    }

    /// It waits for memory from now on, or waits no more.
    pub(super) fn waits(&self, now: Instant, waits: bool) {
        self.with(|entry| {
            if entry.waits != waits {
                entry.waits = waits;
                // What came before the wait says nothing about what comes after it.
                entry.rate = Rate::new(now);
            }
        });
    }

    /// Whether it has to go.
    pub(super) fn is_put_out(&self) -> bool {
        self.arrivals.lock().requests.get(&self.id).is_some_and(|entry| entry.put_out)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.arrivals.lock().requests.remove(&self.id);
    }
}

/// Bytes over time, by windows that follow one another.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// When the current window began.
    since: Instant,
    /// Bytes in it.
    bytes: u64,
    /// Bytes in the one before; none if there was none.
    before: Option<u64>,
}

impl Rate {
    const fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, before: None }
    }

    /// Begins a window if the current one is over.
    fn roll(&mut self, now: Instant) {
        let passed = now.duration_since(self.since);
        if passed >= 2 * WINDOW {
            *self = Self { since: now, bytes: 0, before: Some(0) };
        } else if passed >= WINDOW {
            *self = Self { since: self.since + WINDOW, bytes: 0, before: Some(self.bytes) };
        }
    }

    fn add(&mut self, now: Instant, bytes: usize) {
        self.roll(now);
        self.bytes += bytes as u64;
    }

    /// Bytes a second lately; none of what has just begun.
    fn at(&mut self, now: Instant) -> Option<u64> {
        self.roll(now);
        let before = self.before?;
        let time = WINDOW + now.duration_since(self.since);
        Some((before + self.bytes) * 1_000 / u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that arrives at so many bytes a second for `seconds`.
    fn arriving(arrivals: &Arrivals, begun: Instant, seconds: u32, rate: usize) -> Arrival {
        let arrival = arrivals.enter(begun, &Arc::default());
        for tick in 1..=10 * seconds {
            arrival.received(begun + tick * Duration::from_millis(100), rate / 10);
        }
        arrival
    }

    #[test]
    fn the_slowest_goes_first_and_one_at_a_time() {
        let (arrivals, begun) = (Arrivals::default(), Instant::now());
        let rates = [200_000, 1_000, 5_000_000, 50_000];
        let requests = rates.map(|rate| arriving(&arrivals, begun, 4, rate));
        let out = || requests.each_ref().map(Arrival::is_put_out);
        let now = begun + Duration::from_secs(4);
        arrivals.put_out_slowest(now);
        assert_eq!(out(), [false, true, false, false]);
        arrivals.put_out_slowest(now + WAITS / 2);
        assert_eq!(out(), [false, true, false, false], "one in a while");
        arrivals.put_out_slowest(now + WAITS);
        assert_eq!(out(), [false, true, false, true]);
    }

    #[test]
    fn fast_new_and_waiting_requests_stay() {
        let (arrivals, begun) = (Arrivals::default(), Instant::now());
        let now = begun + Duration::from_secs(4);
        let fast = arriving(&arrivals, begun, 4, 2 << 20);
        let new = arrivals.enter(now, &Arc::default());
        let waiting = arriving(&arrivals, begun, 3, 10);
        waiting.waits(begun + Duration::from_secs(3), true);
        arrivals.put_out_slowest(now);
        assert!(![&fast, &new, &waiting].iter().any(|arrival| arrival.is_put_out()));
        // It got its memory, and has not gone on since.
        waiting.waits(now, false);
        arrivals.put_out_slowest(now + WINDOW / 2);
        assert!(!waiting.is_put_out());
        drop(new);
        drop(fast);
        arrivals.put_out_slowest(now + 3 * WINDOW);
        assert!(waiting.is_put_out());
    }

    #[tokio::test]
    async fn the_connection_is_woken() {
        let (arrivals, begun) = (Arrivals::default(), Instant::now());
        let notify = Arc::default();
        let arrival = arrivals.enter(begun, &notify);
        arrivals.put_out_slowest(begun + 3 * WINDOW);
        notify.notified().await;
        assert!(arrival.is_put_out());
        drop(arrival);
        assert!(arrivals.lock().requests.is_empty());
    }
}
