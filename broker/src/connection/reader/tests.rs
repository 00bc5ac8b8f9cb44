use tokio::io::AsyncWriteExt;

use super::super::budget::NODE_SMALL_PRODUCE_BYTES;
use super::*;
use crate::wire::frame::FrameError;

const LIMIT: usize = 1 << 20;

fn frame(content: &[u8]) -> Vec<u8> {
    let length = i32::try_from(content.len()).unwrap();
    [&length.to_be_bytes()[..], content].concat()
}

#[tokio::test]
async fn frames_come_out_however_the_bytes_come_in() {
    let contents: Vec<Vec<u8>> =
        [0, 1, 5, LEAST_FIRST_READ_BYTES, COPIED_FRAME_BYTES, 200_000, 3, 30_000].map(|n| vec![7; n]).into();
    let sent = contents.iter().map(|content| frame(content)).collect::<Vec<_>>().concat();
    for step in [1_000, 4, 65_537, sent.len()] {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut reader = FrameReader::new(server, LIMIT, ByteBudget::new(LIMIT), Arrivals::default());
        let sending = async {
            for piece in sent.chunks(step) {
                client.write_all(piece).await.unwrap();
            }
        };
        let reading = async {
            for content in &contents {
                assert_eq!(reader.next().await.unwrap().content, content);
            }
        };
        tokio::join!(sending, reading);
        drop(client);
        assert!(matches!(reader.next().await, Err(CloseReason::ClientLeft)));
    }
}

#[tokio::test]
async fn an_announced_length_takes_no_memory() {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let mut reader = FrameReader::new(server, 100 << 20, ByteBudget::new(1 << 20), Arrivals::default());
    client.write_all(&(100i32 << 20).to_be_bytes()).await.unwrap();
    client.write_all(&[0; 10_000]).await.unwrap();
    drop(client);
    let end = reader.next().await.unwrap_err();
    assert!(matches!(end, CloseReason::ClientLeftMidFrame { received: 10_004 }), "{end}");
    assert!(reader.buffer.capacity() <= LEAST_GROWTH_BYTES, "{}", reader.buffer.capacity());
}

#[tokio::test]
async fn impossible_lengths_end_the_connection() {
    for (length, expected) in
        [(-1, FrameError::Negative(-1)), (1 << 30, FrameError::TooLarge { length: 1 << 30, limit: LIMIT })]
    {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&i32::to_be_bytes(length)).await.unwrap();
        let end = FrameReader::new(server, LIMIT, ByteBudget::new(LIMIT), Arrivals::default())
            .next()
            .await
            .unwrap_err();
        assert!(matches!(end, CloseReason::Frame(error) if error == expected), "{end}");
    }
}

#[tokio::test]
async fn large_frames_wait_for_the_budget_and_small_ones_do_not() {
    let budget = ByteBudget::new(200_000);
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let mut reader = FrameReader::new(server, LIMIT, budget.clone(), Arrivals::default());
    let taken = (budget.try_take(200_000).unwrap(), budget.take(1).await);

    client.write_all(&frame(&[1; 1_000])).await.unwrap();
    client.write_all(&frame(&[2; 150_000])).await.unwrap();
    assert_eq!(reader.next().await.unwrap().content.len(), 1_000, "small frames are exempt");
    tokio::select! {
        biased;
        _ = reader.next() => panic!("there is no budget for the large frame"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(reader.owed_until(), None, "it is not the client that is late");
    drop(taken);
    let frame = reader.next().await.unwrap();
    assert_eq!(frame.content.len(), 150_000);
    assert!(budget.try_take(50_000).is_none(), "the frame's memory is claimed while it is in flight");
    drop(frame);
    assert!(budget.try_take(200_000).is_some());
}

#[tokio::test]
async fn a_small_produce_request_waits_for_a_budget_of_its_own_before_its_turn() {
    let budget = ByteBudget::new(200_000);
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let mut reader = FrameReader::new(server, LIMIT, budget.clone(), Arrivals::default());
    let all = u32::try_from(NODE_SMALL_PRODUCE_BYTES).unwrap();
    let taken = budget.try_take_small(all, false).unwrap();
    client.write_all(&frame(&[1; 1_000])).await.unwrap();
    client.write_all(&frame(&[0; 1_000])).await.unwrap();
    drop(reader.next().await.unwrap());
    begin(&mut reader).await;
    assert_eq!(reader.owed_until(), None, "it is not the client that is late");
    drop(taken);
    let produce = reader.next().await.unwrap();
    assert!(budget.try_take_small(all, false).is_none());
    // Whoever keeps the hold keeps the claim, with or without the frame.
    let Frame { content, hold } = produce;
    drop(content);
    assert!(budget.try_take_small(all, false).is_none());
    drop(hold);
    let taken = budget.try_take_small(all, false).unwrap();
    // Once a produce request of it was decided, and with nothing else in flight, a connection has the reserve.
    client.write_all(&frame(&[0; 1_000])).await.unwrap();
    let first = reader.next().await.unwrap();
    client.write_all(&frame(&[0; 1_000])).await.unwrap();
    begin(&mut reader).await;
    drop(first);
    begin(&mut reader).await;
    drop(taken);
    drop(reader.next().await.unwrap());
}

/// Reads what is there of a frame that is not complete, or has to wait.
async fn begin<R: AsyncRead + Unpin>(reader: &mut FrameReader<R>) {
    tokio::select! {
        biased;
        _ = reader.next() => panic!("the frame is complete"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_claim_follows_the_bytes_and_not_the_announcement() {
    let budget = ByteBudget::new(4 << 20);
    let (mut client, server) = tokio::io::duplex(4 << 20);
    let mut reader = FrameReader::new(server, 100 << 20, budget.clone(), Arrivals::default());
    client.write_all(&(100i32 << 20).to_be_bytes()).await.unwrap();
    let mut received = PREFIX_BYTES;
    for more in [1_000, 100_000, 1 << 20] {
        client.write_all(&vec![0; more]).await.unwrap();
        received += more;
        begin(&mut reader).await;
        assert_eq!(reader.buffer.len(), received);
        let free = u32::try_from((4 << 20) - received - CLAIM_STEP_BYTES).unwrap();
        assert!(budget.try_take(free).is_some(), "too much is claimed for {received} bytes");
    }
}

#[tokio::test]
async fn a_slow_frame_makes_room_for_those_that_wait() {
    let (budget, arrivals) = (ByteBudget::new(1 << 20), Arrivals::default());
    let new = |server| FrameReader::new(server, 100 << 20, budget.clone(), arrivals.clone());
    let mut slow = Vec::new();
    // The first one takes the budget and the overdraft; the second one waits for them.
    for _ in 0..2 {
        let (mut client, server) = tokio::io::duplex(2 << 20);
        client.write_all(&(10i32 << 20).to_be_bytes()).await.unwrap();
        client.write_all(&vec![0; 1 << 20]).await.unwrap();
        let mut reader = new(server);
        begin(&mut reader).await;
        slow.push((client, reader));
    }
    let (mut client, server) = tokio::io::duplex(1 << 20);
    client.write_all(&frame(&[3; 500_000])).await.unwrap();
    let mut waiting = new(server);
    begin(&mut waiting).await;
    // What those that wait do after a while.
    arrivals.put_out_slowest(Instant::now() + 5 * WAITS);
    let put_out: Vec<bool> = slow.iter().map(|(_, reader)| reader.is_put_out()).collect();
    assert_eq!(put_out, [true, false]);
    slow[0].1.put_out_notice().notified().await;
    drop(slow.remove(0));
    assert_eq!(waiting.next().await.unwrap().content.len(), 500_000);
}
