//! FindCoordinator (10), versions 0-6: which node coordinates a consumer group.
//!
//! It is the leader of the group's partition of `__consumer_offsets`, at the address of the listener that the
//! client came in on. The topic is made if it does not exist yet. While a leader is being elected the answer
//! waits for it, because some clients hand COORDINATOR_NOT_AVAILABLE to their applications instead of asking
//! again.
//!
//! There are no transactions, so the coordinator of a transactional id is not looked for. Transactional producers ask this
//! first, and its answer has room for a message: CLUSTER_AUTHORIZATION_FAILED is the code with which Java and librdkafka
//! both give up at once and print the message. Other codes make librdkafka ask for ever, or have Java print a sentence of its
//! own. Share groups do not exist either.
//!
//! Version 0 is what librdkafka up to 2.x takes for the sign of a broker that can read LZ4.
//!
//! * v1: the kind of the key; throttle time; an error's message. v2: throttling is the client's to wait out.
//! * v3: flexible. v4: many keys at once (KIP-699). v5: an error for transactions (KIP-890).
//! * v6: keys of share groups (KIP-932).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::coordinator::GroupId;
use trilog_cluster::ids::RaftGroupId;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use super::endpoints::Endpoint;
use super::item_error::ItemError;
use crate::connection::Reply;

/// See the module.
pub(super) struct FindCoordinator;

/// From this version on many keys are asked for at once.
const MANY_KEYS_FROM: i16 = 4;

/// Kafka's numbers for the kinds of keys.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// How long an answer waits for the making of `__consumer_offsets`.
const CREATE_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer waits for elections.
const ELECT_WITHIN: Duration = Duration::from_secs(1);

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const SERVED: Versions = Versions::new(0, 6);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let version = context.version;
        let mut keys = if version >= MANY_KEYS_FROM { request.coordinator_keys } else { vec![request.key] };
        keep_first(&mut keys, StrBytes::clone);
        if let Err(error) = check_kind(request.key_type) {
            if request.key_type == TRANSACTION {
                broker.transactions.refused(&context, keys.first());
            }
            let refused = keys.into_iter().map(|key| (key, Err(error.clone())));
            return context.now(&answer(refused.collect(), version));
        }
        let search = Search { broker: Arc::clone(broker), listener: context.listener().to_owned() };
        context.later(async move {
            search.wait_for_leaders(&keys).await;
            answer(search.find(keys), version)
        })
    }
}

/// Whether keys of that kind have coordinators.
fn check_kind(key_type: i8) -> Result<(), ItemError> {
    match key_type {
        GROUP => Ok(()),
        TRANSACTION => Err(ItemError::new(
            ResponseError::ClusterAuthorizationFailed,
            "Trilog does not support transactions; remove transactional.id from the producer's settings.",
        )),
        _ => Err(ItemError::new(
            ResponseError::InvalidRequest,
            format_args!("There are no coordinators for keys of type {key_type}."),
        )),
    }
}

/// A key, and where its coordinator is reached.
type Found = (StrBytes, Result<Endpoint, ItemError>);

/// A search on behalf of a client that came in on some listener.
struct Search {
    broker: Arc<Broker>,
    listener: String,
}

impl Search {
    /// Waits until the coordinators of all `keys` are known, as far as that is worth waiting for.
    async fn wait_for_leaders(&self, keys: &[StrBytes]) {
        let node = &self.broker.node;
        let partition_of = |key: &StrBytes| node.coordinator_of(&GroupId::from(key.as_str()));
        let partitions = || keys.iter().map(partition_of).collect::<Option<BTreeSet<_>>>();
        if partitions().is_none() {
            node.ensure_coordinators(CREATE_WITHIN).await;
        }
        let Some(partitions) = partitions() else { return };
        let all_led = || partitions.iter().all(|partition| self.leader_of(*partition).is_some());
        node.await_published(ELECT_WITHIN, all_led).await;
    }

