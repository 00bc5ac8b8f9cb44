//! The way to one broker: a task that holds the connection and puts requests on it in order.
//!
//! A lane dials once. It says when the connection stands and when it has ended, and then ends itself; the machine asks for
//! another one when there is something to send. Every request that it was given is answered exactly once.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use tokio::sync::mpsc;

use super::config::Acks;
use super::machine::Outbound;
use super::messages::{self, Encoding};
use super::queue::RequestId;
use super::transactions::{self, Call, Transactional};
use super::verdict::{Fate, Remedy, Verdict};
use crate::Error;
use crate::cluster::Cluster;
use crate::metadata::{LeaderHint, NodeId};
use crate::wire::{ClientError, Connection, PendingAnswer, PendingWrite};

/// What decides the fate of a request that is queued.
enum Pending {
    Answer(PendingAnswer<ProduceRequest>),
    /// With `acks=0`. Until the socket has taken the request, its records take memory and `flush` waits for them.
    Write(PendingWrite),
}

impl Pending {
    /// Waits for the reply to a request for these partitions.
    async fn reply(self, asked: &messages::Addressees) -> Result<Reply, ClientError> {
        Ok(match self {
            Self::Answer(pending) => Reply::Parts(messages::part_replies(pending.answer().await?, asked)),
            Self::Write(pending) => {
                pending.written().await?;
                Reply::All(Verdict::Appended { base_offset: None, append_time: None })
            }
        })
    }
}

/// What a lane tells the driver.
#[derive(Debug)]
pub(super) enum Event {
    /// The connection stands.
    Up(NodeId),
    /// There is no connection, or it has ended.
    Down(NodeId),
    /// A request is answered.
    Answered(RequestId, Reply),
    /// The answer to the request for a producer id.
    Identified(Result<(i64, i16), Error>),
    /// The answer to a request about transactions.
    Coordinated(Call, Result<transactions::Answer, Error>),
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// The broker's word on each part, in order.
    Parts(Vec<PartReply>),
    /// One verdict for all parts.
    All(Verdict),
}

/// A broker's word on one partition's batch.
#[derive(Debug)]
pub(super) struct PartReply {
    pub(super) outcome: messages::PartOutcome,
    pub(super) hint: Option<LeaderHint>,
}

/// What is the same for all requests.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) acks: Acks,
    pub(super) timeout: Duration,
    pub(super) encoding: Encoding,
    /// Of a producer with transactions.
    pub(super) transactional: Option<Transactional>,
}

/// Connects to a node and serves its requests until the connection or the driver ends.
pub(super) async fn run(
    cluster: Cluster,
    node: NodeId,
    terms: Terms,
    mut requests: mpsc::Receiver<Outbound>,
    events: mpsc::Sender<Event>,
) {
    if let Ok(connection) = cluster.connection(node).await {
        let _ = events.send(Event::Up(node)).await;
        loop {
            let request = tokio::select! {
                request = requests.recv() => request,
                _ = connection.wait_closed() => break,
            };
            let Some(request) = request else { return };
            serve(&cluster, node, &connection, &terms, request, &events).await;
        }
    }
    // The machine learns of the end first, and then that the rest was not sent.
    requests.close();
    let _ = events.send(Event::Down(node)).await;
    while let Some(request) = requests.recv().await {
        let lost = Error::Disconnected { cause: "the connection ended before the request left".to_owned() };
        let _ = events.send(Event::Answered(request.id, Reply::All(not_sent(lost)))).await;
    }
}

/// Puts one request on the connection, and leaves its answer to a task.
async fn serve(
    cluster: &Cluster,
    node: NodeId,
    connection: &Connection,
    terms: &Terms,
    request: Outbound,
    events: &mpsc::Sender<Event>,
) {
    let id = request.id;
    let asked = messages::addressees(&request.parts);
    let sent = match messages::produce_request(request, terms, connection).await {
        Ok((body, version)) => enqueue(connection, body, version, terms.acks).await,
        Err(refused) => {
            let _ = events.send(Event::Answered(id, Reply::All(Verdict::Refused(refused)))).await;
            return;
        }
    };
    let pending = match sent {
        Ok(pending) => pending,
        Err(error) => {
            let reply = Reply::All(verdict_on_unsent(error));
            let _ = events.send(Event::Answered(id, reply)).await;
            return;
        }
    };
    let (cluster, connection, events) = (cluster.clone(), connection.clone(), events.clone());
    tokio::spawn(async move {
        let reply = pending.reply(&asked).await;
        if matches!(reply, Err(ClientError::Timeout { .. })) {
            // A broker that is silent, or reads nothing, for so long gets no further requests on this connection.
            cluster.discard(node, &connection).await;
            connection.close();
        }
        let reply = reply.unwrap_or_else(|error| Reply::All(verdict_on_unanswered(error)));
        let _ = events.send(Event::Answered(id, reply)).await;
    });
}

async fn enqueue(
    connection: &Connection,
    body: Vec<Bytes>,
    version: i16,
    acks: Acks,
) -> Result<Pending, ClientError> {
    if acks == Acks::None {
        let sent = connection.send_pieces_without_reply_at::<ProduceRequest>(body, version).await;
        return sent.map(Pending::Write);
    }
    connection.enqueue_pieces_at(body, version).await.map(Pending::Answer)
}

/// A request that was not even queued.
fn verdict_on_unsent(error: ClientError) -> Verdict {
    match error {
        ClientError::Timeout { .. } | ClientError::Closed { .. } => not_sent(error.into()),
        ClientError::UnsupportedVersion { .. }
        | ClientError::Encode { .. }
        | ClientError::Decode { .. }
        | ClientError::TrailingBytes { .. } => Verdict::Refused(error.into()),
    }
}

const fn not_sent(error: Error) -> Verdict {
    Verdict::Again { error, fate: Fate::NotAppended, remedy: Remedy::Refresh }
}

/// A request that was queued, and has no answer that can be read or was not written as a whole.
fn verdict_on_unanswered(error: ClientError) -> Verdict {
    Verdict::Again { error: error.into(), fate: Fate::Unknown, remedy: Remedy::Refresh }
}
