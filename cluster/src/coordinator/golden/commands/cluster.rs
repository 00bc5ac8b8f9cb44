//! Commands about what surrounds the groups: settings, topics, time, and the loss of the coordinator.

use std::collections::BTreeMap;
use std::time::Duration;

use super::classic;
use crate::controller::{ControllerRecord, PartitionRecord};
use crate::coordinator::golden::describe;
use crate::coordinator::golden::stage::Stage;
use crate::coordinator::{GroupSettings, MigrationPolicy};
use crate::ids::{NodeId, PartitionIndex};
use crate::script::Words;

/// How often clients heartbeat while time passes.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// Carries the command out, if it is one of these.
pub(super) fn run(stage: &mut Stage, command: &str, words: &Words<'_>) -> bool {
    match command {
        "coordinator" => *stage = Stage::with_settings(settings(words, &Stage::default().settings)),
        "failover" => {
            stage.settings = settings(words, &stage.settings);
            stage.failover();
        }
        "advance" => advance(stage, words),
        "topic" => grow_topic(stage, words),
        "delete-topic" => delete_topic(stage, words),
        "restart" => {
            let client = stage.clients.entry(words.word(0).to_owned()).or_default();
            client.member = "".into();
            client.epoch = -1;
            client.assigned.clear();
        }
        "waiting" => stage.waiting().into_iter().for_each(|line| stage.say(line)),
        _ => return false,
    }
    true
}

fn settings(words: &Words<'_>, base: &GroupSettings) -> GroupSettings {
    let mut settings = base.clone();
    for (name, value) in &words.named {
        let time = |setting: &mut Duration| *setting = words.duration(value);
        match *name {
            "delay" => time(&mut settings.initial_rebalance_delay),
            "min-session" => time(&mut settings.min_session_timeout),
            "max-session" => time(&mut settings.max_session_timeout),
            "retention" => time(&mut settings.offsets_retention),
            "max-size" => settings.max_size = words.number(value),
            "policy" => settings.migration_policy = policy(words, value),
            "consumer-max-size" => settings.consumer_max_size = words.number(value),
            "metadata-max" => settings.offset_metadata_max_bytes = words.number(value),
            _ => words.refuse(),
        }
    }
    settings
}

fn policy(words: &Words<'_>, name: &str) -> MigrationPolicy {
    match name {
        "disabled" => MigrationPolicy::Disabled,
        "upgrade" => MigrationPolicy::Upgrade,
        "downgrade" => MigrationPolicy::Downgrade,
        "bidirectional" => MigrationPolicy::Bidirectional,
        _ => words.refuse(),
    }
}

/// `advance TIME [GROUP CLIENT...]`
fn advance(stage: &mut Stage, words: &Words<'_>) {
    let (beginning, end) = (stage.now, stage.now + words.duration(words.word(0)));
    let Some((group, clients)) = words.plain[1..].split_first() else {
        stage.advance(beginning, end);
        return;
    };
    let mut told = vec!["ok".to_owned(); clients.len()];
    while stage.now < end {
        stage.advance(beginning, end.min(stage.now + HEARTBEAT_INTERVAL));
        for (client, told) in clients.iter().zip(&mut told) {
            let now = classic::beat(stage, group, client);
            if now != *told {
                let passed = describe::time(stage.now - beginning);
                stage.say(format!("after {passed}: {client} heartbeat: {now}"));
                *told = now;
            }
        }
    }
}

/// `topic NAME PARTITIONS`
fn grow_topic(stage: &mut Stage, words: &Words<'_>) {
    let (name, count): (_, usize) = (words.word(0), words.number(words.word(1)));
    let first_group = stage.image.next_group().0;
    let existing = stage.image.topic(name).map(|topic| (topic.id, topic.partitions.len()));
    let new = count - existing.map_or(0, |(_, partitions)| partitions);
    let partition = |group| PartitionRecord { group, replicas: vec![NodeId(1)] };
    let partitions = (first_group..).take(new).map(partition).collect();
    let record = match existing {
        Some((id, before)) => ControllerRecord::PartitionsAdded {
            id,
            first: PartitionIndex(i32::try_from(before).unwrap()),
            partitions,
        },
        None => ControllerRecord::TopicCreated {
            name: name.to_owned(),
            id: describe::topic_id(name, first_group),
            partitions,
            configs: BTreeMap::new(),
        },
    };
    stage.image.replay(&record);
    stage.publish_image();
}

/// `delete-topic NAME`
fn delete_topic(stage: &mut Stage, words: &Words<'_>) {
    let id = stage.image.topic(words.word(0)).unwrap_or_else(|| words.refuse()).id;
    stage.image.replay(&ControllerRecord::TopicDeleted { id });
    stage.publish_image();
    stage.act(|coordinator, now| coordinator.topics_deleted(now));
}
