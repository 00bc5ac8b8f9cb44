//! Commands of classic members, and how their answers read.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::coordinator::classic::{ClassicMember, ClassicRecord};
use crate::coordinator::golden::describe;
use crate::coordinator::golden::stage::{Client, Stage};
use crate::coordinator::{
    ClassicDescription, Generation, GroupError, GroupErrorCode, GroupRequest, Heartbeat, JoinGroup,
    JoinProtocol, JoinedGroup, LeaveGroup, LeavingMember, LeftGroup, MemberId, SyncGroup, SyncedGroup,
};
use crate::script::Words;
use trilog_protocol::consumer_protocol::{Subscription, encode_assignment, parse_assignment};

/// Options of `join`. A client joins again with those of its last join.
const JOIN_OPTIONS: [&str; 11] = [
    "generation",
    "instance",
    "member",
    "metadata",
    "protocols",
    "rebalance",
    "session",
    "topics",
    "type",
    "version",
    "host",
];

/// Options of `sync` that are no assignments.
const SYNC_OPTIONS: [&str; 5] = ["generation", "instance", "member", "protocol", "type"];

/// What a client that names no topics tells the leader about itself.
const NO_SUBSCRIPTION: &str = "any";

/// Carries the command out, if it is one of these.
pub(super) fn run(stage: &mut Stage, command: &str, words: &Words<'_>) -> bool {
    match command {
        "join" => join(stage, words),
        "sync" => sync(stage, words),
        "heartbeat" => heartbeat(stage, words),
        "leave" => leave(stage, words),
        "describe" => {
            let group = words.word(0);
            stage.ask("", &format!("describe {group}"), GroupRequest::DescribeClassic(group.into()));
        }
        _ => return false,
    }
    true
}

fn join(stage: &mut Stage, words: &Words<'_>) {
    words.only(&JOIN_OPTIONS);
    let name = words.word(1);
    let client = stage.clients.entry(name.to_owned()).or_default();
    for (option, value) in &words.named {
        client.options.insert((*option).to_owned(), (*value).to_owned());
    }
    client.options.remove("member");
    let client = super::speaker(stage, words, name);
    let milliseconds = |option: &str, default: &str| -> i32 {
        let time = words.duration(client.option(option).unwrap_or(default));
        time.as_millis().try_into().unwrap()
    };
    let version: u8 = client.option("version").map_or(3, |version| words.number(version));
    let fresh = if client.member.as_str().is_empty() { stage.fresh() } else { Uuid::nil() };
    let request = JoinGroup {
        group: super::group(words),
        member: client.member.clone(),
        instance: client.instance(),
        client_id: name.to_owned(),
        client_host: format!("/{}", client.option("host").unwrap_or("127.0.0.1")),
        session_timeout_ms: milliseconds("session", "10s"),
        rebalance_timeout_ms: milliseconds("rebalance", "60s"),
        protocol_type: super::or_empty(client.options.get("type").map_or("consumer", String::as_str))
            .to_owned(),
        protocols: protocols(&client),
        requires_member_id: version >= 4,
        supports_skip_assignment: version >= 9,
        fresh,
    };
    stage.ask(name, "join", GroupRequest::Join(request));
}

fn protocols(client: &Client) -> Vec<JoinProtocol> {
    let names = client.options.get("protocols").map_or("range", String::as_str);
    let metadata = match client.option("topics") {
        Some(topics) => subscription(topics),
        None => client.option("metadata").unwrap_or(NO_SUBSCRIPTION).to_owned().into(),
    };
    let protocol = |name: &str| JoinProtocol { name: name.to_owned(), metadata: metadata.clone() };
    names.split(',').filter(|name| *name != "-").map(protocol).collect()
}

