//! A disk that stands still, or nearly.
//!
//! Syncs that take seconds hold up everybody who waits for this node, and other nodes can lead meanwhile. So a node whose disk
//! stalls hands over its leaderships and is given none. It goes on as a follower, and leads what nobody else can: a majority may
//! need it. The driver sees to that by itself, from what the store remembers: whoever asked the disk would wait for it, too.
//!
//! A disk that was slow once may be so again. If it counted as well with the first quick sync, leaderships would come back and
//! go with each slow one. It has to have been quick for a while, and for longer each time that this was too soon.

use std::time::Duration;

/// A sync that takes this long stands still.
const STALLED_AFTER: Duration = Duration::from_secs(2);

/// A sync that takes this long is slow. On a disk that stalled, it counts as much as one that stands still.
const SLOW_AFTER: Duration = Duration::from_millis(500);

/// How long a disk that stalled has to be quick before it is trusted again: the first time, and at most.
const QUICK_FOR: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// What is known of the disk. Pure: it is told the time, and how long the oldest sync has been under way.
#[derive(Debug)]
pub(crate) struct Stall {
    is_stalled: bool,
    /// When a sync was last seen to be slow.
    slow_at: Duration,
    /// When the last stall was over.
    over_at: Option<Duration>,
    /// How long the disk has to be quick to be trusted again.
    quick_for: Duration,
}

impl Default for Stall {
    fn default() -> Self {
        Self { is_stalled: false, slow_at: Duration::ZERO, over_at: None, quick_for: QUICK_FOR.0 }
    }
}

impl Stall {
    /// Looks at a moment. Returns whether the disk stalls, if that is new.
    pub(crate) fn look(&mut self, now: Duration, syncing_for: Duration) -> Option<bool> {
        if syncing_for >= SLOW_AFTER {
            self.slow_at = now;
        }
        if !self.is_stalled && syncing_for >= STALLED_AFTER {
            // Too soon is what comes within the time that was waited for.
            let too_soon = self.over_at.is_some_and(|over_at| now < over_at + self.quick_for);
            self.quick_for = if too_soon { (self.quick_for * 2).min(QUICK_FOR.1) } else { QUICK_FOR.0 };
            self.is_stalled = true;
            return Some(true);
        }
        if self.is_stalled && now >= self.slow_at + self.quick_for {
            self.is_stalled = false;
            self.over_at = Some(now);
            return Some(false);
        }
        None
    }

    #[cfg(test)]
    pub(super) const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// How long the disk has to be quick before it is trusted again.
    pub(super) const fn quick_for(&self) -> Duration {
        self.quick_for
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the driver looks.
    const TICK: u64 = 50;

    /// Plays syncs that take these milliseconds, one after the other, and returns when, in milliseconds, the disk began to
    /// stall and when that was over.
    fn play(stall: &mut Stall, began: &mut u64, syncs: impl IntoIterator<Item = u64>) -> Vec<(u64, bool)> {
        let mut changes = Vec::new();
        for takes in syncs {
            for after in (0..takes).step_by(usize::try_from(TICK).unwrap()) {
                let (now, takes) = (Duration::from_millis(*began + after), Duration::from_millis(after));
                changes.extend(stall.look(now, takes).map(|is_stalled| (*began + after, is_stalled)));
            }
            *began += takes;
        }
        changes
    }

    #[test]
    fn a_disk_that_hangs_is_noticed_once_and_trusted_when_it_was_quick_for_a_while() {
        let (mut stall, mut now) = (Stall::default(), 0);
        let hangs = play(&mut stall, &mut now, [100, 60_000]);
        assert_eq!(hangs, [(2_100, true)]);
        let quick = play(&mut stall, &mut now, [10; 3_000]);
        let [(over, false)] = quick[..] else { panic!("{quick:?}") };
        assert_eq!(over / 1000, 70, "ten seconds after the last slow moment");
    }

    #[test]
    fn syncs_of_two_to_four_seconds_are_one_stall() {
        let (mut stall, mut now) = (Stall::default(), 0);
        let syncs = (0..100).flat_map(|round| [2_000 + round % 3 * 1_000, 400]);
        assert_eq!(play(&mut stall, &mut now, syncs).len(), 1);
        assert!(stall.is_stalled());
    }

    #[test]
    fn slow_syncs_alone_are_no_stall() {
        let (mut stall, mut now) = (Stall::default(), 0);
        assert!(play(&mut stall, &mut now, [1_950; 50]).is_empty());
    }

    #[test]
    fn a_disk_that_stalls_again_and_again_is_trusted_later_each_time() {
        let (mut stall, mut now) = (Stall::default(), 0);
        let mut waited = Vec::new();
        for _ in 0..7 {
            play(&mut stall, &mut now, [3_000]);
            let slow_until = now;
            while stall.is_stalled() {
                play(&mut stall, &mut now, [50]);
            }
            waited.push((now - slow_until) / 1000);
        }
        assert_eq!(waited, [10, 20, 40, 80, 160, 300, 300]);
        play(&mut stall, &mut now, [50; 8_000]);
        play(&mut stall, &mut now, [3_000]);
        assert_eq!(stall.quick_for(), QUICK_FOR.0, "that was long ago");
    }
}
