//! DeleteTopics (20), versions 1-6: topics and their data go, by name or by id.
//!
//! Answered once the deletion is committed; nodes remove the data from their disks after that. With
//! `delete.topic.enable=false` nothing is deleted, which versions below 3 hear as INVALID_REQUEST. A topic that is named more than
//! once is refused, and answered once.
//!
//! * v1: throttle time. v2: nothing new on the wire. v3: TOPIC_DELETION_DISABLED exists.
//! * v4: flexible. v5: an error message.
//! * v6: topics by id; the answer names both name and id where they are known (KIP-516).

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{ControllerRequest, ControllerResponse, DeleteTopics as Deletion, TopicRef};
use trilog_cluster::ids::TopicId;
use uuid::Uuid;

use super::admin_deadline::AdminDeadline;
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use super::item_error::{ItemError, parts};
use crate::connection::Reply;

/// See the module.
pub(super) struct DeleteTopics;

/// From this version on clients know TOPIC_DELETION_DISABLED.
const DELETION_DISABLED_KNOWN_FROM: i16 = 3;
/// From this version on topics come with name and id.
const IDS_FROM: i16 = 6;

impl Handler for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const SERVED: Versions = Versions::new(1, 6);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let version = context.version;
        let broker = Arc::clone(broker);
        let deadline = AdminDeadline::after(request.timeout_ms);
        context.later(async move {
            let asked =
                if version < IDS_FROM { by_names(request.topic_names) } else { by_states(request.topics) };
            let outcomes = delete(&broker, valid(&asked), deadline).await;
            let results = join(asked, outcomes).map(|(asked, outcome)| result(asked, outcome, version));
            let mut results: Vec<_> = results.collect();
            keep_first(&mut results, |result| (result.name.clone(), result.topic_id, result.error_code));
            DeleteTopicsResponse::default().with_responses(results)
        })
    }
}

/// A topic that is named twice over, or not at all.
struct Unclear {
    state: DeleteTopicState,
    error: ItemError,
}

type Asked = Result<TopicRef, Unclear>;

fn by_names(names: Vec<TopicName>) -> Vec<Asked> {
    names.into_iter().map(|name| Ok(TopicRef::Name(name.to_string()))).collect()
}

fn by_states(states: Vec<DeleteTopicState>) -> Vec<Asked> {
    let unclear =
        |state, why| Err(Unclear { state, error: ItemError::new(ResponseError::InvalidRequest, why) });
    let asked = |state: DeleteTopicState| match (&state.name, state.topic_id) {
        (Some(name), id) if id.is_nil() => Ok(TopicRef::Name(name.to_string())),
        (None, id) if !id.is_nil() => Ok(TopicRef::Id(TopicId(id))),
        (Some(_), _) => unclear(state, "You may not specify both topic name and topic id."),
        (None, _) => unclear(state, "Neither topic name nor id were specified."),
    };
    states.into_iter().map(asked).collect()
}

fn valid(asked: &[Asked]) -> Vec<TopicRef> {
    asked.iter().filter_map(|asked| asked.as_ref().ok()).cloned().collect()
}

type Outcome = Result<TopicRef, ItemError>;

/// Has the controller delete `topics`. One outcome for each, in their order: the topic's other name where it
/// succeeded.
async fn delete(broker: &Broker, topics: Vec<TopicRef>, deadline: AdminDeadline) -> Vec<Outcome> {
    let count = topics.len();
    let request = ControllerRequest::DeleteTopics(Deletion { topics });
    match broker.node.submit(request, deadline.left_for_commit()).await {
        Ok(ControllerResponse::DeleteTopics(results)) => {
            results.into_iter().map(|result| result.outcome.map_err(ItemError::from)).collect()
        }
        Ok(other) => vec![Err(ItemError::unexpected(&other)); count],
        Err(error) => vec![Err(error.into()); count],
    }
}

/// Puts the controller's outcomes beside what they are of, and beside the rest why it was never asked.
fn join(asked: Vec<Asked>, outcomes: Vec<Outcome>) -> impl Iterator<Item = (Asked, Outcome)> {
    let mut outcomes = outcomes.into_iter();
    asked.into_iter().map(move |asked| {
        let outcome = match &asked {
            Ok(_) => outcomes.next().unwrap_or(Err(ItemError::bare(ResponseError::UnknownServerError))),
            Err(unclear) => Err(unclear.error.clone()),
        };
        (asked, outcome)
    })
}