/// A subscription to topics, as version 1 of the embedded protocol of consumers writes it.
fn subscription(topics: &str) -> Bytes {
    let topics: Vec<&str> = topics.split(',').collect();
    let count = |count: usize| i32::try_from(count).unwrap().to_be_bytes();
    let mut bytes = vec![0, 1];
    bytes.extend(count(topics.len()));
    for topic in topics {
        bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.extend(count(0));
    bytes.into()
}

fn sync(stage: &mut Stage, words: &Words<'_>) {
    let name = words.word(1);
    let client = super::speaker(stage, words, name);
    let assignments = words.named.iter().filter(|(name, _)| !SYNC_OPTIONS.contains(name));
    let assignments = assignments.map(|(to, partitions)| (member(stage, to), assignment(words, partitions)));
    let request = SyncGroup {
        group: super::group(words),
        member: client.member.clone(),
        instance: client.instance(),
        generation: Generation(client.epoch),
        protocol_type: words.text("type").map(str::to_owned),
        protocol: words.text("protocol").map(str::to_owned),
        assignments: assignments.collect(),
    };
    stage.ask(name, "sync", GroupRequest::Sync(request));
}

/// A member: a client's, or by its id.
fn member(stage: &Stage, name: &str) -> MemberId {
    stage.clients.get(name).map_or_else(|| describe::member_id(name), |client| client.member.clone())
}

fn assignment(words: &Words<'_>, partitions: &str) -> Bytes {
    let mut assigned: Vec<(String, Vec<i32>)> = Vec::new();
    for partition in partitions.split(',').filter(|partition| *partition != "-") {
        let (topic, index) = super::partition(words, partition);
        match assigned.iter_mut().find(|(known, _)| known == topic) {
            Some((_, indexes)) => indexes.push(index),
            None => assigned.push((topic.to_owned(), vec![index])),
        }
    }
    encode_assignment(&assigned, 1).into()
}

fn heartbeat(stage: &mut Stage, words: &Words<'_>) {
    let name = words.word(1);
    let client = super::speaker(stage, words, name);
    let request = Heartbeat {
        group: super::group(words),
        member: client.member.clone(),
        instance: client.instance(),
        generation: Generation(client.epoch),
    };
    stage.ask(name, "heartbeat", GroupRequest::Heartbeat(request));
}

/// What a client hears when it heartbeats, which is left out of the output.
pub(super) fn beat(stage: &mut Stage, group: &str, name: &str) -> String {
    let before = stage.take_transcript();
    heartbeat(stage, &Words::of(&format!("heartbeat {group} {name}")).1);
    let heard = stage.take_transcript().concat();
    before.into_iter().for_each(|line| stage.say(line));
    heard.trim_start_matches(&format!("{name} heartbeat: ")).to_owned()
}

fn leave(stage: &mut Stage, words: &Words<'_>) {
    let clients = words.plain.iter().skip(1).map(|name| {
        let client = stage.client(name);
        LeavingMember { member: client.member.clone(), instance: client.instance() }
    });
    let instances = words.text("instance").into_iter().flat_map(|instances| instances.split(','));
    let put_out =
        instances.map(|instance| LeavingMember { member: "".into(), instance: Some(instance.into()) });
    let members = clients.chain(put_out).collect();
    let request = LeaveGroup { group: super::group(words), members };
    stage.ask("", "leave", GroupRequest::Leave(request));
}

/// What was written down of a group.
pub(in super::super) fn record(record: &ClassicRecord) -> String {
    let ClassicRecord::Group(group) = record;
    let generation = format!("generation {}", group.generation.0);
    let Some(leader) = &group.leader else { return format!("{generation}, nobody") };
    let member = |(id, member): (&MemberId, &Arc<ClassicMember>)| {
        format!("{} has {}", describe::member(id), partitions(&member.assignment))
    };
    let members: Vec<_> = group.members.iter().map(member).collect();
    let protocol = group.protocol.as_deref().unwrap_or("-");
    let leader = describe::member(leader);
    format!("{generation}, {protocol}, leader {leader}: {}", members.join(", "))
}

/// The answer to a join.
pub(in super::super) fn joined(joined: &JoinedGroup) -> String {
    let member = describe::member(&joined.member);
    if let Some(code) = joined.error {
        return format!("{} as {member}", describe::error(code));
    }
    let protocol = joined.protocol.as_deref().unwrap_or("-");
    let mut line = format!("generation {}, {protocol}, as {member}", joined.generation.0);
    if joined.leader == joined.member {
        let members = joined
            .members
            .iter()
            .map(|member| format!("{} ({})", describe::member(&member.member), metadata(&member.metadata)));
        line += &format!(", leads {}", members.collect::<Vec<_>>().join(", "));
    } else {
        line += &format!(", leader {}", describe::member(&joined.leader));
    }
    if joined.skip_assignment {
        line += ", assignment stays";
    }
    line
}

/// The answer to a sync.
pub(in super::super) fn synced(synced: Result<&SyncedGroup, &GroupErrorCode>) -> String {
    match synced {
        Ok(synced) => partitions(&synced.assignment),
        Err(code) => describe::error(*code),
    }
}

/// The answer to those who leave.
pub(in super::super) fn left(left: &LeftGroup) -> String {
    if let Some(code) = left.error {
        return describe::error(code);
    }
    let members = left.members.iter().map(|(leaving, outcome)| {
        let name = match &leaving.instance {
            Some(instance) if leaving.member.as_str().is_empty() => instance.to_string(),
            _ => describe::member(&leaving.member),
        };
        format!("{name} {}", describe::outcome(*outcome))
    });
    members.collect::<Vec<_>>().join(", ")
}

/// A group as administrators see it, a line for each member.
pub(in super::super) fn described(description: Result<&ClassicDescription, &GroupError>) -> Vec<String> {
    let group = match description {
        Ok(group) => group,
        Err(error) => return vec![format!("{} {}", describe::error(error.code), error.message)],
    };
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let mut lines =
        vec![format!("{}, {}, {}", group.state, or_none(&group.protocol_type), or_none(&group.protocol))];
    for member in &group.members {
        let instance = member.instance.as_ref().map(|instance| format!(" ({instance})")).unwrap_or_default();
        lines.push(format!(
            "{}{instance} {} at {}: {} has {}",
            describe::member(&member.member),
            member.client_id,
            member.client_host,
            metadata(&member.metadata),
            partitions(&member.assignment),
        ));
    }
    lines
}

/// What a member says about itself: its topics, if it is a consumer that says them.
fn metadata(metadata: &[u8]) -> String {
    match Subscription::parse(metadata) {
        Some(subscription) => subscription.topics.join(","),
        None if metadata.is_empty() => "-".to_owned(),
        None => String::from_utf8_lossy(metadata).into_owned(),
    }
}

/// An assignment; `-` if there is nothing in it, `nothing` if there is none.
fn partitions(assignment: &[u8]) -> String {
    let Some(assigned) = parse_assignment(assignment) else { return "nothing".to_owned() };
    let partitions: Vec<_> = assigned
        .iter()
        .flat_map(|(topic, indexes)| indexes.iter().map(move |index| format!("{topic}-{index}")))
        .collect();
    if partitions.is_empty() { "-".to_owned() } else { partitions.join(",") }
}
