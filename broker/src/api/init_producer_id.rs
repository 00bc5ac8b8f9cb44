//! InitProducerId (22), versions 0-5: an identity for an idempotent producer (KIP-98).
//!
//! Every request gets an id of its own with epoch 0, as in Kafka, whatever id a producer had before. There
//! are no transactions: a request with a transactional id is answered TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
//! which clients take as final, where other codes would make some of them ask for ever. Clients ask for the transaction's
//! coordinator before, and FindCoordinator tells them in words.
//!
//! * v1: nothing new on the wire. v2: flexible.
//! * v3: the producer may state the id and epoch it has, to have the epoch raised (KIP-360). Of meaning for
//!   transactions only.
//! * v4: PRODUCER_FENCED may be answered. v5: a new error for transactions (KIP-890).

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use crate::connection::Reply;

/// See the module.
pub(super) struct InitProducerId;

/// Stands for an id and an epoch that were not given.
const NONE: i16 = -1;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    const SERVED: Versions = Versions::new(0, 5);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        if has_half_an_identity(&request) {
            return context.now(&refused(ResponseError::InvalidRequest));
        }
        match request.transactional_id {
            Some(id) if id.is_empty() => context.now(&refused(ResponseError::InvalidRequest)),
            Some(id) => {
                broker.transactions.refused(&context, Some(&id));
                context.now(&refused(ResponseError::TransactionalIdAuthorizationFailed))
            }
            None => {
                let broker = Arc::clone(broker);
                context.later(async move {
                    match broker.producer_ids.next(&broker.node).await {
                        Some(id) => accepted(ProducerId(id.0)),
                        None => refused(ResponseError::CoordinatorLoadInProgress),
                    }
                })
            }
        }
    }
}

/// Whether a producer states one of id and epoch without the other (KIP-360).
fn has_half_an_identity(request: &InitProducerIdRequest) -> bool {
    (request.producer_id.0 == i64::from(NONE)) != (request.producer_epoch == NONE)
}

fn accepted(id: ProducerId) -> InitProducerIdResponse {
    InitProducerIdResponse::default().with_producer_id(id).with_producer_epoch(0)
}

fn refused(error: ResponseError) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId(i64::from(NONE)))
        .with_producer_epoch(NONE)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn id_and_epoch_belong_together() {
        for (id, epoch, is_half) in [(-1, -1, false), (7, 0, false), (7, -1, true), (-1, 0, true)] {
            let request =
                InitProducerIdRequest::default().with_producer_id(ProducerId(id)).with_producer_epoch(epoch);
            assert_eq!(has_half_an_identity(&request), is_half, "{id} {epoch}");
        }
    }

    #[test]
    fn every_version_can_carry_either() {
        let denied = refused(ResponseError::TransactionalIdAuthorizationFailed);
        assert_eq!((denied.error_code, denied.producer_id, denied.producer_epoch), (53, ProducerId(-1), -1));
        let given = accepted(ProducerId(7));
        assert_eq!((given.error_code, given.producer_id, given.producer_epoch), (0, ProducerId(7), 0));
        for version in InitProducerId::SERVED.min..=InitProducerId::SERVED.max {
            denied.encode(&mut BytesMut::new(), version).unwrap();
            given.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
