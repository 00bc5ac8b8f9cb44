//! How messages, entries and answers read in a script.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};

use crate::controller::{ControllerResponse, MetadataImage, decode_entry};
use crate::ids::{LeaderEpoch, NodeId, RaftGroupId};
use crate::partition::{Command, batches_of_entry};
use crate::shard::effects::{AppendError, Appended, NotController, Ticket};
use crate::transport::{ReadmitRow, SleepRow, SnapshotPart, SnapshotReceived, TermRow};

/// The names that a script gave things.
#[derive(Default)]
pub(super) struct Vocabulary {
    groups: BTreeMap<RaftGroupId, String>,
    /// Batches by their CRC, which the leader's stamps do not change.
    batches: HashMap<u32, String>,
    /// What is to be answered.
    questions: HashMap<Ticket, String>,
}

impl Vocabulary {
    /// Learns the partitions' names. Those of deleted topics keep theirs.
    pub(super) fn learn(&mut self, image: &MetadataImage) {
        for view in image.partitions() {
            let name = format!("{}-{}", view.topic.name, view.index);
            self.groups.insert(view.partition.group, name);
        }
    }

    pub(super) fn name_batch(&mut self, crc: u32, name: &str) {
        self.batches.insert(crc, name.into());
    }

    pub(super) fn ask(&mut self, ticket: Ticket, question: String) {
        self.questions.insert(ticket, question);
    }

    /// The question that is being answered. Each has one answer.
    pub(super) fn answered(&mut self, ticket: Ticket) -> String {
        self.questions.remove(&ticket).unwrap_or_else(|| panic!("{ticket:?} is answered twice"))
    }

    /// The questions without an answer.
    pub(super) fn unanswered(&self) -> Vec<&str> {
        let mut unanswered: Vec<_> = self.questions.values().map(String::as_str).collect();
        unanswered.sort_unstable();
        unanswered
    }

    pub(super) fn group(&self, group: RaftGroupId) -> String {
        match self.groups.get(&group) {
            Some(name) => name.clone(),
            None if group == RaftGroupId::CONTROLLER => "controller".into(),
            None => format!("group {}", group.0),
        }
    }

    /// The group of that name, the latest if there were several.
    pub(super) fn group_named(&self, name: &str) -> Option<RaftGroupId> {
        if name == "controller" {
            return Some(RaftGroupId::CONTROLLER);
        }
        self.groups.iter().rfind(|(_, known)| *known == name).map(|(group, _)| *group)
    }

    pub(super) fn message(&self, group: RaftGroupId, message: &Message) -> String {
        let kind = format!("{:?}", message.msg_type).replacen("Msg", "", 1);
        let Message { from, to, term, index, log_term, commit, reject, reject_hint, .. } = *message;
        let detail = match message.msg_type {
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => {
                format!(
                    "log ends at {index}/{log_term}{}",
                    if message.context.is_empty() { "" } else { ", forced" }
                )
            }
            MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse => {
                if reject { "no" } else { "yes" }.into()
            }
            MessageType::MsgAppend => {
                format!(
                    "commit {commit}, after {index}/{log_term}: {}",
                    self.entries(group, &message.entries)
                )
            }
            MessageType::MsgAppendResponse if reject => {
                format!("not after {index}, perhaps after {reject_hint}/{log_term}")
            }
            MessageType::MsgAppendResponse => format!("has {index}"),
            MessageType::MsgHeartbeat => format!("commit {commit}{}", question(message)),
            MessageType::MsgHeartbeatResponse if !message.context.is_empty() => {
                question(message).trim_start_matches(", ").into()
            }
            MessageType::MsgSnapshot => {
                let metadata = message.get_snapshot().get_metadata();
                format!("as of {}/{}", metadata.index, metadata.term)
            }
            _ => String::new(),
        };
        let line = format!("{from}->{to} {} {kind} term {term}: {detail}", self.group(group));
        line.trim_end_matches([' ', ':']).into()
    }

    pub(super) fn snapshot_part(&self, part: &SnapshotPart) -> String {
        let SnapshotPart { group, offset, total, message, data, .. } = part;
        let end = offset + data.len() as u64;
        format!("{}, bytes {offset} to {end} of {total}", self.message(*group, message))
    }

    pub(super) fn snapshot_received(&self, from: NodeId, to: NodeId, word: &SnapshotReceived) -> String {
        let SnapshotReceived { group, term, index, received, .. } = *word;
        format!(
            "{from}->{to} {} SnapshotReceived term {term}: as of {index}, {received} bytes",
            self.group(group)
        )
    }

    fn entries(&self, group: RaftGroupId, entries: &[Entry]) -> String {
        if entries.is_empty() {
            return "nothing".into();
        }
        let entries = entries.iter().map(|entry| self.entry(group, entry.index, entry.term, &entry.data));
        entries.collect::<Vec<_>>().join(", ")
    }

