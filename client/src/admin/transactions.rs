//! ListTransactions and DescribeTransactions (KIP-664), and transactions that are ended for their producer.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{
    DescribeTransactionsRequest, InitProducerIdRequest, ListTransactionsRequest, TransactionalId,
};

use super::requests::{checked, known};
use super::rounds::Policy;
use super::route::{Coordinated, Route};
use super::run::{Attempt, Operation};
use super::{Admin, Results, TopicPartition};
use crate::Error;
use crate::messages::{millis, text, version};
use crate::metadata::NodeId;

/// From this version on, transactions are filtered by how long they are open (KIP-994).
const DURATION_FROM: i16 = 1;

/// Which transactions to list. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// States, of [`TRANSACTION_STATES`](crate::TRANSACTION_STATES); none means any.
    pub states: Vec<String>,
    /// Producer ids; none means any.
    pub producer_ids: Vec<i64>,
    /// Only those that are open for longer.
    pub open_for: Option<Duration>,
}

/// A transactional id in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    /// The transactional id.
    pub transactional_id: String,
    /// The id of its producer.
    pub producer_id: i64,
    /// Its state, as `Ongoing` or `CompleteCommit`.
    pub state: String,
}

/// The transactional ids of a cluster.
#[derive(Clone, Debug, Default)]
pub struct TransactionsListed {
    /// The transactional ids, by name.
    pub transactions: Vec<TransactionListing>,
    /// The brokers whose transactions are missing, each with the reason.
    pub failures: BTreeMap<i32, Error>,
}

/// A transactional id, as its coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// Its state, as `Ongoing` or `CompleteCommit`.
    pub state: String,
    /// The broker that coordinates it.
    pub coordinator: Option<i32>,
    /// The id of its producer.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// After this long the coordinator aborts an open transaction.
    pub timeout: Duration,
    /// When the open transaction began, in milliseconds since 1970.
    pub started: Option<i64>,
    /// The partitions of the open transaction.
    pub partitions: Vec<TopicPartition>,
}

/// What a transactional id has after its producer was fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FencedProducer {
    /// The id of the next producer.
    pub producer_id: i64,
    /// The epoch below which producers are refused.
    pub producer_epoch: i16,
}

impl Admin {
    /// Lists the transactional ids that any broker coordinates.
    ///
    /// # Errors
    ///
    /// If no broker answers in time. Where only some do not, they are in [`TransactionsListed::failures`].
    pub async fn list_transactions(&self, filter: &TransactionFilter) -> Result<TransactionsListed, Error> {
        let (mut transactions, failures) =
            self.of_all_brokers(|| ListTransactions { filter: filter.clone() }).await?;
        transactions.sort_unstable_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
        Ok(TransactionsListed { transactions, failures })
    }

    /// Describes transactional ids. One that does not exist is `TRANSACTIONAL_ID_NOT_FOUND`.
    pub async fn describe_transactions<T: Into<String>>(
        &self,
        transactional_ids: impl IntoIterator<Item = T>,
    ) -> Results<String, TransactionDescription> {
        self.run(DescribeTransactions, transactional_ids.into_iter().map(Into::into)).await
    }

    /// Aborts the open transactions of these ids, and fences their producers: each has to begin anew. An id that nobody has used
    /// becomes known by that.
    pub async fn fence_producers<T: Into<String>>(
        &self,
        transactional_ids: impl IntoIterator<Item = T>,
    ) -> Results<String, FencedProducer> {
        self.run(FenceProducers, transactional_ids.into_iter().map(Into::into)).await
    }
}

struct FenceProducers;

impl Operation for FenceProducers {
    type Key = String;
    type Value = FencedProducer;
    const POLICY: Policy = Policy::IDEMPOTENT;

    fn route(&self, transactional_id: &String) -> Route {
        Route::Coordinator(Coordinated::Transaction(transactional_id.clone()))
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        transactional_ids: &[String],
    ) -> Result<Results<String, FencedProducer>, Error> {
        let mut fenced = Results::new();
        for id in transactional_ids {
            // The new producer never begins a transaction, so that its timeout makes no difference.
            let request = InitProducerIdRequest::default()
                .with_transactional_id(Some(TransactionalId(text(id))))
                .with_transaction_timeout_ms(millis(attempt.limit));
            let answer = attempt.connection.request(request).await?;
            let outcome = checked(answer.error_code, None).map(|()| FencedProducer {
                producer_id: answer.producer_id.0,
                producer_epoch: answer.producer_epoch,
            });
            fenced.insert(id.clone(), outcome);
        }
        Ok(fenced)
    }
}

struct ListTransactions {
    filter: TransactionFilter,
}

impl Operation for ListTransactions {
    type Key = NodeId;
    type Value = Vec<TransactionListing>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, broker: &NodeId) -> Route {
        Route::Broker(*broker)
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        brokers: &[NodeId],
    ) -> Result<Results<NodeId, Vec<TransactionListing>>, Error> {
        let version = version::<ListTransactionsRequest>(attempt.connection, i16::MAX)?;
        let filter = &self.filter;
        let mut request = ListTransactionsRequest::default()
            .with_state_filters(filter.states.iter().map(|state| text(state)).collect())
            .with_producer_id_filters(filter.producer_ids.iter().map(|id| (*id).into()).collect());
        if let Some(age) = filter.open_for {
            attempt.connection.versions().check::<ListTransactionsRequest>(DURATION_FROM)?;
            request.duration_filter = i64::from(millis(age));
        }
        let answer = attempt.connection.request_at_version(request, version).await?;
        checked(answer.error_code, None)?;
        let listed = answer.transaction_states.into_iter().map(|row| TransactionListing {
            transactional_id: row.transactional_id.to_string(),
            producer_id: row.producer_id.0,
            state: row.transaction_state.to_string(),
        });
        let listed: Vec<_> = listed.collect();
        Ok(brokers.iter().map(|broker| (*broker, Ok(listed.clone()))).collect())
    }
}

struct DescribeTransactions;

impl Operation for DescribeTransactions {
    type Key = String;
    type Value = TransactionDescription;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, transactional_id: &String) -> Route {
        Route::Coordinator(Coordinated::Transaction(transactional_id.clone()))
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        transactional_ids: &[String],
    ) -> Result<Results<String, TransactionDescription>, Error> {
        let ids = transactional_ids.iter().map(|id| TransactionalId(text(id))).collect();
        let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
        let answer = attempt.connection.request(request).await?;
        let rows = answer.transaction_states.into_iter().map(|row| {
            let id = row.transactional_id.to_string();
            (id, checked(row.error_code, None).map(|()| description(row, attempt.node)))
        });
        Ok(rows.collect())
    }
}

fn description(row: TransactionState, coordinator: Option<NodeId>) -> TransactionDescription {
    let partitions = row.topics.into_iter().flat_map(|topic| {
        let name = std::sync::Arc::<str>::from(topic.topic.as_str());
        let named = move |partition| TopicPartition { topic: name.clone(), partition };
        topic.partitions.into_iter().map(named)
    });
    TransactionDescription {
        state: row.transaction_state.to_string(),
        coordinator,
        producer_id: row.producer_id.0,
        producer_epoch: row.producer_epoch,
        timeout: Duration::from_millis(u64::try_from(row.transaction_timeout_ms).unwrap_or(0)),
        started: known(row.transaction_start_time_ms),
        partitions: partitions.collect(),
    }
}
