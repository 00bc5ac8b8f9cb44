//! Fetch (1), versions 4-16: records out of partitions.
//!
//! Reads end at the high watermark, which is also the last stable offset as there are no transactions. An
//! offset in the middle of a batch gets the whole batch, and the client skips; the first partition with
//! anything to read gets at least one batch, however small the limits are. When there is less than
//! `min_bytes` to read, the answer waits for more, up to `max_wait`. Only leaders are read from; who asks
//! elsewhere is told the leader.
//!
//! Whether this node leads, the other replicas are asked when the request comes, while the records are read. So
//! an answer holds what had been acknowledged when it was asked for, whoever acknowledged it. A fetch that waits
//! keeps its confirmation, and has it renewed before it answers if that was long ago.
//!
//! A request is one future, whatever the number of its partitions: it reads all of them in one pass, in the
//! order asked for, and after that only those that have changed. What is in memory is read on the spot. If
//! anything has to come from disk, the whole pass moves to a thread that may wait.
//!
//! How much a fetch reads also depends on the memory that the node has for answers ([`memory`]).
//!
//! There are no fetch sessions (KIP-227): every answer is complete and has session id 0, which clients take
//! for a broker without room for sessions.
//!
//! * v5: log start offset. v7: sessions. v9: leader epochs (KIP-320). v10: zstd; below it, batches of zstd
//!   are answered UNSUPPORTED_COMPRESSION_TYPE. v11: racks, of no use here.
//! * v12: flexible; diverging epochs (KIP-595). v13: topics by id (KIP-516).
//! * v14: nothing new on the wire. v15: the replica that asks has moved into a tagged field (KIP-903).
//! * v16: the new leader comes with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951).

mod limits;
mod memory;
mod partition;
mod pass;
mod response;
mod zstd;

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use self::limits::Limits;
use self::memory::MemoryOfFetch;
use self::partition::Source;
use self::pass::Pass;
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{AskedTopic, Counts, keep_one};
use crate::connection::Reply;

/// See the module.
pub(super) struct Fetch;

/// The most record bytes of a response, one larger batch aside. Kafka's `fetch.max.bytes` of a broker is 55
/// MiB; but clients ask again at once, and what a slow client has not read yet is memory.
const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// The session epochs of a request that does without a session: none was ever wanted, or a new one is.
const SESSIONLESS: [i32; 2] = [-1, 0];

/// A confirmation older than this is renewed before the answer. Longer than the half second that consumers wait
/// by default, so that this is for those that wait longer, and for a process that stood still meanwhile.
const CONFIRMED_FOR: Duration = Duration::from_millis(600);

/// The isolation level of a consumer that wants to know aborted transactions.
const READ_COMMITTED: i8 = 1;

impl Handler for Fetch {
    type Request = FetchRequest;
    const SERVED: Versions = Versions::new(4, 16);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        if !SESSIONLESS.contains(&request.session_epoch) {
            let unknown = ResponseError::FetchSessionIdNotFound.code();
            return context.now(&FetchResponse::default().with_error_code(unknown));
        }
        keep_one(&mut request.topics, Counts::Last);
        let deadline =
            Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let limits = Limits::new(request.min_bytes, request.max_bytes, MAX_RESPONSE_BYTES);
        let form = response::Form {
            version: context.version,
            aborted_transactions: request.isolation_level == READ_COMMITTED,
        };
        let pass = Pass::plan(broker, request.topics, limits, context.version);
        let broker = Arc::clone(broker);
        Reply::later(async move {
            let mut fetch = MemoryOfFetch::new(context.share(), Arc::clone(context.memory()), &pass);
            let pass = read_enough(&broker, pass, &mut fetch, deadline).await;
            let image = broker.image();
            let endpoints = broker.endpoints(&image, context.listener());
            context.count_errors(pass.error_codes());
            pass.count_traffic();
            let leadership = |group| broker.node.leadership(group);
            let body = response::body(pass.into_topics(), form, leadership, &endpoints);
            context.reply_to().answer_body(body, fetch.into_share())
        })
    }
}

impl AskedTopic for FetchTopic {
    type Name = (TopicName, Uuid);
    type Partition = FetchPartition;

    fn name(&self) -> Self::Name {
        (self.topic.clone(), self.topic_id)
    }

    fn partitions(&mut self) -> &mut Vec<Self::Partition> {
        &mut self.partitions
    }

    fn index(partition: &Self::Partition) -> i32 {
        partition.partition
    }
}

/// Reads until there is enough for an answer, or the time is over, and keeps what this node leads for certain.
async fn read_enough(broker: &Broker, pass: Pass, memory: &mut MemoryOfFetch, deadline: Instant) -> Pass {
    let asked_at = Instant::now();
    let confirming = broker.node.confirm(pass.led());
    let mut pass = memory.read(pass).await;
    pass.keep_confirmed(&confirming.await);
    if pass.is_enough() || deadline <= Instant::now() {
        return pass;
    }
    pass = read_more(pass, memory, deadline).await;
    if asked_at.elapsed() > CONFIRMED_FOR {
        pass.keep_confirmed(&broker.node.confirm(pass.led()).await);
    }
    pass
}

/// Waits for more to read, and reads it. What holds memory meanwhile does not wait while others wait for memory.
async fn read_more(mut pass: Pass, memory: &mut MemoryOfFetch, deadline: Instant) -> Pass {
    let changed = Arc::new(Notify::new());
    // Whatever changes from here on is noticed, so the pass after this sees it, or the notification is kept.
    let _watches = pass.watch(&changed);
    loop {
        pass = memory.read(pass).await;
        if pass.is_enough() {
            return pass;
        }
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep_until(deadline) => return pass,
            () = memory.is_wanted(), if memory.holds_any() => return pass,
        }
    }
}

/// One pass over the partitions: in memory if that will do, else from disk on another thread.
async fn read(mut pass: Pass) -> Pass {
    if pass.read(Source::Memory).is_ok() {
        return pass;
    }
    let from_disk = move || {
        let complete = pass.read(Source::Disk);
        assert!(complete.is_ok(), "what is not in memory is on disk");
        pass
    };
    match tokio::task::spawn_blocking(from_disk).await {
        Ok(pass) => pass,
        // It panicked, and so does this request: its connection ends, the others go on.
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
