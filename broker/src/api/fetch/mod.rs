//! Fetch (1), versions 4-18: records out of partitions.
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
//! A client may have a session ([`session`], KIP-227): it names its partitions once, and is answered for those that changed.
//!
//! * v5: log start offset. v7: sessions. v9: leader epochs (KIP-320). v10: zstd (KIP-110); below it, clients get batches of
//!   zstd as well, as from Kafka 4. v11: racks, of no use here.
//! * v12: flexible; diverging epochs (KIP-595). v13: topics by id (KIP-516).
//! * v14: nothing new on the wire. v15: the replica that asks has moved into a tagged field (KIP-903).
//! * v16: the new leader comes with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951).
//! * v17: the directory of the replica that asks (KIP-853). v18: the high watermark that it knows (KIP-1166). Both are of Kafka's
//!   own replicas; consumers do not send them.

mod asked;
mod limits;
mod memory;
mod partition;
mod pass;
mod response;
mod session;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use self::limits::Limits;
use self::memory::{MemoryOfFetch, PARTITION_BYTES};
use self::partition::Source;
use self::pass::Pass;
#[cfg(test)]
pub(crate) use self::session::SESSION_BYTES;
use self::session::{SessionError, SessionRequest};
pub(super) use self::sessions::FetchSessions;
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{AskedTopic, Counts, keep_one};
use crate::connection::Reply;

/// See the module.
pub(super) struct Fetch;

/// The most record bytes of a response, one larger batch aside. Kafka's `fetch.max.bytes` of a broker is 55
/// MiB; but clients ask again at once, and what a slow client has not read yet is memory.
const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// A confirmation older than this is renewed before the answer. Longer than the half second that consumers wait
/// by default, so that this is for those that wait longer, and for a process that stood still meanwhile.
const CONFIRMED_FOR: Duration = Duration::from_millis(600);

/// The isolation level of a consumer that wants to know aborted transactions.
const READ_COMMITTED: i8 = 1;

impl Handler for Fetch {
    type Request = FetchRequest;
    const SERVED: Versions = Versions::new(4, 18);

    fn answer_bytes(broker: &Broker, request: &Self::Request, _version: i16) -> usize {
        broker.fetch_sessions.partitions_of(request.session_id) * PARTITION_BYTES
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_one(&mut request.topics, Counts::Last);
        let deadline =
            Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let limits = Limits::new(request.min_bytes, request.max_bytes, MAX_RESPONSE_BYTES);
        let aborted_transactions = request.isolation_level == READ_COMMITTED;
        let (ticket, partitions) = match broker.fetch_sessions.begin(of_session(&request, context.version)) {
            Ok(begun) => begun,
            Err(error) => return context.now(&refusal(error)),
        };
        drop(request);
        let pass = Pass::plan(broker, partitions, limits);
        let broker = Arc::clone(broker);
        Reply::later(async move {
            let mut fetch = MemoryOfFetch::new(context.share(), Arc::clone(context.memory()), &pass);
            let mut pass = read_enough(&broker, pass, &mut fetch, deadline).await;
            let told = broker.fetch_sessions.end(ticket, pass.seen());
            if let Some(partitions) = told.partitions {
                pass.keep(partitions);
            }
            let image = broker.image();
            let endpoints = broker.endpoints(&image, context.listener());
            context.count_errors(pass.error_codes());
            pass.count_traffic();
            let leadership = |group| broker.node.leadership(group);
            let session_id = told.session_id;
            let form = response::Form { version: context.version, aborted_transactions, session_id };
            let body = response::body(pass.into_topics(), form, leadership, &endpoints);
            context.reply_to().answer_body(body, fetch.into_share())
        })
    }
}

/// The part of a request that concerns its session.
fn of_session(request: &FetchRequest, version: i16) -> SessionRequest {
    SessionRequest {
        id: request.session_id,
        epoch: request.session_epoch,
        by_id: asked::is_by_id(version),
        partitions: asked::partitions(&request.topics, version),
        forgotten: asked::forgotten(&request.forgotten_topics_data, version),
    }
}

/// The answer to a request that does not fit its session.
fn refusal(error: SessionError) -> FetchResponse {
    FetchResponse::default().with_error_code(error.response_error().code())
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
