//! What a heartbeat has to say, whoever sends it. Sentences and order are Kafka's.

use crate::coordinator::error::{GroupError, GroupErrorCode};
use crate::coordinator::ids::MemberEpoch;
use crate::coordinator::request::ConsumerHeartbeat;
use crate::coordinator::settings::{AssignorName, GroupSettings};

/// How many bytes a member may say about itself. All of it is kept, as one record. Kafka has a similar bound, from its
/// `message.max.bytes`.
const MAX_MEMBER_BYTES: usize = 1 << 20;

/// Fails on a request that contradicts itself, and on an assignor that there is not. A member that joins may be
/// without an id, which v1 does not allow: only the broker knows the version.
pub(super) fn check(request: &ConsumerHeartbeat, settings: &GroupSettings) -> Result<(), GroupError> {
    let nameless = |name: &str| name.trim().is_empty();
    let needs_member = request.epoch > MemberEpoch::JOIN || request.epoch == MemberEpoch::LEAVE;
    refuse(needs_member && nameless(request.member.as_str()), "MemberId can't be empty.")?;
    refuse(nameless(request.group.as_str()), "GroupId can't be empty.")?;
    let instance = request.instance.as_ref();
    refuse(instance.is_some_and(|instance| nameless(instance.as_str())), "InstanceId can't be empty.")?;
    refuse(request.rack.as_deref().is_some_and(nameless), "RackId can't be empty.")?;
    match request.epoch {
        MemberEpoch::JOIN => check_join(request)?,
        MemberEpoch::LEAVE_FOR_A_WHILE => refuse(instance.is_none(), "InstanceId can't be null.")?,
        epoch => refuse(epoch < MemberEpoch::LEAVE_FOR_A_WHILE, "MemberEpoch is invalid.")?,
    }
    refuse(said(request) > MAX_MEMBER_BYTES, "A member cannot subscribe to so much.")?;
    check_assignor(request.assignor.as_deref(), &settings.consumer_assignors)
}

/// How many bytes a request says about the member.
fn said(request: &ConsumerHeartbeat) -> usize {
    let names = request.topic_names.iter().flatten().map(|name| name.len() + size_of::<u32>());
    let others = [request.rack.as_deref(), request.topic_regex.as_deref(), Some(&request.client_id)];
    names.chain(others.into_iter().flatten().map(str::len)).sum()
}

fn check_join(request: &ConsumerHeartbeat) -> Result<(), GroupError> {
    refuse(request.rebalance_timeout_ms == -1, "RebalanceTimeoutMs must be provided in first request.")?;
    let owns_nothing = request.owned.as_ref().is_some_and(Vec::is_empty);
    refuse(!owns_nothing, "TopicPartitions must be empty when (re-)joining.")?;
    // No names, or an empty pattern, is fine: a member without topics.
    let subscribes = request.topic_names.is_some() || request.topic_regex.is_some();
    refuse(
        !subscribes,
        "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
    )
}

fn check_assignor(named: Option<&str>, available: &[AssignorName]) -> Result<(), GroupError> {
    let Some(name) = named else { return Ok(()) };
    if AssignorName::named(name).is_some_and(|assignor| available.contains(&assignor)) {
        return Ok(());
    }
    let available: Vec<&str> = available.iter().map(|assignor| assignor.as_str()).collect();
    let available = available.join(", ");
    let message = format!("ServerAssignor {name} is not supported. Supported assignors: {available}.");
    Err(GroupError::new(GroupErrorCode::UnsupportedAssignor, message))
}

fn refuse(wrong: bool, message: &str) -> Result<(), GroupError> {
    if wrong { Err(GroupError::new(GroupErrorCode::InvalidRequest, message)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Client;
    use super::*;

    fn message(change: impl FnOnce(&mut ConsumerHeartbeat)) -> Option<String> {
        let mut request = Client::new("m", &["t"]).request();
        change(&mut request);
        check(&request, &GroupSettings::default()).err().map(|error| error.message)
    }

    #[test]
    fn names_are_left_out_and_not_blank() {
        assert_eq!(message(|_| ()), None);
        assert_eq!(message(|request| request.group = "  ".into()).unwrap(), "GroupId can't be empty.");
        assert_eq!(message(|request| request.rack = Some(String::new())).unwrap(), "RackId can't be empty.");
        let blank = message(|request| request.instance = Some("".into()));
        assert_eq!(blank.unwrap(), "InstanceId can't be empty.");
    }

    #[test]
    fn a_member_is_bounded() {
        let topic = "t".repeat(1024);
        assert_eq!(message(|request| request.topic_names = Some(vec![topic.clone(); 1000])), None);
        assert!(message(|request| request.topic_names = Some(vec![topic.clone(); 1024])).is_some());
    }

    #[test]
    fn only_who_joins_may_be_without_an_id() {
        let nameless =
            |epoch| message(|request| (request.member, request.epoch) = ("".into(), MemberEpoch(epoch)));
        assert_eq!(nameless(0), None);
        assert_eq!(nameless(3).unwrap(), "MemberId can't be empty.");
        assert_eq!(nameless(-1).unwrap(), "MemberId can't be empty.");
    }

    #[test]
    fn a_pattern_will_do_instead_of_names_and_either_may_be_empty() {
        assert_eq!(message(|request| request.topic_names = Some(Vec::new())), None);
        let by_pattern = |request: &mut ConsumerHeartbeat| {
            request.topic_names = None;
            request.topic_regex = Some(String::new());
        };
        assert_eq!(message(by_pattern), None);
        assert!(message(|request| request.topic_names = None).is_some());
    }
}
