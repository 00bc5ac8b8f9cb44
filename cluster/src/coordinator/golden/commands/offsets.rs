//! Commands about committed offsets, and how their answers read.

use std::collections::BTreeMap;

use crate::coordinator::golden::describe;
use crate::coordinator::golden::stage::Stage;
use crate::coordinator::offsets::OffsetsRecord;
use crate::coordinator::{
    CommitOffsets, CommitPartition, CommitTopic, DeleteOffsets, FetchOffsets, FetchedTopic, GroupCoordinator,
    GroupErrorCode, GroupRequest, TopicResults,
};
use crate::ids::{LeaderEpoch, Offset, PartitionIndex, TopicName};
use crate::script::Words;

/// Options of `commit` that are no partitions.
const COMMIT_OPTIONS: [&str; 5] = ["generation", "instance", "member", "retention", "version"];

/// The version of OffsetCommit in which a member of a consumer group can be told that its epoch is stale.
const KNOWS_EPOCHS: i16 = 9;

/// Carries the command out, if it is one of these.
pub(super) fn run(stage: &mut Stage, command: &str, words: &Words<'_>) -> bool {
    match command {
        "commit" => commit(stage, words),
        "fetch" => fetch(stage, words),
        "delete-offsets" => {
            let topics = by_topic(words, &words.plain[1..]).into_iter().collect();
            let request = DeleteOffsets { group: super::group(words), topics };
            stage.ask("", "delete-offsets", GroupRequest::DeleteOffsets(request));
        }
        "sweep" => {
            words.only(&[]);
            stage.act(GroupCoordinator::expire);
        }
        _ => return false,
    }
    true
}

/// `commit GROUP [CLIENT] T-0=OFFSET...`
fn commit(stage: &mut Stage, words: &Words<'_>) {
    let name = words.plain.get(1).copied().unwrap_or_default();
    let client = super::speaker(stage, words, name);
    let offsets = words.named.iter().filter(|(name, _)| !COMMIT_OPTIONS.contains(name));
    let topics = offsets.map(|(partition, committed)| {
        let (topic, index) = super::partition(words, partition);
        let partition = commit_partition(words, index, committed);
        CommitTopic { name: topic.into(), partitions: vec![partition] }
    });
    let retention = words.text("retention").map(|time| words.duration(time));
    let request = CommitOffsets {
        group: super::group(words),
        member: client.member.clone(),
        epoch: client.epoch,
        instance: client.instance(),
        retention_ms: retention.map(|retention| retention.as_millis().try_into().unwrap()),
        knows_epochs: words.option("version").unwrap_or(KNOWS_EPOCHS) >= KNOWS_EPOCHS,
        topics: topics.collect(),
    };
    stage.ask(name, "commit", GroupRequest::CommitOffsets(request));
}

/// `7`, `7@2` with the epoch of the last record, `7@2:text` or `7:text` with metadata.
fn commit_partition(words: &Words<'_>, index: i32, text: &str) -> CommitPartition {
    let (position, metadata) = text.split_once(':').unwrap_or((text, ""));
    let (offset, epoch) = match position.split_once('@') {
        Some((offset, epoch)) => (offset, Some(LeaderEpoch(words.number(epoch)))),
        None => (position, None),
    };
    CommitPartition {
        index: PartitionIndex(index),
        offset: Offset(words.number(offset)),
        leader_epoch: epoch,
        metadata: metadata.to_owned(),
    }
}

/// `fetch GROUP [T-0...] [as=CLIENT]`
fn fetch(stage: &mut Stage, words: &Words<'_>) {
    words.only(&["as", "generation", "member"]);
    let name = words.text("as").unwrap_or_default();
    let client = super::speaker(stage, words, name);
    let topics = Some(by_topic(words, &words.plain[1..])).filter(|topics| !topics.is_empty());
    let says_who = !words.named.is_empty();
    let request = FetchOffsets {
        group: super::group(words),
        member: says_who.then_some(client.member),
        epoch: client.epoch,
        topics,
        require_stable: true,
    };
    stage.ask(name, "fetch", GroupRequest::FetchOffsets(request));
}

fn by_topic(words: &Words<'_>, partitions: &[&str]) -> BTreeMap<TopicName, Vec<PartitionIndex>> {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    for partition in partitions {
        let (topic, index) = super::partition(words, partition);
        topics.entry(topic.into()).or_default().push(PartitionIndex(index));
    }
    topics
}

/// What was written down.
pub(in super::super) fn record(record: &OffsetsRecord) -> String {
    match record {
        OffsetsRecord::Committed(topics) => {
            let offsets = topics.iter().flat_map(|(topic, partitions)| {
                partitions.iter().map(move |(partition, committed)| {
                    let position = position(committed.offset, committed.leader_epoch, &committed.metadata);
                    let retention = committed.expires_at.map(|end| end.since(committed.committed_at));
                    let retention = retention.map(describe::time);
                    let retention = retention.map(|time| format!(" for {time}")).unwrap_or_default();
                    format!("{topic}-{partition} at {position}{retention}")
                })
            });
            listed(offsets)
        }
        OffsetsRecord::Removed(topics) => {
            let partitions = topics.iter().flat_map(|(topic, partitions)| {
                partitions.iter().map(move |partition| format!("{topic}-{partition}"))
            });
            format!("no offset of {}", listed(partitions))
        }
        OffsetsRecord::Unused { since: Some(at) } => format!("unused since {}", describe::moment(*at)),
        OffsetsRecord::Unused { since: None } => "in use".to_owned(),
    }
}

/// What came of each partition of a commit.
pub(in super::super) fn results(topics: &[TopicResults]) -> String {
    listed(topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |(partition, outcome)| {
            format!("{}-{partition} {}", topic.name, describe::outcome(*outcome))
        })
    }))
}

/// What came of each partition of a deletion.
pub(in super::super) fn deleted(results: Result<&Vec<TopicResults>, &GroupErrorCode>) -> String {
    results.map_or_else(|code| describe::error(*code), |topics| self::results(topics))
}

/// How far a group is.
pub(in super::super) fn fetched(topics: Result<&Vec<FetchedTopic>, &GroupErrorCode>) -> String {
    let topics = match topics {
        Ok(topics) => topics,
        Err(code) => return describe::error(*code),
    };
    let offsets = topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |(partition, fetched)| match fetched {
            Some(fetched) => {
                let position = position(fetched.offset, fetched.leader_epoch, &fetched.metadata);
                format!("{}-{partition} at {position}", topic.name)
            }
            None => format!("{}-{partition} nowhere", topic.name),
        })
    });
    listed(offsets)
}

/// As `commit` takes it.
fn position(offset: Offset, epoch: Option<LeaderEpoch>, metadata: &str) -> String {
    let epoch = epoch.map(|epoch| format!("@{}", epoch.0)).unwrap_or_default();
    let colon = if metadata.is_empty() { "" } else { ":" };
    format!("{offset}{epoch}{colon}{metadata}")
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}
