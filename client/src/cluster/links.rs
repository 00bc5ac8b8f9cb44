//! One connection a broker, dialled anew with a growing and jittered back-off.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, sleep, sleep_until};

use crate::Error;
use crate::backoff::Backoff;
use crate::config::Address;
use crate::metadata::{NodeId, REFUSED};
use crate::metrics::ClusterCounters;
use crate::wire::{Connection, ConnectionOptions};

/// The connections, by broker. A broker's entry stays once it was dialled: there are as many as the cluster ever had.
#[derive(Debug)]
pub(super) struct Links {
    backoff: Backoff,
    by_node: Mutex<HashMap<NodeId, Arc<Link>>>,
}

/// A broker's connection. Who dials holds the lock, so that others share the outcome.
#[derive(Debug, Default)]
struct Link {
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<(Address, Connection)>,
    failures: u32,
    not_before: Option<Instant>,
    /// Why the broker has refused this client at the last attempt, if it has. Until the next one is due, that is the answer.
    refusal: Option<Error>,
}

impl State {
    /// The connection, while it stands and leads to `address`.
    fn live(&self, address: &Address) -> Option<Connection> {
        let (dialled, connection) = self.current.as_ref()?;
        (dialled == address && connection.closed().is_none()).then(|| connection.clone())
    }
}

impl Links {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, by_node: Mutex::default() }
    }

    fn link(&self, node: NodeId) -> Arc<Link> {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_node.entry(node).or_default())
    }

    /// Whether a connection to this broker stands and nobody dials.
    pub(super) fn is_up(&self, node: NodeId) -> bool {
        let link = self.link(node);
        let state = link.state.try_lock();
        state.is_ok_and(|state| state.current.as_ref().is_some_and(|(_, link)| link.closed().is_none()))
    }

    /// The connection to a broker; dials if there is none.
    pub(super) async fn get(
        &self,
        node: NodeId,
        address: &Address,
        options: &ConnectionOptions,
        counters: &ClusterCounters,
    ) -> Result<Connection, Error> {
        let link = self.link(node);
        let mut state = link.state.lock().await;
        if let Some(connection) = state.live(address) {
            return Ok(connection);
        }
        state.current = None;
        if let Some(not_before) = state.not_before {
            if let Some(refusal) = &state.refusal
                && Instant::now() < not_before
            {
                // Paced like an attempt, as callers may try again at once; others are not held up meanwhile.
                let (refusal, pause) = (refusal.clone(), self.backoff.delay(state.failures, fastrand::f64()));
                drop(state);
                sleep(pause).await;
                return Err(refusal);
            }
            sleep_until(not_before).await;
        }
        // Before the attempt, which may be cancelled: no broker is dialled in a storm, not even one that takes and closes.
        state.failures = state.failures.saturating_add(1);
        state.not_before = Some(Instant::now() + self.backoff.delay(state.failures, fastrand::f64()));
        match Connection::connect(&address.to_string(), options).await {
            Ok(connection) => {
                state.failures = 0;
                state.refusal = None;
                state.current = Some((address.clone(), connection.clone()));
                counters.connections.add(1);
                Ok(connection)
            }
            Err(error) => {
                let error = Error::from(error);
                let is_refusal = matches!(error, Error::Authentication { .. });
                let backoff = if is_refusal { REFUSED } else { self.backoff };
                state.refusal = is_refusal.then(|| error.clone());
                state.not_before = Some(Instant::now() + backoff.delay(state.failures, fastrand::f64()));
                counters.failed_connections.add(1);
                tracing::debug!(node, %error, "no connection");
                Err(error)
            }
        }
    }

    /// Forgets a connection, if it is still the current one.
    pub(super) async fn discard(&self, node: NodeId, connection: &Connection) {
        let link = self.link(node);
        let mut state = link.state.lock().await;
        if state.current.as_ref().is_some_and(|(_, current)| current.is_same(connection)) {
            state.current = None;
        }
    }
}
