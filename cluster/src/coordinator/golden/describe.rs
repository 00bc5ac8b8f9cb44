//! How ids, records and answers read in a script.

use std::time::Duration;

use uuid::Uuid;

use super::commands::{classic, consumer, inspection, offsets};
use crate::coordinator::records::GroupChange;
use crate::coordinator::service_time::ServiceTime;
use crate::coordinator::{CoordinatorRecord, GroupErrorCode, GroupResponse, MemberId};
use crate::ids::TopicId;

/// How long the drawn part of a member id is.
const UUID_LENGTH: usize = 36;

/// A member id as scripts call it: `m1#7`.
pub(super) fn member(id: &MemberId) -> String {
    let text = id.as_str();
    let parted = text.len().checked_sub(UUID_LENGTH).and_then(|at| text.split_at_checked(at));
    match parted.map(|(name, drawn)| (name, Uuid::parse_str(drawn))) {
        Some((name, Ok(drawn))) => format!("{}#{}", name.trim_end_matches('-'), drawn.as_u128()),
        _ if text.is_empty() => "-".to_owned(),
        _ => text.to_owned(),
    }
}

/// What a script calls a member id, as the coordinator made it.
pub(super) fn member_id(text: &str) -> MemberId {
    match text.split_once('#') {
        Some((name, drawn)) => {
            MemberId::from(format!("{name}-{}", Uuid::from_u128(drawn.parse().unwrap())).as_str())
        }
        None if text == "-" => MemberId::from(""),
        None => MemberId::from(text),
    }
}

/// How many bytes of a topic's id scripts have for its name.
const NAME_LENGTH: usize = 12;

/// The id of a topic whose first partition has the Raft group `first`. It can be read, so that answers and records can
/// which know topics by their ids alone.
pub(super) fn topic_id(name: &str, first: u64) -> TopicId {
    let mut bytes = [0; 16];
    let shown = name.len().min(NAME_LENGTH);
    bytes[..shown].copy_from_slice(&name.as_bytes()[..shown]);
    bytes[NAME_LENGTH..].copy_from_slice(&u32::try_from(first).unwrap().to_be_bytes());
    TopicId(Uuid::from_bytes(bytes))
}

/// The name of the topic that [`topic_id`] was made for.
pub(super) fn topic(id: TopicId) -> String {
    let name = &id.0.as_bytes()[..NAME_LENGTH];
    String::from_utf8_lossy(name).trim_end_matches('\0').to_owned()
}

/// An error by Kafka's name.
pub(super) fn error(code: GroupErrorCode) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// An outcome that is nothing but an error or none.
pub(super) fn outcome(outcome: Result<(), GroupErrorCode>) -> String {
    outcome.map_or_else(error, |()| "ok".to_owned())
}

/// A length of time, in seconds where it is so many.
pub(super) fn time(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{}s", time.as_secs()) } else { format!("{}ms", time.as_millis()) }
}

/// A moment, as the time since there was a first coordinator.
pub(super) fn moment(moment: ServiceTime) -> String {
    time(moment.since(ServiceTime::default()))
}

/// What was written down.
pub(super) fn record(record: &CoordinatorRecord) -> String {
    let record = match record {
        CoordinatorRecord::Group(record) => record,
        CoordinatorRecord::Time(time) => return format!("record: {} have passed", moment(*time)),
    };
    let change = match &record.change {
        GroupChange::Classic(record) => classic::record(record),
        GroupChange::Offsets(record) => offsets::record(record),
        GroupChange::Consumer(record) => consumer::record(record),
        GroupChange::Removed => "removed".to_owned(),
    };
    format!("record {}: {change}", record.group)
}

/// An answer, in one line or more.
pub(super) fn response(response: &GroupResponse) -> Vec<String> {
    match response {
        GroupResponse::Join(joined) => vec![classic::joined(joined)],
        GroupResponse::Sync(synced) => vec![classic::synced(synced.as_ref())],
        GroupResponse::Heartbeat(result) => vec![outcome(*result)],
        GroupResponse::Leave(left) => vec![classic::left(left)],
        GroupResponse::DescribeClassic(description) => classic::described(description.as_ref()),
        GroupResponse::ConsumerHeartbeat(answer) => vec![consumer::heard(answer.as_ref())],
        GroupResponse::DescribeConsumer(description) => consumer::described(description.as_ref()),
        GroupResponse::CommitOffsets(topics) => vec![offsets::results(topics)],
        GroupResponse::FetchOffsets(topics) => vec![offsets::fetched(topics.as_ref())],
        GroupResponse::DeleteOffsets(topics) => vec![offsets::deleted(topics.as_ref())],
        GroupResponse::List(groups) => inspection::listed(groups),
        GroupResponse::Delete(result) => vec![outcome(*result)],
    }
}
