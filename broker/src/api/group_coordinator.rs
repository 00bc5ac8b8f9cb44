//! What the APIs of consumer groups have in common: asking the coordinator of a group, and telling its answer.
//!
//! A group's requests are answered by its coordinator, the leader of its partition of `__consumer_offsets`, and
//! by no other node: any other answers NOT_COORDINATOR, and the client asks FindCoordinator. [`ask`] hands a
//! request over within its turn, so that the coordinator sees the requests of a connection in their order; the
//! answer comes when everything that it rests on is stored by a majority. An answer that does not come within
//! `offsets.commit.timeout.ms`, as while there is no majority, is COORDINATOR_NOT_AVAILABLE, as in Kafka, and
//! the client tries again. Joins and syncs wait for other members and have no such limit.
//!
//! What is kept of a request is copied out of its frame: a group that lives for months must not hold on to
//! frames.

use std::collections::VecDeque;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages;
use kafka_protocol::protocol::StrBytes;
use tokio::time::{Instant, timeout_at};
use trilog_cluster::coordinator::{GroupError, GroupErrorCode, GroupId, GroupRequest, GroupResponse};
use trilog_cluster::ids::RaftGroupId;
use trilog_cluster::node::CoordinateFuture;

use super::broker::Broker;
use super::item_error::ItemError;

/// How many groups of one request are asked about at a time. A request may name millions; the others wait for
/// their turn in the little room that their names take.
const ASKED_AT_ONCE: usize = 256;

/// A request that a coordinator on this node has been handed, or that has none here.
pub(super) struct Asked {
    coordination: Option<CoordinateFuture>,
    deadline: Option<Instant>,
}

/// Hands a request to the coordinator of its group, if that is on this node.
pub(super) fn ask(broker: &Broker, request: GroupRequest) -> Asked {
    ask_until(deadline(broker), broker, request)
}

/// Hands a request to a coordinator on this node.
pub(super) fn ask_at(broker: &Broker, coordinator: RaftGroupId, request: GroupRequest) -> Asked {
    let coordination = Some(broker.node.coordinate(coordinator, request));
    Asked { coordination, deadline: Some(deadline(broker)) }
}

fn ask_until(deadline: Instant, broker: &Broker, request: GroupRequest) -> Asked {
    let coordinator = request.group().and_then(|group| broker.node.coordinator_of(group));
    let coordination = coordinator.map(|coordinator| broker.node.coordinate(coordinator, request));
    Asked { coordination, deadline: Some(deadline) }
}

/// By when a request that comes in now is to be answered.
fn deadline(broker: &Broker) -> Instant {
    Instant::now() + broker.settings().offsets.commit_timeout
}

impl Asked {
    /// Waits for as long as it takes, because the answer depends on other members.
    pub(super) fn without_deadline(self) -> Self {
        Self { deadline: None, ..self }
    }

    /// Waits for the answer. `pick` takes what belongs to the question out of the response.
    ///
    /// # Errors
    ///
    /// NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, or UNKNOWN_SERVER_ERROR for the answer to another question.
    pub(super) async fn answer<T>(
        self,
        pick: impl FnOnce(GroupResponse) -> Option<T>,
    ) -> Result<T, ResponseError> {
        let coordination = self.coordination.ok_or(ResponseError::NotCoordinator)?;
        let response = match self.deadline {
            None => coordination.await,
            Some(deadline) => timeout_at(deadline, coordination)
                .await
                .map_err(|_| ResponseError::CoordinatorNotAvailable)?,
        };
        let response = response.map_err(|_| ResponseError::NotCoordinator)?;
        pick(response).ok_or_else(|| {
            tracing::error!("a coordinator answered something else than was asked");
            ResponseError::UnknownServerError
        })
    }

    /// Waits for an answer that is itself an outcome.
    ///
    /// # Errors
    ///
    /// The coordinator's, or those of [`answer`](Self::answer).
    pub(super) async fn outcome<T>(
        self,
        pick: impl FnOnce(GroupResponse) -> Option<Result<T, GroupErrorCode>>,
    ) -> Result<T, ResponseError> {
        self.answer(pick).await?.map_err(response_error)
    }
}

/// Requests about many groups, of which some have been handed over.
pub(super) struct AskedEach<I> {
    broker: Arc<Broker>,
    deadline: Instant,
    asked: VecDeque<Asked>,
    requests: I,
}

