//! Record batches that are none.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError::{self, CorruptMessage, InvalidRecord, MessageTooLarge};
use trilog_tests::batch::{BatchBuilder, Codec, HEADER, Record, field, seal, values};
use trilog_tests::cluster::{Cluster, ClusterOptions, shared};
use trilog_tests::partition::Partition;
use trilog_tests::requests::error;

/// A good batch with some of its bytes changed; the CRC is made right again.
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

/// Asserts that each of these is refused with one of its codes, and that nothing is appended.
async fn assert_refused(partition: &Partition, cases: Vec<(&str, Bytes, &[ResponseError])>) {
    for (what, records, codes) in cases {
        for acks in [-1, 1] {
            let answer = partition.produce_with_acks(acks, records.clone()).await;
            let code = error(answer.error_code);
            assert!(code.is_some_and(|code| codes.contains(&code)), "{what}: {code:?}");
        }
    }
    assert_eq!(partition.end().await, 0, "nothing was appended");
    assert_eq!(partition.produce(values(1, &["good"])).await, 0);
    assert_eq!(partition.read_values().await, ["good"]);
}

#[tokio::test]
async fn damaged_batches_are_refused() {
    let cluster = shared().await;
    let partition = cluster.new_partition("bad-damaged").await;
    let flip = |position: usize| broken(|bytes| bytes[position] ^= 1);
    let cut = |length: usize| Bytes::copy_from_slice(&values(1, &["a", "b"])[..length]);
    let whole = values(1, &["a", "b"]).len();
    // Kafka finds no batch at all in bytes that end before one does.
    let no_batch: &[ResponseError] = &[CorruptMessage, InvalidRecord];
    assert_refused(
        &partition,
        vec![
            ("a bit of the CRC", flip(field::CRC.start), &[CorruptMessage]),
            ("a bit of the records", flip(HEADER + 6), &[CorruptMessage]),
            ("a bit of the attributes", flip(field::ATTRIBUTES.start), &[CorruptMessage]),
            ("the last byte is missing", cut(whole - 1), no_batch),
            ("the header alone", cut(HEADER), no_batch),
            ("half a header", cut(30), no_batch),
            ("one byte", cut(1), no_batch),
            ("a length too large", broken(|b| b[field::LENGTH].copy_from_slice(&[0, 0, 1, 0])), no_batch),
            (
                "the largest length",
                broken(|b| b[field::LENGTH].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff])),
                no_batch,
            ),
            ("a negative length", broken(|b| b[field::LENGTH].copy_from_slice(&[0xff; 4])), no_batch),
            ("a length too small", broken(|b| b[field::LENGTH].copy_from_slice(&[0, 0, 0, 9])), no_batch),
        ],
    )
    .await;
}

#[tokio::test]
async fn other_formats_are_refused() {
    let cluster = shared().await;
    let partition = cluster.new_partition("bad-format").await;
    let magic = |magic| sealed(|bytes| bytes[field::MAGIC] = magic);
    let unknown: &[ResponseError] = &[InvalidRecord, CorruptMessage];
    assert_refused(
        &partition,
        vec![
            ("magic 0", magic(0), &[InvalidRecord]),
            ("magic 1", magic(1), &[InvalidRecord]),
            ("magic 3", magic(3), unknown),
            ("magic -1", magic(0xff), unknown),
        ],
    )
    .await;
}