    fn find(&self, keys: Vec<StrBytes>) -> Vec<Found> {
        let find = |key: &StrBytes| {
            let partition = self.broker.node.coordinator_of(&GroupId::from(key.as_str()))?;
            self.leader_of(partition)
        };
        let unavailable =
            || ItemError::new(ResponseError::CoordinatorNotAvailable, "The coordinator is not available.");
        keys.into_iter()
            .map(|key| {
                let found = find(&key).ok_or_else(unavailable);
                (key, found)
            })
            .collect()
    }

    /// Where the client reaches the leader of a partition.
    fn leader_of(&self, partition: RaftGroupId) -> Option<Endpoint> {
        let leader = self.broker.node.leadership(partition)?.leader;
        let image = self.broker.image();
        image
            .brokers()
            .find(|registered| registered.node == leader)
            .and_then(|registered| Endpoint::of(registered, &self.listener))
    }
}

fn answer(found: Vec<Found>, version: i16) -> FindCoordinatorResponse {
    if version >= MANY_KEYS_FROM {
        let coordinators = found.into_iter().map(|(key, found)| {
            let Parts { node, host, port, error_code, error_message } = Parts::of(found);
            Coordinator::default()
                .with_key(key)
                .with_node_id(node)
                .with_host(host)
                .with_port(port)
                .with_error_code(error_code)
                .with_error_message(error_message)
        });
        return FindCoordinatorResponse::default().with_coordinators(coordinators.collect());
    }
    let only = found.into_iter().next().map(|(_, found)| Parts::of(found));
    only.map_or_else(
        FindCoordinatorResponse::default,
        |Parts { node, host, port, error_code, error_message }| {
            FindCoordinatorResponse::default()
                .with_node_id(node)
                .with_host(host)
                .with_port(port)
                .with_error_code(error_code)
                .with_error_message(error_message)
        },
    )
}

/// A coordinator as the wire has it: nowhere where there is an error.
struct Parts {
    node: BrokerId,
    host: StrBytes,
    port: i32,
    error_code: i16,
    error_message: Option<StrBytes>,
}

impl Parts {
    fn of(found: Result<Endpoint, ItemError>) -> Self {
        match found {
            Ok(Endpoint { node, host, port, .. }) => {
                Self { node, host, port, error_code: 0, error_message: None }
            }
            Err(ItemError { error, message }) => Self {
                node: BrokerId(-1),
                host: StrBytes::default(),
                port: -1,
                error_code: error.code(),
                error_message: message,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    fn key() -> StrBytes {
        StrBytes::from_static_str("g")
    }

    #[test]
    fn only_groups_have_coordinators() {
        let code = |kind| check_kind(kind).map_err(|error| error.error.code());
        assert_eq!([0, 1, 2, -1].map(code), [Ok(()), Err(31), Err(42), Err(42)]);
    }

    #[test]
    fn every_version_can_carry_every_answer() {
        let here =
            Endpoint { node: BrokerId(2), host: StrBytes::from_static_str("n2"), port: 9092, rack: None };
        let outcomes = [Ok(here), Err(check_kind(TRANSACTION).unwrap_err())];
        for version in FindCoordinator::SERVED.min..=FindCoordinator::SERVED.max {
            for outcome in &outcomes {
                let response = answer(vec![(key(), outcome.clone())], version);
                response.encode(&mut BytesMut::new(), version).unwrap();
            }
        }
    }

    #[test]
    fn each_key_has_its_answer_where_the_version_has_room() {
        let refused = |kind| Err(check_kind(kind).unwrap_err());
        let many = answer(vec![(key(), refused(1)), (key(), refused(2))], 4);
        let codes: Vec<_> = many.coordinators.iter().map(|found| (found.error_code, found.port)).collect();
        assert_eq!(codes, [(31, -1), (42, -1)]);
        let one = answer(vec![(key(), refused(1))], 3);
        assert_eq!((one.error_code, one.node_id, one.coordinators.len()), (31, BrokerId(-1), 0));
    }
}
