//! A partition as its leader shows it.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_response::DeleteRecordsPartitionResult;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{FetchRequest, InitProducerIdRequest, ProduceRequest};
use trilog_client::wire::Connection;

use crate::batch::{Batch, BatchBuilder, Record};
use crate::requests::{FetchPlan, Target, error, fetched, listed_offset, produced, records_deleted};
use crate::waiting::wait_until;

/// The earliest offset, as ListOffsets takes it.
pub const EARLIEST: i64 = -2;
/// The high watermark, as ListOffsets takes it.
pub const LATEST: i64 = -1;
/// The offset of the greatest timestamp (KIP-734), as ListOffsets takes it.
pub const MAX_TIMESTAMP: i64 = -3;

/// A partition and a connection to the node that led it when this was made.
#[derive(Debug, Clone)]
pub struct Partition {
    /// To the leader.
    pub connection: Connection,
    /// Which partition.
    pub target: Target,
}

impl Partition {
    /// Produces with acks=all in the highest version and returns the answer, error code and all.
    ///
    /// # Panics
    /// If there is no answer, as in all of these.
    pub async fn try_produce(&self, records: Bytes) -> PartitionProduceResponse {
        self.produce_with_acks(-1, records).await
    }

    /// Produces with these acks, 1 or -1, in the highest version.
    pub async fn produce_with_acks(&self, acks: i16, records: Bytes) -> PartitionProduceResponse {
        let version = self.connection.versions().negotiate::<ProduceRequest>().expect("Produce is served");
        let request = self.target.produce(version, acks, records);
        produced(self.connection.request(request).await.expect("Produce is answered"))
    }

    /// Sends record sets one after the other without waiting for answers, with acks=all, and then returns all answers.
    pub async fn produce_in_flight(
        &self,
        record_sets: impl IntoIterator<Item = Bytes>,
    ) -> Vec<PartitionProduceResponse> {
        let version = self.connection.versions().negotiate::<ProduceRequest>().expect("Produce is served");
        let mut pending = Vec::new();
        for records in record_sets {
            let request = self.target.produce(version, -1, records);
            pending.push(self.connection.enqueue(request).await.expect("the connection is up"));
        }
        let mut answers = Vec::new();
        for pending in pending {
            answers.push(produced(pending.answer().await.expect("Produce is answered")));
        }
        answers
    }

    /// Produces with acks=all and returns the base offset.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn produce(&self, records: Bytes) -> i64 {
        let answer = self.try_produce(records).await;
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
        answer.base_offset
    }

    /// Produces records in one plain batch with acks=all and returns the base offset.
    pub async fn produce_records(&self, records: Vec<Record>) -> i64 {
        self.produce(BatchBuilder::new(records).build()).await
    }

    /// Fetches in the highest version and returns the answer, error code and all.
    pub async fn try_fetch(&self, plan: FetchPlan) -> PartitionData {
        let version = self.connection.versions().negotiate::<FetchRequest>().expect("Fetch is served");
        let request = self.target.fetch(version, plan);
        fetched(self.connection.request(request).await.expect("Fetch is answered"))
    }

    /// Fetches whatever there is from an offset on.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn fetch(&self, offset: i64) -> Vec<Batch> {
        let answer = self.try_fetch(FetchPlan::from(offset)).await;
        assert_eq!(answer.error_code, 0, "fetch from {offset}");
        Batch::split(&answer.records.expect("records are never null"))
    }

    /// Asks ListOffsets and returns the answer, error code and all.
    pub async fn try_list_offset(&self, timestamp: i64) -> ListOffsetsPartitionResponse {
        let request = self.target.list_offsets(timestamp);
        listed_offset(self.connection.request(request).await.expect("ListOffsets is answered"))
    }

    /// Asks ListOffsets and returns the offset and its timestamp.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn list_offset(&self, timestamp: i64) -> (i64, i64) {
        let answer = self.try_list_offset(timestamp).await;
        assert_eq!(answer.error_code, 0, "list offset of {timestamp}");
        (answer.offset, answer.timestamp)
    }

    /// Deletes the records below an offset (-1: all) and returns the log start after it.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn delete_records(&self, before: i64) -> i64 {
        let answer = self.try_delete_records(before).await;
        assert_eq!(error(answer.error_code), None, "delete below {before}");
        answer.low_watermark
    }

    /// Asks to delete the records below an offset and returns the answer, error code and all.
    pub async fn try_delete_records(&self, before: i64) -> DeleteRecordsPartitionResult {
        let request = self.target.delete_records(before);
        records_deleted(self.connection.request(request).await.expect("DeleteRecords is answered"))
    }

    /// The high watermark.
    pub async fn end(&self) -> i64 {
        self.list_offset(LATEST).await.0
    }

    /// Everything, batch by batch, from the earliest offset to the high watermark, with a look at each: no gap, no
    /// overlap, the right CRC, epochs that never go down.
    ///
    /// # Panics
    /// If any of this does not hold.
    pub async fn read_all(&self) -> Vec<Batch> {
        self.try_read_all().await.expect("the partition is led here all the while")
    }

    /// The same where the leadership may move meanwhile.
    ///
    /// # Errors
    /// The code with which the broker refuses.
    ///
    /// # Panics
    /// As [`read_all`](Self::read_all).
    pub async fn try_read_all(&self) -> Result<Vec<Batch>, i16> {
        let served = |code: i16| if code == 0 { Ok(()) } else { Err(code) };
        let (first, end) = (self.try_list_offset(EARLIEST).await, self.try_list_offset(LATEST).await);
        served(first.error_code).and(served(end.error_code))?;
        let (mut offset, end) = (first.offset, end.offset);
        let mut batches: Vec<Batch> = Vec::new();
        while offset < end {
            let answer = self.try_fetch(FetchPlan::from(offset)).await;
            served(answer.error_code)?;
            let fetched = Batch::split(&answer.records.expect("records are never null"));
            assert!(!fetched.is_empty(), "nothing at offset {offset} below the high watermark {end}");
            for batch in fetched {
                assert_eq!(batch.base_offset(), offset, "offsets are dense");
                assert!(batch.crc_is_right(), "the batch at {offset} is damaged");
                let before = batches.last().map_or(0, Batch::leader_epoch);
                assert!(batch.leader_epoch() >= before, "the epoch goes down at {offset}");
                offset = batch.last_offset() + 1;
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    /// The values of all records, as text.
    pub async fn read_values(&self) -> Vec<String> {
        self.read_all().await.iter().flat_map(Batch::values).collect()
    }

    /// A new producer id; its epoch is 0.
    ///
    /// # Panics
    /// If the broker refuses for good.
    pub async fn new_producer(&self) -> i64 {
        let version = self.connection.versions().negotiate::<InitProducerIdRequest>();
        init_producer(&self.connection, version.expect("InitProducerId is served")).await
    }
}

/// Asks for a new producer id in a certain version; its epoch is 0. Asks again while the broker has none at hand, as
/// every client does.
///
/// # Panics
/// If the broker refuses for good.
pub async fn init_producer(connection: &Connection, version: i16) -> i64 {
    wait_until("there is a producer id", async || {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let answer =
            connection.request_at_version(request, version).await.expect("InitProducerId is answered");
        if error(answer.error_code) == Some(ResponseError::CoordinatorLoadInProgress) {
            return None;
        }
        assert_eq!((error(answer.error_code), answer.producer_epoch), (None, 0), "version {version}");
        assert!(answer.producer_id.0 >= 0, "version {version}");
        Some(answer.producer_id.0)
    })
    .await
}
