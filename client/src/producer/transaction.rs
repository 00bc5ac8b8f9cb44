//! The application's side of transactions.

use std::collections::BTreeMap;

use tokio::time::timeout;

use super::machine::Machine;
use super::record::Record;
use super::shared::{Shared, Token};
use super::transactions::{Offsets, Transactions};
use super::{Delivery, Producer};
use crate::Error;
use crate::consumer::{CommitOffset, GroupMetadata, TopicPartition};

/// An open transaction: its records and offsets take effect together, or not at all.
///
/// ```no_run
/// use trilog_client::{Error, Producer, ProducerConfig, Record};
///
/// # async fn example() -> Result<(), Error> {
/// let config = ProducerConfig::new("127.0.0.1:9092")?.transactional_id("transfers-1");
/// let producer = Producer::new(config)?;
/// producer.init_transactions().await?;
///
/// let mut transaction = producer.begin_transaction().await?;
/// // That a record failed, the commit tells as well.
/// drop(transaction.send(Record::to("accounts").key("a").value("-5")).await?);
/// drop(transaction.send(Record::to("accounts").key("b").value("+5")).await?);
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// Readers with `isolation.level=read_committed` see nothing of a transaction before its commit, and nothing of one that was aborted.
///
/// A transaction that is open for longer than `transaction.timeout.ms` is aborted by its coordinator. The next call then returns an error
/// of the class `Fenced` or, where the code is `INVALID_TXN_STATE`, `Fatal`.
///
/// Dropped before it has ended, as by `?`, it is aborted in the background; the next
/// [`begin_transaction`](Producer::begin_transaction) waits for that. If its commit was called before, the producer completes the commit instead.
///
/// # Errors
///
/// The [class](Error::class) of an error says what to do, whichever call returned it:
///
/// | class | |
/// | --- | --- |
/// | [`NeedsAbort`](crate::ErrorClass::NeedsAbort) | abort, and begin again: a record failed, or the group refused the offsets |
/// | [`Fenced`](crate::ErrorClass::Fenced) | close the producer: another one has the `transactional.id` |
/// | [`Fatal`](crate::ErrorClass::Fatal) | close the producer: a right is missing, or the broker does not serve transactions |
/// | [`Retriable`](crate::ErrorClass::Retriable) | make the same call again: no broker answered within `max.block.ms` |
/// | [`Refused`](crate::ErrorClass::Refused) | the call does not fit; the transaction is as before |
#[derive(Debug)]
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction<'a> {
    producer: &'a Producer,
    number: u64,
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let shared = &self.producer.handle.shared;
        shared
            .machine()
            .transactions()
            .into_iter()
            .for_each(|transactions| transactions.abandon(self.number));
        shared.changed.notify_one();
    }
}

impl Producer {
    /// Registers the `transactional.id` with its coordinator, which fences earlier producers of this id and aborts the
    /// transaction that they have left open. To be called once, before the first transaction; waits for `max.block.ms` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if no coordinator answered in time: it may be called again. Of the class
    /// [`Fatal`](crate::ErrorClass::Fatal) if the broker refuses the producer or serves no transactions.
    /// [`Error::TransactionState`] without a `transactional.id`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the producer registers all the same; the next call waits for it.
    pub async fn init_transactions(&self) -> Result<(), Error> {
        self.until("to register the transactional.id", Transactions::init).await
    }

    /// Begins a transaction. Records that any clone of the producer sends from now on belong to it.
    ///
    /// It waits only for the end of a transaction that was dropped, for `max.block.ms` at most.
    ///
    /// # Errors
    ///
    /// [`Error::TransactionState`] before [`init_transactions`](Self::init_transactions), and while a transaction is open;
    /// otherwise as [`Transaction`] tells.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, no transaction has begun.
    pub async fn begin_transaction(&self) -> Result<Transaction<'_>, Error> {
        let number = self.until("to end the transaction before", Transactions::begin).await?;
        Ok(Transaction { producer: self, number })
    }

    /// Waits until the machine gives an answer, for `max.block.ms` at most.
    async fn until<T>(
        &self,
        what: &'static str,
        mut ask: impl FnMut(&mut Transactions) -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        let shared = &self.handle.shared;
        let mut ask = move |machine: &mut Machine<Token>| match machine.transactions() {
            Some(transactions) => ask(transactions),
            None => Some(Err(Error::TransactionState {
                cause: "the producer has no transactional.id, and so no transactions",
            })),
        };
        let limit = self.handle.max_block;
        match timeout(limit, shared.answer(&mut ask)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { what, limit, cause: self.transactions_wait_for() }),
        }
    }

    /// What a transaction waits for, for people.
    fn transactions_wait_for(&self) -> String {
        let mut machine = self.handle.shared.machine();
        let trouble = machine.transactions().and_then(|transactions| transactions.trouble().cloned());
        trouble
            .map_or_else(|| "not all records have their fates yet".to_owned(), |trouble| trouble.to_string())
    }

    /// Waits until no transaction has to be ended. The machine gives up in time.
    pub(super) async fn at_rest(&self) {
        self.handle.shared.answer(&mut |machine| machine.is_at_rest().then_some(())).await;
    }
}

