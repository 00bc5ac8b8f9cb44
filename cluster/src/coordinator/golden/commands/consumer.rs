//! Commands of members of the consumer protocol, and how their answers read.

use uuid::Uuid;

use crate::coordinator::consumer::ConsumerRecord;
use crate::coordinator::golden::describe;
use crate::coordinator::golden::stage::{Client, Stage};
use crate::coordinator::{
    ConsumerDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer, GroupError, GroupRequest, MemberEpoch,
    MemberId, NamedTopicPartitions, TopicPartitions,
};
use crate::ids::{PartitionIndex, TopicId};
use crate::script::Words;

/// Options of `consumer-heartbeat`.
const OPTIONS: [&str; 11] = [
    "assignor",
    "generation",
    "host",
    "instance",
    "member",
    "owned",
    "pattern",
    "rack",
    "rebalance",
    "topics",
    "version",
];

/// How many rounds of heartbeats a group may take to settle.
const MOST_ROUNDS: usize = 10;

/// Carries the command out, if it is one of these.
pub(super) fn run(stage: &mut Stage, command: &str, words: &Words<'_>) -> bool {
    match command {
        "consumer-heartbeat" => heartbeat(stage, words),
        "consumer-rounds" => rounds(stage, words),
        "consumer-leave" => leave(stage, words, MemberEpoch::LEAVE),
        "consumer-away" => leave(stage, words, MemberEpoch::LEAVE_FOR_A_WHILE),
        "consumer-describe" => {
            let group = words.word(0);
            stage.ask("", &format!("describe {group}"), GroupRequest::DescribeConsumer(group.into()));
        }
        _ => return false,
    }
    true
}

/// `consumer-heartbeat GROUP CLIENT [OPTION...]`
fn heartbeat(stage: &mut Stage, words: &Words<'_>) {
    words.only(&OPTIONS);
    let name = words.word(1);
    let known = stage.clients.entry(name.to_owned()).or_default();
    if let Some(instance) = words.text("instance") {
        known.options.insert("instance".to_owned(), instance.to_owned());
    }
    let mut client = super::speaker(stage, words, name);
    let fresh = if client.member.as_str().is_empty() { stage.fresh() } else { Uuid::nil() };
    if client.member.as_str().is_empty() && words.text("version") != Some("0") {
        client.member = MemberId::from(format!("{name}-{fresh}").as_str());
    }
    if words.text("generation").is_none() {
        client.epoch = client.epoch.max(0);
    }
    let request = request(stage, words, &client, fresh);
    if let Some(known) = stage.clients.get_mut(name) {
        known.has_news = false;
    }
    stage.ask(name, "heartbeat", GroupRequest::ConsumerHeartbeat(request));
}

fn request(stage: &Stage, words: &Words<'_>, client: &Client, fresh: Uuid) -> ConsumerHeartbeat {
    let joins = client.epoch == 0;
    let full = joins || words.plain.contains(&"full");
    let list = |names: &str| names.split(',').filter(|name| *name != "-").map(str::to_owned).collect();
    let no_topics = || (joins && words.text("topics").or(words.text("pattern")).is_none()).then(Vec::new);
    let rebalance = words.text("rebalance").or(full.then_some("60s"));
    ConsumerHeartbeat {
        group: super::group(words),
        member: client.member.clone(),
        epoch: MemberEpoch(client.epoch),
        instance: client.instance(),
        rack: words.text("rack").map(str::to_owned),
        rebalance_timeout_ms: rebalance
            .filter(|time| *time != "-")
            .map_or(-1, |time| words.duration(time).as_millis().try_into().unwrap()),
        topic_names: words.text("topics").filter(|topics| *topics != "?").map(list).or_else(no_topics),
        topic_regex: words.text("pattern").map(|pattern| pattern.trim_matches('-').to_owned()),
        assignor: words.text("assignor").map(str::to_owned),
        owned: owned(stage, words, client, full),
        client_id: words.word(1).to_owned(),
        client_host: format!("/{}", words.text("host").unwrap_or("127.0.0.1")),
        fresh,
    }
}

/// What a client says it owns.
fn owned(stage: &Stage, words: &Words<'_>, client: &Client, full: bool) -> Option<Vec<TopicPartitions>> {
    match words.text("owned") {
        Some("?") => None,
        Some("-") => Some(Vec::new()),
        Some(partitions) => {
            Some(partitions.split(',').map(|text| named_partition(stage, words, text)).collect())
        }
        None if client.epoch == 0 => Some(Vec::new()),
        None => (full || client.has_news).then(|| client.assigned.clone()),
    }
}

fn named_partition(stage: &Stage, words: &Words<'_>, text: &str) -> TopicPartitions {
    let (name, index) = super::partition(words, text);
    let topic = stage.image.topic(name).unwrap_or_else(|| words.refuse()).id;
    TopicPartitions { topic, partitions: vec![PartitionIndex(index)] }
}

