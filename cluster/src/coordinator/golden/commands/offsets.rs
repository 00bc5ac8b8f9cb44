//! Commands about committed offsets.

use crate::coordinator::golden::describe;
use crate::coordinator::golden::stage::Stage;
use crate::coordinator::offsets::OffsetsRecord;
use crate::coordinator::{CommitOffsets, CommitPartition, CommitTopic, GroupRequest, TopicResults};
use crate::ids::{Offset, PartitionIndex};
use crate::script::Words;

/// Options of `commit` that are no partitions.
const OPTIONS: [&str; 3] = ["member", "generation", "instance"];

/// Carries the command out, if it is one of these.
pub(super) fn run(stage: &mut Stage, command: &str, words: &Words<'_>) -> bool {
    match command {
        "commit" => commit(stage, words),
        _ => return false,
    }
    true
}

/// `commit GROUP [CLIENT] T-0=OFFSET...`
fn commit(stage: &mut Stage, words: &Words<'_>) {
    let name = words.plain.get(1).copied().unwrap_or_default();
    let client = super::speaker(stage, words, name);
    let offsets = words.named.iter().filter(|(name, _)| !OPTIONS.contains(name));
    let topics = offsets.map(|(partition, offset)| {
        let (topic, index) = super::partition(words, partition);
        CommitTopic {
            name: topic.into(),
            partitions: vec![CommitPartition {
                index: PartitionIndex(index),
                offset: Offset(words.number(offset)),
                leader_epoch: None,
                metadata: String::new(),
            }],
        }
    });
    let request = CommitOffsets {
        group: words.word(0).into(),
        member: client.member.clone(),
        epoch: client.epoch,
        instance: client.instance(),
        retention_ms: None,
        knows_epochs: true,
        now: stage.wall_clock(),
        topics: topics.collect(),
    };
    stage.ask(name, "commit", GroupRequest::CommitOffsets(request));
}

/// What was written down.
pub(in super::super) fn record(record: &OffsetsRecord) -> String {
    format!("{record:?}")
}

/// What came of each partition.
pub(in super::super) fn results(topics: &[TopicResults]) -> String {
    let partitions = topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |(partition, outcome)| {
            format!("{}-{partition} {}", topic.name, describe::outcome(*outcome))
        })
    });
    partitions.collect::<Vec<_>>().join(", ")
}
