//! Consumer groups that this node coordinates: in which states they are, and how far behind.
//!
//! The lag of a partition is the distance from the committed offset to the high watermark, as this node's replica knows
//! it. A follower's replica may be a moment behind, so the lag may be a moment too small; a partition without a replica on
//! this node has none that could be told, and is counted as unknown.

use std::collections::BTreeMap;

use trilog_cluster::controller::MetadataImage;
use trilog_cluster::ids::{Offset, PartitionIndex};
use trilog_cluster::node::Node;
use trilog_cluster::survey::Survey;

use super::families::{Families, Samples};

/// How many groups have series of their own.
pub(super) const MAX_GROUPS: usize = 1_000;

/// How many partitions of groups have series of their own, over all groups.
pub(super) const MAX_PARTITIONS: usize = 2_000;

/// What had no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Groups.
    pub(super) groups: usize,
    /// Partitions of groups.
    pub(super) partitions: usize,
}

#[derive(Debug, Default)]
struct LagSamples {
    by_partition: Samples,
    partitions: usize,
    sums: Samples,
    worst: Samples,
    groups: usize,
    unknown: usize,
    left_out: LeftOut,
}

impl LagSamples {
    /// Adds one group: the lag of each of its partitions, none where it is not known.
    fn add<'a>(
        &mut self,
        group: &str,
        partitions: impl Iterator<Item = (&'a str, PartitionIndex, Option<u64>)>,
    ) {
        let (mut sum, mut worst) = (0, 0);
        for (topic, partition, lag) in partitions {
            let Some(lag) = lag else {
                self.unknown += 1;
                continue;
            };
            sum += lag;
            worst = lag.max(worst);
            if self.partitions == MAX_PARTITIONS {
                self.left_out.partitions += 1;
                continue;
            }
            self.partitions += 1;
            let partition = partition.to_string();
            let labels = [("group", group), ("topic", topic), ("partition", partition.as_str())];
            self.by_partition.add_count(&labels, lag);
        }
        if self.groups == MAX_GROUPS {
            self.left_out.groups += 1;
            return;
        }
        self.groups += 1;
        self.sums.add_count(&[("group", group)], sum);
        self.worst.add_count(&[("group", group)], worst);
    }

    fn tell(self, families: &mut Families) -> LeftOut {
        families.gauges(
            "trilog_group_partition_lag_records",
            "Records between a group's committed offset and the high watermark.",
            self.by_partition,
        );
        families.gauges("trilog_group_lag_records", "The sum of a group's lags.", self.sums);
        families.gauges("trilog_group_lag_records_max", "The greatest of a group's lags.", self.worst);
        families.count(
            "trilog_group_partitions_lag_unknown",
            "Partitions with a committed offset whose high watermark this node does not know.",
            self.unknown,
        );
        self.left_out
    }
}

/// States and lags of the surveyed groups. Returns what was left out.
pub(super) fn tell(node: &Node, image: &MetadataImage, survey: &Survey, families: &mut Families) -> LeftOut {
    tell_states(&survey.consumer_groups, families);
    let mut samples = LagSamples::default();
    for committed in &survey.committed_offsets {
        let partitions = committed.partitions().map(|(topic, partition, offset)| {
            (&**topic, partition, lag(node, image, topic, partition, offset))
        });
        samples.add(committed.group().as_str(), partitions);
    }
    samples.tell(families)
}

fn tell_states(states: &BTreeMap<(&'static str, &'static str), usize>, families: &mut Families) {
    let mut samples = Samples::default();
    for ((kind, state), count) in states {
        samples.add(&[("type", kind), ("state", state)], *count as f64);
    }
    families.gauges("trilog_groups", "Consumer groups coordinated by this node.", samples);
}

/// How many records of the partition are behind `committed`. A group that has committed what is no longer there goes on
/// at the log start.
fn lag(
    node: &Node,
    image: &MetadataImage,
    topic: &str,
    partition: PartitionIndex,
    committed: Offset,
) -> Option<u64> {
    let group = image.topic(topic)?.partition(partition)?.group;
    let status = node.replica(group)?.status();
    let next = committed.max(status.log_start_offset);
    Some(u64::try_from(status.high_watermark.0 - next.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_partitions(count: i32) -> impl Iterator<Item = (&'static str, PartitionIndex, Option<u64>)> {
        (0..count).map(|index| ("t", PartitionIndex(index), Some(u64::from(index.unsigned_abs()))))
    }

    #[test]
    fn series_are_bounded_and_sums_are_not() {
        let mut samples = LagSamples::default();
        samples.add("a", of_partitions(1_500));
        samples.add("b", of_partitions(1_500));
        assert_eq!(samples.partitions, MAX_PARTITIONS);
        let sum: i32 = (0..1_500).sum();
        let mut families = Families::default();
        let left_out = samples.tell(&mut families);
        assert_eq!(left_out, LeftOut { groups: 0, partitions: 1_000 });
        let text = prometheus::TextEncoder::new().encode_to_string(&families.into_inner()).unwrap();
        assert!(text.contains(&format!("trilog_group_lag_records{{group=\"b\"}} {sum}\n")), "{text}");
    }

    #[test]
    fn groups_beyond_the_bound_are_left_out() {
        let mut samples = LagSamples::default();
        for number in 0..MAX_GROUPS + 7 {
            samples.add(&number.to_string(), of_partitions(0));
        }
        assert_eq!(samples.left_out, LeftOut { groups: 7, partitions: 0 });
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let mut samples = LagSamples::default();
        samples.add("a", [("t", PartitionIndex(0), None)].into_iter());
        assert_eq!((samples.unknown, samples.partitions, samples.groups), (1, 0, 1));
    }
}