#[tokio::test]
async fn batches_that_contradict_themselves_are_refused() {
    let cluster = shared().await;
    let partition = cluster.new_partition("bad-contradiction").await;
    let count = |n: i32| sealed(|bytes| bytes[field::RECORD_COUNT].copy_from_slice(&n.to_be_bytes()));
    let last = |n: i32| sealed(|bytes| bytes[field::LAST_OFFSET_DELTA].copy_from_slice(&n.to_be_bytes()));
    let both = |n: i32| {
        sealed(|bytes| {
            bytes[field::RECORD_COUNT].copy_from_slice(&n.to_be_bytes());
            bytes[field::LAST_OFFSET_DELTA].copy_from_slice(&(n - 1).to_be_bytes());
        })
    };
    let control = sealed(|bytes| bytes[field::ATTRIBUTES].copy_from_slice(&0x20_i16.to_be_bytes()));
    let two = [values(1, &["a"]), values(1, &["b"])].concat().into();
    let idempotent = |sequence| BatchBuilder::new(vec![Record::new(1, "a")]).producer(1, 0, sequence).build();
    let either: &[ResponseError] = &[InvalidRecord, CorruptMessage];
    assert_refused(
        &partition,
        vec![
            ("a record more is counted", count(3), either),
            ("a record less is counted", count(1), either),
            ("no record is counted", both(0), either),
            ("a negative count", count(-1), either),
            ("the largest count", both(i32::MAX), either),
            ("the last offset is another", last(5), either),
            ("a negative last offset", last(-1), either),
            ("three records are promised", both(3), either),
            ("one of two records is promised", both(1), either),
            ("bytes behind the records", sealed(|bytes| bytes.extend_from_slice(&[0; 9])), either),
            ("a record shorter than it says", sealed(|bytes| bytes[HEADER] = 0x7e), either),
            ("a negative record length", sealed(|bytes| bytes[HEADER] = 0x01), either),
            ("a control batch", control, &[InvalidRecord]),
            ("no batch at all", Bytes::new(), &[InvalidRecord, CorruptMessage]),
            ("two batches", two, &[InvalidRecord]),
            (
                "a producer without a sequence",
                idempotent(-1),
                &[InvalidRecord, ResponseError::OutOfOrderSequenceNumber],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn compressed_rubbish_is_refused() {
    let cluster = shared().await;
    let partition = cluster.new_partition("bad-compressed").await;
    let either: &[ResponseError] = &[CorruptMessage, InvalidRecord];
    let unknown: &[ResponseError] =
        &[CorruptMessage, InvalidRecord, ResponseError::UnsupportedCompressionType];
    let mut cases = Vec::new();
    for codec in 1..8_i16 {
        let claimed = sealed(|bytes| bytes[field::ATTRIBUTES].copy_from_slice(&codec.to_be_bytes()));
        cases.push(("records that are not compressed", claimed, if codec < 5 { either } else { unknown }));
    }
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let good = BatchBuilder::new(vec![Record::new(1, vec![b'x'; 2000])]).codec(codec).build();
        let mut cut = BytesMut::from(&good[..good.len() - 5]);
        seal(&mut cut);
        cases.push(("compressed records cut off", cut.freeze(), either));
        let mut noisy = BytesMut::from(&good[..]);
        noisy[HEADER..].fill(0xa5);
        seal(&mut noisy);
        cases.push(("noise", noisy.freeze(), either));
    }
    assert_refused(&partition, cases).await;
}

#[tokio::test]
async fn a_batch_above_the_clusters_limit_is_refused() {
    let cluster = shared().await;
    let partition = cluster.new_partition("bad-large").await;
    // message.max.bytes is 1,048,588 unless told otherwise.
    let large = BatchBuilder::new(vec![Record::new(1, vec![b'x'; 1_048_588])]).build();
    assert_refused(&partition, vec![("a mebibyte and a header", large, &[MessageTooLarge])]).await;
}

/// A gzip batch of one record whose value is this many zeros, built without ever holding them in memory.
fn gzip_of_zeros(zeros: u32) -> Bytes {
    let varint = |value: u32| {
        let mut zigzag = u64::from(value) << 1;
        let mut bytes = Vec::new();
        while zigzag >= 0x80 {
            bytes.push(u8::try_from(zigzag & 0x7f).unwrap() | 0x80);
            zigzag >>= 7;
        }
        bytes.push(u8::try_from(zigzag).unwrap());
        bytes
    };
    // Attributes, timestamp delta, offset delta, no key, the value's length; behind the value, no headers.
    let inner = [&[0, 0, 0, 1][..], &varint(zeros)].concat();
    let length = u32::try_from(inner.len() + 1).unwrap() + zeros;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(&varint(length)).unwrap();
    encoder.write_all(&inner).unwrap();
    let chunk = vec![0; 1 << 20];
    for _ in 0..zeros >> 20 {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.write_all(&[0]).unwrap();
    let model = BatchBuilder::new(vec![Record::new(1, "x")]).codec(Codec::Gzip).build();
    let mut batch = BytesMut::from(&model[..HEADER]);
    batch.extend_from_slice(&encoder.finish().unwrap());
    seal(&mut batch);
    batch.freeze()
}

#[tokio::test]
async fn a_batch_that_unpacks_to_half_a_gigabyte_does_not_grow_the_node() {
    let bomb = tokio::task::spawn_blocking(|| gzip_of_zeros(512 << 20)).await.unwrap();
    assert!(bomb.len() < 1 << 20, "it is small enough to be looked at");
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let partition = cluster.new_partition("bad-bomb").await;
    let before = cluster.resident_bytes();
    // Whether it is taken or refused is the broker's choice.
    partition.try_produce(bomb).await;
    let grown = cluster.resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "the node has grown by {} MiB", grown >> 20);
    cluster.assert_alive();
}
