//! Record batches that are none: damaged, in older formats, that contradict themselves, or compressed badly.

use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Crc;
use trilog_tests::batch::{BatchBuilder, Codec, HEADER, Record, field, seal, values};
use trilog_tests::partition::Partition;
use trilog_tests::requests::produced;

use crate::stage::Stage;
use crate::told;

/// Some bytes, and what they are.
type Case = (String, Bytes);

/// A good batch with some of its bytes changed; length and CRC are made right again.
fn sealed(change: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&values(1, &["a", "b"])[..]);
    change(&mut bytes);
    seal(&mut bytes);
    bytes.freeze()
}

/// A good batch with some of its bytes changed and nothing put right.
fn broken(change: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&values(1, &["a", "b"])[..]);
    change(&mut bytes);
    bytes.freeze()
}

fn cases(cases: Vec<(&str, Bytes)>) -> Vec<Case> {
    cases.into_iter().map(|(what, bytes)| (what.to_owned(), bytes)).collect()
}

fn damaged() -> Vec<Case> {
    let flip = |position: usize| broken(|bytes| bytes[position] ^= 1);
    let cut = |length: usize| Bytes::copy_from_slice(&values(1, &["a", "b"])[..length]);
    let whole = values(1, &["a", "b"]).len();
    let length = |bytes: [u8; 4]| broken(|batch| batch[field::LENGTH].copy_from_slice(&bytes));
    cases(vec![
        ("a bit of the CRC", flip(field::CRC.start)),
        ("a bit of the records", flip(HEADER + 6)),
        ("a bit of the attributes", flip(field::ATTRIBUTES.start)),
        ("the last byte is missing", cut(whole - 1)),
        ("the header alone", cut(HEADER)),
        ("half a header", cut(30)),
        ("one byte", cut(1)),
        ("a length too large", length([0, 0, 1, 0])),
        ("the largest length", length([0x7f, 0xff, 0xff, 0xff])),
        ("a negative length", length([0xff; 4])),
        ("a length too small", length([0, 0, 0, 9])),
    ])
}

/// A message of an older format (magic 0 and 1), as clients before Kafka 0.11 sent it.
fn old_message(magic: i8) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i8(magic);
    body.put_i8(0);
    if magic == 1 {
        body.put_i64(1);
    }
    for part in [b"key", b"val"] {
        body.put_i32(3);
        body.put_slice(part);
    }
    let mut crc = Crc::new();
    crc.update(&body);
    let mut message = BytesMut::new();
    message.put_i64(0);
    message.put_i32(i32::try_from(body.len() + 4).expect("a small message"));
    message.put_u32(crc.sum());
    message.extend_from_slice(&body);
    message.freeze()
}

fn formats() -> Vec<Case> {
    let magic = |magic| sealed(|bytes| bytes[field::MAGIC] = magic);
    cases(vec![
        ("a message of magic 0", old_message(0)),
        ("a message of magic 1", old_message(1)),
        ("a batch of magic 0", magic(0)),
        ("a batch of magic 1", magic(1)),
        ("a batch of magic 3", magic(3)),
        ("a batch of magic -1", magic(0xff)),
    ])
}

