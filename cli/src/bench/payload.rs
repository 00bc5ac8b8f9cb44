//! The values that a bench sends: letters at random, with a stamp before them where a consumer measures.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes from which values are cut.
const POOL: usize = 4 << 20;

/// The largest value.
pub(super) const MAX_SIZE: usize = 1 << 20;

/// Bytes of a stamp: the time, and the number of the run.
pub(super) const STAMP: usize = 16;

/// Values of one size, the same in every run.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pool: Bytes,
    size: usize,
}

impl Values {
    /// Values of `size` bytes, [`MAX_SIZE`] at most.
    pub(super) fn new(size: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let letters = std::iter::repeat_with(|| {
            // Xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'A' + u8::try_from(state % 26).unwrap_or(0)
        });
        Self { pool: letters.take(POOL).collect(), size: size.min(MAX_SIZE) }
    }

    /// The value of a record. Values of successive numbers do not overlap, so that no codec finds one in another.
    pub(super) fn plain(&self, number: u64) -> Bytes {
        self.cut(number, self.size)
    }

    /// The value of a record, with a stamp at its head.
    pub(super) fn stamped(&self, number: u64, stamp: &Stamp, time: Instant) -> Bytes {
        let mut value = BytesMut::with_capacity(self.size.max(STAMP));
        let since = time.saturating_duration_since(stamp.origin);
        value.put_u64(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        value.put_u64(stamp.run);
        value.extend_from_slice(&self.cut(number, self.size.saturating_sub(STAMP)));
        value.freeze()
    }

    fn cut(&self, number: u64, size: usize) -> Bytes {
        let room = (self.pool.len() - size) as u64 + 1;
        let at = number.wrapping_mul(self.size as u64) % room;
        let at = usize::try_from(at).unwrap_or(0);
        self.pool.slice(at..at + size)
    }
}

/// Tells records of this run from others in the topic, and when they were sent.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    /// Times are counted from here.
    pub(super) origin: Instant,
    /// The number of the run.
    pub(super) run: u64,
}

impl Stamp {
    /// How long the record of this value was on its way; none if it is not of this run.
    pub(super) fn age(&self, value: &[u8], now: Instant) -> Option<Duration> {
        let (time, run) = value.first_chunk::<STAMP>()?.split_at(8);
        if run != self.run.to_be_bytes() {
            return None;
        }
        let sent = self.origin + Duration::from_nanos(time.try_into().map_or(0, u64::from_be_bytes));
        Some(now.saturating_duration_since(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_size_and_successive_ones_do_not_overlap() {
        for size in [1, 1024, MAX_SIZE] {
            let values = Values::new(size);
            let (one, next) = (values.plain(0), values.plain(1));
            assert_eq!((one.len(), values.plain(u64::MAX).len()), (size, size));
            assert_eq!(next.as_ptr() as usize, one.as_ptr() as usize + size);
        }
        assert_eq!(Values::new(0).plain(7), "");
    }

    #[test]
    fn a_stamp_tells_the_age_of_a_record_of_its_run_only() {
        let stamp = Stamp { origin: Instant::now(), run: 7 };
        let (sent, now) = (stamp.origin + Duration::from_micros(3), stamp.origin + Duration::from_micros(10));
        let value = Values::new(100).stamped(5, &stamp, sent);
        assert_eq!((value.len(), stamp.age(&value, now)), (100, Some(Duration::from_micros(7))));
        let other = Stamp { run: 8, ..stamp };
        assert_eq!(other.age(&value, now), None);
        assert_eq!(stamp.age(&value[..STAMP - 1], now), None);
    }
}
