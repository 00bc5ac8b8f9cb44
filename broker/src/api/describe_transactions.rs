//! DescribeTransactions (65), version 0: the state of single transactions, by their ids (KIP-664). There are none, as
//! transactions are not served: each id is answered with TRANSACTIONAL_ID_NOT_FOUND.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionalId};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeTransactions;

impl Handler for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    const SERVED: Versions = Versions::new(0, 0);

    fn handle(_: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_first(&mut request.transactional_ids, TransactionalId::clone);
        let states = request.transactional_ids.into_iter().map(unknown).collect();
        context.now(&DescribeTransactionsResponse::default().with_transaction_states(states))
    }
}

fn unknown(id: TransactionalId) -> TransactionState {
    let error =
        if id.is_empty() { ResponseError::InvalidRequest } else { ResponseError::TransactionalIdNotFound };
    TransactionState::default().with_error_code(error.code()).with_transactional_id(id)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    #[test]
    fn nobody_has_a_transaction() {
        let ids = ["", "mine"].map(|id| TransactionalId(StrBytes::from_static_str(id)));
        let states = ids.map(unknown);
        assert_eq!(states.each_ref().map(|state| state.error_code), [42, 105]);
        let response = DescribeTransactionsResponse::default().with_transaction_states(states.into());
        response.encode(&mut BytesMut::new(), DescribeTransactions::SERVED.max).unwrap();
    }
}
