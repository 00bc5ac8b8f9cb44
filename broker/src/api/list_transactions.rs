//! ListTransactions (66), versions 0-2: the transactions that this node coordinates (KIP-664). There are none, as
//! transactions are not served.
//!
//! What a filter names and no transaction can have is still told apart, as tools show it to their users: unknown states, and
//! a pattern that is no regular expression (INVALID_REGULAR_EXPRESSION).
//!
//! * v1: a filter by duration (KIP-994). v2: a filter by a pattern of ids (KIP-1152).

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_protocol::TRANSACTION_STATES;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use crate::connection::Reply;

/// See the module.
pub(super) struct ListTransactions;

impl Handler for ListTransactions {
    type Request = ListTransactionsRequest;
    const SERVED: Versions = Versions::new(0, 2);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let broker = Arc::clone(broker);
        context.later(async move {
            match request.transactional_id_pattern.as_deref() {
                Some(pattern) if broker.node.topic_patterns().learn(pattern).await.is_err() => {
                    let error = ResponseError::InvalidRegularExpression;
                    ListTransactionsResponse::default().with_error_code(error.code())
                }
                _ => none_of(request.state_filters),
            }
        })
    }
}

/// The answer to a filter by these states.
fn none_of(mut states: Vec<StrBytes>) -> ListTransactionsResponse {
    states.retain(|state| !TRANSACTION_STATES.contains(&state.as_str()));
    keep_first(&mut states, StrBytes::clone);
    ListTransactionsResponse::default().with_unknown_state_filters(states)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn unknown_states_are_told_once() {
        let texts = |texts: &[&'static str]| -> Vec<_> {
            texts.iter().copied().map(StrBytes::from_static_str).collect()
        };
        let answer = none_of(texts(&["Ongoing", "ongoing", "Gone", "Gone"]));
        assert_eq!(answer.unknown_state_filters, texts(&["ongoing", "Gone"]));
        for version in ListTransactions::SERVED.min..=ListTransactions::SERVED.max {
            answer.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
