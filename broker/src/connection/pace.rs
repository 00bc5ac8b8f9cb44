//! How fast a request has to arrive.
//!
//! A request that was begun holds memory, so it has to go on. Its sender has [`PATIENCE`] to its credit; each byte adds
//! the time that it takes at [`LEAST_BYTES_PER_SECOND`], and there is never more credit than [`PATIENCE`]. So the deadline
//! grows with the bytes, a pause of half a minute is forgiven at any point, and 70 MiB that came at once buy no hours for the
//! rest.

use std::time::Duration;

use tokio::time::Instant;

/// The least rate at which a request arrives, in bytes a second.
///
/// It is below the slowest line that clients still have: GSM data at 9,600 bits a second carries 1,200 bytes. A request
/// at this rate costs nobody anything while memory is there; when others wait for memory, [`super::arrivals`] decides.
pub(crate) const LEAST_BYTES_PER_SECOND: u32 = 1 << 10;

/// How long a request may arrive below the least rate, in all of its last part: what TCP needs to recover from an outage
/// of the line.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How much time a request that arrives has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    as_of: Instant,
    credit: Duration,
}

impl Pace {
    /// Of a request that begins now.
    pub(super) const fn begin(now: Instant) -> Self {
        Self { as_of: now, credit: PATIENCE }
    }

    /// Bytes have arrived.
    pub(super) fn received(&mut self, now: Instant, bytes: usize) {
        let spent = now.duration_since(self.as_of);
        // A deadline that has passed and ended nothing: it was the node that stood still.
        let left = self.credit.checked_sub(spent).unwrap_or(PATIENCE);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(bytes.into()) / LEAST_BYTES_PER_SECOND;
        *self = Self { as_of: now, credit: (left + earned).min(PATIENCE) };
    }

    /// The time until now was the broker's, which read nothing: it costs the sender no credit.
    pub(super) const fn excuse(&mut self, now: Instant) {
        self.as_of = now;
    }

    /// When the request has come too slowly if nothing more of it comes.
    pub(super) fn deadline(&self) -> Instant {
        self.as_of + self.credit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RATE: usize = LEAST_BYTES_PER_SECOND as usize;

    /// How long a request of `bytes` lasts, of which `rate` arrive each second.
    fn lasts(bytes: usize, rate: usize) -> Option<Duration> {
        let begun = Instant::now();
        let (mut pace, mut now, mut received) = (Pace::begin(begun), begun, 0);
        while received < bytes {
            now += SECOND;
            if pace.deadline() < now {
                return Some(pace.deadline() - begun);
            }
            pace.received(now, rate);
            received += rate;
        }
        None
    }

    #[test]
    fn the_slowest_line_delivers_a_request_of_any_size() {
        assert_eq!(lasts(1 << 20, RATE), None);
        assert_eq!(lasts(100 << 20, 1_200), None);
    }

    #[test]
    fn a_byte_a_second_does_not() {
        let lasted = lasts(1 << 20, 1).unwrap();
        assert!((PATIENCE..PATIENCE + 2 * SECOND).contains(&lasted), "{lasted:?}");
    }

    #[test]
    fn what_came_at_once_buys_no_time_for_the_rest() {
        let now = Instant::now();
        let mut pace = Pace::begin(now);
        pace.received(now + SECOND, 70 << 20);
        assert_eq!(pace.deadline(), now + SECOND + PATIENCE);
    }

    #[test]
    fn the_brokers_own_time_is_not_counted() {
        let now = Instant::now();
        let mut pace = Pace::begin(now);
        pace.received(now + 20 * SECOND, 1);
        pace.excuse(now + 500 * SECOND);
        let left = pace.deadline() - (now + 500 * SECOND);
        assert!((10 * SECOND..11 * SECOND).contains(&left), "{left:?}");
    }

    #[test]
    fn bytes_that_a_node_reads_late_count_as_in_time() {
        let now = Instant::now();
        let mut pace = Pace::begin(now);
        pace.received(now + 100 * SECOND, 1);
        assert_eq!(pace.deadline(), now + 100 * SECOND + PATIENCE);
    }
}
