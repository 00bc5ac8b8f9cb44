//! How far a start is: a line a second, so that a node that reads gigabytes is not taken for one that hangs.
//!
//! A start has three parts. The store is opened, for which sled reads what was written since it was opened before; the groups
//! are opened, each from its checkpoint; and what was committed behind the checkpoints is applied again.

use std::time::{Duration, Instant};

/// How often a start that goes on says how far it is.
pub(crate) const SAY_EVERY: Duration = Duration::from_secs(1);

/// How far the node is with applying what was committed before it started.
pub(super) struct ReplayReport {
    began: Instant,
    said: Instant,
    /// Bytes read for it.
    read_bytes: u64,
}

impl ReplayReport {
    pub(super) const fn new(now: Instant) -> Self {
        Self { began: now, said: now, read_bytes: 0 }
    }

    /// A round has read this much.
    pub(super) const fn count(&mut self, read_bytes: usize) {
        self.read_bytes += read_bytes as u64;
    }

    /// Says how far it is, if that is due and `unapplied` entries are left. None once there are none.
    pub(super) fn look(mut self, now: Instant, unapplied: u64) -> Option<Self> {
        let read_mib = self.read_bytes >> 20;
        if unapplied == 0 {
            let milliseconds = (now - self.began).as_millis();
            tracing::info!(read_mib, milliseconds, "applied what was committed before the start");
            return None;
        }
        if self.is_due(now) {
            tracing::info!(
                entries_left = unapplied,
                read_mib,
                "still applying what was committed before the start"
            );
        }
        Some(self)
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.said + SAY_EVERY;
        if due {
            self.said = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_until_nothing_is_left() {
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        let mut report = ReplayReport::new(began);
        assert!(!report.is_due(after(999)));
        assert!(report.is_due(after(1000)));
        assert!(!report.is_due(after(1999)));
        report.count(5);
        let report = report.look(after(2000), 3).expect("three entries are left");
        assert_eq!((report.said, report.read_bytes), (after(2000), 5));
        assert!(report.look(after(2001), 0).is_none());
    }
}
