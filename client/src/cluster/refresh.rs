//! The task that keeps the metadata fresh.
//!
//! It asks the brokers that it knows, connected ones first, and then the bootstrap servers (KIP-899). A broker that does not
//! answer soon is not waited for: the next one is asked beside it, and the first answer counts.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::MetadataRequest;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use trilog_protocol::ErrorCode;

use super::{Shared, translate};
use crate::Error;
use crate::config::Address;
use crate::metadata::{Answer, NodeId};
use crate::wire::{ClientError, CloseReason, Connection};

/// How long a broker is waited for before another is asked beside it.
const HEDGE_AFTER: Duration = Duration::from_secs(1);

/// Who is asked.
#[derive(Clone, Debug)]
enum Target {
    Broker(NodeId),
    Bootstrap(Address),
}

/// Refreshes whenever it is due, for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let due = shared.started + shared.knowledge().demand.due();
        tokio::select! {
            () = sleep_until(due) => {}
            () = shared.demanded.notified() => continue,
        }
        let request = request(&shared);
        let outcome = ask_around(&shared, &request).await;
        take_in(&shared, outcome);
    }
}

pub(super) fn request(shared: &Shared) -> MetadataRequest {
    let now = shared.now();
    let mut knowledge = shared.knowledge();
    let creates = knowledge.may_create && shared.common.auto_create_topics;
    translate::request(&knowledge.demand.topics(now), creates)
}

fn take_in(shared: &Shared, outcome: Result<Answer, Error>) {
    let now = shared.now();
    let mut knowledge = shared.knowledge();
    let random = fastrand::f64();
    match outcome {
        Ok(answer) => {
            shared.counters.metadata_refreshes.add(1);
            knowledge.failure = None;
            let knowledge = &mut *knowledge;
            knowledge.cache.merge(answer);
            knowledge.cache.retain(|topic| knowledge.demand.is_used(topic));
            let snapshot = knowledge.cache.snapshot();
            knowledge.demand.attempted(now, Some(&snapshot), random);
            shared.published.send_replace(snapshot);
        }
        Err(error) => {
            tracing::debug!(%error, "no metadata");
            knowledge.failure = Some(error.clone());
            if !is_refusal(&error) {
                knowledge.demand.attempted(now, None, random);
                return;
            }
            let wanted = knowledge.demand.topics(now);
            knowledge.cache.refused(error, wanted);
            knowledge.demand.refused(now, random);
            // Whoever waits for brokers is told at once.
            shared.published.send_replace(knowledge.cache.snapshot());
        }
    }
}

/// Whether brokers do not accept who this client is, or this client not who they are.
pub(super) const fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Authentication { .. })
}

/// Asks one after the other until one answers, and the next one beside those that are slow.
async fn ask_around(shared: &Arc<Shared>, request: &MetadataRequest) -> Result<Answer, Error> {
    let mut targets = targets(shared).into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = Error::Unreachable { cause: "no broker is known".to_owned() };
    loop {
        let mut is_last = true;
        if let Some(target) = targets.next() {
            is_last = false;
            let (shared, request) = (Arc::clone(shared), request.clone());
            attempts.spawn(async move { ask(&shared, target, request).await });
        }
        tokio::select! {
            answered = attempts.join_next() => match answered {
                Some(Ok(Ok(answer))) => return Ok(answer),
                // What a person has to mend is told rather than that other brokers are away.
                Some(Ok(Err(error))) if !is_refusal(&failure) => failure = error,
                Some(Ok(Err(_))) => {}
                Some(Err(_)) => {}
                None if is_last => return Err(failure),
                None => {}
            },
            () = sleep(HEDGE_AFTER), if !is_last => {}
        }
    }
}

fn targets(shared: &Shared) -> Vec<Target> {
    let mut targets: Vec<_> = shared.nodes_by_preference().into_iter().map(Target::Broker).collect();
    if targets.is_empty() || shared.common.rebootstraps {
        let mut bootstrap = shared.common.bootstrap.clone();
        fastrand::shuffle(&mut bootstrap);
        targets.extend(bootstrap.into_iter().map(Target::Bootstrap));
    }
    targets
}

/// A broker that requires SASL hangs up at the first request of a client without it.
fn hung_up(error: ClientError, connection: &Connection, is_authenticated: bool) -> Error {
    match error {
        ClientError::Closed { reason: CloseReason::ByBroker | CloseReason::Io(_), .. }
            if !is_authenticated =>
        {
            let address = connection.address();
            let cause = format!(
                "{address}: {error}; if it requires SASL, security.protocol is SASL_SSL or SASL_PLAINTEXT"
            );
            Error::Disconnected { cause }
        }
        error => error.into(),
    }
}

async fn ask(shared: &Shared, target: Target, request: MetadataRequest) -> Result<Answer, Error> {
    let connection = match target {
        Target::Broker(node) => shared.connection(node).await?,
        Target::Bootstrap(address) => {
            let connection = Connection::connect(&address.to_string(), &shared.options).await;
            connection.inspect_err(|_| shared.counters.failed_connections.add(1))?
        }
    };
    let version = translate::metadata_version(connection.versions())?;
    let response = connection.request_at_version(request, version).await;
    let response =
        response.map_err(|error| hung_up(error, &connection, shared.options.security.sasl.is_some()))?;
    // KIP-1102: the broker wants its clients to begin anew, which the bootstrap servers do that come next.
    ErrorCode(response.error_code).check().map_err(Error::code)?;
    translate::answer(response)
}