/// Hands requests to the coordinators of their groups: some now, the others as answers come.
pub(super) fn ask_each<I>(broker: &Arc<Broker>, mut requests: I) -> AskedEach<I>
where
    I: Iterator<Item = GroupRequest>,
{
    let deadline = deadline(broker);
    let first = requests.by_ref().take(ASKED_AT_ONCE);
    let asked = first.map(|request| ask_until(deadline, broker, request)).collect();
    AskedEach { broker: Arc::clone(broker), deadline, asked, requests }
}

impl<I: Iterator<Item = GroupRequest>> AskedEach<I> {
    /// Waits for the answers, in the order of the requests. See [`Asked::answer`].
    pub(super) async fn answers<T>(
        mut self,
        pick: impl Fn(GroupResponse) -> Option<T>,
    ) -> Vec<Result<T, ResponseError>> {
        let mut answers = Vec::new();
        while let Some(asked) = self.asked.pop_front() {
            answers.push(asked.answer(&pick).await);
            let next = self.requests.next();
            self.asked.extend(next.map(|request| ask_until(self.deadline, &self.broker, request)));
        }
        answers
    }
}

/// A group's name as the domain has it.
pub(super) fn group_id(name: &messages::GroupId) -> GroupId {
    GroupId::from(name.as_str())
}

/// A text of the domain's as a response carries it.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The same for a text that may be missing.
pub(super) fn optional_text(optional: Option<&str>) -> Option<StrBytes> {
    optional.map(text)
}

/// Kafka's number for an outcome; 0 when nothing was wrong.
pub(super) fn error_code<T>(outcome: &Result<T, ResponseError>) -> i16 {
    outcome.as_ref().err().map_or(0, ResponseError::code)
}

/// A coordinator's error as the wire has it.
pub(super) const fn response_error(code: GroupErrorCode) -> ResponseError {
    match code {
        GroupErrorCode::CoordinatorNotAvailable => ResponseError::CoordinatorNotAvailable,
        GroupErrorCode::FencedMemberEpoch => ResponseError::FencedMemberEpoch,
        GroupErrorCode::FencedInstanceId => ResponseError::FencedInstanceId,
        GroupErrorCode::GroupIdNotFound => ResponseError::GroupIdNotFound,
        GroupErrorCode::GroupMaxSizeReached => ResponseError::GroupMaxSizeReached,
        GroupErrorCode::GroupSubscribedToTopic => ResponseError::GroupSubscribedToTopic,
        GroupErrorCode::IllegalGeneration => ResponseError::IllegalGeneration,
        GroupErrorCode::InconsistentGroupProtocol => ResponseError::InconsistentGroupProtocol,
        GroupErrorCode::InvalidCommitOffsetSize => ResponseError::InvalidCommitOffsetSize,
        GroupErrorCode::InvalidGroupId => ResponseError::InvalidGroupId,
        GroupErrorCode::InvalidRegularExpression => ResponseError::InvalidRegularExpression,
        GroupErrorCode::InvalidRequest => ResponseError::InvalidRequest,
        GroupErrorCode::InvalidSessionTimeout => ResponseError::InvalidSessionTimeout,
        GroupErrorCode::MemberIdRequired => ResponseError::MemberIdRequired,
        GroupErrorCode::NonEmptyGroup => ResponseError::NonEmptyGroup,
        GroupErrorCode::OffsetMetadataTooLarge => ResponseError::OffsetMetadataTooLarge,
        GroupErrorCode::RebalanceInProgress => ResponseError::RebalanceInProgress,
        GroupErrorCode::StaleMemberEpoch => ResponseError::StaleMemberEpoch,
        GroupErrorCode::UnknownMemberId => ResponseError::UnknownMemberId,
        GroupErrorCode::UnknownServerError => ResponseError::UnknownServerError,
        GroupErrorCode::UnknownTopicOrPartition => ResponseError::UnknownTopicOrPartition,
        GroupErrorCode::UnreleasedInstanceId => ResponseError::UnreleasedInstanceId,
        GroupErrorCode::UnsupportedAssignor => ResponseError::UnsupportedAssignor,
        GroupErrorCode::UnsupportedVersion => ResponseError::UnsupportedVersion,
    }
}

/// A coordinator's refusal as the wire has it, in an answer with room for its sentence.
pub(super) fn group_item_error(refusal: GroupError) -> ItemError {
    let GroupError { code, message } = refusal;
    ItemError {
        error: response_error(code),
        message: (!message.is_empty()).then(|| StrBytes::from_string(message)),
    }
}