/// `consumer-rounds GROUP CLIENT...`
fn rounds(stage: &mut Stage, words: &Words<'_>) {
    let (group, clients) = words.plain.split_first().unwrap_or_else(|| words.refuse());
    let before = stage.take_transcript();
    let mut told = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let mut is_quiet = true;
        for client in clients {
            let known = stage.client(client);
            heartbeat(stage, &Words::of(&format!("consumer-heartbeat {group} {client}")).1);
            let mut heard = stage.take_transcript();
            let answer = heard.pop().unwrap_or_default();
            let is_news = known.has_news || answer != format!("{client} heartbeat: epoch {}", known.epoch);
            is_quiet &= !is_news;
            told.extend(heard);
            told.extend(is_news.then_some(answer));
        }
        if is_quiet {
            before.into_iter().chain(told).for_each(|line| stage.say(line));
            return;
        }
    }
    panic!("the group does not settle: {told:#?}");
}

fn leave(stage: &mut Stage, words: &Words<'_>, epoch: MemberEpoch) {
    for name in &words.plain[1..] {
        let client = Client { epoch: epoch.0, ..super::speaker(stage, words, name) };
        let request = request(stage, words, &client, Uuid::nil());
        stage.ask(name, "heartbeat", GroupRequest::ConsumerHeartbeat(request));
    }
}

/// What was written down of a group.
pub(in super::super) fn record(record: &ConsumerRecord) -> String {
    let member = describe::member;
    match record {
        ConsumerRecord::Formed(epoch) => format!("a consumer group, epoch {}", epoch.0),
        ConsumerRecord::Epoch(epoch) => format!("epoch {}", epoch.0),
        ConsumerRecord::Topics(topics) => {
            let topics = topics.partition_counts();
            let topics = topics.iter().map(|(id, count)| format!("{} of {count}", describe::topic(*id)));
            format!("topics {}", or_none(topics.collect::<Vec<_>>().join(", ")))
        }
        ConsumerRecord::Pattern(pattern, topics) => {
            let topics = topics.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            format!("{pattern} matches {}", or_none(topics))
        }
        ConsumerRecord::PatternRemoved(pattern) => format!("{pattern} is no more"),
        ConsumerRecord::Member(id, metadata) => {
            let mut wants = metadata.topics.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            if let Some(pattern) = &metadata.pattern {
                wants = format!("{wants} {pattern}").trim_start().to_owned();
            }
            let classic = metadata.classic.as_ref().map(|_| ", classic").unwrap_or_default();
            format!("{} subscribes to {}{classic}", member(id), or_none(wants))
        }
        ConsumerRecord::MemberRemoved(id) => format!("{} is gone", member(id)),
        ConsumerRecord::Target(id, target) => {
            let partitions =
                target.iter().flat_map(|(&topic, indexes)| indexes.iter().map(move |&index| (topic, index)));
            format!("{} is to own {}", member(id), listed(partitions))
        }
        ConsumerRecord::TargetEpoch(epoch) => format!("target of epoch {}", epoch.0),
        ConsumerRecord::Current(id, current) => {
            let pairs = |(topic, index, _): (TopicId, PartitionIndex, MemberEpoch)| (topic, index);
            let owns = listed(current.assigned.iter().map(pairs));
            let gives_up = if current.revoking.is_empty() {
                String::new()
            } else {
                format!(", gives up {}", listed(current.revoking.iter().map(pairs)))
            };
            let confirmed = if current.confirmed { ", confirmed" } else { "" };
            let (id, epoch, state) = (member(id), current.epoch.0, current.state);
            format!("{id} in epoch {epoch} ({state:?}) owns {owns}{gives_up}{confirmed}")
        }
    }
}

/// The answer to a heartbeat.
pub(in super::super) fn heard(answer: Result<&ConsumerHeartbeatAnswer, &GroupError>) -> String {
    match answer {
        Ok(ConsumerHeartbeatAnswer { epoch, assignment: None, .. }) => format!("epoch {}", epoch.0),
        Ok(ConsumerHeartbeatAnswer { epoch, assignment: Some(assignment), .. }) => {
            let partitions = assignment
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(move |&index| (topic.topic, index)));
            format!("epoch {}, owns {}", epoch.0, listed(partitions))
        }
        Err(error) => format!("{} {}", describe::error(error.code), error.message).trim_end().to_owned(),
    }
}

/// A group as administrators see it, a line for each member.
pub(in super::super) fn described(description: Result<&ConsumerDescription, &GroupError>) -> Vec<String> {
    let group = match description {
        Ok(group) => group,
        Err(error) => return vec![format!("{} {}", describe::error(error.code), error.message)],
    };
    let (epoch, assigned, assignor) = (group.epoch.0, group.assignment_epoch.0, &group.assignor);
    let mut lines = vec![format!("{}, epoch {epoch}, target of epoch {assigned} by {assignor}", group.state)];
    for member in &group.members {
        let instance = member.instance.as_ref().map(|instance| format!(" ({instance})")).unwrap_or_default();
        let protocol = if member.is_classic { ", classic" } else { "" };
        lines.push(format!(
            "{}{instance} in epoch {} owns {}, is to own {}{protocol}",
            describe::member(&member.member),
            member.epoch.0,
            named(&member.assignment),
            named(&member.target),
        ));
    }
    lines
}

fn named(topics: &[NamedTopicPartitions]) -> String {
    let partitions = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |index| format!("{}-{index}", topic.name)));
    or_none(partitions.collect::<Vec<_>>().join(","))
}

fn listed(partitions: impl Iterator<Item = (TopicId, PartitionIndex)>) -> String {
    let partitions = partitions.map(|(topic, index)| format!("{}-{index}", describe::topic(topic)));
    or_none(partitions.collect::<Vec<_>>().join(","))
}

fn or_none(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}