fn contradictions() -> Vec<Case> {
    let count = |n: i32| sealed(|bytes| bytes[field::RECORD_COUNT].copy_from_slice(&n.to_be_bytes()));
    let last = |n: i32| sealed(|bytes| bytes[field::LAST_OFFSET_DELTA].copy_from_slice(&n.to_be_bytes()));
    let both = |n: i32| {
        sealed(|bytes| {
            bytes[field::RECORD_COUNT].copy_from_slice(&n.to_be_bytes());
            bytes[field::LAST_OFFSET_DELTA].copy_from_slice(&(n - 1).to_be_bytes());
        })
    };
    let attributes =
        |bits: i16| sealed(|bytes| bytes[field::ATTRIBUTES].copy_from_slice(&bits.to_be_bytes()));
    let idempotent = |id, epoch, sequence| {
        BatchBuilder::new(vec![Record::new(1, "a")]).producer(id, epoch, sequence).build()
    };
    cases(vec![
        ("a record more is counted", count(3)),
        ("a record less is counted", count(1)),
        ("no record is counted", both(0)),
        ("a negative count", count(-1)),
        ("the largest count", both(i32::MAX)),
        ("the last offset is another", last(5)),
        ("a negative last offset", last(-1)),
        ("three records are promised", both(3)),
        ("one of two records is promised", both(1)),
        ("bytes behind the records", sealed(|bytes| bytes.extend_from_slice(&[0; 9]))),
        ("a record shorter than it says", sealed(|bytes| bytes[HEADER] = 0x7e)),
        ("a negative record length", sealed(|bytes| bytes[HEADER] = 0x01)),
        ("a control batch", attributes(0x20)),
        ("a batch of a transaction", attributes(0x10)),
        ("no batch at all", Bytes::new()),
        ("two batches", [values(1, &["a"]), values(1, &["b"])].concat().into()),
        ("a producer without a sequence", idempotent(1, 0, -1)),
        ("a sequence without a producer", idempotent(-1, 0, 0)),
    ])
}

fn compressed() -> Vec<Case> {
    let mut cases = Vec::new();
    for codec in 1..8_i16 {
        let claimed = sealed(|bytes| bytes[field::ATTRIBUTES].copy_from_slice(&codec.to_be_bytes()));
        cases.push((format!("records that codec {codec} has not compressed"), claimed));
    }
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let good = BatchBuilder::new(vec![Record::new(1, vec![b'x'; 2000])]).codec(codec).build();
        let mut cut = BytesMut::from(&good[..good.len() - 5]);
        seal(&mut cut);
        cases.push((format!("records of {codec:?} cut off"), cut.freeze()));
        let mut noisy = BytesMut::from(&good[..]);
        noisy[HEADER..].fill(0xa5);
        seal(&mut noisy);
        cases.push((format!("noise instead of {codec:?}"), noisy.freeze()));
    }
    cases
}

fn large() -> Vec<Case> {
    // message.max.bytes is 1,048,588 unless told otherwise.
    let batch = |length: usize| BatchBuilder::new(vec![Record::new(1, vec![b'x'; length])]).build();
    let over = batch(1_048_588).len() - 1_048_588;
    cases(vec![("a mebibyte and a header", batch(1_048_588)), ("a byte too many", batch(1_048_589 - over))])
}

/// Notes what is said of each, with `acks` of -1 and 1.
async fn refused(stage: &Stage, partition: &Partition, cases: Vec<Case>) {
    for (what, bytes) in cases {
        let mut answers = Vec::new();
        for acks in [-1, 1] {
            let answer = partition.produce_with_acks(acks, bytes.clone()).await;
            answers.push(told::produced(&answer));
        }
        answers.dedup();
        stage.note(what, answers.join("; "));
    }
}

pub(crate) async fn bad(stage: Rc<Stage>) {
    let partition = stage.new_partition(&stage.named("refused"), &[]).await;
    for cases in [damaged(), contradictions(), compressed(), large()] {
        refused(&stage, &partition, cases).await;
    }
    for (what, bytes) in formats() {
        for version in [3, 7, 9, 13] {
            let request = partition.target.produce(version, -1, bytes.clone());
            let answer = partition.connection.request_at_version(request, version).await;
            let answer = produced(answer.expect("Produce is answered"));
            stage.note(format!("{what}, version {version}"), told::produced(&answer));
        }
    }
    // It is committed when it is answered, and so is what is before it.
    let answer = partition.try_produce(values(1, &["good"])).await;
    stage.note("a good one behind them", told::produced(&answer));
    stage.note("the end", partition.end().await);
    let lengths = partition.read_values().await.into_iter().map(|value| value.len());
    stage.note("the lengths of what is there", told::list(lengths));
    let partition = stage.new_partition(&stage.named("half-idempotent"), &[]).await;
    let batch = BatchBuilder::new(vec![Record::new(1, "a")]).producer(1, -1, 0).build();
    stage.note("a producer without an epoch", told::produced(&partition.try_produce(batch).await));
}
