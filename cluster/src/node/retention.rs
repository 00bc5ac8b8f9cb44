//! Records whose time is over, or that are too many, are deleted by the leaders of their partitions.
//!
//! Every `log.retention.check.interval.ms` a node looks at the partitions that it leads, on a thread that may wait for the
//! disk, and asks for the deletion of what is not to be kept, as any client could. A leader that is deposed meanwhile asks
//! in vain, and the next one looks for itself. The first look only takes note of the time, which the second one needs (see
//! [`vouched_clock`](super::vouched_clock)).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::vouched_clock::VouchedClock;
use super::{Node, wall_clock};
use crate::controller::topic_name;
use crate::ids::{Offset, RaftGroupId, TimestampMs};
use crate::partition::Retention;
use crate::replica::Replica;

/// How long after its start a node looks for the first time, as Kafka does.
const FIRST_LOOK: Duration = Duration::from_secs(30);

impl Node {
    /// Looks again and again, until the node ends.
    pub(super) async fn keep_retention(self) {
        let mut ended = self.shared.ended.clone();
        let keep = async {
            let period = self.settings().log_retention_check_interval;
            let mut interval = interval_at(Instant::now() + period.min(FIRST_LOOK), period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut clock = VouchedClock::default();
            loop {
                interval.tick().await;
                if let Some(now) = clock.read(Instant::now(), wall_clock()) {
                    self.delete_expired(now).await;
                }
            }
        };
        tokio::select! {
            () = keep => {}
            _ = ended.wait_for(Option::is_some) => {}
        }
    }

    async fn delete_expired(&self, now: TimestampMs) {
        let bounded = self.led_with_retention();
        let looked = tokio::task::spawn_blocking(move || expired(&bounded, now)).await;
        // A panic there has been reported, and there is another time.
        for (group, before) in looked.unwrap_or_default() {
            tracing::debug!(group = group.0, %before, "records are deleted, as their retention is over");
            // Whether it comes to pass, the next look tells.
            drop(self.delete_records(group, Some(before)));
        }
    }

    /// The partitions with records that are led here and that are not to be kept whole.
    fn led_with_retention(&self) -> Vec<(Arc<Replica>, Retention)> {
        let image = self.image();
        let mut bounded = Vec::new();
        for topic in image.topics().filter(|topic| !topic_name::is_internal(&topic.name)) {
            let retention = image.topic_settings(topic, self.id(), self.settings()).retention;
            if retention == Retention::default() {
                continue;
            }
            let replicas = topic.partitions.iter().filter_map(|partition| self.replica(partition.group));
            bounded.extend(replicas.filter(|replica| is_led(replica)).map(|replica| (replica, retention)));
        }
        bounded
    }
}

fn is_led(replica: &Replica) -> bool {
    let status = replica.status();
    status.leading.is_some() && status.log_start_offset < status.high_watermark
}

/// Where the logs are to start that have anything to give up.
fn expired(bounded: &[(Arc<Replica>, Retention)], now: TimestampMs) -> Vec<(RaftGroupId, Offset)> {
    let start = |(replica, retention): &(Arc<Replica>, Retention)| match replica.start_by(*retention, now) {
        Ok(start) => start.map(|start| (replica.group(), start)),
        Err(error) => {
            tracing::error!(%error, "the retention of a partition cannot be looked at");
            None
        }
    };
    bounded.iter().filter_map(start).collect()
}