fn result(asked: Asked, outcome: Outcome, version: i16) -> DeletableTopicResult {
    let (mut error_code, message) = parts(&outcome);
    if version < DELETION_DISABLED_KNOWN_FROM && error_code == ResponseError::TopicDeletionDisabled.code() {
        error_code = ResponseError::InvalidRequest.code();
    }
    let (name, id) = match asked {
        Err(unclear) => (unclear.state.name, unclear.state.topic_id),
        Ok(asked) => both_names(asked, outcome.ok()),
    };
    let id = if version < IDS_FROM { Uuid::nil() } else { id };
    DeletableTopicResult::default()
        .with_name(name)
        .with_topic_id(id)
        .with_error_code(error_code)
        .with_error_message(message)
}

fn both_names(asked: TopicRef, other: Option<TopicRef>) -> (Option<TopicName>, Uuid) {
    let (mut name, mut id) = (None, Uuid::nil());
    for topic in [Some(asked), other].into_iter().flatten() {
        match topic {
            TopicRef::Name(text) => name = Some(TopicName(StrBytes::from_string(text))),
            TopicRef::Id(TopicId(uuid)) => id = uuid,
        }
    }
    (name, id)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    fn name(text: &'static str) -> TopicName {
        TopicName(StrBytes::from_static_str(text))
    }

    #[test]
    fn a_topic_is_named_in_one_way() {
        let state = |name: Option<TopicName>, id: u128| {
            DeleteTopicState::default().with_name(name).with_topic_id(Uuid::from_u128(id))
        };
        let asked = by_states(vec![
            state(Some(name("a")), 0),
            state(None, 7),
            state(Some(name("b")), 7),
            state(None, 0),
        ]);
        assert_eq!(valid(&asked), [TopicRef::Name("a".into()), TopicRef::Id(TopicId(Uuid::from_u128(7)))]);
        assert!(asked[2].is_err() && asked[3].is_err());
    }

    #[test]
    fn outcomes_stand_beside_what_they_are_of() {
        let unclear = || by_states(vec![DeleteTopicState::default()]).remove(0);
        let asked =
            vec![unclear(), Ok(TopicRef::Name("a".into())), unclear(), Ok(TopicRef::Name("b".into()))];
        let unknown = Err(ItemError::bare(ResponseError::UnknownTopicOrPartition));
        let done = Ok(TopicRef::Id(TopicId(Uuid::from_u128(7))));
        let codes: Vec<_> = join(asked, vec![unknown, done]).map(|(_, outcome)| parts(&outcome).0).collect();
        assert_eq!(codes, [42, 3, 42, 0]);
    }

    #[test]
    fn an_answer_names_what_is_known() {
        let id = TopicId(Uuid::from_u128(7));
        let deleted = || Ok(TopicRef::Id(id));
        let result_of = |version| result(Ok(TopicRef::Name("a".into())), deleted(), version);
        assert_eq!((result_of(6).name, result_of(6).topic_id), (Some(name("a")), id.0));
        assert!(result_of(5).topic_id.is_nil());
        let unknown = Err(ItemError::bare(ResponseError::UnknownTopicId));
        let refused = result(Ok(TopicRef::Id(id)), unknown, 6);
        assert_eq!((refused.name, refused.topic_id, refused.error_code), (None, id.0, 100));
    }

    #[test]
    fn old_clients_hear_an_error_that_they_know() {
        let disabled = || Err(ItemError::bare(ResponseError::TopicDeletionDisabled));
        let code = |version| result(Ok(TopicRef::Name("a".into())), disabled(), version).error_code;
        assert_eq!((code(2), code(3)), (42, 73));
    }

    #[test]
    fn every_version_can_carry_an_answer() {
        for version in DeleteTopics::SERVED.min..=DeleteTopics::SERVED.max {
            let error = Err(ItemError::new(ResponseError::UnknownTopicOrPartition, "no such topic"));
            let one = result(Ok(TopicRef::Name("a".into())), error, version);
            let response = DeleteTopicsResponse::default().with_responses(vec![one]);
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
