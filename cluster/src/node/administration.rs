//! What administrators ask of a node beside its records: the controller's quorum, elections, producers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Node, SubmitError, link};
use crate::controller::{ControllerRequest, ControllerResponse, Handover, Quorum};
use crate::driver::inbox::Input;
use crate::ids::{NodeId, RaftGroupId};
use crate::partition::ActiveProducer;

impl Node {
    /// The controller's group, as its leader knows it.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn quorum(&self, timeout: Duration) -> Result<Quorum, SubmitError> {
        match self.submit(ControllerRequest::DescribeQuorum, timeout).await? {
            ControllerResponse::DescribeQuorum(quorum) => Ok(quorum),
            _ => Err(SubmitError::BadAnswer),
        }
    }

    /// Asks `leader` to hand the leaderships of these groups to their preferred replicas. One outcome for each group, in
    /// their order; none if `leader` did not answer.
    pub async fn hand_to_preferred(
        &self,
        leader: NodeId,
        groups: &[RaftGroupId],
        timeout: Duration,
    ) -> Option<Vec<Handover>> {
        let request = ControllerRequest::HandToPreferred(groups.iter().map(|group| group.0).collect());
        match self.ask(leader, &request, timeout).await {
            Ok(Some(ControllerResponse::HandToPreferred(handovers))) if handovers.len() == groups.len() => {
                Some(handovers)
            }
            _ => None,
        }
    }

    /// The idempotent producers that this node's replicas of these partitions know, by group. A group of which it has no
    /// replica is left out. One question at a time reaches the driver, which copies them all. None without an answer within
    /// `patience`.
    pub async fn producers(
        &self,
        groups: Vec<RaftGroupId>,
        patience: Duration,
    ) -> Option<BTreeMap<RaftGroupId, Vec<ActiveProducer>>> {
        let asked = async {
            let _turn = self.shared.producer_questions.acquire().await.ok()?;
            let (reply, answer) = oneshot::channel();
            self.shared.inbox.push(Input::Producers(groups, reply));
            answer.await.ok()
        };
        tokio::time::timeout(patience, asked).await.ok().flatten()
    }

    /// Puts a request to one node. None if it does not answer, or says that it is not the one to ask.
    pub(super) async fn ask(
        &self,
        node: NodeId,
        request: &ControllerRequest,
        timeout: Duration,
    ) -> Result<Option<ControllerResponse>, SubmitError> {
        if node == self.shared.node {
            let decided = link::control(&self.shared.inbox, request.clone());
            return Ok(tokio::time::timeout(timeout, decided).await.ok().and_then(Result::ok));
        }
        let body = Bytes::from(request.encode());
        match self.shared.rpc.call(&self.shared.transport, node, body, timeout).await {
            Ok(body) if body.is_empty() => Ok(None),
            Ok(body) => ControllerResponse::decode(&body).map(Some).map_err(|_| SubmitError::BadAnswer),
            Err(error) => {
                tracing::debug!(%error, node = node.0, "a node did not answer a request");
                Ok(None)
            }
        }
    }
}