    /// An entry as `index/term [what it holds]`.
    pub(super) fn entry(&self, group: RaftGroupId, index: u64, term: u64, payload: &Bytes) -> String {
        format!("{index}/{term} [{}]", self.payload(group, payload))
    }

    /// Batches as `base offset:name`, controller records by their kind.
    fn payload(&self, group: RaftGroupId, payload: &Bytes) -> String {
        let parts: Vec<String> = if payload.is_empty() {
            Vec::new()
        } else if group == RaftGroupId::CONTROLLER {
            let records = decode_entry(payload).unwrap();
            records.iter().map(first_word).collect()
        } else if let Some(Command::RaiseLogStart(offset)) = Command::decode(payload).unwrap() {
            vec![format!("log starts at {offset}")]
        } else {
            let headers = batches_of_entry(payload).map(|batch| batch.unwrap().0);
            headers.map(|header| format!("{}:{}", header.base_offset, self.batches[&header.crc])).collect()
        };
        parts.join(" ")
    }

    /// Groups and their terms.
    pub(super) fn terms(&self, rows: &[TermRow]) -> String {
        let rows = rows.iter().map(|row| format!("{} term {}", self.group(row.group), row.term));
        or_nothing(rows.collect())
    }

    /// The groups that a node leads.
    pub(super) fn led(&self, led: &[(RaftGroupId, LeaderEpoch)]) -> String {
        or_nothing(
            led.iter().map(|(group, epoch)| format!("{} in {}", self.group(*group), epoch.0)).collect(),
        )
    }

    pub(super) fn groups<'a>(&self, groups: impl IntoIterator<Item = &'a RaftGroupId>) -> String {
        or_nothing(groups.into_iter().map(|group| self.group(*group)).collect())
    }

    pub(super) fn sleep(&self, from: NodeId, to: NodeId, row: SleepRow) -> String {
        let SleepRow { group, term, commit } = row;
        format!("{from}->{to} {} Sleep term {term}: commit {commit}", self.group(group))
    }
}

impl Vocabulary {
    /// A node without its disk asks to be let in.
    pub(super) fn rejoin(&self, from: NodeId, to: NodeId, groups: &[RaftGroupId]) -> String {
        let groups: Vec<String> = groups.iter().map(|group| self.group(*group)).collect();
        format!("{from}->{to} {} Rejoin", groups.join(", "))
    }

    /// A node that may have forgotten something asks to be counted anew.
    pub(super) fn recount(&self, from: NodeId, to: NodeId, groups: &[RaftGroupId]) -> String {
        let groups: Vec<String> = groups.iter().map(|group| self.group(*group)).collect();
        format!("{from}->{to} {} Recount", groups.join(", "))
    }

    /// A leader lets it in.
    pub(super) fn readmit(&self, from: NodeId, to: NodeId, rows: &[ReadmitRow]) -> String {
        let row = |row: &ReadmitRow| {
            format!("{} Readmit term {}: until {}", self.group(row.group), row.term, row.until)
        };
        format!("{from}->{to} {}", rows.iter().map(row).collect::<Vec<_>>().join(", "))
    }
}

pub(super) fn append_answer(result: Result<Appended, AppendError>) -> String {
    match result {
        Ok(appended) => format!("at offset {}", appended.base_offset),
        Err(error) => format!("{error:?}"),
    }
}

pub(super) fn control_answer(result: Result<ControllerResponse, NotController>) -> String {
    use ControllerResponse as R;
    let failed = match result {
        Err(NotController) => return "NotController".into(),
        Ok(R::AllocateProducerIds(Ok(block))) => return format!("from {}", block.first.0),
        Ok(R::CreateTopics(topics)) => topics.into_iter().find_map(|topic| topic.outcome.err()),
        Ok(R::DeleteTopics(topics)) => topics.into_iter().find_map(|topic| topic.outcome.err()),
        Ok(R::RegisterBroker(outcome)) => outcome.err(),
        Ok(R::HandToPreferred(handovers)) => {
            return handovers.iter().map(|handover| format!("{handover:?}")).collect::<Vec<_>>().join(", ");
        }
        Ok(other) => unreachable!("no script asks for {other:?}"),
    };
    failed.map_or("done".into(), |error| format!("{:?}", error.code))
}

fn or_nothing(parts: Vec<String>) -> String {
    if parts.is_empty() { "nothing".into() } else { parts.join(", ") }
}

/// The name of an enum's variant.
fn first_word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// Nodes, separated by commas.
pub(super) fn nodes<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> String {
    nodes.into_iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

/// The question that a leader asks with a heartbeat, and that its followers answer.
fn question(message: &Message) -> String {
    let number = <[u8; 8]>::try_from(&message.context[..]).map(u64::from_be_bytes);
    number.map_or_else(|_| String::new(), |number| format!(", question {number}"))
}