impl Shared {
    /// Asks the machine after each turn of the driver, until it gives an answer.
    async fn answer<T>(&self, ask: &mut impl FnMut(&mut Machine<Token>) -> Option<T>) -> T {
        let mut turned = self.turned.subscribe();
        let mut answer = ask(&mut self.machine());
        // What was asked for may be due.
        self.changed.notify_one();
        loop {
            if let Some(answer) = answer {
                return answer;
            }
            // The sender lives as long as `self`.
            let _ = turned.changed().await;
            answer = ask(&mut self.machine());
        }
    }
}

impl Transaction<'_> {
    /// Accepts a record, as [`Producer::send`] does. A record that is not accepted is no part of the transaction; one that is
    /// accepted and fails later fails the transaction.
    ///
    /// # Errors
    ///
    /// As [`Producer::send`], and as [`Transaction`] tells.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, the record was not accepted.
    pub async fn send(&self, record: Record) -> Result<Delivery, Error> {
        self.producer.send_in(Some(self.number), record).await
    }

    /// Commits offsets of a consumer as part of the transaction (Kafka's `sendOffsetsToTransaction`): what was read and what was
    /// written take effect together. Waits until the group's coordinator has taken them, for `max.block.ms` at most.
    ///
    /// Each offset is that of the next record to read. `group` is [`Consumer::group_metadata`](crate::Consumer::group_metadata), taken
    /// after the records were read: the group refuses offsets of a member that it has given up. The consumer itself must not commit;
    /// turn its automatic commits off.
    ///
    /// # Errors
    ///
    /// As [`Transaction`] tells. The group's refusal is [`Error::NeedsAbort`] with its code: `ILLEGAL_GENERATION`,
    /// `UNKNOWN_MEMBER_ID` or `FENCED_INSTANCE_ID`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the offsets are sent all the same, and a commit waits for them.
    pub async fn send_offsets(
        &mut self,
        offsets: BTreeMap<TopicPartition, CommitOffset>,
        group: &GroupMetadata,
    ) -> Result<(), Error> {
        let number = self.number;
        let mut offsets = Some(Offsets { group: group.clone(), offsets });
        let mut ticket = None;
        let send = move |transactions: &mut Transactions| {
            if let Some(offsets) = offsets.take() {
                match transactions.send_offsets(number, offsets) {
                    Ok(number) => ticket = Some(number),
                    Err(error) => return Some(Err(error)),
                }
            }
            transactions.offsets_sent(number, ticket?)
        };
        self.producer.until("to send offsets to a transaction", send).await
    }

    /// Commits the transaction (Kafka's `commitTransaction`): sends what lingers, waits until every record has its fate, and has the
    /// coordinator commit. Waits for `max.block.ms` at most.
    ///
    /// # Errors
    ///
    /// [`Error::NeedsAbort`] if a record failed: nothing is committed, and [`abort`](Self::abort) comes next. After [`Error::Timeout`]
    /// the producer continues to commit, and another call returns the outcome. Otherwise as [`Transaction`] tells.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the producer continues to commit, and another call returns the outcome.
    pub async fn commit(&mut self) -> Result<(), Error> {
        let number = self.number;
        self.producer.until("to commit a transaction", move |all| all.commit(number)).await
    }

    /// Aborts the transaction (Kafka's `abortTransaction`): records that were not sent fail with [`Error::TransactionAborted`], and
    /// readers of committed records never see the others. Waits for `max.block.ms` at most.
    ///
    /// # Errors
    ///
    /// After [`Error::Timeout`] the producer still aborts: another call waits for the end. [`Error::TransactionState`] if the commit was
    /// sent before. Otherwise as [`Transaction`] tells.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the producer still aborts.
    pub async fn abort(&mut self) -> Result<(), Error> {
        let number = self.number;
        self.producer.until("to abort a transaction", move |all| all.abort(number)).await
    }
}
