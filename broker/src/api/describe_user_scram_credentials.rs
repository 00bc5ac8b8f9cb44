//! DescribeUserScramCredentials (50), version 0: the SCRAM credentials of users (KIP-554). There are none: all of them are an
//! empty list, and each user named is answered with RESOURCE_NOT_FOUND.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::describe_user_scram_credentials_response::DescribeUserScramCredentialsResult;
use kafka_protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};
use kafka_protocol::protocol::StrBytes;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{keep_first, repeated};
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeUserScramCredentials;

impl Handler for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;
    const SERVED: Versions = Versions::new(0, 0);

    fn handle(_: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        context.now(&answer(request.users.unwrap_or_default()))
    }
}

fn answer(mut users: Vec<UserName>) -> DescribeUserScramCredentialsResponse {
    let repeated = repeated(users.iter().map(|user| user.name.clone()));
    keep_first(&mut users, |user| user.name.clone());
    let results = users.into_iter().map(|user| result(user.name, &repeated)).collect();
    DescribeUserScramCredentialsResponse::default().with_results(results)
}

fn result(user: StrBytes, repeated: &HashSet<StrBytes>) -> DescribeUserScramCredentialsResult {
    let (error, message) = if repeated.contains(&user) {
        let why = "Cannot describe SCRAM credentials for the same user twice in a single request: ";
        (ResponseError::DuplicateResource, why)
    } else {
        let why = "Attempt to describe a user credential that does not exist: ";
        (ResponseError::ResourceNotFound, why)
    };
    DescribeUserScramCredentialsResult::default()
        .with_error_code(error.code())
        .with_error_message(Some(StrBytes::from_string(format!("{message}{}", user.as_str()))))
        .with_user(user)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn nobody_has_credentials() {
        let users =
            ["a", "b", "a"].map(|name| UserName::default().with_name(StrBytes::from_static_str(name)));
        let response = answer(users.into());
        let told: Vec<_> =
            response.results.iter().map(|user| (user.user.as_str(), user.error_code)).collect();
        assert_eq!(told, [("a", 92), ("b", 91)]);
        response.encode(&mut BytesMut::new(), DescribeUserScramCredentials::SERVED.max).unwrap();
        assert!(answer(Vec::new()).results.is_empty());
    }
}
