//! AllocateProducerIds: a node gets a block of producer ids to hand out (KIP-730).
//!
//! Ids of a block that its node did not use before it stopped are lost; there are enough of them.

use super::{ControllerError, Decision, ErrorCode};
use crate::controller::image::MetadataImage;
use crate::controller::limits::PRODUCER_ID_BLOCK;
use crate::controller::records::ControllerRecord;
use crate::controller::requests::{ControllerResponse, ProducerIdBlock};
use crate::ids::ProducerId;

pub(super) fn decide(image: &MetadataImage) -> Decision {
    let first = image.next_producer_id();
    let next = first.0.checked_add(PRODUCER_ID_BLOCK.into()).map(ProducerId);
    let outcome = match next {
        Some(_) => Ok(ProducerIdBlock { first, count: PRODUCER_ID_BLOCK }),
        None => Err(ControllerError::new(ErrorCode::UnknownServerError, "All producer ids are used up.")),
    };
    Decision {
        records: next.map(|next| ControllerRecord::ProducerIdsAllocated { next }).into_iter().collect(),
        response: ControllerResponse::AllocateProducerIds(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures::Cluster;
    use crate::controller::requests::ControllerRequest;

    #[test]
    fn blocks_follow_each_other() {
        let mut cluster = Cluster::of(1);
        for first in [0, 1_000, 2_000] {
            assert_eq!(
                cluster.handle(&ControllerRequest::AllocateProducerIds),
                ControllerResponse::AllocateProducerIds(Ok(ProducerIdBlock {
                    first: ProducerId(first),
                    count: 1_000
                }))
            );
        }
    }

    #[test]
    fn ids_do_not_start_again() {
        let mut cluster = Cluster::of(1);
        cluster.image.replay(&ControllerRecord::ProducerIdsAllocated { next: ProducerId(i64::MAX - 5) });
        let decision = cluster.decide(&ControllerRequest::AllocateProducerIds);
        assert_eq!(decision.records, []);
        assert!(matches!(decision.response, ControllerResponse::AllocateProducerIds(Err(_))));
    }
}
