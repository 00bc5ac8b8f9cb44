//! How long records are kept: what `retention.ms` and `retention.bytes` make of the clock and of a log's size.
//!
//! A partition gives up whole Raft entries, oldest first, as Kafka does segments; an entry is half a megabyte at most, or one
//! batch, so that the log follows its bounds closely. Of Kafka come the rules:
//!
//! * an entry goes by its age when the greatest timestamp in it and in all before it is older than `retention.ms`: what follows
//!   a record that is to stay, stays. Records without a timestamp go with the first record behind them that has one, or once the
//!   leader has known them for `retention.ms`;
//! * an entry goes by size as long as no less than `retention.bytes` is left behind it;
//! * the last entry may go as well: a log that nobody writes to becomes empty.

use crate::ids::TimestampMs;

/// What is to be kept of a partition. None: all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// `retention.ms`, in milliseconds.
    pub time_ms: Option<i64>,
    /// `retention.bytes`.
    pub bytes: Option<u64>,
}

impl Retention {
    /// The earliest timestamp that is kept at `now`, if time is a reason to give records up.
    #[must_use]
    pub fn earliest(&self, now: TimestampMs) -> Option<TimestampMs> {
        self.time_ms.map(|time| TimestampMs(now.0.saturating_sub(time)))
    }

    /// How many of the first bytes of a log are given up for its size, if that is a reason: so many that the rest, up to
    /// `end`, is no less than what is to be kept. Bytes are counted from the first that was ever written.
    #[must_use]
    pub fn surplus_until(&self, end: u64) -> Option<u64> {
        self.bytes.map(|bytes| end.saturating_sub(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_up_without_a_bound() {
        let retention = Retention::default();
        assert_eq!((retention.earliest(TimestampMs(9)), retention.surplus_until(9)), (None, None));
    }

    #[test]
    fn bounds_are_counted_back_from_now_and_from_the_end() {
        let retention = Retention { time_ms: Some(100), bytes: Some(30) };
        assert_eq!(retention.earliest(TimestampMs(500)), Some(TimestampMs(400)));
        assert_eq!((retention.surplus_until(100), retention.surplus_until(20)), (Some(70), Some(0)));
        let long = Retention { time_ms: Some(i64::MAX), ..retention };
        assert_eq!(long.earliest(TimestampMs(-500)), Some(TimestampMs(i64::MIN)));
    }
}
