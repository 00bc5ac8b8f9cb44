//! One direction of a connection through a link: bytes in, and out again when the link's condition allows it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Condition, Flow};

/// What is read at once.
const CHUNK: usize = 16 << 10;

/// Chunks on their way. Whoever sends more waits, as on a real path whose buffers are full.
const CHUNKS_ON_THE_WAY: usize = 64;

/// Carries everything from `read` to `write`, until there is no more. What the end means, the caller knows.
///
/// # Errors
/// When either end is lost.
pub(super) async fn pump(
    read: impl AsyncRead + Unpin,
    write: &mut (impl AsyncWrite + Unpin),
    condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNKS_ON_THE_WAY);
    let taken = take(read, sender, condition.clone());
    let given = give(write, receiver, condition);
    tokio::try_join!(taken, given).map(|_| ())
}

/// Notes when each chunk came. Nothing is taken while the link is cut, so that its sender gets to feel it.
async fn take(
    mut read: impl AsyncRead + Unpin,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    loop {
        until_not_cut(&mut condition).await;
        let mut chunk = Vec::with_capacity(CHUNK);
        if read.read_buf(&mut chunk).await? == 0 || sender.send((Instant::now(), chunk)).await.is_err() {
            return Ok(());
        }
    }
}

/// Hands on each chunk when its time has come.
async fn give(
    write: &mut (impl AsyncWrite + Unpin),
    mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let mut due = Instant::now();
    while let Some((came, chunk)) = receiver.recv().await {
        let Condition { delay, rate, .. } = *condition.borrow();
        due = due.max(came + delay) + rate.map_or(Duration::ZERO, |rate| time_to_send(chunk.len(), rate));
        sleep_until(due).await;
        until_not_cut(&mut condition).await;
        write.write_all(&chunk).await?;
    }
    until_not_cut(&mut condition).await;
    Ok(())
}

fn time_to_send(bytes: usize, rate: u64) -> Duration {
    let bytes = u64::try_from(bytes).expect("a chunk is small");
    Duration::from_nanos(bytes * 1_000_000_000 / rate.max(1))
}

/// Waits while the link is cut, and returns what it is then. A link that is being torn down is open.
pub(super) async fn until_not_cut(condition: &mut watch::Receiver<Condition>) -> Flow {
    let settled = condition.wait_for(|condition| condition.flow != Flow::Cut).await;
    settled.map_or(Flow::Open, |condition| condition.flow)
}
