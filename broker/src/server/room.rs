//! Waiting for room on the disk, before anything else is done.
//!
//! A node that finds its disk full when it starts, or whose writes failed for want of space while it ran, does not end
//! in order to be started again and again. It says once what is wrong and then now and then, listens on no port, so that
//! clients and peers go to the others at once, but for the HTTP port, and goes on by itself when there is room.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};
use trilog_cluster::node::{Reserve, free_space};

use crate::http::Lifecycle;

/// How often one looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// How often one says that one still waits.
const REMINDER: Duration = Duration::from_secs(60);

/// How long a node whose writes have just failed waits at least, as what the operating system tells of the free space may
/// not be all there is to it: quotas, for one.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Waits until the disk of `data_dir` has room enough to start, which is at once unless it is full. After a failed write,
/// `writes_failed`, it waits for a moment in any case. `lifecycle` is told of the wait.
pub(super) async fn await_room(
    data_dir: &Path,
    reserve: Reserve,
    writes_failed: bool,
    lifecycle: &Lifecycle,
) {
    lifecycle.waits_for_room(writes_failed);
    if writes_failed {
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }
    let mut looks = interval(INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_said: Option<Instant> = None;
    loop {
        looks.tick().await;
        // What cannot be measured is no reason to wait: opening the data directory will tell what is wrong with it.
        let free = free_space(data_dir).unwrap_or(u64::MAX);
        if free >= reserve.to_start() {
            if last_said.is_some() {
                info!(free_mib = free >> 20, "the disk has room: starting");
            }
            lifecycle.waits_for_room(false);
            return;
        }
        lifecycle.waits_for_room(true);
        if last_said.is_none_or(|at| at.elapsed() >= REMINDER) {
            last_said = Some(Instant::now());
            warn!(
                data_dir = %data_dir.display(),
                free_mib = free >> 20,
                needed_mib = reserve.to_start() >> 20,
                "the disk is full: waiting for room before this node starts; remove other files, enlarge the disk, or \
                 lower --min-free-space"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn a_disk_with_room_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let lifecycle = Lifecycle::default();
        await_room(&dir.path().join("not/there"), Reserve(2), false, &lifecycle).await;
        await_room(Path::new("/proc/none/data"), Reserve(1 << 30), false, &lifecycle).await;
    }

    #[tokio::test]
    async fn a_full_disk_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let lifecycle = Lifecycle::default();
        let mut waiting = std::pin::pin!(await_room(dir.path(), Reserve(u64::MAX), false, &lifecycle));
        let polled = std::future::poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context)));
        assert!(polled.await.is_pending(), "nobody has so much room");
    }
}
