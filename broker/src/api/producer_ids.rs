//! Producer ids in stock: a node draws a block of them from the controller and hands them out one by one
//! (KIP-730).
//!
//! What is left of a block when the node ends is never used. There are 2⁶³ ids.

use std::ops::Range;
use std::time::Duration;

use tokio::sync::Mutex;
use trilog_cluster::controller::{ControllerRequest, ControllerResponse};
use trilog_cluster::ids::ProducerId;
use trilog_cluster::node::Node;

/// How long to wait for a block. Clients repeat the request when none came.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The ids this node may hand out. Whoever finds none left holds the lock until it has fetched a block, and
/// the others wait behind it instead of fetching blocks of their own.
#[derive(Default)]
pub(super) struct ProducerIds {
    stock: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// An id that nobody in the cluster was ever given. None when the controller could not be reached in
    /// time.
    pub(super) async fn next(&self, node: &Node) -> Option<ProducerId> {
        let mut stock = self.stock.lock().await;
        if stock.is_empty() {
            *stock = fetch_block(node).await?;
        }
        stock.next().map(ProducerId)
    }
}

async fn fetch_block(node: &Node) -> Option<Range<i64>> {
    match node.submit(ControllerRequest::AllocateProducerIds, BLOCK_TIMEOUT).await {
        Ok(ControllerResponse::AllocateProducerIds(Ok(block))) => {
            Some(block.first.0..block.first.0 + i64::from(block.count))
        }
        Ok(refusal) => {
            tracing::error!(?refusal, "the controller gives no producer ids");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "no producer ids from the controller");
            None
        }
    }
}
